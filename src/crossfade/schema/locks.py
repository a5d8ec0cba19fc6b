"""Locks: who stands in the way, and asking for them so that others hardly notice (I9).

Rule: blockers are looked at before a lock is asked for, and waited for outside any transaction. A lock that blocks
reads or writes is waited for at most `lock_timeout_ms`, over all locks of a unit together, since what queues behind
a waiting request waits with it (manual 13.3.1). All or none: the caller rolls back what it got when one fails.

SHARE UPDATE EXCLUSIVE is asked for first, with more patience: it blocks neither reads nor writes. A vacuum that the
server began by itself gives way only to someone who has waited for deadlock_timeout, so whoever asks for the
strong lock in short tries never gets it while one runs. (One that prevents wraparound does not give way at all.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from crossfade.schema.session import Session

# Which modes conflict with a mode that is asked for: manual 13.3.1, table 13.2, in words of pg_locks.
_ALL = (
    *("AccessShare", "RowShare", "RowExclusive", "ShareUpdateExclusive"),
    *("Share", "ShareRowExclusive", "Exclusive", "AccessExclusive"),
)
_CONFLICTS = {
    "ACCESS SHARE": _ALL[7:],
    "ROW SHARE": _ALL[6:],
    "ROW EXCLUSIVE": _ALL[4:],
    "SHARE UPDATE EXCLUSIVE": _ALL[3:],
    "SHARE": ("RowExclusive", "ShareUpdateExclusive", *_ALL[5:]),
    "SHARE ROW EXCLUSIVE": _ALL[2:],
    "EXCLUSIVE": _ALL[1:],
    "ACCESS EXCLUSIVE": _ALL,
}
_PATIENT = "SHARE UPDATE EXCLUSIVE"
_GIVES_WAY = "ShareUpdateExclusiveLock"
_PATIENT_EXTRA_MS = 500
Locks = Sequence[tuple[str, str]]  # (quoted table, mode), in the order they are taken


@dataclass(frozen=True)
class Blocker:
    """A transaction that holds a lock in the way. Of other roles' sessions age and query may be hidden: None."""

    pid: int | None  # None: a prepared transaction
    transaction: str
    table: str
    mode: str
    application: str | None
    role: str | None
    age_s: float | None
    query: str | None
    prepared: str | None = None

    def __str__(self) -> str:
        """Who it is, for the person who has to find them."""
        age = "open for a time this role may not see" if self.age_s is None else f"open for {self.age_s:.1f} s"
        if self.pid is None:
            return f"prepared transaction {self.prepared or self.transaction}, {age}, has {self.mode} on {self.table}"
        who = f"pid {self.pid}, {self.application or 'no application_name'}, role {self.role or 'of the server'}"
        doing = f": {' '.join(self.query.split())}" if self.query else ""
        return f"{who}, {age}, has {self.mode} on {self.table}{doing}"


@dataclass
class Lookout:
    """Looks for blockers, and remembers whom it met: a transaction met before is as old as that at least."""

    older_than_s: float
    _met: dict[str, float] = field(default_factory=dict)  # when it was met first

    def look(self, session: Session, locks: Locks, now_s: float) -> list[Blocker]:
        """Transactions in the way that are older than the patience of a request.

        One that has nothing stronger than SHARE UPDATE EXCLUSIVE is asked, not waited for: see the module's rule.
        """
        holders = holders_in_the_way(session, locks)
        known = {holder.transaction for holder in holders}
        self._met = {key: at_s for key, at_s in self._met.items() if key in known}
        return [
            holder
            for holder in holders
            if holder.mode != _GIVES_WAY and self._age_s(holder, now_s) >= self.older_than_s
        ]

    def _age_s(self, holder: Blocker, now_s: float) -> float:
        if holder.age_s is not None:
            return holder.age_s
        return now_s - self._met.setdefault(holder.transaction, now_s)


def holders_in_the_way(session: Session, locks: Locks) -> list[Blocker]:
    """Every transaction that holds what conflicts with one of these locks, however young."""
    if not locks:
        return []
    tables = [table for table, _ in locks]
    modes = [",".join(f"{held}Lock" for held in _CONFLICTS[mode.upper()]) for _, mode in locks]
    return [Blocker(*row) for row in session.rows("blockers", tables=tables, modes=modes)]


def take(session: Session, locks: Locks, timeout_ms: int) -> float | None:
    """Take all locks, in order; when the first one that can block others was granted, monotonic seconds.

    Inside a transaction, whose lock timeout is changed. Raises psycopg's LockNotAvailable and DeadlockDetected.
    """
    for _, mode in locks:
        assert mode.upper() in _CONFLICTS, mode
    clock = session.clock
    gentle = [table for table, mode in locks if "ShareUpdateExclusive" in _CONFLICTS[mode.upper()]]
    if gentle:
        patience_ms = max(timeout_ms, session.one("deadlock_timeout_ms")[0] + _PATIENT_EXTRA_MS)
        session.run(f"SET LOCAL lock_timeout = {patience_ms}")
        for table in gentle:
            session.run(f"LOCK TABLE {table} IN {_PATIENT} MODE")
    granted_s: float | None = None
    until_s = clock.monotonic_s() + timeout_ms / 1000
    for table, mode in locks:
        if mode.upper() == _PATIENT:
            continue
        left_ms = max(1, round((until_s - clock.monotonic_s()) * 1000))
        session.run(f"SET LOCAL lock_timeout = {left_ms}; LOCK TABLE {table} IN {mode} MODE")
        granted_s = granted_s or clock.monotonic_s()
    return granted_s
