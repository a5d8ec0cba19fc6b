"""The schema's acts of one release: what the engine is told, and what must hold before it is.

Rule: this runs beside the loop, in a thread; the engine's acts are idempotent and find out by themselves what is
done already. Before anything is expanded every version has been booted at every stage on a scratch copy; before
anything is hidden nobody of the old version is connected any more (I2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from crossfade.model.change import Change, Stage
from crossfade.model.path import Act, Path
from crossfade.model.ports import Clock, GoOn, Measured, Say, SchemaEngine
from crossfade.schema.census import require_nobody_left

CENSUS_WAIT_S = 30.0  # how long sessions of the old version may outlive its processes
CENSUS_EVERY_S = 0.5


@dataclass(frozen=True)
class Done:
    """What an act of the schema says of itself, and what was measured."""

    says: str
    data: Measured


@dataclass
class ChangeWalk:
    """One change on its way. `said` is the last thing the engine had to say of its progress."""

    engine: SchemaEngine
    change: Change
    version: str
    old_version: str
    clock: Clock
    roles: Mapping[str, str] = field(default_factory=dict)  # which shape each lane's role writes
    rehearse: Callable[[Say], str] = lambda say: ""  # noqa: ARG005 - without a scratch copy nothing is said
    may_ask: Callable[[], bool] = lambda: True  # whether the database answered a moment ago
    left_over: Callable[[], Sequence[str]] = tuple  # who of the old version is still connected, one sentence each
    said: str = ""

    def point_lanes(self) -> None:
        """Tell the triggers which shape each lane writes."""
        if self.roles:
            self.engine.lanes(self.roles)

    def run(self, act: Act, go_on: GoOn) -> Done:
        """Do the act to its end. Raises what the engine raises, and `old-version-still-connected`."""
        self.said = ""
        data = dict(self._run(act, go_on))
        return Done(says(act, self.change.name, data), data)

    def _run(self, act: Act, go_on: GoOn) -> Measured:
        engine, change = self.engine, self.change
        match act:
            case Act.EXPAND:
                proof = self.rehearse(self._say)
                self.point_lanes()
                return {**engine.expand(change, self.version, go_on, self._say), "rehearsed": proof}
            case Act.BACKFILL:
                self.point_lanes()
                before = engine.expand(change, self.version, go_on, self._say)  # there already, or lost in a failover
                return _both(before, engine.backfill(change, go_on, self._say))
            case Act.RECORD:
                return engine.record(change, go_on, self._say)
            case Act.DETACH:
                self._wait_for_old_to_leave(go_on)
                return engine.detach(change, go_on, self._say)
            case Act.ATTACH:
                return engine.attach(change, go_on, self._say)
            case Act.UNDO_CHANGE:
                return engine.undo(change, go_on, self._say)
            case _:
                assert act is Act.PURGE, act
                return engine.purge(change, go_on, self._say)

    def _say(self, text: str) -> None:
        self.said = text

    def _wait_for_old_to_leave(self, go_on: GoOn) -> None:
        until_s = self.clock.monotonic_s() + CENSUS_WAIT_S
        while left := self.left_over():
            if self.clock.monotonic_s() > until_s or not go_on():
                require_nobody_left(self.old_version, left)
            self._say(f"waits for sessions of {self.old_version}: {left[0]}")
            self.clock.sleep(CENSUS_EVERY_S)

    def behind(self, path: Path, index: int) -> str:
        """What the database lacks of a position's schema, as a sentence; empty where it has everything.

        Raises `schema-unreachable`.
        """
        wanted = path.stage(index)
        if not path.change_id or path.maintenance or wanted is Stage.BASE:
            return ""
        facts = self.engine.facts()
        standings = [*facts.detached, *([facts.open] if facts.open else [])]
        found = next((one.stage for one in standings if one.change.id == self.change.id), Stage.BASE)
        if self.change.id in facts.gone or found.rank >= wanted.rank:
            return ""
        return f"the database has {self.change.name} at '{found}', the release stands on '{wanted}': a failover lost it"


def says(act: Act, name: str, data: Measured) -> str:
    """What an act of a change has brought about, in one sentence."""
    match act:
        case Act.EXPAND:
            return f"{name}: both shapes are there and kept in step"
        case Act.BACKFILL:
            return f"{name}: what is from before is filled, both shapes say the same"
        case Act.RECORD:
            return f"{name}: the migration tool's own rows are written"
        case Act.DETACH:
            return f"{name}: the old shape is out of sight"
        case Act.ATTACH:
            return f"{name}: the old shape is in sight again"
        case Act.UNDO_CHANGE:
            return f"{name}: what it had added is gone{_only_new(data)}"
        case _:
            return f"{name}: the old shape is dropped; the attic keeps what the new one does not tell"


def _both(first: Measured, second: Measured) -> Measured:
    """What two acts in a row measured, as of one."""
    steps = [*first.get("steps", ()), *second.get("steps", ())]  # type: ignore[misc]
    return {**first, **second, "steps": steps}


def _only_new(data: Measured) -> str:
    kept = data.get("kept", ())
    assert isinstance(kept, Sequence)
    told = [f"{one['rows']} rows of {one['table']}" for one in kept if one.get("rows")]
    return f"; kept in the attic, since only the new version wrote it: {', '.join(told)}" if told else ""
