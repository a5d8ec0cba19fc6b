"""What a database holds, in a form that can be compared: rows of every table, places of sequences, its objects.

Rule: a digest is over whole rows, each hashed as its text and added up, so neither the order of rows nor where they
lie matters, and one other value, one missing or one doubled row changes it. Columns come in the order in which the
table has them; dropped ones leave no trace in the text, as they leave none in a dump.

Not compared: rows of an extension's own tables (the extension brings them), temporary and foreign tables, and what a
materialized view holds (a restore computes it anew).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from psycopg import sql

from crossfade.backup.session import Connection

# Not the system's, not temporary, not an extension's.
_OURS = """
    n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                    AND d.objid = c.oid AND d.deptype = 'e')
"""
_RELATIONS = f"""
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = %s AND {_OURS} ORDER BY 1, 2
"""  # noqa: S608 - constants only
_ROWS = sql.SQL(
    "SELECT count(*), coalesce(sum(pg_catalog.hashtextextended((t.*)::text, 0)::numeric), 0)::text FROM ONLY {} AS t"
)
_LARGE_OBJECTS = """
SELECT count(*), coalesce(sum(pg_catalog.hashtextextended(
    oid::text || ' ' || pg_catalog.encode(pg_catalog.lo_get(oid), 'hex'), 0)::numeric), 0)::text
FROM pg_catalog.pg_largeobject_metadata
"""
LARGE_OBJECTS = "large objects"

# Things that make the tables what they are. An invalid index is not dumped, so it is not asked for.
_OBJECTS = f"""
WITH c AS (SELECT c.oid, c.relname, c.relkind, n.nspname FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS})
SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' ELSE 'table' END
       || ' ' || nspname || '.' || relname FROM c WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
UNION ALL
SELECT 'column ' || c.nspname || '.' || c.relname || '.' || a.attname || ' '
       || pg_catalog.format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
FROM c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'index ' || i.indexrelid::pg_catalog.regclass::text
       || CASE WHEN i.indisunique THEN ' unique' ELSE '' END
FROM c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid WHERE i.indisvalid AND c.relkind IN ('r', 'p', 'm')
UNION ALL
SELECT 'constraint ' || k.conname || ' of ' || c.nspname || '.' || c.relname
       || CASE WHEN k.convalidated THEN '' ELSE ' not valid' END
FROM c JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid WHERE c.relkind IN ('r', 'p')
UNION ALL
SELECT 'trigger ' || g.tgname || ' of ' || c.nspname || '.' || c.relname || ' ' || g.tgenabled::text
FROM c JOIN pg_catalog.pg_trigger g ON g.tgrelid = c.oid WHERE NOT g.tgisinternal
UNION ALL
SELECT 'function ' || p.oid::pg_catalog.regprocedure::text
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                  AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1
"""  # noqa: S608 - constants only


@dataclass(frozen=True)
class TableContent:
    """One table's rows: how many, and the sum of their hashes."""

    rows: int
    digest: str


@dataclass(frozen=True)
class SequenceAt:
    """Where a sequence stands: the value it gives next. `step` is its increment."""

    next: int
    step: int
    cycles: bool


@dataclass(frozen=True)
class Content:
    """Everything that is compared. Tables and sequences by `schema.name`."""

    tables: Mapping[str, TableContent]
    sequences: Mapping[str, SequenceAt]
    objects: frozenset[str]


def read_content(connection: Connection, say: Callable[[str], None]) -> Content:
    """Read it in the session's snapshot; `say` takes each table before it is read."""
    sequences, objects = read_sequences(connection), read_objects(connection)
    return Content(read_tables(connection, say), sequences, objects)


def read_objects(connection: Connection) -> frozenset[str]:
    """What there is besides rows, an object a line."""
    return frozenset(str(row[0]) for row in connection.execute(_OBJECTS).fetchall())


def read_tables(connection: Connection, say: Callable[[str], None]) -> dict[str, TableContent]:
    """Count and digest of every table."""
    found = {}
    for schema, name in connection.execute(_RELATIONS, ["r"]).fetchall():
        say(f"{schema}.{name}")
        row = connection.execute(_ROWS.format(sql.Identifier(str(schema), str(name)))).fetchone()
        found[f"{schema}.{name}"] = _table(row)
    large = _table(connection.execute(_LARGE_OBJECTS).fetchone())
    if large.rows:
        found[LARGE_OBJECTS] = large
    return found


def read_sequences(connection: Connection) -> dict[str, SequenceAt]:
    """Where every sequence stands now: no snapshot holds a sequence."""
    found = {}
    for schema, name in connection.execute(_RELATIONS, ["S"]).fetchall():
        statement = sql.SQL(
            "SELECT q.last_value, q.is_called, s.seqincrement, s.seqcycle FROM {0} q, pg_catalog.pg_sequence s"
            " WHERE s.seqrelid = {1}::pg_catalog.regclass"
        )
        place = sql.Identifier(str(schema), str(name))
        row = connection.execute(statement.format(place, sql.Literal(place.as_string(connection)))).fetchone()
        assert row is not None
        last, called, step, cycles = int(str(row[0])), bool(row[1]), int(str(row[2])), bool(row[3])
        found[f"{schema}.{name}"] = SequenceAt(last + step if called else last, step, cycles)
    return found


def _table(row: tuple[object, ...] | None) -> TableContent:
    assert row is not None
    return TableContent(int(str(row[0])), str(row[1]))
