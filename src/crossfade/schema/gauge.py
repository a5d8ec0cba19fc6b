"""Resting: reads what a backfill rests by, and rests while there is a reason.

Rule: facts are read at most every `_EVERY_S`, outside any transaction; the settings are read each time, so they can
be changed while it runs. What it rests for is said when it begins, when it changes, and now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from crossfade.model.ports import Clock, GoOn, Say
from crossfade.model.settings.staging import Staging
from crossfade.schema.sql import query
from crossfade.schema.throttle import Facts, LogBudget, LogNotes, Standby, reasons

_EVERY_S = 0.1
_REST_S = 0.2
_SAY_EVERY_S = 10.0


class Gauge:
    """Holds a backfill to its limits."""

    def __init__(
        self, clock: Clock, settings: Callable[[], Staging], latency_ms: Callable[[], float | None], say: Say
    ) -> None:
        self._clock, self._settings, self._latency_ms, self._say = clock, settings, latency_ms, say
        self._notes = LogNotes()
        self._budget = LogBudget()
        self._read_s = float("-inf")
        self._told: tuple[list[str], float] = ([], 0.0)
        self._told_blind = False
        self._told_latency = False
        self.rested_s = 0.0

    def wrote(self, wal_bytes: int, began_s: float) -> None:
        """Count the log of a batch."""
        self._budget.wrote(wal_bytes, began_s, self._settings().wal_mb_per_s_max)

    def rest(self, connection: psycopg.Connection[Any], go_on: GoOn) -> None:
        """Return when there is no reason to rest, or `go_on` says no."""
        began_s = self._clock.monotonic_s()
        while go_on():
            now_s = self._clock.monotonic_s()
            budget_s = self._budget.rest_s(now_s)
            why: list[str] = []
            if now_s - self._read_s >= _EVERY_S or self._told[0]:
                self._read_s = now_s
                why = reasons(self._facts(connection, now_s), self._notes, self._settings())
                self._tell(why, now_s)
            if not why and budget_s <= 0:
                break
            self._clock.sleep(_REST_S if why else min(_REST_S, budget_s))
        self.rested_s += self._clock.monotonic_s() - began_s

    def _facts(self, connection: psycopg.Connection[Any], now_s: float) -> Facts:
        row = connection.execute(query("gauge")).fetchone()
        assert row is not None
        found = connection.execute(query("standbys")).fetchall()
        if not self._told_blind and any(state is None for *_, state in found):
            self._told_blind = True
            self._say(
                "how far standbys are behind cannot be seen by this role, so it is not rested for: GRANT pg_monitor"
            )
        self._notes.note(now_s, int(row[0]))
        standbys = tuple(Standby(name, int(at), lag) for name, at, lag, state in found if state is not None)
        latency_ms, limit_ms = self._latency_ms(), self._settings().latency_max_ms
        if limit_ms and latency_ms is None and not self._told_latency:
            self._told_latency = True
            self._say(f"the service's latency is not known here, so latency_max_ms = {limit_ms} is not rested for")
        return Facts(now_s, int(row[0]), int(row[1]), standbys, latency_ms)

    def _tell(self, why: list[str], now_s: float) -> None:
        told, told_s = self._told
        kinds = [reason.split(",")[0].translate(_NO_DIGITS) for reason in why]
        if why and (kinds != told or now_s - told_s >= _SAY_EVERY_S):
            self._say("rests: " + "; ".join(why))
            told_s = now_s
        self._told = (kinds, told_s)


_NO_DIGITS = str.maketrans("", "", "0123456789")
