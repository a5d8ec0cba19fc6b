"""The rules of a release, all of them, in one table.

Two rules hold for this file:

1. Everything that decides where a release may go next lives here. Nothing here reads a clock, a
   database or a proxy; `crossfade.model.decide` turns facts into one event, `crossfade.walk` carries
   acts out. If it is not in the table, it cannot happen.
2. The table is total on purpose: a pair of phase and event that is missing is refused, and a phase
   with an empty row is an end.

Theory of operation. A release stands at one position of its path (`State.index`) in one phase. An event
arrives; the row of the phase and the zone of the position give the next phase; the phase says which act
is under way. The zone is how far the fader is: the same failure means *undo* while no customer has
reached the new lane, *return the traffic* while one has and the old lane is there, and *start the old
lane first* once it is gone; where the shape of the data that it reads is hidden, *attach* that before. Where
going on and going back are both unsafe the phase is HALTED: the healthy lane keeps serving and a person is
told what to do (I12). A release that came back leaves the schema expanded, so that a fixed version finds it
there; one that is abandoned, or failed while it expanded, clears it, too.

The way back never asks whether it is allowed: RETURNING retries until the fader is on the old slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from crossfade.model.change import Stage
from crossfade.model.path import Act, Path, Presence, Step
from crossfade.model.ports import FULL_BP


class Phase(StrEnum):
    """What the walker is doing."""

    STANDING = "standing"  # at a position, watching
    STEPPING = "stepping"  # the act of the next step is under way
    PAUSED = "paused"  # a person asked to stand still; still watching, still able to come back
    HELD = "held"  # too little is known to go on or back
    RETURNING = "returning"  # the fader is going to the old slot
    ATTACHING = "attaching"  # the old shape of the data is being brought back into sight
    RESTORING = "restoring"  # the old lane is being started, so that traffic can return
    UNDOING = "undoing"  # no customer on the new lane any more; it is being drained and stopped
    CLEARING = "clearing"  # what was added to the schema is being taken away again
    HALTED = "halted"  # a person must decide
    STRANDED = "stranded"  # the way back itself failed; a person must help it on
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    ABANDONED = "abandoned"


class Zone(StrEnum):
    """How far the fader is at a position."""

    QUIET = "quiet"  # no customer reaches the new lane
    SHARED = "shared"  # both lanes serve
    FULL = "full"  # the new lane serves alone, the old one is warm
    ALONE = "alone"  # the old lane is gone
    HIDDEN = "hidden"  # the old lane is gone, and the shape of the data that it reads is out of sight
    STILL = "still"  # only the schema moves: no fader, no lanes


class Event(StrEnum):
    """What can happen to a release."""

    ADVANCE = "advance"  # what the next step needs is shown
    FINISHED = "finished"  # the last position was stood at long enough
    ACT_DONE = "act done"  # the act of the phase came through
    ACT_FAILED = "act failed"  # it did not, and trying again will not help
    VERDICT_FAIL = "verdict fail"  # the new lane is shown to hurt customers
    SHARED_TROUBLE = "shared trouble"  # an absolute limit is broken on both lanes
    FUSE_TRIPPED = "fuse tripped"  # the proxy has returned the traffic already
    NEW_LANE_DOWN = "new lane down"  # none of its instances takes requests
    OLD_LANE_DOWN = "old lane down"  # the same for the old lane: the way back is lost
    THIRD_VERSION = "third version"  # something is alive that belongs to neither lane
    SCHEMA_BEHIND = "schema behind"  # the database lacks what the release stands on: a failover lost it
    BLIND = "blind"  # a signal or the journal is lost
    SIGHTED = "sighted"  # it is back, or the verdict that was missing is there
    CAP_REACHED = "cap reached"  # the step's longest time is over without a verdict
    PAUSE = "pause"  # a person asks to stand still
    RESUME = "resume"  # a person asks to go on
    ROLLBACK = "rollback"  # a person asks to come back
    ABANDON = "abandon"  # a person asks to come back to the very beginning


ALL = tuple(Zone)
_P, _Z, _E = Phase, Zone, Event
# Where the new lane may be the only healthy copy, or a step cannot be half taken back.
LAST_COPY = (_Z.FULL, _Z.ALONE, _Z.HIDDEN, _Z.STILL)


def _to(phase: Phase, *zones: Zone) -> Mapping[Zone, Phase]:
    return dict.fromkeys(zones or ALL, phase)


# The way back, by zone. Every failure of the new lane goes through this one line.
BACK: Mapping[Zone, Phase] = {
    _Z.QUIET: _P.UNDOING,
    _Z.SHARED: _P.RETURNING,
    _Z.FULL: _P.RETURNING,
    _Z.ALONE: _P.RESTORING,
    _Z.HIDDEN: _P.ATTACHING,
}
# While the old lane is being retired it may be half gone: make sure of it first (starting it is idempotent).
BACK_FROM_STEP: Mapping[Zone, Phase] = {**BACK, _Z.FULL: _P.RESTORING}

_GO_BACK = {
    _E.VERDICT_FAIL: BACK,
    _E.SHARED_TROUBLE: BACK,
    _E.FUSE_TRIPPED: BACK,
    _E.NEW_LANE_DOWN: BACK,
    _E.SCHEMA_BEHIND: {**BACK, _Z.QUIET: _P.STANDING},  # every act is idempotent: walked again from the beginning
    _E.ROLLBACK: BACK,
    _E.ABANDON: BACK,
}
_CANNOT_GO_BACK = {
    _E.OLD_LANE_DOWN: _to(_P.HALTED, _Z.QUIET, _Z.SHARED, _Z.FULL),
    _E.THIRD_VERSION: _to(_P.HALTED),
}

TABLE: Mapping[Phase, Mapping[Event, Mapping[Zone, Phase]]] = {
    _P.STANDING: {
        **_GO_BACK,
        **_CANNOT_GO_BACK,
        _E.ADVANCE: _to(_P.STEPPING),
        _E.FINISHED: _to(_P.COMPLETED),
        _E.PAUSE: _to(_P.PAUSED),
        _E.BLIND: _to(_P.HELD),
        _E.CAP_REACHED: _to(_P.HELD),
    },
    _P.STEPPING: {
        _E.ACT_DONE: _to(_P.STANDING),
        # Retiring failed: the new lane may be the only healthy copy, so nothing is torn down.
        _E.ACT_FAILED: {_Z.QUIET: _P.UNDOING, _Z.SHARED: _P.RETURNING, **dict.fromkeys(LAST_COPY, _P.HALTED)},
        **dict.fromkeys(_GO_BACK, BACK_FROM_STEP),
        _E.SCHEMA_BEHIND: {**BACK_FROM_STEP, _Z.QUIET: _P.STANDING},
        _E.THIRD_VERSION: _to(_P.HALTED),
    },
    _P.PAUSED: {**_GO_BACK, **_CANNOT_GO_BACK, _E.RESUME: _to(_P.STANDING)},
    _P.HELD: {
        **_GO_BACK,
        **_CANNOT_GO_BACK,
        _E.SIGHTED: _to(_P.STANDING),
        _E.RESUME: _to(_P.STANDING),
        _E.PAUSE: _to(_P.PAUSED),
    },
    _P.RETURNING: {
        _E.ACT_DONE: _to(_P.UNDOING),
        _E.ACT_FAILED: _to(_P.RETURNING),
        _E.ROLLBACK: _to(_P.RETURNING),  # it is on its way already
        _E.ABANDON: _to(_P.RETURNING),
    },
    _P.ATTACHING: {
        _E.ACT_DONE: _to(_P.RESTORING),
        _E.ACT_FAILED: _to(_P.STRANDED),
        _E.ROLLBACK: _to(_P.ATTACHING),  # it is on its way already
        _E.ABANDON: _to(_P.ATTACHING),
    },
    _P.RESTORING: {
        _E.ACT_DONE: _to(_P.RETURNING),
        _E.ACT_FAILED: _to(_P.STRANDED),
        _E.ROLLBACK: _to(_P.RESTORING),  # it is on its way already
        _E.ABANDON: _to(_P.RESTORING),
    },
    _P.UNDOING: {
        _E.ACT_DONE: _to(_P.ROLLED_BACK),  # or ABANDONED, or CLEARING first: see advance()
        _E.ACT_FAILED: _to(_P.STRANDED),
        _E.ROLLBACK: _to(_P.UNDOING),  # it is on its way already
        _E.ABANDON: _to(_P.UNDOING),
    },
    _P.CLEARING: {
        _E.ACT_DONE: _to(_P.ROLLED_BACK),  # or ABANDONED: see advance()
        _E.ACT_FAILED: _to(_P.STRANDED),
        _E.ROLLBACK: _to(_P.CLEARING),  # it is on its way already
        _E.ABANDON: _to(_P.CLEARING),
    },
    _P.HALTED: {
        _E.ROLLBACK: BACK_FROM_STEP,
        _E.ABANDON: BACK_FROM_STEP,
        _E.FUSE_TRIPPED: BACK_FROM_STEP,
        _E.RESUME: _to(_P.STANDING),
    },
    _P.STRANDED: dict.fromkeys((_E.RESUME, _E.ROLLBACK, _E.ABANDON), BACK_FROM_STEP),
    _P.COMPLETED: {_E.ROLLBACK: BACK, _E.ABANDON: BACK},
    _P.ROLLED_BACK: {_E.ABANDON: _to(_P.CLEARING, _Z.QUIET)},  # where the schema is still expanded
    _P.ABANDONED: {},
}

ENDED = frozenset({_P.COMPLETED, _P.ROLLED_BACK, _P.ABANDONED})
GOING_BACK = frozenset({_P.ATTACHING, _P.RETURNING, _P.RESTORING, _P.UNDOING, _P.CLEARING, _P.STRANDED})


@dataclass(frozen=True)
class State:
    """Where a release stands. `index` is the position stood at, or the one a step leads away from."""

    phase: Phase
    index: int
    cause: str = ""  # why it goes, or went, back, or holds, or halted: one sentence with the numbers
    by: str = ""  # walker, fuse or person: who turned it back
    abandon: bool = False  # the way back goes to the very beginning

    def to_json(self) -> dict[str, object]:
        """The state as plain data, for the journal."""
        return {
            "phase": str(self.phase),
            "index": self.index,
            "cause": self.cause,
            "by": self.by,
            "abandon": self.abandon,
        }

    @staticmethod
    def from_json(data: Mapping[str, object]) -> State:
        """Read what `to_json` wrote."""
        return State(
            Phase(str(data["phase"])),
            int(str(data["index"])),
            str(data["cause"]),
            str(data["by"]),
            bool(data["abandon"]),
        )


@dataclass(frozen=True)
class Refusal:
    """The event has no place in this phase. Nothing changes."""

    phase: Phase
    event: Event
    reason: str


def start(path: Path) -> State:
    """The state of a release that was planned and has done nothing yet."""
    path.check_invariants()
    return State(Phase.STANDING, 0)


def zone(path: Path, index: int) -> Zone:
    """How far the fader is at a position."""
    position = path.positions[index]
    if path.maintenance:
        return Zone.STILL
    if not position.exposed:
        return Zone.QUIET
    if position.old is Presence.ABSENT:
        return Zone.HIDDEN if path.change_id and path.stage(index) is Stage.HIDDEN else Zone.ALONE
    return Zone.FULL if position.new_share_bp == FULL_BP else Zone.SHARED


def zone_in_flight(path: Path, state: State) -> Zone:
    """The zone that counts while a step is under way: the farther of its two ends for a share that is being set.

    A first share that was intended may be in force already, so its failure must return the traffic. A detach that
    was intended may be done, so the way back attaches first.
    """
    here = zone(path, state.index)
    if state.phase is not Phase.STEPPING:
        return here
    act = path.steps[state.index].act
    if act is Act.SET_SHARE and here is Zone.QUIET:
        return Zone.SHARED
    return Zone.HIDDEN if act is Act.DETACH and here is Zone.ALONE else here


def act_of(path: Path, state: State) -> Step | None:
    """The act that is under way in this state, or None where the walker only watches."""
    match state.phase:
        case Phase.STEPPING:
            return path.steps[state.index]
        case Phase.RETURNING:
            return Step(Act.FADER_TO_OLD)
        case Phase.ATTACHING:
            return Step(Act.ATTACH)
        case Phase.RESTORING:
            return Step(Act.START_OLD)
        case Phase.UNDOING:
            return Step(Act.STOP_NEW)
        case Phase.CLEARING:
            return Step(Act.UNDO_CHANGE)
        case _:
            return None


def advance(path: Path, state: State, event: Event, cause: str = "", by: str = "") -> State | Refusal:
    """Apply one event. Pure: the table, the path and the state decide."""
    row = TABLE[state.phase].get(event)
    if row is None or (state.phase is Phase.ROLLED_BACK and not path.change_id):
        return Refusal(state.phase, event, f"a release that is {state.phase} cannot take: {event}")
    at = zone_in_flight(path, state)
    phase = row.get(at)
    if phase is None:
        return Refusal(state.phase, event, f"{event} means nothing while the fader is {at}")
    abandon = state.abandon or event is Event.ABANDON
    index = state.index
    if state.phase is Phase.STEPPING and event is Event.ACT_DONE:
        index += 1
    if phase is Phase.UNDOING and state.phase is not Phase.UNDOING:
        index = min(index, path.first_share_index - 1)  # no customer is on the new lane any more
    if phase is Phase.STANDING and event is Event.SCHEMA_BEHIND:
        index = 0
    if phase in ENDED and phase is not Phase.COMPLETED:
        cleared = state.phase is Phase.CLEARING
        if not cleared and path.change_id and (abandon or path.half_expanded(index)):
            phase = Phase.CLEARING
        else:
            index = 0 if cleared or abandon else min(index, path.begin_of_lane)
            phase = Phase.ABANDONED if abandon else Phase.ROLLED_BACK
    if phase is Phase.COMPLETED or (phase is Phase.STANDING and event is not Event.ACT_DONE):
        return replace(state, phase=phase, index=index, cause="", by="")
    return State(
        phase=phase,
        index=index,
        cause=cause if cause and not (state.phase in GOING_BACK and state.cause) else state.cause,
        by=by if by and not (state.phase in GOING_BACK and state.by) else state.by,
        abandon=abandon,
    )
