"""Resting: reads what a backfill rests by, and rests while there is a reason.

Rule: facts and knobs are read at most every `_EVERY_S`, outside any transaction, so limits can be changed while it
runs. What it rests for is said when it begins, when it changes, and now and then.

One gauge serves all workers of a backfill: one of them reads and rests, the others wait for it. So they rest together
and keep their rates together.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import psycopg

from crossfade.model.ports import Clock, GoOn, Say
from crossfade.schema.knobs import Live
from crossfade.schema.sql import query
from crossfade.schema.throttle import Budget, Facts, Held, LogNotes, Standby, end_of_file, reasons

_EVERY_S = 0.1
_REST_S = 0.2
_SAY_EVERY_S = 10.0
_MEGABYTE = 1_000_000


class Gauge:
    """Holds a backfill to its limits."""

    def __init__(self, clock: Clock, limits: Live, latency_ms: Callable[[], float | None], say: Say) -> None:
        self._clock, self._limits, self._latency_ms, self._say = clock, limits, latency_ms, say
        self._one = Lock()
        self._notes = LogNotes()
        self._log, self._rows = Budget(), Budget()
        self._rates = (0.0, 0.0)
        self._log_began = 0
        self._read_s = float("-inf")
        self._told: tuple[list[str], float] = ([], 0.0)
        self._told_once: set[str] = set()
        self.rested_s = 0.0

    def wrote(self, wal_bytes: int, rows: int, began_s: float) -> None:
        """Count the log and the rows of a batch."""
        limits = self._limits()
        with self._one:
            self._log.spend(wal_bytes / _MEGABYTE, began_s, limits.wal_mb_per_s_max)
            self._rows.spend(rows, began_s, limits.rows_per_s_max)

    def rest(self, connection: psycopg.Connection[Any], go_on: GoOn) -> None:
        """Return when there is no reason to rest, or `go_on` says no."""
        began_s = self._clock.monotonic_s()
        with self._one:
            self._rest(connection, go_on)
            self.rested_s += self._clock.monotonic_s() - began_s

    def _rest(self, connection: psycopg.Connection[Any], go_on: GoOn) -> None:
        why: list[str] = []
        while go_on():
            now_s = self._clock.monotonic_s()
            if now_s - self._read_s >= _EVERY_S or why:
                self._read_s = now_s
                why = self._look(connection, now_s)
                self._tell(why, now_s)
            budget_s = self._budget_s(now_s)
            if not why and budget_s <= 0:
                break
            self._clock.sleep(_REST_S if why else min(_REST_S, budget_s))

    def _look(self, connection: psycopg.Connection[Any], now_s: float) -> list[str]:
        news = self._limits.look(connection)
        if news:
            self._say(news)
        if self._limits.paused is not None:
            return [f"paused {self._limits.paused.said}; to go on: crossfade schema throttle --resume"]
        return reasons(self._facts(connection, now_s), self._notes, self._limits())

    def _budget_s(self, now_s: float) -> float:
        limits = self._limits()
        rates = (limits.wal_mb_per_s_max, limits.rows_per_s_max)
        if rates != self._rates:  # what was spent under another rate is not paid for under this one
            self._rates, self._log, self._rows = rates, Budget(), Budget()
        return max(self._log.rest_s(now_s), self._rows.rest_s(now_s))

    def _facts(self, connection: psycopg.Connection[Any], now_s: float) -> Facts:
        row = connection.execute(query("gauge")).fetchone()
        assert row is not None
        log_end, waiters, archived, file_bytes = int(row[0]), int(row[1]), row[2], int(row[3])
        self._notes.note(now_s, log_end)
        self._log_began = self._log_began or log_end
        latency_ms, limit_ms = self._latency_ms(), self._limits().latency_max_ms
        if limit_ms and latency_ms is None:
            self._once(f"the service's latency is not known here, so latency_max_ms = {limit_ms} is not rested for")
        archived_to = None if archived is None else end_of_file(archived, file_bytes)
        if archived is not None and archived_to is None:
            archived_to = self._log_began  # none is archived that we know of: what came since then waits
        standbys, slots = self._standbys(connection), self._slots(connection)
        return Facts(now_s, log_end, waiters, standbys, latency_ms, slots, archived_to)

    def _standbys(self, connection: psycopg.Connection[Any]) -> tuple[Standby, ...]:
        found = connection.execute(query("standbys")).fetchall()
        if any(state is None for *_, state in found):
            self._once(
                "how far standbys are behind cannot be seen by this role, so it is not rested for: GRANT pg_monitor"
            )
        return tuple(Standby(name, int(at), lag) for name, at, lag, state in found if state is not None)

    def _slots(self, connection: psycopg.Connection[Any]) -> tuple[Held, ...]:
        """One that nobody reads from would be waited for without end, so it is said and not rested for."""
        found = connection.execute(query("slots")).fetchall()
        for name, _, active in found:
            if not active:
                self._once(f"replication slot {name} is read by nobody and keeps WAL, so it is not rested for")
        return tuple(Held(name, int(from_byte)) for name, from_byte, active in found if active)

    def _once(self, text: str) -> None:
        if text not in self._told_once:
            self._told_once.add(text)
            self._say(text)

    def _tell(self, why: list[str], now_s: float) -> None:
        told, told_s = self._told
        kinds = [reason.split(",")[0].translate(_NO_DIGITS) for reason in why]
        if why and (kinds != told or now_s - told_s >= _SAY_EVERY_S):
            self._say("rests: " + "; ".join(why))
            told_s = now_s
        elif told and not why:
            self._say("goes on")
        self._told = (kinds, told_s)


_NO_DIGITS = str.maketrans("", "", "0123456789")
