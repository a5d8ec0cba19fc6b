"""A new column whose values come from a sequence: serial, and identity.

Rule: ADD COLUMN with either rewrites the table under a lock, so the column comes empty, its sequence serves INSERTs of
both versions from the start, rows from before are filled, and NOT NULL binds at detach. An identity needs NOT NULL
first (manual, ALTER TABLE), so until then a sequence of its own stands in, and hands over where it stands.

Whoever may INSERT must be able to take the next value: a default runs with the rights of its session.
"""

from __future__ import annotations

from crossfade.model.errors import fail
from crossfade.schema.expressions import read_text
from crossfade.schema.naming import chosen, literal, meanwhile, quote, quote_table
from crossfade.schema.operations import AddedColumn, NetChange, TableDelta
from crossfade.schema.parser import Node
from crossfade.schema.parts import Fill, Parts

SERIAL = {
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
    "smallserial": "smallint",
    "serial2": "smallint",
}


def serial(net: NetChange, delta: TableDelta, added: AddedColumn) -> None:
    """Give a new column of a serial type its sequence and its default."""
    table = quote_table(delta.table.schema, delta.table.name)
    sequence = quote_table(delta.table.schema, chosen(delta.table.name, added.name, "seq"))
    added.not_null = True
    added.default = added.existing = read_text(_next(sequence), delta.reader(net.catalog), added.where, volatile=True)
    created = f"CREATE SEQUENCE {sequence} AS {added.type} OWNED BY {table}.{quote(added.name)}"
    added.comments += [created, _grant(table, sequence)]


def identity(added: AddedColumn, constraint: Node) -> None:
    """Read GENERATED .. AS IDENTITY on a new column. Raises `schema-not-staged`."""
    if constraint.options:
        raise fail(
            "schema-not-staged",
            where=added.where,
            what=f"an identity with options on the new column {added.name}",
            reason="its sequence goes on where the fill of the rows from before ends",
            way="leave the options out, and ALTER SEQUENCE in a later release",
        )
    added.not_null = True
    added.identity = "ALWAYS" if constraint.generated_when == "a" else "BY DEFAULT"


def plan_identity(parts: Parts, added: AddedColumn) -> None:
    """Add an identity column to a table that exists."""
    schema, name, column = parts.delta.table.schema, parts.delta.table.name, quote(added.name)
    alter = f"ALTER TABLE {parts.quoted} ALTER COLUMN {column}"
    sequence = quote_table(schema, meanwhile(parts.change, chosen(name, added.name, "seq")))
    own = f"pg_catalog.pg_get_serial_sequence({literal(parts.quoted)}, {literal(added.name)})"
    parts.expand.append(f"CREATE SEQUENCE {sequence} AS {added.type}")
    parts.take_back.append(f"DROP SEQUENCE {sequence}")
    parts.add(added)
    parts.expand += [_grant(parts.quoted, sequence), f"{alter} SET DEFAULT {_next(sequence)}"]
    empty = f"{column} IS NULL"
    parts.fills.append(Fill(column, f"COALESCE({column}, {_next(sequence)})", empty, empty))
    parts.late_not_null.append(added.name)
    parts.bound += [
        (f"{alter} DROP DEFAULT", f"{alter} SET DEFAULT {_next(sequence)}"),
        (f"{alter} ADD GENERATED {added.identity} AS IDENTITY", f"{alter} DROP IDENTITY"),
        (_hand_over(_next(sequence), own), _hand_over(f"pg_catalog.nextval({own})", literal(sequence))),
    ]
    parts.purge.append(f"DROP SEQUENCE {sequence}")
    parts.only_new(added.name, f"{column} IS NOT NULL")
    parts.says.append(f"add column {added.name}, numbered by a sequence until it can be an identity")


def _next(sequence: str) -> str:
    return f"pg_catalog.nextval({literal(sequence)}::pg_catalog.regclass)"


def _hand_over(following: str, to: str) -> str:
    return f"SELECT pg_catalog.setval({to}::pg_catalog.regclass, {following}, false)"


def _grant(table: str, sequence: str) -> str:
    """Whoever may insert into a table may take the next value of its sequence."""
    return (
        "DO $crossfade$ DECLARE who pg_catalog.text; BEGIN FOR who IN SELECT DISTINCT CASE a.grantee WHEN 0"
        " THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END"
        " FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a"
        f" WHERE c.oid = {literal(table)}::pg_catalog.regclass AND a.privilege_type = 'INSERT'"
        " AND a.grantee <> c.relowner LOOP"
        f" EXECUTE {literal(f'GRANT USAGE ON SEQUENCE {sequence} TO ')} || who; END LOOP; END $crossfade$"
    )
