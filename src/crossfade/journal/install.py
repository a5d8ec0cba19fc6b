"""Install the journal's schema and bring it up to date.

Rule: a database without the schema gets schema.sql, one with it the migrations it lacks, in one transaction
under an advisory lock. Migrations are named version_number_what.sql; numbers 01 to 49 may run while the
release of crossfade before this one still walks, 50 to 99 only once it is gone. Any role that may create a
schema can install; one that finds everything in place needs no such right.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from crossfade.journal.sql import migrations, query, read

FIRST_POST = 50


def is_post(migration: str) -> bool:
    """Whether a migration must wait until no older crossfade walks."""
    return int(migration.split("_")[1]) >= FIRST_POST


def lacking(applied: Iterable[str], *, post: bool) -> list[str]:
    """The migrations still to apply, in order."""
    done = set(applied)
    return [name for name in migrations() if name not in done and (post or not is_post(name))]


def install(connection: psycopg.Connection[tuple[object, ...]], *, post: bool = False) -> list[str]:
    """Install or update; returns what was applied, nothing where everything was in place."""
    if installed(connection) and not lacking(_applied(connection), post=post):
        return []
    with connection.transaction():
        connection.execute(query("install_lock"))
        if installed(connection):
            todo = lacking(_applied(connection), post=post)
            for name in todo:
                connection.execute(read(f"migrations/{name}"))
        else:
            todo = migrations()
            connection.execute(read("schema.sql"))
        for name in todo:
            connection.execute(query("note_migration"), {"version": name})
    return todo


def installed(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether the schema is there."""
    row = connection.execute(query("installed")).fetchone()
    return row is not None and bool(row[0])


def _applied(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    return [str(row[0]) for row in connection.execute(query("applied_migrations"))]
