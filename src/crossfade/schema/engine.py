"""The schema engine on a real database: walks a planned change, there and back.

Rule: an act reads from the track what is in place, does what is lacking, and writes the stage in the transaction of
the last unit that reaches it. So every act may be called again after a crash at any moment, and an act whose stage
is reached already does nothing (a backfill compares again). Once begun, a change is walked by the plan that is stored
with it, whatever is handed in: what was done can be undone. How one unit is done: `executor.py`, `concurrent.py`.

Order (I4, and nothing lost): what stops the two shapes from being kept in step comes first in a purge (units whose
key starts with `purge-sync:`), then the copy of what is dropped, then the dropping. An undo copies first what only
the new version wrote, then takes back units in reverse, concurrent leftovers included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from secrets import SystemRandom
from typing import Any, Protocol

import psycopg
from psycopg.errors import LockNotAvailable

from crossfade.model.change import PURGE_SYNC, Backfill, Change, Stage, Unit
from crossfade.model.errors import fail
from crossfade.model.ports import Clock, GoOn, Measured, Say, SchemaFacts
from crossfade.model.requirement import Staging
from crossfade.schema.attic import Attic
from crossfade.schema.compare import Comparison
from crossfade.schema.concurrent import ConcurrentExecutor
from crossfade.schema.executor import Also, Executor, Look, Order
from crossfade.schema.paths import leave, point, require_paths
from crossfade.schema.session import RequireOwn, Session, Sessions, Stopped, anybodys
from crossfade.schema.track import TRY, Place, Track

_EXAMPLES = 5
_DRAW = SystemRandom().random


class Filling(Protocol):
    """Fills and compares the tables of one change; both resume, and raise `schema-stopped` when told to stop."""

    def fill(self, task: Backfill, go_on: GoOn, say: Say) -> Measured:
        """Fill every row that is not filled yet."""

    def compare(self, task: Backfill, go_on: GoOn, say: Say) -> Comparison:
        """Look at every row."""


@dataclass
class _Act:
    """One call of one act, as far as it has come."""

    name: str
    change: Change
    go_on: GoOn
    say: Say
    steps: list[dict[str, object]] = field(default_factory=list)
    total: int = 0

    def check(self) -> None:
        """Stop here when told to."""
        if not self.go_on():
            raise Stopped


class PostgresSchemaEngine:
    """Satisfies the port `SchemaEngine`. `filler` is given the id of the change that it fills.

    `fenced` is off on a scratch copy, where there is no lease; the epoch is 0 there. `before_row` and `after_row`
    are called with the unit's key just before its row is written and when it is durable. `require_own` is asked of
    every new session, and what it raises ends the act: after a failover nothing is walked until that is accepted.
    `witness` looks into the transaction of each unit before it commits (`oracle/`).
    """

    def __init__(
        self,
        admin_url: str,
        service: str,
        clock: Clock,
        settings: Staging,
        epoch: Callable[[], int],
        *,
        filler: Callable[[str], Filling],
        fenced: bool = True,
        jitter: Callable[[], float] = _DRAW,
        before_row: Callable[[str], None] = lambda _unit: None,
        after_row: Callable[[str], None] = lambda _unit: None,
        require_own: RequireOwn = anybodys,
        witness: Look = lambda _session, _order: None,
    ) -> None:
        self._sessions = Sessions(admin_url, clock, require_own=require_own)
        self._track = Track(service, epoch, fenced=fenced, before_row=before_row, after_row=after_row)
        self._filler = filler
        self._settings = settings
        self._executor = Executor(self._sessions, self._track, settings, jitter, witness)
        self._concurrent = ConcurrentExecutor(self._sessions, self._track, service)
        self._attic = Attic(self._sessions, self._track)
        self._roles: Mapping[str, str] = {}

    def fence(self, connection: psycopg.Connection[Any]) -> None:
        """Raise `lease-lost` unless we lead, and keep that so until the connection's transaction ends."""
        self._track.fence(connection)

    # -- the acts -------------------------------------------------------------------------------------

    def facts(self, *, counted: bool = False) -> SchemaFacts:
        """Read where every change stands; `counted`: with what was recorded. Raises `schema-unreachable`."""
        with self._sessions.open("reading where the changes stand") as session:
            return self._track.facts(session, counted=counted)

    def lanes(self, roles: Mapping[str, str]) -> None:
        """Say which shape each lane's role writes: `old` or `new`, by role; sessions of it find that one from then on.

        Raises `lane-path-not-ours`.
        """
        self._roles = dict(roles)
        with self._sessions.open("saying which shape each role writes") as session, session.transaction():
            self._track.put_lanes(session, roles)
            point(session, roles, _shapes(self._track.facts(session)))

    def _point(self, act: _Act) -> None:
        if not act.change.shapes:
            return
        doing = f"pointing roles at the shape of change {act.change.id}"
        with self._sessions.open(doing) as session, session.transaction():
            self._track.fence(session)
            shapes = _shapes(self._track.facts(session))
            point(session, self._roles, shapes)
            if shapes != act.change.shapes:
                leave(session, act.change.shapes)

    def expand(self, change: Change, version: str, go_on: GoOn, say: Say) -> Measured:
        """BASE to BOTH; a later stage of the same change is taken over for this version.

        Raises `schema-change-open`, `schema-plan-differs`, `lane-path-not-ours`, and what every act raises.
        """
        with self._act("expand", change, go_on, say) as act:
            place, change = self._place(act, Stage.BASE, Stage.BOTH, Stage.EQUAL)
            with self._sessions.open(f"beginning change {change.id}") as session:
                if change.shapes:
                    require_paths(session, [role for role, shape in self._roles.items() if shape == "new"])
                self._begin(session, act, place, version)
            if place.stage is Stage.BASE:
                self._forward(act, change.expand, place, self._reach(act, Stage.BOTH))
            self._point(act)
            return self._measured(act)

    def backfill(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """BOTH to EQUAL: fill, settle, compare. At EQUAL: compare again. Raises `schema-shapes-differ`."""
        with self._act("backfill", change, go_on, say) as act:
            place, change = self._place(act, Stage.BOTH, Stage.EQUAL)
            filler = self._filler(change.id)
            filled: dict[str, object] = {}
            analysed: list[dict[str, object]] = []
            if place.stage is Stage.BOTH:
                for task in change.backfill:
                    act.check()
                    filled[task.key] = filler.fill(task, go_on, say)
                self._forward(act, change.settle, place, None)
                analysed = [self._analyze(act, table) for table in dict.fromkeys(t.table for t in change.backfill)]
            for task in change.backfill:
                act.check()
                _require_equal(task, filler.compare(task, go_on, say))
            if place.stage is Stage.BOTH:
                self._alone(act, self._reach(act, Stage.EQUAL))
            compared = [task.table for task in change.backfill]
            return {**self._measured(act), "filled": filled, "analysed": analysed, "compared": compared}

    def record(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """Write the migration tool's own rows; the stage stays."""
        with self._act("record", change, go_on, say) as act:
            place, change = self._place(act, Stage.BOTH, Stage.EQUAL, Stage.HIDDEN)
            self._forward(act, change.record, place, None)
            return self._measured(act)

    def detach(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """EQUAL to HIDDEN."""
        with self._act("detach", change, go_on, say) as act:
            place, change = self._place(act, Stage.EQUAL, Stage.HIDDEN)
            last = self._reach(act, Stage.HIDDEN) if place.stage is Stage.EQUAL else None
            self._forward(act, change.detach, place, last)  # where hidden: what an attach that was stopped took back
            return self._measured(act)

    def attach(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """HIDDEN to EQUAL, and what a failed detach left; not once a purge has begun.

        Before EQUAL nothing is hidden, so nothing is done: a failover can lose more than the detach.
        """
        with self._act("attach", change, go_on, say) as act:
            place, change = self._place(act, Stage.BASE, Stage.BOTH, Stage.EQUAL, Stage.HIDDEN)
            if any(unit.key in place.in_place for unit in change.purge):
                raise _wrong_stage(act, f"{place.stage}, and its purge has begun", (Stage.EQUAL, Stage.HIDDEN))
            last = self._reach(act, Stage.EQUAL) if place.stage is Stage.HIDDEN else None
            self._back(act, change.detach, place, last)
            return self._measured(act)

    def undo(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """BOTH or EQUAL, or what a failed expand left, to BASE; counts and keeps what only the new version wrote."""
        with self._act("undo", change, go_on, say) as act:
            place, change = self._place(act, Stage.BASE, Stage.BOTH, Stage.EQUAL)
            if not place.begun:
                return {**self._measured(act), "kept": [], "mismatches": {}}
            self._back(act, change.detach, place, None)  # of a failed detach: so columns have the names to be kept by
            kept = []
            for one in change.undo_keeps:
                act.check()
                say(f"keeps what only the new version wrote into {one.table}")
                half = place.stage is Stage.BASE
                kept.append(dict(self._attic.keep(change.id, one, go_on, if_there=half)))
            with self._sessions.open(f"reading what was recorded for change {change.id}") as session:
                mismatches = self._track.mismatches(session, change.id)
            if place.stage is not Stage.BASE:
                self._alone(act, lambda session: self._track.turn_back(session, change.id))
            units = [*change.expand, *change.settle, *change.record]
            self._back(act, units, place, lambda session: self._track.end(session, change.id))
            self._point(act)
            return {**self._measured(act), "kept": kept, "mismatches": mismatches}

    def purge(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """HIDDEN to GONE; what is dropped is in the attic before."""
        with self._act("purge", change, go_on, say) as act:
            place, change = self._place(act, Stage.HIDDEN, Stage.GONE)
            if place.stage is Stage.GONE:
                self._point(act)
                return {**self._measured(act), "kept": []}
            if any(unit.key not in place.in_place for unit in change.detach):
                raise _wrong_stage(act, f"{place.stage}, and the way back from it has begun", (Stage.HIDDEN,))
            sync = [unit for unit in change.purge if unit.key.startswith(PURGE_SYNC)]
            drops = [unit for unit in change.purge if unit not in sync]
            self._forward(act, sync, place, None)
            kept = []
            for one in change.purge_keeps:
                act.check()
                say(f"copies what is dropped of {one.table} to the attic")
                kept.append(dict(self._attic.keep(change.id, one, go_on, frozen=True)))
            self._forward(act, drops, place, self._reach(act, Stage.GONE))
            self._point(act)
            return {**self._measured(act), "kept": kept}

    # -- how they are done ----------------------------------------------------------------------------

    @contextmanager
    def _act(self, name: str, change: Change, go_on: GoOn, say: Say) -> Iterator[_Act]:
        act = _Act(name, change, go_on, say)
        try:
            yield act
        except Stopped as exc:
            done = f"{len(act.steps)} of {act.total} steps" if act.total else "nothing that has to be taken back"
            raise fail("schema-stopped", act=name, change=change.id, done=done) from exc

    def _place(self, act: _Act, *allowed: Stage) -> tuple[Place, Change]:
        with self._sessions.open(f"reading where change {act.change.id} stands") as session:
            place = self._track.place(session, act.change.id)
        if place.stage not in allowed:
            raise _wrong_stage(act, place.stage, allowed)
        if place.begun and place.plan is not None and act.name != "expand":
            act.change = place.plan
        return place, act.change

    def _begin(self, session: Session, act: _Act, place: Place, version: str) -> None:
        change = act.change
        opened = self._track.facts(session).open
        if opened is not None and opened.change.id != change.id:
            raise fail(
                "schema-change-open",
                change=change.id,
                other=opened.change.id,
                name=opened.change.name,
                version=opened.version,
                stage=opened.stage,
            )
        if not place.begun:
            self._track.begin(session, change, version)
            return
        assert place.plan is not None
        if place.plan.digest != change.digest:
            raise fail("schema-plan-differs", change=change.id, shown=change.digest, found=place.plan.digest)
        with session.transaction():
            self._track.take_over(session, place, change.id, version)

    def _forward(self, act: _Act, units: Sequence[Unit], place: Place, last: Also | None) -> None:
        orders = [Order(act.change.id, unit, "do") for unit in units if unit.key not in place.in_place]
        self._walk(act, orders, last)

    def _back(self, act: _Act, units: Sequence[Unit], place: Place, last: Also | None) -> None:
        """Take back what is in place, and what a concurrent unit may have left without being in place."""
        here = [unit for unit in units if unit.key in place.in_place or TRY + unit.key in place.in_place]
        self._walk(act, [Order(act.change.id, unit, "undo") for unit in reversed(here)], last)

    def _walk(self, act: _Act, orders: Sequence[Order], last: Also | None) -> None:
        act.total += len(orders)
        for order in orders:
            act.check()
            act.say(f"{order.unit.key}: {order.unit.says}" if order.way == "do" else f"takes back {order.unit.key}")
            also = last if last is not None and order is orders[-1] else _nothing
            executor = self._concurrent if order.unit.concurrent else self._executor
            act.steps.append(asdict(executor.run(order, also, act.go_on, act.say)))
        if last is not None and not orders:
            self._alone(act, last)

    def _alone(self, act: _Act, last: Also) -> None:
        with self._sessions.open(f"{act.name} of change {act.change.id}") as session, session.transaction():
            self._track.fence(session)
            last(session)

    def _reach(self, act: _Act, stage: Stage) -> Also:
        return lambda session: self._track.set_stage(session, act.change.id, stage)

    def _analyze(self, act: _Act, table: str) -> dict[str, object]:
        """New columns have no statistics, so plans would be guesses. Not vital: a lock that stays taken is said."""
        act.check()
        act.say(f"analyses {table}: new columns have no statistics yet")
        began_s = self._sessions.clock.monotonic_s()
        with self._sessions.open(f"analysing {table}") as session:
            tries_ms = round(self._settings.lock_tries_s * 1000)
            session.run(f"SET statement_timeout = 0; SET lock_timeout = {tries_ms}")
            self._track.require_leading(session)
            try:
                with self._sessions.watching(session, act.go_on):
                    session.run(f"ANALYZE {table}")
            except LockNotAvailable:
                act.say(f"{table} was not analysed: another session held its lock for {tries_ms / 1000:g} s")
                return {"table": table, "took_s": None}
        return {"table": table, "took_s": round(self._sessions.clock.monotonic_s() - began_s, 3)}

    def _measured(self, act: _Act) -> dict[str, object]:
        return {"steps": act.steps}


def _nothing(_session: Session) -> None:
    pass


def _shapes(facts: SchemaFacts) -> str:
    """The schema with what the new lane sees: of the change that is open, else of the last one that waits."""
    standing = facts.open or (facts.detached[-1] if facts.detached else None)
    return standing.change.shapes if standing else ""


def _require_equal(task: Backfill, found: Comparison) -> None:
    if found.differing:
        raise fail(
            "schema-shapes-differ",
            table=task.table,
            rows=found.how_many,
            examples=", ".join(found.examples[:_EXAMPLES]),
        )


def _wrong_stage(act: _Act, found: str, allowed: Sequence[Stage]) -> Exception:
    needed = " or ".join(f'"{stage}"' for stage in allowed)
    return fail("schema-wrong-stage", act=act.name, change=act.change.id, found=found, needed=needed)
