"""A session that reads a whole database, so that the same content gives the same text on any server.

Rule: everything that changes how a value is written out is set here, for the source and for the copy alike. Row
security is off: a table that this role sees only a part of is an error and not a smaller table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

Connection = psycopg.Connection[tuple[object, ...]]

SETTINGS = {
    "application_name": "crossfade drill",
    "search_path": "",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "row_security": "off",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "0",  # it waits for the dump that uses its snapshot
}
CONNECT_S = 10


@contextmanager
def reading(url: str, limit_s: float) -> Iterator[Connection]:
    """A transaction on one snapshot; no statement in it takes longer than the limit."""
    with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_S, prepare_threshold=None) as connection:
        for name, value in {**SETTINGS, "statement_timeout": f"{int(limit_s * 1000)}"}.items():
            connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [name, value])
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield connection
        finally:
            if not connection.closed:
                connection.rollback()


def export_snapshot(connection: Connection) -> str:
    """The name under which a dump can see exactly what this transaction sees (PostgreSQL manual, 9.28.5)."""
    row = connection.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
    assert row is not None
    return str(row[0])
