"""One unit of a change, done or undone: its locks, its statements and its row in one transaction.

Rule: a unit is whole or it is not there. What others wait for is short: blockers are looked at first, the locks are
asked for with a short timeout, all or none, and a failed try is repeated after a rest whose length is drawn, until
`lock_tries_s` is over. Units that may not run in a transaction: `concurrent.py`.

Times: `lock_wait_ms` from the first look to the granted lock, all rests included; `held_ms` from the first lock
that blocks others to just before COMMIT; `commit_ms` the commit's own flush.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from psycopg.errors import DeadlockDetected, LockNotAvailable

from crossfade.model.change import Unit
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import GoOn, Say
from crossfade.model.requirement import Staging
from crossfade.schema.leaf import row_search_path
from crossfade.schema.locks import Blocker, Lookout, holders_in_the_way, take
from crossfade.schema.session import Session, Sessions, Stopped
from crossfade.schema.track import Track

Also = Callable[[Session], None]  # what else is written in the unit's transaction
Look = Callable[[Session, "Order"], None]  # looks into it just before it commits
_LOOK_S = 0.1
_REST_MAX_S = 2.0
_SLICE_S = 0.2


@dataclass(frozen=True)
class Step:
    """One unit, measured."""

    unit: str
    way: str
    lock_wait_ms: float
    tries: int
    held_ms: float
    commit_ms: float
    took_ms: float  # the statements alone


@dataclass(frozen=True)
class Order:
    """What is to be done: one unit of one change, one way."""

    change: str
    unit: Unit
    way: str  # do, undo

    @property
    def statements(self) -> Sequence[str]:
        """What is run."""
        return self.unit.do if self.way == "do" else self.unit.undo

    @property
    def locks(self) -> Sequence[tuple[str, str]]:
        """What is locked first."""
        return self.unit.locks if self.way == "do" else self.unit.undo_locks or self.unit.locks

    @property
    def doing(self) -> str:
        """How a failure calls it."""
        verb = "" if self.way == "do" else "the way back of "
        return f"{verb}{self.unit.key} of change {self.change}"


class Executor:
    """Does units in transactions."""

    def __init__(
        self,
        sessions: Sessions,
        track: Track,
        settings: Staging,
        jitter: Callable[[], float],
        witness: Look = lambda _session, _order: None,
    ) -> None:
        self._sessions, self._track, self._settings = sessions, track, settings
        self._witness = witness
        self._clock = sessions.clock
        self._jitter = jitter  # between 0 and 1

    def run(self, order: Order, also: Also, go_on: GoOn, say: Say) -> Step:
        """Do it, however often its locks have to be asked for.

        Raises `schema-lock-not-granted`, `lease-lost`, `schema-refused`, `schema-unreachable`, and `Stopped`.
        """
        with self._sessions.open(order.doing) as session:
            look_where_its_author_does(session)
            locks, clock = order.locks, self._clock
            lookout = Lookout(self._settings.lock_timeout_ms / 1000)
            began_s, tries = clock.monotonic_s(), 0
            while True:
                if not go_on():
                    raise Stopped
                blockers = lookout.look(session, locks, clock.monotonic_s())
                if not blockers:
                    tries += 1
                    try:
                        return self._once(session, order, also, go_on, began_s, tries)
                    except (LockNotAvailable, DeadlockDetected):
                        blockers = holders_in_the_way(session, locks)
                asked_s = clock.monotonic_s() - began_s
                if asked_s >= self._settings.lock_tries_s:
                    raise self._not_granted(order, blockers, asked_s, tries)
                say(f"{order.unit.key} waits for its locks: {_words(blockers)}")
                self._rest(min(_REST_MAX_S, _LOOK_S * 2 ** min(tries, 8)), go_on)

    def _once(self, session: Session, order: Order, also: Also, go_on: GoOn, began_s: float, tries: int) -> Step:
        clock, unit = self._clock, order.unit
        row = None
        with session.transaction():
            self._track.require_leading(session)
            session.run(f"SET LOCAL lock_timeout = {self._settings.lock_timeout_ms}")
            in_place = self._track.place_alone(session, order.change).in_place
            there = unit.key in in_place
            granted_s = take(session, order.locks, self._settings.lock_timeout_ms)
            started_s = clock.monotonic_s()
            if there != (order.way == "do"):
                self._statements(session, order, go_on)
            took_ms = _ms(clock.monotonic_s() - started_s)
            lock_wait_ms = _ms((granted_s or started_s) - began_s)
            step = Step(unit.key, order.way, lock_wait_ms, tries, 0.0, 0.0, took_ms)
            if there != (order.way == "do"):
                row = self._track.put(session, order.change, unit.key, order.way, asdict(step))
                if order.way == "undo":
                    self._track.put_taken(session, order.change, [key for key in unit.takes if key in in_place])
            else:  # another process has just done it
                self._track.fence(session)
            also(session)
            self._witness(session, order)
            done_s = clock.monotonic_s()
        held_s = 0.0 if granted_s is None else done_s - granted_s
        measured = {"held_ms": _ms(held_s), "commit_ms": _ms(clock.monotonic_s() - done_s)}
        if row is not None:
            self._track.committed(session, row, unit.key, measured)
        return Step(**{**asdict(step), **measured})

    def _statements(self, session: Session, order: Order, go_on: GoOn) -> None:
        """All in one message: while a lock is held, no way to the server and back is spent between them."""
        timeout = f"SET LOCAL lock_timeout = {self._settings.lock_timeout_ms}"
        if not order.unit.scans:
            session.run(";\n".join([timeout, *order.statements]))
            return
        session.run(f"{timeout}; SET LOCAL statement_timeout = 0")
        with self._sessions.watching(session, go_on):
            for statement in order.statements:
                session.run(statement)

    def _rest(self, at_most_s: float, go_on: GoOn) -> None:
        until_s = self._clock.monotonic_s() + at_most_s * (0.5 + self._jitter() / 2)
        while go_on() and (left_s := until_s - self._clock.monotonic_s()) > 0:
            self._clock.sleep(min(_SLICE_S, left_s))

    def _not_granted(self, order: Order, blockers: Sequence[Blocker], asked_s: float, tries: int) -> CrossfadeError:
        return fail(
            "schema-lock-not-granted",
            doing=order.doing,
            asked_s=f"{asked_s:.1f}",
            tries=tries,
            locks=", ".join(f"{mode} on {table}" for table, mode in order.locks) or "none of its own",
            blockers="\n         ".join(map(str, blockers)) or "none is seen now",
        )


def look_where_its_author_does(session: Session) -> None:
    """A text may name a function or an operator class without its schema, as an extension's."""
    session.execute("SELECT pg_catalog.set_config('search_path', %s, false)", [row_search_path(session)])


def _words(blockers: Sequence[Blocker]) -> str:
    return "; ".join(map(str, blockers)) or "whoever held one has just left"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
