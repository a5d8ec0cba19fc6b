"""Generated rows, so that no table of a scratch database counts as empty.

Rule: a row is tried, and kept where the database takes it: types, NOT NULL, enumerations, domains, foreign keys and
unique keys are met by construction, checks by trying other values. The same catalog and number give the same rows.
A table that takes none of them stays empty, and is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from crossfade.schema.catalog import Catalog, Column, Table
from crossfade.schema.naming import quote, quote_table

Connection = psycopg.Connection[tuple[Any, ...]]
ROWS = 20  # a table
_FLAVOURS = 4  # values of a column that are tried one after the other

# By the first words of a type's name: values of row `n`, each flavour another one. A number stands for itself.
_VALUES: Mapping[str, Sequence[str]] = {
    "smallint": ("{n}", "1", "0", "-{n}"),
    "integer": ("{n}", "1", "0", "-{n}"),
    "bigint": ("{n}", "1", "0", "-{n}"),
    "numeric": ("{n}", "0.5", "0", "-{n}"),
    "real": ("{n}", "0.5", "0", "-{n}"),
    "double": ("{n}", "0.5", "0", "-{n}"),
    "boolean": ("({n} % 2 = 0)", "true", "false", "true"),
    "text": ("'t{n}'", "'https://example.org/{n}'", "''", "'{n}'"),
    "character": ("'c{n}'", "'{n}'", "'a'", "''"),
    "citext": ("'t{n}'", "'{n}'", "'a'", "''"),
    "name": ("'n{n}'", "'a'", "'b'", "'c'"),
    "uuid": ("md5('{n}')::uuid",) * _FLAVOURS,
    "date": ("date '2020-01-01' + {n}", "date '2030-01-01'", "current_date", "date '2020-01-01'"),
    "timestamp": ("timestamp '2020-01-01' + {n} * interval '1 hour'", "now()", "'2030-01-01'", "'2020-01-01'"),
    "time": ("time '00:00' + {n} * interval '1 minute'", "'12:00'", "'00:00'", "'23:59'"),
    "interval": ("{n} * interval '1 minute'", "interval '0'", "interval '1 day'", "interval '1 day'"),
    "json": ("'{{}}'", "'[]'", "'{{\"n\": {n}}}'", "'null'"),
    "jsonb": ("'{{}}'", "'[]'", "'{{\"n\": {n}}}'", "'null'"),
    "macaddr": ("'08:00:2b:01:02:03'",) * _FLAVOURS,
    "point": ("'({n},{n})'",) * _FLAVOURS,
    "xml": ("'<a/>'",) * _FLAVOURS,
    "int4range": ("int4range({n}, {n} + 1)",) * _FLAVOURS,
    "int8range": ("int8range({n}, {n} + 1)",) * _FLAVOURS,
    "bytea": ("decode(md5('{n}'), 'hex')", "decode(md5('{n}') || md5('{n}'), 'hex')", "''", "'x'"),
    "inet": ("('10.0.0.' || {n} % 250)::inet",) * _FLAVOURS,
    "cidr": ("'10.0.0.0/8'",) * _FLAVOURS,
    "tsvector": ("to_tsvector('simple', 't{n}')",) * _FLAVOURS,
    "ltree": ("'root.t{n}'", "'root'", "'a'", "'b'"),
    "oid": ("{n}",) * _FLAVOURS,
}


def fill(connection: Connection, catalog: Catalog, rows: int = ROWS) -> list[str]:
    """Give each empty table up to that many rows; the names of those that stay empty. Needs autocommit."""
    empty = [table for table in _in_order(catalog) if table.kind == "r" and not _has_rows(connection, table)]
    stay = []
    kinds = _read_kinds(connection)
    for table in empty:
        given = sum(_insert(connection, table, kinds, number) for number in range(1, rows + 1))
        if not given:
            stay.append(f"{table.schema}.{table.name}")
    return stay


_ENUMS = """
SELECT pg_catalog.format_type(y.oid, NULL), pg_catalog.array_agg(e.enumlabel ORDER BY e.enumsortorder)
FROM pg_catalog.pg_type y JOIN pg_catalog.pg_enum e ON e.enumtypid = y.oid GROUP BY y.oid
"""


_DOMAINS = """
SELECT pg_catalog.format_type(oid, NULL), pg_catalog.format_type(typbasetype, typtypmod)
FROM pg_catalog.pg_type WHERE typtype = 'd'
"""


@dataclass(frozen=True)
class _Kinds:
    """Types of the user's own: the labels of each enumeration, and what each domain is one of."""

    enums: Mapping[str, Sequence[str]]
    domains: Mapping[str, str]


