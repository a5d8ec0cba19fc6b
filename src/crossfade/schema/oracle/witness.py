"""Looks into the transaction of each unit, just before it commits, and reads back what the server did.

Rule: what is asked is the session that did it, in the transaction in which it did it: its own locks in pg_locks, its
own counters in pg_stat_xact_all_tables, the files of the tables as it sees them. So nothing is sampled, and nothing
is missed. (Manual 54.12 pg_locks; 28.2.2 for the counters: a scan is counted where it begins, DDL's own scans too.)

Only tables that were there before count, and locks that block readers or writers. A unit that runs outside a
transaction (CREATE INDEX CONCURRENTLY) is not looked into: its statements are of kinds that take no such lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from crossfade.schema.executor import Order
from crossfade.schema.naming import quote_table
from crossfade.schema.session import Session

Rows = Sequence[tuple[Any, ...]]
BLOCKING = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
_AS_HELD = {
    "SHARE": "ShareLock",
    "SHARE ROW EXCLUSIVE": "ShareRowExclusiveLock",
    "EXCLUSIVE": "ExclusiveLock",
    "ACCESS EXCLUSIVE": "AccessExclusiveLock",
}
_TABLES = """
SELECT c.oid, n.nspname, c.relname, c.relfilenode FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname !~ '^(pg_|crossfade|information_schema)'
"""
_LOCKS = """
SELECT relation, mode FROM pg_catalog.pg_locks
WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND granted AND mode = ANY (%s)
"""
_SCANS = "SELECT relid, seq_tup_read FROM pg_catalog.pg_stat_xact_all_tables WHERE seq_tup_read > 0"


@dataclass(frozen=True)
class Finding:
    """One thing that a unit did and must not have done."""

    unit: str
    kind: str  # rewrite, scan, undeclared
    table: str
    says: str


@dataclass(frozen=True)
class Table:
    """A table that was there before: where it is, and its file."""

    name: str  # quoted, with its schema
    file: int


def tables(connection: psycopg.Connection[Any]) -> dict[int, Table]:
    """The user's tables, by oid."""
    rows = connection.execute(_TABLES).fetchall()
    return {int(oid): Table(quote_table(space, name), int(file)) for oid, space, name, file in rows}


@dataclass
class Witness:
    """Called by the engine in each unit's transaction; what it found is in `findings`."""

    known: dict[int, Table]
    findings: list[Finding] = field(default_factory=list)

    def __call__(self, session: Session, order: Order) -> None:
        """Look at what the transaction has done so far."""
        key = f"{order.way} {order.unit.key}"
        now = tables(session)
        self.findings += look(session, key, self.known, now, dict(order.locks))
        self.known = {oid: now[oid] for oid in self.known if oid in now}


def look(
    connection: psycopg.Connection[Any],
    key: str,
    known: dict[int, Table],
    now: dict[int, Table],
    declared: Mapping[str, str],
) -> list[Finding]:
    """What the connection's open transaction did to the tables of `known`."""
    held: dict[int, str] = {}
    for oid, mode in connection.execute(_LOCKS, [list(BLOCKING)]).fetchall():
        if oid in known:
            held[oid] = max(held.get(oid, ""), str(mode), key=lambda one: BLOCKING.index(one) if one else -1)
    found = [
        Finding(key, "undeclared", known[oid].name, f"{mode} on {known[oid].name}, which the plan does not name")
        for oid, mode in held.items()
        if not _says(declared, {known[oid].name, now[oid].name if oid in now else ""}, mode)
    ]
    found += [
        Finding(key, "rewrite", known[oid].name, f"{known[oid].name} was written anew under {held[oid]}")
        for oid in held
        if oid in now and now[oid].file != known[oid].file
    ]
    if held:
        closed = ", ".join(known[oid].name for oid in held)
        found += [
            Finding(key, "scan", known[oid].name, f"{rows} rows of {known[oid].name} were read, with {closed} closed")
            for oid, rows in connection.execute(_SCANS).fetchall()
            if oid in known
        ]
    return found


def _says(declared: Mapping[str, str], names: set[str], mode: str) -> bool:
    """Whether the plan names this lock on the table, or a stronger one; the table may have got a new name."""
    said = [_AS_HELD.get(declared[name].upper(), "") for name in names & set(declared)]
    return any(one and BLOCKING.index(one) >= BLOCKING.index(mode) for one in said)
