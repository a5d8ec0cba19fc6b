"""One table that holds rows, the statements that fill it, and how far they came.

Rule: a batch is one short transaction: the rows of some pages, then the fence, then the cursor behind them. The
fence comes late because it keeps the lease from being renewed for as long as it holds.

Invariant: what the cursor says is done was committed with it; a batch that is repeated changes nothing, because it
takes only rows that are unfilled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import errors

from crossfade.model.change import Backfill
from crossfade.model.errors import fail
from crossfade.model.ports import Clock
from crossfade.schema.pages import Cursor
from crossfade.schema.sql import query

Connection = psycopg.Connection[Any]
Fence = Callable[[Connection], None]
STILL = "crossfade_still_unfilled"
STATEMENT_MAX_MS = 8000  # less than any session here waits for an answer
CONFLICTS = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)
_GONE = ("08", "57P", "53300")  # SQLSTATE classes: connection lost, server stopping, no place left for a session


class Rewritten(Exception):
    """Others rewrote the table (VACUUM FULL, CLUSTER, TRUNCATE): page numbers mean other rows now."""


@dataclass(frozen=True)
class Leaf:
    """A table, partition or child: where its rows are. `alias` is what expressions may call it."""

    oid: int
    name: str  # quoted, with its schema
    alias: str  # quoted
    is_root: bool = True  # not a partition or child


@dataclass(frozen=True)
class Extent:
    """The file a table is in, its pages, and about how many rows they hold; -1 where no statistics tell."""

    filenode: int
    pages: int
    rows: int = -1


@dataclass(frozen=True)
class Progress:
    """The row of crossfade.backfill."""

    filenode: int
    cursor: Cursor
    filled: int
    wal_bytes: int
    busy_ms: int
    done: bool
    parts: Mapping[int, Cursor] = field(default_factory=dict)  # ranges split off, by their first page


@dataclass(frozen=True)
class Batch:
    """What one batch did."""

    rows: int
    took_ms: float
    wal_bytes: int
    hot: int
    still_unfilled: int = 0  # rows that were filled and are unfilled all the same; counted by the check


def gone(exc: psycopg.Error) -> bool:
    """Whether the server, or the way to it, is gone."""
    return exc.sqlstate is None or exc.sqlstate.startswith(_GONE)


def reason(exc: psycopg.Error) -> str:
    """The server's first line. Its detail may quote a row, and stays out."""
    lines = [line.strip() for line in str(exc.diag.message_primary or exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__


def leaves(connection: Connection, task: Backfill) -> list[Leaf]:
    """The tables of a task. Raises `backfill-not-possible` for a foreign partition, or when there is no such table."""
    found = connection.execute(query("leaves"), {"table": task.table}).fetchall()
    foreign = [name for _, name, kind, *_ in found if kind != "r"]
    if foreign:
        raise fail("backfill-not-possible", table=task.table, reason=f"{foreign[0]} is not an ordinary table")
    if not found and connection.execute("SELECT to_regclass(%s)", [task.table]).fetchone() == (None,):
        raise fail("backfill-not-possible", table=task.table, reason="there is no such table")
    return [Leaf(int(oid), name, alias, is_root) for oid, name, _, alias, is_root in found]


def row_search_path(connection: Connection) -> str:
    """What user triggers and functions find when they look for a name, as in a session of this role."""
    row = connection.execute(query("row_search_path")).fetchone()
    assert row is not None
    return str(row[0])


def extent(connection: Connection, leaf: Leaf) -> Extent:
    """How large the table is now."""
    row = connection.execute(query("extent"), {"oid": leaf.oid}).fetchone()
    if row is None or row[0] is None or row[1] is None:
        raise fail("backfill-not-possible", table=leaf.name, reason="the table is gone")
    return Extent(int(row[0]), int(row[1]), -1 if row[2] is None else int(row[2]))


def pages_of(alias: str, first: int, end: int) -> str:
    """The predicate for a range of pages. The server reads these pages only (TID range scan, PostgreSQL 14)."""
    return f"{alias}.ctid >= '({first},0)'::tid AND {alias}.ctid < '({end},0)'::tid"


def update_text(
    task: Backfill, leaf: Leaf, pages: tuple[int, int], share: tuple[int, int] | None, pass_over: bool
) -> str:
    """The statement of a batch. With `pass_over` it leaves out rows that others have locked.

    IS TRUE keeps the planner from an index on the predicate, which would read all unfilled rows for each batch.
    """
    where = f"{pages_of(leaf.alias, *pages)} AND ({task.unfilled}) IS TRUE"
    if share is not None:
        # The last byte of a row's place is the low byte of its number on the page; nothing cheaper reads it.
        where += f" AND pg_catalog.get_byte(pg_catalog.tidsend({leaf.alias}.ctid), 5) % {share[0]} = {share[1]}"
    if pass_over:
        chosen = f"SELECT {leaf.alias}.ctid FROM ONLY {leaf.name} AS {leaf.alias} WHERE {where}"  # noqa: S608 - quoted, planned
        chosen += " FOR NO KEY UPDATE SKIP LOCKED"
        where = f"{leaf.alias}.ctid = ANY (ARRAY({chosen})) AND ({task.unfilled}) IS TRUE"
    assigned = ", ".join(f"{column} = ({expression})" for column, expression in task.assignments)
    return f"UPDATE ONLY {leaf.name} AS {leaf.alias} SET {assigned} WHERE {where}"  # noqa: S608 - quoted, planned


def counting_text(task: Backfill, update: str) -> str:
    """The statement of a batch of the check: how many rows it filled, and how many are unfilled after it."""
    still = f"count(*) FILTER (WHERE {STILL})"
    return f"WITH done AS ({update} RETURNING ({task.unfilled}) IS TRUE AS {STILL}) SELECT count(*), {still} FROM done"  # noqa: S608


class Ledger:
    """The progress of one leaf, or of a part of it, in crossfade.backfill, and its batches.

    The leaf's own row is of the pages from the first on; `part_at` gives the ledger of a range that was split off.
    """

    def __init__(self, service: str, change: str, task: Backfill, leaf: Leaf, fence: Fence, first: int = 0) -> None:
        self._task, self._leaf, self._fence = task, leaf, fence
        self._of = (service, change, task, leaf, fence)
        key = task.key if leaf.is_root else f"{task.key} {leaf.name}"
        self._key = {"service": service, "change": change, "task": f"{key} @{first}" if first else key}
        self._search_path: str | None = None

    def part_at(self, first: int) -> Ledger:
        """The ledger of the part that begins at this page; 0 is the leaf's own."""
        return Ledger(*self._of, first) if first else self

    def read(self, connection: Connection) -> Progress | None:
        """How far it is; None: not begun."""
        row = connection.execute(query("progress"), self._key).fetchone()
        if row is None:
            return None
        filenode, pages, next_page, turn, filled, wal_bytes, busy_ms, done = row
        parts = connection.execute(query("parts"), self._key).fetchall()
        cursors = {int(first): Cursor(end, at, in_turn) for first, end, at, in_turn, _ in parts}
        filled += sum(of_part for *_, of_part in parts)
        return Progress(filenode, Cursor(pages, next_page, turn), filled, wal_bytes, busy_ms, done, cursors)

    def put(self, connection: Connection, filenode: int, cursor: Cursor) -> None:
        """Begin, or begin anew, at a cursor; what parts counted comes to the leaf's own row, and they are gone."""
        with connection.transaction():
            self._fence(connection)
            self._put(connection, filenode, cursor)
            connection.execute(query("fold_parts"), self._key)

    def _put(self, connection: Connection, filenode: int, cursor: Cursor) -> None:
        values = {**self._key, "filenode": filenode, "pages": cursor.pages}
        connection.execute(query("put_progress"), {**values, "next_page": cursor.next_page, "pass": cursor.turn})

    def split(self, connection: Connection, filenode: int, cursor: Cursor, at: int) -> Cursor:
        """Give the pages from `at` to a part of their own; its cursor. Raises Rewritten."""
        rest = Cursor(cursor.pages, at)
        with connection.transaction():
            self._fence(connection)
            values = {**self._key, "pages": at, "filenode": filenode}
            if connection.execute(query("end_part_at"), values).fetchone() is None:
                raise Rewritten
            self.part_at(at)._put(connection, filenode, rest)
        return rest

    def done(self, connection: Connection) -> None:
        """Say that every row is filled."""
        with connection.transaction():
            self._fence(connection)
            connection.execute(query("fill_done"), self._key)

    def batch(
        self,
        connection: Connection,
        clock: Clock,
        cursor: Cursor,
        end: int,
        passes: int,
        limits_ms: tuple[int, int],
        pass_over: bool = False,
    ) -> Batch:
        """Fill the pages from the cursor to `end` and move the cursor behind them; `limits_ms`: lock, statement.

        Raises Rewritten, and psycopg's errors; then nothing was done.
        """
        pages = (cursor.next_page, end)
        text = update_text(self._task, self._leaf, pages, cursor.share(passes), pass_over)
        lock_ms, statement_ms = limits_ms
        if self._search_path is None:
            self._search_path = row_search_path(connection)
        with connection.transaction():
            limits = {
                "lock_timeout": f"{lock_ms}ms",
                "statement_timeout": f"{statement_ms}ms",
                "search_path": self._search_path,
                "oid": self._leaf.oid,
            }
            begun = connection.execute(query("batch_begin"), limits).fetchone()
            assert begun is not None
            began_s = clock.monotonic_s()
            rows, still = self._run(connection, text, cursor.checking)
            took_ms = (clock.monotonic_s() - began_s) * 1000
            self._fence(connection)
            after = cursor.after(end, passes, rows)
            values = {**self._key, "oid": self._leaf.oid, "rows": rows, "took_ms": round(took_ms)}
            values |= {"log_began": begun[0], "hot_began": begun[1]}
            values |= {"next_page": after.next_page, "pass": after.turn}
            counted = connection.execute(query("batch_progress"), values).fetchone()
            if counted is None:
                raise Rewritten
        return Batch(rows, took_ms, int(counted[0]), int(counted[1]), still)

    def _run(self, connection: Connection, update: str, checking: bool) -> tuple[int, int]:
        if not checking:
            return connection.execute(update.encode()).rowcount, 0
        row = connection.execute(counting_text(self._task, update).encode()).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])
