"""What a real server does when it runs a statement: the locks it takes, what it writes anew, what it reads through.

Rule: everything is seen from the statement's own session before it commits: pg_locks of its backend, the file of each
table (relfilenode), the rows that scans returned, and the server's own messages at DEBUG1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from crossfade.schema.parser import locate

# From the weakest to the strongest, as the manual lists them (13.3.1).
MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
BLOCKING = MODES[MODES.index("ShareLock") :]
_LOCKS = "SELECT relation::bigint, mode FROM pg_locks WHERE pid = pg_backend_pid() AND granted AND relation IS NOT NULL"
_FILES = """
SELECT relname::text, relfilenode::bigint, oid::bigint FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'm', 'p')
"""
_READ = (
    "SELECT relname::text, coalesce(seq_tup_read, 0) FROM pg_stat_xact_user_tables WHERE schemaname = current_schema()"
)


@dataclass
class Observed:
    """What was seen of one statement: by table its strongest lock, whether it was rewritten, whether it was scanned."""

    locks: dict[str, str] = field(default_factory=dict)
    rewritten: set[str] = field(default_factory=set)
    scanned: set[str] = field(default_factory=set)
    error: str = ""  # the SQLSTATE with which it failed

    def blocks_long(self) -> set[str]:
        """Tables that were rewritten or scanned under a lock that blocks readers or writers."""
        return {one for one in self.rewritten | self.scanned if self.locks.get(one) in BLOCKING}


def texts(script: str) -> Sequence[tuple[str, str]]:
    """The statements of a script: the parser's word for each, and its text."""
    data = script.encode()
    return [(one.kind, data[one.start : one.end].decode()) for one in locate(script)]


def run(connection: psycopg.Connection[Any], text: str) -> None:
    """Run one statement as it is written."""
    connection.execute(text.encode())


def observe(connection: psycopg.Connection[Any], statements: Sequence[str]) -> Observed:
    """Run statements in the connection's open transaction and say what was seen; it is left open."""
    seen = Observed()
    said: list[str] = []

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        said.append(notice.message_primary or "")

    known = connection.execute(_FILES).fetchall()
    files, names = {name: file for name, file, _ in known}, {oid: name for name, _, oid in known}
    before = dict(connection.execute(_READ).fetchall())
    connection.add_notice_handler(hear)
    try:
        run(connection, "SET LOCAL client_min_messages = debug1")
        for text in statements:
            run(connection, text)
        run(connection, "SET LOCAL client_min_messages = warning")
    except psycopg.Error as exc:
        seen.error = exc.sqlstate or ""
        return seen
    finally:
        connection.remove_notice_handler(hear)
    for oid, mode in connection.execute(_LOCKS).fetchall():
        table = names.get(oid, "")
        if table and MODES.index(mode) >= MODES.index(seen.locks.get(table, MODES[0])):
            seen.locks[table] = mode
    after = {name: file for name, file, _ in connection.execute(_FILES).fetchall()}
    seen.rewritten = {table for table, file in files.items() if table in after and after[table] != file}
    read = dict(connection.execute(_READ).fetchall())
    seen.scanned = {table for table, rows in read.items() if rows > before.get(table, 0)}
    for line in said:
        words = line.replace('"', " ").split()
        if line.startswith("building index") and "table" in words:
            seen.scanned.add(words[words.index("table") + 1])
        elif line.startswith(("verifying table", "rewriting table")):
            seen.scanned.add(words[2])
    seen.scanned &= set(files)  # a table that was made meanwhile is nobody's yet
    return seen