def _read_kinds(connection: Connection) -> _Kinds:
    with connection.transaction(force_rollback=True):  # named whole, as the catalog names them
        connection.execute("SET LOCAL search_path = pg_catalog")
        enums = connection.execute(_ENUMS).fetchall()
        domains = connection.execute(_DOMAINS).fetchall()
    return _Kinds({str(name): list(labels) for name, labels in enums}, {str(name): str(base) for name, base in domains})


def _in_order(catalog: Catalog) -> Iterator[Table]:
    """Those that others point at first, as far as that can be."""
    done: set[tuple[str, str]] = set()
    left = [catalog.tables[key] for key in sorted(catalog.tables)]
    while left:
        ready = [one for one in left if _points_at(one) <= done | {(one.schema, one.name)}] or left[:1]
        for one in ready:
            done.add((one.schema, one.name))
            yield one
        left = [one for one in left if one not in ready]


def _points_at(table: Table) -> set[tuple[str, str]]:
    return {one.references for one in table.constraints if one.references}


def _has_rows(connection: Connection, table: Table) -> bool:
    name = quote_table(table.schema, table.name)
    row = connection.execute(f"SELECT EXISTS (SELECT FROM {name})".encode()).fetchone()
    return bool(row and row[0])


def _insert(connection: Connection, table: Table, kinds: _Kinds, number: int) -> bool:
    pointers = {
        column: one
        for one in table.constraints
        if one.kind == "f" and one.references and len(one.columns) == 1
        for column in one.columns
    }
    columns = [one for one in table.columns if not one.generated and one.identity != "a"]
    for flavour in range(_FLAVOURS):
        names, values = [], []
        for column in columns:
            pointer = pointers.get(column.name)
            if pointer is not None and pointer.references is not None:
                target = _target(pointer.definition)
                there = quote_table(*pointer.references)
                value = f"(SELECT {target} FROM {there} ORDER BY 1 OFFSET {number - 1} LIMIT 1)"
            elif column.default is not None and flavour == _FLAVOURS - 1:
                continue
            elif flavour and not column.not_null and flavour % 2:
                value = "NULL"
            else:
                value = _value(column, kinds, number, flavour)
            names.append(quote(column.name))
            values.append(value)
        into = f"INSERT INTO {quote_table(table.schema, table.name)}"
        what = f"({', '.join(names)}) VALUES ({', '.join(values)})" if names else "DEFAULT VALUES"
        try:
            connection.execute(f"{into} {what}".encode())
        except psycopg.Error:
            continue
        return True
    return False


def _target(definition: str) -> str:
    """The column that a foreign key of one column points at: FOREIGN KEY (a) REFERENCES t(b)."""
    return definition.split("REFERENCES", 1)[1].split("(", 1)[1].split(")", 1)[0]


def _value(column: Column, kinds: _Kinds, number: int, flavour: int) -> str:
    kind = kinds.domains.get(column.type, column.type)
    if kind.endswith("[]"):
        return "'{}'"
    if kind in kinds.enums:
        labels = kinds.enums[kind]
        label = labels[(number + flavour) % len(labels)].replace("'", "''")
        return f"'{label}'"
    values = _VALUES.get(kind.split("(")[0].split(" ")[0].rpartition(".")[2])  # an extension's has its schema
    if values is None:
        return column.default or "NULL"
    value = values[flavour % len(values)].format(n=number)
    if kind.startswith("character") and "(" in kind:
        width = kind.split("(")[1].split(")")[0]
        return f"left({value}, {width})"
    return value
