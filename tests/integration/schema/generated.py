"""Schemas, rows and changes drawn at random, with what each version must read of every row.

Rule: a table is a list of fates, one a column: it stays, is renamed, added, dropped, or its default moves. A fate knows
its SQL and how a value goes over to the other version, so a drawn change carries its own expectation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from psycopg import sql

ODD = [
    "orders",
    "Order Lines",
    "select",
    "größe",
    'q"uote',
    "user",
    "a.b",
    "new",
    "old",
    "$1",
    "x" * 63,
    "日本",
    "CASE",
]
COLUMNS = ["code", "Code", "from", "naïve", "two words", "tg_op", "new", "OLD", 'd"q', "xmin2", "y" * 63, "null", "é",
           "a-b", "value", "ctid_", "end", "%s"]  # fmt: skip
TYPES: Mapping[str, Sequence[str]] = {  # literals of each; the first is a default
    "text": ["'x'", "''", "'né \\ ''q'' %'"],
    "varchar(30)": ["'v'", "' '"],
    "integer": ["7", "0", "-2147483648"],
    "bigint": ["1", "9223372036854775807"],
    "numeric(10,2)": ["1.50", "0.00", "-99999999.99"],
    "numeric": ["1.0", "1.00", "'NaN'"],
    "double precision": ["0.1", "'-0'", "'Infinity'"],
    "boolean": ["true", "false"],
    "jsonb": ["'{}'", "'{\"a\": [1, null]}'"],
    "json": ["'{\"b\": 1}'", "'{\"b\":1}'"],
    "text[]": ["'{}'", "'{a,NULL,\"b c\"}'"],
    "integer[]": ["'{1,2}'", "'[0:1]={3,4}'"],
    "uuid": ["'00000000-0000-0000-0000-000000000001'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    "timestamptz": ["'2026-01-01 00:00+00'", "'infinity'"],
    "date": ["'2026-02-28'"],
    "bytea": ["'\\x00ff'"],
    "inet": ["'10.0.0.1'"],
    '"Mood"': ["'fine'", "'so so'"],
    '"posInt"': ["3", "1"],
    "int4range": ["'[1,5)'", "'empty'"],
}
PRELUDE = "CREATE TYPE \"Mood\" AS ENUM ('fine', 'so so'); CREATE DOMAIN \"posInt\" AS integer CHECK (value > 0);"
PLAIN_DEFAULT = {"renamed", "kept"}
KEYS = {
    "id bigint": ["{n}"],
    "id uuid": ["'00000000-0000-0000-0000-{n:012d}'"],
    'id integer, "Key 2" text': ["{n}", "'k {n}'"],
    "id text": ["'key ''{n}'"],
}


def q(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Fate:
    """One column: what it is called before and after, and what stands where the other version wrote nothing."""

    old: str  # empty: added
    new: str  # empty: dropped
    type: str
    default: str  # a literal; empty: none
    not_null: bool

    @property
    def what(self) -> str:
        if not self.old:
            return "added"
        if not self.new:
            return "dropped"
        return "kept" if self.old == self.new else "renamed"

    @property
    def definition(self) -> str:
        parts = [f"DEFAULT {self.default}"] * bool(self.default) + ["NOT NULL"] * self.not_null
        return " ".join([self.type, *parts])

    @property
    def absent(self) -> str:
        """What a version that does not know the column gives it."""
        return self.default or "NULL"


@dataclass(frozen=True)
class Drawn:
    """One table and what becomes of it."""

    name: str
    key: str
    fates: Sequence[Fate]
    index: bool  # on the first column that is there before
    unique: bool  # a new unique index over the key and the first column of the new shape
    check: bool  # a new check, which all rows keep
    comment: bool

    @property
    def key_columns(self) -> list[str]:
        return ["id", "Key 2"] if "Key 2" in self.key else ["id"]

    def key_values(self, number: int) -> list[str]:
        return [one.format(n=number) for one in KEYS[self.key]]

    @property
    def ddl(self) -> str:
        columns = [f"{q(one.old)} {one.definition}" for one in self.fates if one.old]
        keys = ", ".join(map(q, self.key_columns))
        made = f"CREATE TABLE {q(self.name)} ({', '.join([self.key, *columns, f'PRIMARY KEY ({keys})'])});"
        named = [one for one in self.fates if one.old and one.type not in ("json",)]
        if self.index and named:
            made += f"CREATE INDEX {q('Ix ' + self.name[:40])} ON {q(self.name)} ({q(named[0].old)});"
        return made

    @property
    def change(self) -> Sequence[str]:
        table, found = q(self.name), []
        for one in self.fates:
            if one.what == "added":
                found.append(f"ALTER TABLE {table} ADD COLUMN {q(one.new)} {one.definition}")
            elif one.what == "dropped":
                found.append(f"ALTER TABLE {table} DROP COLUMN {q(one.old)}")
            elif one.what == "renamed":
                found.append(f"ALTER TABLE {table} RENAME COLUMN {q(one.old)} TO {q(one.new)}")
        named = [one for one in self.fates if one.new and one.type not in ("json",)]
        if self.unique and named:
            columns = ", ".join(map(q, [*self.key_columns, named[0].new]))
            found.append(f"CREATE UNIQUE INDEX {q('Un ' + self.name[:40])} ON {table} ({columns})")
        if self.check and named:
            check = f"CHECK ({q(named[-1].new)} IS NULL OR {q(named[-1].new)}::text <> 'never')"
            found.append(f"ALTER TABLE {table} ADD CONSTRAINT {q('Ck ' + self.name[:40])} {check}")
        if self.comment:
            found.append(f"COMMENT ON TABLE {table} IS 'it''s %s'")
        return found

    def columns(self, shape: str) -> list[Fate]:
        return [one for one in self.fates if (one.old if shape == "old" else one.new)]


def name_of(fate: Fate, shape: str) -> str:
    """What the version calls it."""
    return fate.old if shape == "old" else fate.new


@st.composite
def fates(draw: Any, name: str, second: str) -> Fate:
    what = draw(st.sampled_from(["kept", "renamed", "renamed", "added", "added", "dropped"]))
    type = draw(st.sampled_from(sorted(TYPES)))
    default = draw(st.sampled_from(["", TYPES[type][0]]))
    not_null = draw(st.booleans()) and (what in PLAIN_DEFAULT or bool(default))
    if what == "dropped" and not default:
        not_null = False
    old, new = {"kept": (name, name), "renamed": (name, second), "added": ("", name), "dropped": (name, "")}[what]
    return Fate(old, new, type, default, not_null)


@st.composite
def tables(draw: Any, name: str) -> Drawn:
    names = draw(st.lists(st.sampled_from(COLUMNS), min_size=2, max_size=8, unique=True))
    pairs = list(zip(names[::2], names[1::2], strict=False))
    columns = [draw(fates(first, second)) for first, second in pairs]
    flags = [draw(st.booleans()) for _ in range(4)]
    return Drawn(name, draw(st.sampled_from(sorted(KEYS))), columns, *flags)


@dataclass(frozen=True)
class World:
    """All tables, their change, and the seed of what is written."""

    tables: Sequence[Drawn]
    extra: Sequence[str]
    seed: int

    @property
    def ddl(self) -> str:
        return PRELUDE + "".join(one.ddl for one in self.tables)

    @property
    def change(self) -> str:
        return ";\n".join([*(line for one in self.tables for line in one.change), *self.extra])


EXTRA = [
    'CREATE TABLE "New T" (id int PRIMARY KEY, m "Mood")',
    'CREATE SEQUENCE "Seq" START 5',
    "CREATE TYPE \"Kind\" AS ENUM ('a')",
    "CREATE FUNCTION \"F\"(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
    'CREATE VIEW "V" AS SELECT 1 AS one',
    'CREATE SCHEMA "Zwei"',
]


@st.composite
def worlds(draw: Any) -> World:
    names = draw(st.lists(st.sampled_from(ODD), min_size=1, max_size=3, unique=True))
    drawn = [draw(tables(name)) for name in names]
    extra = draw(st.lists(st.sampled_from(EXTRA), max_size=2, unique=True))
    return World(drawn, extra, draw(st.integers(0, 2**31)))


Row = dict[str, str]  # column -> literal


def statement(text: str) -> Any:
    """SQL whose percent signs are its own."""
    return sql.SQL(text)  # type: ignore[arg-type]
