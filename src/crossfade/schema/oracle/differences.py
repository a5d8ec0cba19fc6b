"""In what two databases' schemas differ, for people: everything that raw SQL and a staged change must leave alike.

Rule: compared is what PostgreSQL itself prints of each object, with every name written whole. Left out are the order of
columns (one that was renamed is a new one), crossfade's own schemas, and the names that PostgreSQL 18 gives to NOT
NULL, which a rename leaves as they were. An empty list means two equal schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import psycopg

from crossfade.schema.sql import query

Schema: TypeAlias = Mapping[tuple[str, str], str]  # kind and name -> what it is


def read_schema(connection: psycopg.Connection[Any]) -> Schema:
    """Read all of it, in one transaction or a part of one."""
    with connection.transaction(force_rollback=True):  # and so the search path is as it was
        connection.execute("SET LOCAL search_path = pg_catalog")
        rows = connection.execute(query("oracle_schema")).fetchall()
    return {(str(kind), str(name)): "" if what is None else str(what) for kind, name, what in rows}


def differences(found: Schema, wanted: Schema) -> list[str]:
    """Each as one line: what, how it is, how it should be."""
    lines = []
    for kind, name in sorted({*found, *wanted}):
        one, other = found.get((kind, name)), wanted.get((kind, name))
        if other is None:
            lines.append(f"{kind} {name} is there, and should not be")
        elif one is None:
            lines.append(f"{kind} {name} is missing")
        elif one != other:
            lines.append(f"{kind} {name} is {one!r}, and should be {other!r}")
    return lines
