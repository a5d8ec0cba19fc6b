"""The walker's loop: observe, decide, journal the intent, act, journal the result.

Rule: one turn takes one decision, and no act is done before its intent is durable. The exception is
RETURNING: the fader to the old slot is written to the local spool, done, and copied to the database when
that answers again (I7). Killed between any two lines, the next walker reads the last row and goes on from
there: an intent without a result is done again, since every act is idempotent.

Invariant: `self.state` is always the state of the last row in the spool.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from crossfade.model.decide import Decision, Facts, decide
from crossfade.model.errors import CrossfadeError
from crossfade.model.path import Act, Path, Step
from crossfade.model.ports import Clock, Journal, Lease, Row, RowKind
from crossfade.model.walker import ENDED, Event, Phase, Refusal, State, act_of, advance, start


class Progress(StrEnum):
    """How far an act has come when it is looked at."""

    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Look:
    """One look at an act: how far, in words, and what was measured."""

    progress: Progress
    detail: str = ""
    data: dict[str, object] | None = None


class Acts(Protocol):
    """Carries acts out, a slice at a time; every slice is idempotent and short."""

    def slice(self, step: Step, state: State) -> Look:
        """Do, or look at, the act of `state`."""

    def arrived(self, state: State) -> None:
        """The release now stands at `state.index` (mark the records, start the position's clock)."""


class Observer(Protocol):
    """Reads the world."""

    def facts(self, state: State) -> Facts:
        """All that the decision may depend on."""

    def answered(self, reply: str) -> None:
        """What a person asked for at this turn is in the journal; `reply` says what came of it."""


@dataclass(frozen=True)
class Release:
    """One release as the journal knows it."""

    id: str
    path: Path
    state: State
    data: dict[str, object]  # of its PLANNED row: slots, salt, when


@dataclass(frozen=True)
class Turn:
    """What one turn of the loop did, for whoever shows it."""

    state: State
    facts: Facts
    decision: Decision
    look: Look | None
    journal_down: str = ""


def read_release(rows: list[Row]) -> Release | None:
    """The newest release in the journal's rows, as its last row left it."""
    planned = next((row for row in reversed(rows) if row.kind is RowKind.PLANNED), None)
    if planned is None:
        return None
    mine = [row for row in rows if row.release == planned.release and row.state]
    path = Path.from_json(planned.data["path"])  # type: ignore[arg-type]
    return Release(planned.release, path, State.from_json(mine[-1].state), dict(planned.data))


class Walker:
    """Walks one release. The world, the journal and the lease are handed in."""

    def __init__(
        self, release: Release, journal: Journal, lease: Lease, observer: Observer, acts: Acts, clock: Clock
    ) -> None:
        self.release = release
        self.state = release.state
        self._journal = journal
        self._lease = lease
        self._observer = observer
        self._acts = acts
        self._clock = clock
        self._journal_down = ""
        self._decided_at_s: float | None = None  # when the way back was decided
        self._acts.arrived(self.state)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state.phase in ENDED

    def turn(self) -> Turn:
        """Observe, decide, act: once. Raises CrossfadeError `lease-lost` when another walker leads."""
        self._journal_down = "" if self._lease.leading() else "the lease is not held"
        facts = self._observer.facts(self.state)
        decision = decide(self.release.path, self.state, facts)
        if decision.event is not None:
            self._take(decision, decision.event, facts)
        look = self._work()
        return Turn(self.state, facts, decision, look, self._journal_down)

    def _take(self, decision: Decision, event: Event, facts: Facts) -> None:
        """Move to the next state, journaled first."""
        after = advance(self.release.path, self.state, event, decision.reason, decision.by)
        if isinstance(after, Refusal):
            if facts.asked is event:
                self._write(RowKind.REQUEST, self.state, {"asked": str(event), "refused": after.reason})
                self._observer.answered(f"refused: {after.reason}")
            return
        if after == self.state:  # on its way already: asked for twice, or by a walker that died before it could answer
            if facts.asked is event:
                self._observer.answered(decision.reason)
            return
        data: dict[str, object] = {"event": str(event), "reason": decision.reason, "by": decision.by}
        if facts.verdict is not None:
            data["verdict"] = facts.verdict.lines()
        if after.phase in (Phase.RETURNING, Phase.RESTORING) and self._decided_at_s is None:
            self._decided_at_s = self._clock.monotonic_s()
        step = act_of(self.release.path, after)
        if step is not None:
            data["act"] = str(step.act)
        if self._move(RowKind.INTENT if step else RowKind.EVENT, after, data) and facts.asked is event:
            self._observer.answered(decision.reason)

    def _work(self) -> Look | None:
        """One slice of the act that is under way, and its result when it ends."""
        step = act_of(self.release.path, self.state)
        if step is None:
            return None
        if step.act is not Act.FADER_TO_OLD and not (self._lease.leading() and self._journal.settled()):
            missing = self._journal_down or "the database lacks rows of the spool"
            return Look(Progress.WORKING, f"{step.act} waits: {missing}")
        look = self._acts.slice(step, self.state)
        if look.progress is Progress.WORKING:
            return look
        event = Event.ACT_DONE if look.progress is Progress.DONE else Event.ACT_FAILED
        after = advance(self.release.path, self.state, event, look.detail if event is Event.ACT_FAILED else "")
        assert not isinstance(after, Refusal), after
        if after == self.state:  # the fader could not be moved: try again, without a row each time
            return look
        data: dict[str, object] = {"act": str(step.act), "ok": event is Event.ACT_DONE, "detail": look.detail}
        data |= look.data or {}
        if step.act is Act.FADER_TO_OLD and self._decided_at_s is not None:
            data["decided_to_old_only_ms"] = round((self._clock.monotonic_s() - self._decided_at_s) * 1000)
        self._move(RowKind.RESULT, after, data)
        return look

    def _move(self, kind: RowKind, after: State, data: dict[str, object]) -> bool:
        """Write the row, then be in the state. False: the journal is down and the state may not change."""
        fading = self.state.phase is Phase.RETURNING or after.phase is Phase.RETURNING
        if not self._write(kind, after, data, local=fading):
            return False
        arrived = after.index != self.state.index or after.phase is not self.state.phase
        self.state = after
        if arrived:
            self._acts.arrived(after)
        return True

    def _write(self, kind: RowKind, state: State, data: dict[str, object], *, local: bool = False) -> bool:
        """Append to the journal. `local` rows go to the spool alone, at once, and are copied up later."""
        body = state.to_json()
        if local:
            self._journal.append_local(self.release.id, kind, body, data)
            return True
        if not self._lease.leading():
            return False
        try:
            self._journal.append(self.release.id, kind, body, data)
        except CrossfadeError as error:
            if error.id != "journal-unreachable":
                raise
            self._journal_down = error.message
            return False
        return True


def plan_release(journal: Journal, release_id: str, path: Path, data: dict[str, object]) -> Release:
    """Write the PLANNED row. From here on the release exists and will be resumed."""
    state = start(path)
    full = {**data, "path": path.to_json(), "path_digest": path.digest}
    journal.append(release_id, RowKind.PLANNED, state.to_json(), full)
    return Release(release_id, path, state, full)


Show = Callable[[Turn], None]
