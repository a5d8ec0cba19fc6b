"""What a version of the schema before must still be able to say at every stage: its reads and writes, by table.

Rule: each column is selected, a row is inserted with its required columns, every row's columns are updated. What a
statement did on the schema before (it ran, or which SQLSTATE refused it) it must do at each later stage. Nothing that
is written stays: each statement is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

from crossfade.schema.catalog import Catalog, Table
from crossfade.schema.naming import quote, quote_table

RAN = "00000"
# In the order in which PostgreSQL looks at a new row: NOT NULL, checks, unique keys, foreign keys.
_FURTHER = ("23502", "23514", "23505", "23503", RAN)


def statements_of(catalog: Catalog, names: Iterable[str]) -> Sequence[str]:
    """The statements over these tables ("public.orders"), with unqualified names where the search path finds them."""
    wanted = set(names)
    return [
        statement
        for (schema, name), table in sorted(catalog.tables.items())
        if f"{schema}.{name}" in wanted and table.kind == "r"
        for statement in _of(table, _called(catalog, schema, name))
    ]


def outcomes(connection: psycopg.Connection[Any], statements: Sequence[str]) -> Mapping[str, str]:
    """Run each, roll it back, and say what became of it: `00000`, or the SQLSTATE and its message."""
    found = {}
    for statement in statements:
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(statement.encode())
            found[statement] = RAN
        except psycopg.Error as exc:
            found[statement] = f"{exc.sqlstate} {str(exc).splitlines()[0] if str(exc) else ''}".strip()
    return found


def broken(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Those that come less far than before, with what they end in."""
    return [
        f"{statement}: {now[statement]}"
        for statement, outcome in before.items()
        if now[statement][:5] != outcome[:5] and _how_far(now[statement]) <= _how_far(outcome)
    ]


def _how_far(outcome: str) -> int:
    return _FURTHER.index(outcome[:5]) if outcome[:5] in _FURTHER else -1


def _called(catalog: Catalog, schema: str, name: str) -> str:
    found = catalog.find("", name)
    return quote(name) if found is not None and found.schema == schema else quote_table(schema, name)


def _of(table: Table, called: str) -> Sequence[str]:
    columns = [quote(one.name) for one in table.columns]
    written = [quote(one.name) for one in table.columns if not one.generated and one.identity != "a"]
    required = [
        quote(one.name)
        for one in table.columns
        if one.not_null and one.default is None and not one.generated and not one.identity
    ]
    said = [f"SELECT {', '.join(columns)} FROM {called} LIMIT 1"] if columns else []
    if required:  # of a row that is there, so that only its keys can be refused, and are then refused before, too
        names = ", ".join(required)
        said.append(f"INSERT INTO {called} ({names}) SELECT {names} FROM {called} LIMIT 1")
    if written:
        sets = ", ".join(f"{name} = {name}" for name in written)
        said.append(f"UPDATE {called} SET {sets}")
    return said
