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
_HEX = 16
_FILES_OF_A_LOG = 2**32  # bytes; a file's name counts in such (manual, functions for backup control)


@dataclass(frozen=True)
class Standby:
    """A streaming standby as the primary sees it; positions are bytes of the log."""

    name: str
    replayed: int
    replay_lag_ms: float | None


@dataclass(frozen=True)
class Held:
    """A replication slot that somebody reads from, and how far back it keeps the log."""

    name: str
    from_byte: int


@dataclass(frozen=True)
class Facts:
    """What the database says now, at `at_s` on the monotonic clock."""

    at_s: float
    log_end: int
    lock_waiters: int = 0
    standbys: Sequence[Standby] = ()
    latency_ms: float | None = None
    slots: Sequence[Held] = ()
    archived_to: int | None = None  # position in the log up to which it is archived; None: not archived, or not known


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


def end_of_file(name: str, file_bytes: int) -> int | None:
    """Where a file of the log ends, in bytes of the log, by its name of 24 hexadecimal digits; None: no such name."""
    if len(name) != 24:
        return None
    try:
        log, number = int(name[8:16], _HEX), int(name[16:24], _HEX)
    except ValueError:
        return None
    return (log * (_FILES_OF_A_LOG // file_bytes) + number + 1) * file_bytes


def reasons(facts: Facts, notes: LogNotes, limits: Staging) -> list[str]:
    """Why to rest now; empty: go on. Has no side effects."""
    return [*_standbys(facts, notes, limits), *_log(facts, limits), *_service(facts, limits)]


def _standbys(facts: Facts, notes: LogNotes, limits: Staging) -> list[str]:
    found = []
    for standby in facts.standbys:
        lag = lag_ms(standby, facts, notes)
        behind_mb = (facts.log_end - standby.replayed) / _MEGABYTE
        if lag > limits.replay_lag_max_ms:
            found.append(f"standby {standby.name} is {lag:.0f} ms behind, the limit is {limits.replay_lag_max_ms}")
        elif limits.replay_lag_max_mb and behind_mb > limits.replay_lag_max_mb:
            limit_mb = limits.replay_lag_max_mb
            found.append(f"standby {standby.name} is {behind_mb:.0f} MB behind, the limit is {limit_mb:g}")
    return found


def _log(facts: Facts, limits: Staging) -> list[str]:
    found = []
    for slot in facts.slots:
        held_mb = (facts.log_end - slot.from_byte) / _MEGABYTE
        if limits.slot_lag_max_mb and held_mb > limits.slot_lag_max_mb:
            found.append(
                f"slot {slot.name} holds back {held_mb:.0f} MB of WAL, the limit is {limits.slot_lag_max_mb:g}"
            )
    if facts.archived_to is not None and limits.archive_lag_max_mb:
        waits_mb = (facts.log_end - facts.archived_to) / _MEGABYTE
        if waits_mb > limits.archive_lag_max_mb:
            found.append(f"{waits_mb:.0f} MB of WAL wait to be archived, the limit is {limits.archive_lag_max_mb:g}")
    return found


def _service(facts: Facts, limits: Staging) -> list[str]:
    found = []
    if facts.lock_waiters > limits.lock_waiters_max:
        waiters, limit = facts.lock_waiters, limits.lock_waiters_max
        found.append(f"{waiters} sessions wait for locks, the limit is {limit}")
    if limits.latency_max_ms and facts.latency_ms is not None and facts.latency_ms > limits.latency_max_ms:
        latency, limit = facts.latency_ms, limits.latency_max_ms
        found.append(f"the service's requests take {latency:.0f} ms at the 99th percentile, the limit is {limit}")
    return found


@dataclass
class Budget:
    """Holds something to a rate: what a batch spends is paid for with time, by all workers together."""

    _paid_until_s: float = float("-inf")

    def spend(self, amount: float, began_s: float, per_s_max: float) -> None:
        """Count what a batch spent; a rate of 0 is no limit."""
        if per_s_max > 0:
            self._paid_until_s = max(self._paid_until_s, began_s) + amount / per_s_max
        else:
            self._paid_until_s = float("-inf")

    def rest_s(self, now_s: float) -> float:
        """How long to rest until what was spent is within the rate."""
        return max(0.0, self._paid_until_s - now_s)
