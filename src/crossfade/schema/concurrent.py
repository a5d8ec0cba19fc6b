"""A unit that may not run in a transaction, such as CREATE INDEX CONCURRENTLY: found out about, then done.

Rule: a row says that it was tried, before it is; from then on the catalog is asked whether it is in place (`probe`),
since no row can be written in its transaction. What a failed attempt left is removed (`wreck`) before the next.
One attempt at a time: the session that works holds an advisory lock, and keeps it when its client dies, until its
statement has ended. Whoever comes next asks again and again for that lock, then probes: an index that was finished
meanwhile is taken as it is.

Fencing: our epoch is compared after the advisory lock was granted and again with the row. A walker that was
overtaken in between has its statement ended by the one that undoes (manual 9.28.2, pg_terminate_backend).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import psycopg
from psycopg.errors import DeadlockDetected

from crossfade.model.change import Unit
from crossfade.model.errors import fail
from crossfade.model.ports import GoOn, Say
from crossfade.schema.executor import Also, Order, Step, look_where_its_author_does
from crossfade.schema.session import ANSWER_S, Session, Sessions, Stopped
from crossfade.schema.track import TRY, Track

_ASK_AGAIN_S = 0.2
_ATTEMPTS = 3  # a concurrent build can be chosen as a deadlock's victim


class ConcurrentExecutor:
    """Does units outside transactions."""

    def __init__(self, sessions: Sessions, track: Track, service: str) -> None:
        self._sessions, self._track, self._service = sessions, track, service
        self._clock = sessions.clock

    def run(self, order: Order, also: Also, go_on: GoOn, say: Say) -> Step:
        """Do it, or undo it, and write its row.

        Raises `lease-lost`, `schema-refused`, `schema-unreachable`, and `Stopped`.
        """
        began_s = self._clock.monotonic_s()
        with self._sessions.open(order.doing, outlives=True) as session:
            self._own(session, order, go_on, say)
            self._track.require_leading(session)
            look_where_its_author_does(session)
            started_s = self._clock.monotonic_s()
            with self._sessions.watching(session, go_on, _progress(order.unit.key, say)):
                tries = self._do(session, order) if order.way == "do" else self._undo(session, order)
            ended_s = self._clock.monotonic_s()
            waited_ms, took_ms = _ms(started_s - began_s), _ms(ended_s - started_s)
            step = Step(order.unit.key, order.way, waited_ms, tries, 0.0, 0.0, took_ms)
            with session.transaction():
                row = self._track.put(session, order.change, order.unit.key, order.way, asdict(step))
                if order.way == "undo":
                    self._track.put(session, order.change, TRY + order.unit.key, "undo", {})
                also(session)
                done_s = self._clock.monotonic_s()
            measured = {"commit_ms": _ms(self._clock.monotonic_s() - done_s)}
            self._track.committed(session, row, order.unit.key, measured)
            return Step(**{**asdict(step), **measured})

    def _do(self, session: Session, order: Order) -> int:
        unit = order.unit
        if TRY + unit.key not in self._track.place(session, order.change).in_place:
            with session.transaction():  # before the first try nothing is ours to remove, or to take as done
                row = self._track.put(session, order.change, TRY + unit.key, "do", {})
            self._track.committed(session, row, TRY + unit.key, {})
        elif _is_whole_or_wrecked(session, unit):
            return 0
        for tries in range(1, _ATTEMPTS + 1):
            try:
                _each(session, unit.do)
                break
            except (DeadlockDetected, psycopg.IntegrityError) as exc:
                _each(session, unit.wreck)  # an invalid index costs every write, and is of no use
                if tries == _ATTEMPTS or not isinstance(exc, DeadlockDetected):
                    raise
        if not _whole(session, unit):
            said = "its statements ended without an error, and its effect is not whole"
            raise fail("schema-refused", doing=order.doing, detail=said, sqlstate="none")
        return tries

    def _undo(self, session: Session, order: Order) -> int:
        if not _whole(session, order.unit):
            _each(session, order.unit.wreck)
        if _whole(session, order.unit):
            _each(session, order.unit.undo)
        return 1

    def _own(self, session: Session, order: Order, go_on: GoOn, say: Say) -> None:
        key = f"crossfade schema {self._service} {order.change} {order.unit.key}"
        while not session.one("own_unit", key=key)[0]:
            if not go_on():
                raise Stopped
            for pid, state, since_s, query in session.rows("unit_owner", key=key):
                # Undoing, what it builds is not wanted. One that does nothing belongs to a process that was stopped.
                builds = bool(query) and any(statement.startswith(query) for statement in order.unit.do)
                idle = state is not None and state.startswith("idle") and since_s > ANSWER_S
                if (order.way == "undo" and builds) or idle:
                    self._track.require_leading(session)
                    session.one("end_session", pid=pid)
                say(f"{order.unit.key} waits for an earlier attempt, which still runs as pid {pid}")
            self._clock.sleep(_ASK_AGAIN_S)


def _whole(session: Session, unit: Unit) -> bool:
    row = session.execute(unit.probe.encode()).fetchone()
    return row is not None and bool(row[0])


def _is_whole_or_wrecked(session: Session, unit: Unit) -> bool:
    """Whether an earlier try came through; else what it left is removed, which may be all there is to do."""
    if not _whole(session, unit):
        _each(session, unit.wreck)
    return _whole(session, unit)


def _each(session: Session, statements: Sequence[str]) -> None:
    for statement in statements:
        session.run(statement)


def _progress(unit: str, say: Say) -> Callable[[Session, int], None]:
    """Tell how far a concurrent index build is: manual 28.4.4."""

    def look(second: Session, pid: int) -> None:
        for phase, blocks, of_blocks, lockers, of_lockers, whom in second.rows("index_progress", pid=pid):
            part = f", {blocks} of {of_blocks} pages" if of_blocks else ""
            waits = f", waits for {of_lockers - lockers} older transactions" if of_lockers else ""
            say(f"{unit}: {phase}{part}{waits}{f' ({whom})' if waits and whom else ''}")

    return look


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
