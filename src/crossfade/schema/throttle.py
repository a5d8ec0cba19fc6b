"""Why a backfill rests: facts in, decision out.

Rule: each reason is one fact over one limit, named with both numbers, so that what is shown is what was decided by.
Where a fact cannot be seen, no reason is made of it; that it cannot be seen is said elsewhere, once.

The lag of a standby is known in two ways. PostgreSQL measures it when the standby answers; that value stands still
when the standby does. So what the standby has replayed is also held to our own notes of how far the log was when.

Everything here is pure; time is handed in.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from crossfade.model.settings.staging import Staging

_MEGABYTE = 1_000_000
_NOTES_MAX = 4096


@dataclass(frozen=True)
class Standby:
    """A streaming standby as the primary sees it; positions are bytes of the log."""

    name: str
    replayed: int
    replay_lag_ms: float | None


@dataclass(frozen=True)
class Facts:
    """What the database says now, at `at_s` on the monotonic clock."""

    at_s: float
    log_end: int
    lock_waiters: int = 0
    standbys: Sequence[Standby] = ()
    latency_ms: float | None = None


@dataclass
class LogNotes:
    """When the log was how far. Positions and times only grow."""

    _at_s: list[float] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)

    def note(self, at_s: float, log_end: int) -> None:
        """Remember where the log ends; every other note of the old ones goes when there are many."""
        if self._ends and log_end <= self._ends[-1]:
            return
        self._at_s.append(at_s)
        self._ends.append(log_end)
        if len(self._ends) > _NOTES_MAX:
            self._at_s[: _NOTES_MAX // 2] = self._at_s[: _NOTES_MAX // 2 : 2]
            self._ends[: _NOTES_MAX // 2] = self._ends[: _NOTES_MAX // 2 : 2]

    def age_ms(self, position: int, now_s: float) -> float:
        """For how long, at least, there has been log beyond this position."""
        index = bisect_right(self._ends, position)
        return 0.0 if index == len(self._ends) else (now_s - self._at_s[index]) * 1000


def lag_ms(standby: Standby, facts: Facts, notes: LogNotes) -> float:
    """How far behind a standby is, in milliseconds."""
    if standby.replayed >= facts.log_end:
        return 0.0  # the lag it reported last is shown for a while after it has caught up
    return max(standby.replay_lag_ms or 0.0, notes.age_ms(standby.replayed, facts.at_s))


def reasons(facts: Facts, notes: LogNotes, limits: Staging) -> list[str]:
    """Why to rest now; empty: go on. Has no side effects."""
    found = []
    for standby in facts.standbys:
        lag = lag_ms(standby, facts, notes)
        if lag > limits.replay_lag_max_ms:
            found.append(f"standby {standby.name} is {lag:.0f} ms behind, the limit is {limits.replay_lag_max_ms}")
    if facts.lock_waiters > limits.lock_waiters_max:
        waiters, limit = facts.lock_waiters, limits.lock_waiters_max
        found.append(f"{waiters} sessions wait for locks, the limit is {limit}")
    if limits.latency_max_ms and facts.latency_ms is not None and facts.latency_ms > limits.latency_max_ms:
        latency, limit = facts.latency_ms, limits.latency_max_ms
        found.append(f"the service's requests take {latency:.0f} ms at the 99th percentile, the limit is {limit}")
    return found


@dataclass
class LogBudget:
    """Holds the log that is written to a rate: each batch is paid for with time."""

    _paid_until_s: float = float("-inf")

    def wrote(self, wal_bytes: int, began_s: float, mb_per_s_max: float) -> None:
        """Count what a batch wrote."""
        if mb_per_s_max > 0:
            self._paid_until_s = max(self._paid_until_s, began_s) + wal_bytes / (mb_per_s_max * _MEGABYTE)

    def rest_s(self, now_s: float) -> float:
        """How long to rest until what was written is within the rate."""
        return max(0.0, self._paid_until_s - now_s)
