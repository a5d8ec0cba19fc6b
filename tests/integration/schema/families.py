"""Every kind of change that is staged: the table before it, its SQL, and what both versions write and read.

Rule: one family a row of the reference's tables, walked by `test_lifecycle.py`, all alike. What an old or a new version
may write, and what the other one reads of it, is said here and by nobody else.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from families_types import TYPES
from recipe_world import Recipe, Row

TEXTS = ["", "a", "B", "it's", 'a "b"', "né", "x\\y", "$crossfade$"]
NULLS = [*TEXTS, None]


def plain(*names: str) -> Any:
    """A reader that takes these columns over as they are."""
    return lambda row, *_: {name: row[name] for name in names}


def renamed(old: str, new: str, *shared: str) -> tuple[Any, Any]:
    def to_new(row: Row, *_: Any) -> Row:
        return {new: row[old], **{name: row[name] for name in shared}}

    def to_old(row: Row, *_: Any) -> Row:
        return {old: row[new], **{name: row[name] for name in shared}}

    return to_new, to_old


def kind_of(row: Row, before: Row | None, other: Row | None) -> Row:
    """The new version's row: kind follows reference until it has a value of its own."""
    follows = before is None or other is None or other["kind"] == (before["reference"] or "")[:1]
    kind = (row["reference"] or "")[:1] if follows else other["kind"]
    return {"reference": row["reference"], "kind": kind}


def total_of(row: Row, before: Row | None, other: Row | None) -> Row:
    """The old version's row: total follows price and count until it has a value of its own."""
    follows = before is None or other is None or other["total"] == before["price"] * before["count"]
    return {**row, "total": row["price"] * row["count"] if follows else other["total"]}


def keeps(default: Any, name: str) -> Any:
    """A reader whose column stands where it was, or at its default."""
    return lambda row, before, other: {**row, name: other[name] if other else default}


def without(name: str) -> Any:
    return lambda row, *_: {column: value for column, value in row.items() if column != name}


RENAME = "CREATE TABLE t (id bigint PRIMARY KEY, reference text{}, note text);"
WITH_COLUMNS = [
    Recipe(
        "rename",
        RENAME.format(" NOT NULL CHECK (reference <> 'never')")
        + "CREATE INDEX t_ref ON t (lower(reference) DESC) WHERE reference <> 'z'; CREATE INDEX t_note ON t (note);"
        "COMMENT ON COLUMN t.reference IS 'it''s a reference'",
        "ALTER TABLE t RENAME COLUMN reference TO code",
        {"reference": TEXTS, "note": NULLS},
        {"code": TEXTS, "note": NULLS},
        *renamed("reference", "code", "note"),
        lanes=False,
    ),
    Recipe(
        "rename, nullable with a default",
        RENAME.format(" DEFAULT 'new'"),
        'ALTER TABLE t RENAME COLUMN reference TO "Co de"',
        {"reference": [*NULLS, "new"], "note": NULLS},
        {"Co de": [*NULLS, "new"], "note": NULLS},
        *renamed("reference", "Co de", "note"),
        {"reference": "new"},
        {"Co de": "new"},
        lanes=False,
    ),
    Recipe(
        "rename of a type whose equal values are not alike",
        "CREATE TABLE t (id bigint PRIMARY KEY, amount numeric, note json)",
        "ALTER TABLE t RENAME amount TO price; ALTER TABLE t RENAME note TO memo",
        {"amount": [Decimal("1.0"), Decimal("1.00"), Decimal("0.000"), None], "note": [None]},
        {"price": [Decimal("1.0"), Decimal("1.00"), Decimal("0.000"), None], "memo": [None]},
        lambda row, *_: {"price": row["amount"], "memo": row["note"]},
        lambda row, *_: {"amount": row["price"], "note": row["memo"]},
        lanes=False,
    ),
    Recipe(
        "replacement, total",
        "CREATE TABLE t (id bigint PRIMARY KEY, cents int NOT NULL DEFAULT 100, note text)",
        "ALTER TABLE t ADD COLUMN price numeric(10,2) NOT NULL DEFAULT 1, DROP COLUMN cents;\n"
        "-- crossfade: up t.price = cents / 100.0\n-- crossfade: down t.cents = (price * 100)::int",
        {"cents": [0, 1, 99, 100, 12345], "note": NULLS},
        {"price": [Decimal("0.00"), Decimal("0.01"), Decimal("1.00"), Decimal("77.10")], "note": NULLS},
        lambda row, *_: {"price": (Decimal(row["cents"]) / 100).quantize(Decimal("0.01")), "note": row["note"]},
        lambda row, *_: {"cents": int(row["price"] * 100), "note": row["note"]},
        {"cents": 100},
        {"price": Decimal("1.00")},
    ),
    Recipe(
        "split in two",
        "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL)",
        "ALTER TABLE t ADD COLUMN first text NOT NULL, ADD COLUMN last text NOT NULL, DROP COLUMN name;\n"
        "-- crossfade: up t.first = split_part(name, ' ', 1)\n"
        "-- crossfade: up t.last = substr(name, strpos(name, ' ') + 1)\n"
        "-- crossfade: down t.name = first || ' ' || last",
        {"name": ["a b", "é o'x", "x y z"]},
        {"first": ["a", "ö"], "last": ["b", "c d", ""]},
        lambda row, *_: dict(zip(("first", "last"), row["name"].split(" ", 1), strict=True)),
        lambda row, *_: {"name": f"{row['first']} {row['last']}"},
        lanes=False,
    ),
    Recipe(
        "add, derived, never NULL",
        "CREATE TABLE t (id bigint PRIMARY KEY, reference text NOT NULL)",
        "ALTER TABLE t ADD COLUMN kind text; UPDATE t SET kind = left(reference, 1) WHERE kind IS NULL;"
        "ALTER TABLE t ALTER COLUMN kind SET NOT NULL; CREATE INDEX CONCURRENTLY t_kind ON t (kind)",
        {"reference": ["ab", "ac", "b", "é"]},
        {"reference": ["ab", "ac", "b", "é"], "kind": ["a", "own", ""]},
        kind_of,
        without("kind"),
    ),
    Recipe(
        "add, derived, may be NULL",
        "CREATE TABLE t (id bigint PRIMARY KEY, reference text)",
        "ALTER TABLE t ADD COLUMN kind text;\n-- crossfade: up t.kind = left(coalesce(reference, ''), 1)",
        {"reference": ["ab", "ac", "b", None]},
        {"reference": ["ab", "ac", "b"], "kind": ["a", "own", None]},
        kind_of,
        without("kind"),
    ),
    Recipe(
        "add with a constant default",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text)",
        "ALTER TABLE t ADD COLUMN n int NOT NULL DEFAULT 7; CREATE INDEX t_n ON t (n);CREATE UNIQUE INDEX ON t (id, n)",
        {"note": NULLS},
        {"note": NULLS, "n": [1, 7]},
        keeps(7, "n"),
        without("n"),
        {},
        {"n": 7},
    ),
    Recipe(
        "add with a default that goes again",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text)",
        "BEGIN; ALTER TABLE t ADD COLUMN n int DEFAULT 7 NOT NULL; ALTER TABLE t ALTER COLUMN n DROP DEFAULT; COMMIT",
        {"note": NULLS},
        {"note": NULLS, "n": [1, 7]},
        keeps(7, "n"),
        without("n"),
    ),
    Recipe(
        "add one value that the old version's rows have",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text)",
        "ALTER TABLE t ADD COLUMN n int NOT NULL;\n-- crossfade: up t.n = 7",
        {"note": NULLS},
        {"note": NULLS, "n": [1, 7]},
        keeps(7, "n"),
        without("n"),
    ),
    Recipe(
        "add arrays and enumerations",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text); DROP TYPE IF EXISTS mood;"
        "CREATE TYPE mood AS ENUM ('fine', 'odd')",
        "ALTER TABLE t ADD COLUMN n int[] NOT NULL DEFAULT '{}', ADD COLUMN m mood DEFAULT 'fine'",
        {"note": NULLS},
        {"note": NULLS, "n": [[], [1, 2]], "m": ["fine", "odd", None]},
        lambda row, _, other: {**row, "n": other["n"] if other else [], "m": other["m"] if other else "fine"},
        plain("note"),
        {},
        {"n": [], "m": "fine"},
    ),
    Recipe(
        "add nullable",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text)",
        "ALTER TABLE t ADD COLUMN n int",
        {"note": NULLS},
        {"note": NULLS, "n": [1, None]},
        keeps(None, "n"),
        without("n"),
        new_kept="n",
    ),
    Recipe(
        "wider types in place",
        "CREATE TABLE t (id bigint PRIMARY KEY, code varchar(9) NOT NULL DEFAULT 'new', amount numeric(6,2),"
        " note varchar, at timestamp(0)); CREATE UNIQUE INDEX ON t (id, code); CREATE INDEX ON t (amount)",
        "ALTER TABLE t ALTER COLUMN code TYPE text; ALTER TABLE t ALTER amount TYPE numeric(10,2),"
        " ALTER note TYPE text, ALTER at SET DATA TYPE timestamp USING at::timestamp;\n-- crossfade: retype t.code\n"
        "-- crossfade: retype t.amount\n-- crossfade: retype t.note\n-- crossfade: retype t.at",
        {"code": ["a", "new"], "amount": [Decimal("1.00"), None], "note": NULLS},
        {"code": ["b", "new"], "amount": [Decimal("9999.99"), None], "note": NULLS},
        plain("code", "amount", "note"),
        plain("code", "amount", "note"),
        {"code": "new"},
        {"code": "new"},
    ),
    Recipe(
        "drop with a default",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text, state text NOT NULL DEFAULT 'open')",
        "ALTER TABLE t DROP COLUMN state",
        {"note": NULLS, "state": ["open", "shut"]},
        {"note": NULLS},
        without("state"),
        keeps("open", "state"),
        {"state": "open"},
        old_kept="state",
    ),
    Recipe(
        "drop, computed for the old version",
        "CREATE TABLE t (id bigint PRIMARY KEY, price int NOT NULL, count int NOT NULL,"
        " total int NOT NULL CHECK (total > -1))",
        "ALTER TABLE t DROP COLUMN total;\n-- crossfade: down t.total = price * count",
        {"price": [1, 2, 3], "count": [0, 5], "total": [7, 10]},
        {"price": [1, 2, 3], "count": [0, 5]},
        without("total"),
        total_of,
    ),
    Recipe(
        "all at once",
        "CREATE TABLE t (id bigint PRIMARY KEY, reference text NOT NULL, note text DEFAULT 'n')",
        "ALTER TABLE t RENAME reference TO code; ALTER TABLE t DROP COLUMN note;"
        "ALTER TABLE t ADD COLUMN kind text NOT NULL;\n-- crossfade: up t.kind = left(reference, 1)",
        {"reference": ["ab", "ac", "b"], "note": NULLS},
        {"code": ["ab", "ac", "b"], "kind": ["a", "own"]},
        lambda row, before, other: {"code": row["reference"], "kind": kind_of(row, before, other)["kind"]},
        lambda row, _before, other: {"reference": row["code"], "note": other["note"] if other else "n"},
        {"note": "n"},
    ),
]


T = "CREATE TABLE t (id bigint PRIMARY KEY, {});"
NOTES = {"note": NULLS}
COUNTS = {"n": [1, 2, 3]}


def same(name: str, ddl: str, change: str, columns: Any = NOTES, **given: Any) -> Recipe:
    """A family whose rows are the same to both versions."""
    return Recipe(name, ddl, change, columns, columns, plain(*columns), plain(*columns), **given)


def own(*given: str) -> list[Any]:
    """Values that no other row has."""
    return [lambda id, text=text: f"{text}{id}" for text in given]


def filled(column: str, value: Any, *shared: str) -> Any:
    """The new version's row, where NULL reads as this."""
    return lambda row, *_: {**{n: row[n] for n in shared}, column: value if row[column] is None else row[column]}


OTHER = "CREATE TABLE other (id int PRIMARY KEY, code text UNIQUE, a int, b int, UNIQUE (a, b));"
OTHERS = OTHER + "INSERT INTO other SELECT i, i::text, i, i FROM generate_series(1, 3) i;"
COLUMNS = [
    Recipe(
        "serial",
        T.format("note text"),
        "ALTER TABLE t ADD COLUMN n bigserial",
        NOTES,
        NOTES,
        plain("note"),
        plain("note"),
        new_uses=["SELECT n FROM t"],
    ),
    Recipe(
        "identity",
        T.format("note text"),
        "ALTER TABLE t ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY",
        NOTES,
        NOTES,
        plain("note"),
        plain("note"),
        new_uses=["SELECT n FROM t"],
    ),
    Recipe(
        "virtual",
        T.format("note text"),
        "ALTER TABLE t ADD COLUMN n text GENERATED ALWAYS AS (upper(note)) VIRTUAL",
        NOTES,
        NOTES,
        plain("note"),
        plain("note"),
        new_uses=["SELECT n FROM t"],
        since=18,
    ),
    Recipe(
        "volatile default",
        T.format("note text"),
        "ALTER TABLE t ADD COLUMN u uuid NOT NULL DEFAULT gen_random_uuid()",
        NOTES,
        NOTES,
        plain("note"),
        plain("note"),
        new_uses=["SELECT u FROM t"],
    ),
    same(
        "set and drop a default",
        T.format("note text, n int DEFAULT 5, m int NOT NULL"),
        "ALTER TABLE t ALTER note SET DEFAULT 'x', ALTER n DROP DEFAULT, ALTER m SET DEFAULT 1",
        {**NOTES, "n": [1, None], "m": [1, 2]},
    ),
    Recipe(
        "set NOT NULL, filled",
        T.format("note text, n int"),
        "UPDATE t SET note = 'none' WHERE note IS NULL; ALTER TABLE t ALTER note SET NOT NULL;",
        {"note": NULLS, "n": [1, None]},
        {"note": TEXTS, "n": [1, None]},
        filled("note", "none", "n"),
        plain("note", "n"),
        blurs={"note": "none"},
    ),
    same("set NOT NULL, nothing to fill", T.format("n int"), "ALTER TABLE t ALTER n SET NOT NULL", COUNTS),
    Recipe(
        "drop NOT NULL, read",
        T.format("note text NOT NULL, n int"),
        "ALTER TABLE t ALTER note DROP NOT NULL;\n-- crossfade: reads-null t.note",
        {"note": TEXTS},
        NOTES,
        plain("note"),
        plain("note"),
        stays=True,
    ),
    Recipe(
        "drop NOT NULL, stood for",
        T.format("note text NOT NULL, n int"),
        "ALTER TABLE t ALTER note DROP NOT NULL;\n-- crossfade: down t.note = 'none'",
        {"note": TEXTS},
        {"note": TEXTS},
        plain("note"),
        plain("note"),
        noted=True,
    ),
]
CONSTRAINTS = [
    same(
        "check",
        T.format("n int"),
        "ALTER TABLE t ADD CONSTRAINT n_pos CHECK (n > 0), ADD CHECK (n < 100)",
        COUNTS,
    ),
    same(
        "check that binds now",
        T.format("n int"),
        "-- crossfade: binds n_pos now\nALTER TABLE t ADD CONSTRAINT n_pos CHECK (n > 0)",
        COUNTS,
    ),
    same(
        "foreign key",
        OTHERS + T.format("n int"),
        "ALTER TABLE t ADD CONSTRAINT t_n FOREIGN KEY (n) REFERENCES other ON DELETE CASCADE",
        COUNTS,
        old_uses=["UPDATE other SET code = code || 'x' WHERE id = 1"],
        new_uses=["UPDATE other SET code = 'x' WHERE id = 2"],
        quick=True,
    ),
    same(
        "foreign keys: composite, deferrable, to itself",
        OTHERS + T.format("n int, m int, parent bigint"),
        "ALTER TABLE t ADD FOREIGN KEY (n, m) REFERENCES other (a, b) MATCH FULL DEFERRABLE INITIALLY DEFERRED,"
        " ADD FOREIGN KEY (parent) REFERENCES t ON DELETE SET NULL",
        {"parent": [None]},
    ),
    same(
        "unique",
        T.format("code text, n int"),
        "ALTER TABLE t ADD CONSTRAINT t_code UNIQUE (code), ADD UNIQUE NULLS NOT DISTINCT (id, n) INCLUDE (code)",
        {"code": own("a", "b"), "n": [1, None]},
    ),
    same(
        "primary key",
        "CREATE TABLE t (id bigint, note text);",
        "ALTER TABLE t ADD PRIMARY KEY (id)",
    ),
    same(
        "drop a check and a foreign key",
        OTHERS + T.format("n int CHECK (n > 0), m int REFERENCES other"),
        "ALTER TABLE t DROP CONSTRAINT t_n_check, DROP CONSTRAINT t_m_fkey",
        {"n": [1, 2], "m": [1, None]},
    ),
    Recipe(
        "drop a check that the new version breaks",
        T.format("n int CONSTRAINT n_pos CHECK (n > 0)"),
        "ALTER TABLE t DROP CONSTRAINT n_pos",
        {"n": [1]},
        {"n": [1, -1]},
        plain("n"),
        plain("n"),
        stays=True,
    ),
    same(
        "drop a foreign key with CASCADE",
        OTHERS + T.format("m int REFERENCES other ON DELETE CASCADE"),
        "ALTER TABLE t DROP CONSTRAINT t_m_fkey",
        {"m": [1, None]},
    ),
    Recipe(
        "drop a unique constraint",
        T.format("code text UNIQUE"),
        "ALTER TABLE t DROP CONSTRAINT t_code_key",
        {"code": own("a", "b")},
        {"code": [*own("a", "b"), "one"]},
        plain("code"),
        plain("code"),
        refused={"new": ["23505"]},
    ),
    same(
        "rename a constraint",
        T.format("n int CONSTRAINT n_pos CHECK (n > 0), CONSTRAINT t_u UNIQUE (id, n)"),
        "ALTER TABLE t RENAME CONSTRAINT n_pos TO n_positive; ALTER TABLE t RENAME CONSTRAINT t_u TO t_unique",
        COUNTS,
    ),
    same(
        "validate",
        T.format("n int") + "ALTER TABLE t ADD CONSTRAINT n_pos CHECK (n > 0) NOT VALID",
        "ALTER TABLE t VALIDATE CONSTRAINT n_pos",
        COUNTS,
    ),
]
U = "CREATE TABLE u (id int PRIMARY KEY, note text CHECK (note <> 'never'), m int REFERENCES other);"
TABLES = [
    same(
        "create a table",
        T.format("note text"),
        "CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " t_id bigint REFERENCES t ON DELETE CASCADE, name text CHECK (name <> ''));"
        "CREATE INDEX items_name ON items (name); COMMENT ON TABLE items IS 'parts';"
        "INSERT INTO items (name) VALUES ('first')",
        new_uses=["INSERT INTO items (name) VALUES ('x')", "SELECT * FROM items LIMIT 3"],
        quick=True,
    ),
    same(
        "drop a table",
        OTHERS + U + T.format("note text"),
        "DROP TABLE u",
        old_uses=["INSERT INTO u VALUES (%(id)s, 'x', 1)", "SELECT * FROM u LIMIT 3"],
    ),
    same(
        "drop a table CASCADE",
        OTHERS + U + T.format("n int REFERENCES u") + "INSERT INTO u SELECT generate_series(1, 3)",
        "DROP TABLE u CASCADE",
        COUNTS,
        old_uses=["INSERT INTO u VALUES (%(id)s, 'x', 1)", "SELECT * FROM u LIMIT 3"],
    ),
    same(
        "indexes come and go",
        T.format("note text, n int")
        + "CREATE INDEX gone ON t (n); CREATE INDEX old_name ON t (note); CREATE INDEX again ON t (n)",
        "DROP INDEX again; CREATE INDEX again ON t (n, note);"
        "CREATE INDEX t_lower ON t USING hash (lower(note)) WHERE n > 0; DROP INDEX gone;"
        "ALTER INDEX old_name RENAME TO new_name; COMMENT ON INDEX new_name IS 'it''s new';"
        "CREATE INDEX CONCURRENTLY ON t (n DESC) INCLUDE (note)",
        {**NOTES, **COUNTS},
        quick=True,
    ),
    same(
        "unique index",
        T.format("code text, n int"),
        "CREATE UNIQUE INDEX t_code ON t (lower(code)) WHERE n > 0",
        {"code": own("a", "b"), "n": [0, 1]},
    ),
    same(
        "comments and rights",
        T.format("note text") + "GRANT SELECT ON t TO PUBLIC; COMMENT ON TABLE t IS 'old'",
        "COMMENT ON TABLE t IS 'new'; COMMENT ON COLUMN t.note IS 'it''s'; REVOKE SELECT ON t FROM PUBLIC;"
        "GRANT UPDATE, REFERENCES ON t TO PUBLIC",
    ),
    same(
        "rows of a migration tool",
        T.format("note text")
        + "CREATE TABLE alembic_version (version_num text PRIMARY KEY); INSERT INTO alembic_version VALUES ('a')",
        "ALTER TABLE t ADD COLUMN n int; UPDATE alembic_version SET version_num = 'b' WHERE version_num = 'a'",
    ),
    same(
        "rows as they are written",
        T.format("note text") + "CREATE TABLE log (line text); INSERT INTO log VALUES ('a')",
        "-- crossfade: data expand\n-- crossfade: undo UPDATE log SET line = 'a'\nUPDATE log SET line = 'b';\n"
        "-- crossfade: data detach\n-- crossfade: undo nothing\nDELETE FROM log WHERE line = 'c';\n"
        "ALTER TABLE t ADD COLUMN n int",
    ),
]
STAMP = "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;"
BESIDE = [
    same(
        "new types",
        T.format("note text"),
        "CREATE TYPE size AS ENUM ('s', 'm'); COMMENT ON TYPE size IS 'how big'; ALTER TYPE size ADD VALUE 'l';"
        "CREATE DOMAIN pos AS int CHECK (value > 0); CREATE TYPE pair AS (a int, b public.size);"
        "ALTER TABLE t ADD COLUMN size size DEFAULT 's';"
        "CREATE TABLE u (id int PRIMARY KEY, p pos, q pair, s public.size NOT NULL)",
        new_uses=["SELECT size FROM t LIMIT 1", "INSERT INTO u VALUES (%(id)s, 1, NULL, 'l')"],
    ),
    same(
        "types that go",
        "CREATE TYPE mood AS ENUM ('fine'); CREATE DOMAIN pos AS int; COMMENT ON TYPE mood IS 'x';"
        + T.format("m mood[], n mood DEFAULT 'fine', note text"),
        "ALTER TABLE t DROP COLUMN m, DROP COLUMN n; DROP TYPE mood; DROP DOMAIN pos; DROP TYPE IF EXISTS nothing",
        old_uses=["SELECT m, n FROM t LIMIT 1", "INSERT INTO t (id, n) SELECT id, 'fine' FROM t WHERE id = 0"],
    ),
    same(
        "a value of an enumeration",
        "CREATE TYPE mood AS ENUM ('fine', 'bad');" + T.format("note text, m mood"),
        "ALTER TYPE mood ADD VALUE 'odd' BEFORE 'bad'; ALTER TYPE mood ADD VALUE IF NOT EXISTS 'new'",
        new_uses=["SELECT 'odd'::mood"],
        stays=True,
    ),
    same(
        "sequences and schemas",
        T.format("note text")
        + "CREATE SEQUENCE old_s START 7; GRANT USAGE ON SEQUENCE old_s TO PUBLIC; CREATE SCHEMA there",
        "CREATE SCHEMA extra; CREATE SCHEMA IF NOT EXISTS there; CREATE SEQUENCE extra.s START 5;"
        "CREATE SEQUENCE n; ALTER SEQUENCE n INCREMENT 2; GRANT USAGE ON SEQUENCE n TO PUBLIC;"
        "ALTER TABLE t ADD COLUMN n bigint NOT NULL DEFAULT nextval('n'); ALTER SEQUENCE n OWNED BY t.n;"
        "CREATE SEQUENCE m OWNED BY t.note; CREATE SEQUENCE IF NOT EXISTS m; COMMENT ON SCHEMA extra IS 'x';"
        "GRANT USAGE ON SCHEMA extra TO PUBLIC; CREATE TABLE extra.x (id int); DROP SEQUENCE old_s",
        old_uses=["SELECT nextval('old_s')"],
        new_uses=["SELECT nextval('extra.s'), nextval('m')", "TABLE extra.x"],
    ),
    same(
        "views",
        T.format("note text") + "CREATE VIEW v WITH (security_barrier) AS SELECT id, note FROM t WHERE note > 'a';"
        "COMMENT ON VIEW v IS 'x';"
        "GRANT SELECT ON v TO PUBLIC; CREATE VIEW gone AS SELECT id FROM v; GRANT SELECT ON gone TO PUBLIC;"
        "CREATE MATERIALIZED VIEW mgone AS SELECT id FROM t; CREATE INDEX ON mgone (id)",
        "ALTER TABLE t ADD COLUMN n int; CREATE VIEW w AS SELECT id, n AS number FROM t; GRANT SELECT ON w TO PUBLIC;"
        "CREATE VIEW x AS WITH a AS (SELECT number FROM w) SELECT count(*) AS many FROM a;"
        "CREATE MATERIALIZED VIEW m AS SELECT id, n FROM t; CREATE UNIQUE INDEX m_id ON m (id);"
        "CREATE OR REPLACE VIEW v WITH (security_barrier) AS SELECT t.id, upper(note) AS note FROM t;"
        "DROP VIEW gone; DROP MATERIALIZED VIEW mgone; DROP VIEW IF EXISTS nothing",
        old_uses=["SELECT * FROM v LIMIT 1", "SELECT id FROM gone LIMIT 1", "SELECT id FROM mgone LIMIT 1"],
        new_uses=["SELECT number FROM w LIMIT 1", "SELECT many FROM x", "SELECT id FROM m LIMIT 1", "TABLE v"],
    ),
    same(
        "functions and triggers",
        T.format("note text")
        + "CREATE FUNCTION f(a int, b text DEFAULT 'x') RETURNS text LANGUAGE sql AS $$ SELECT b $$;"
        "COMMENT ON FUNCTION f IS 'x'; REVOKE ALL ON FUNCTION f FROM PUBLIC; GRANT EXECUTE ON FUNCTION f TO PUBLIC;"
        "CREATE FUNCTION g(bigint, VARIADIC numeric(4,1)[]) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';"
        "COMMENT ON FUNCTION g IS 'y'; CREATE PROCEDURE p(OUT a int) LANGUAGE plpgsql AS $$ BEGIN a := 1; END $$;"
        + STAMP.format("stamp")
        + "CREATE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stamp();"
        "ALTER TABLE t ENABLE ALWAYS TRIGGER stamp",
        "CREATE FUNCTION slug(x text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT lower(x) $$;"
        + STAMP.format("u_stamp")
        + "CREATE TABLE u (id int, s text DEFAULT slug('A')); CREATE TRIGGER u_stamp BEFORE INSERT ON u"
        " FOR EACH ROW EXECUTE FUNCTION u_stamp(); CREATE FUNCTION all_u() RETURNS SETOF u LANGUAGE sql AS 'TABLE u';"
        "CREATE OR REPLACE FUNCTION f(a integer, b text DEFAULT 'x') RETURNS text LANGUAGE sql AS $$ SELECT b || a $$;"
        "CREATE OR REPLACE FUNCTION another() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "DROP FUNCTION g(int8, numeric[]); DROP TRIGGER stamp ON t; DROP FUNCTION stamp; DROP FUNCTION IF EXISTS no();"
        "CREATE TRIGGER note AFTER UPDATE ON t FOR EACH ROW WHEN (old.note IS DISTINCT FROM new.note)"
        " EXECUTE FUNCTION u_stamp(); "
        "CREATE OR REPLACE PROCEDURE p(OUT a int) LANGUAGE plpgsql AS $$ BEGIN a := 2; END $$",
        old_uses=["SELECT f(1), g(1, 2.0)", "CALL p(NULL)"],
        new_uses=["SELECT f(1), slug('A'), another()", "INSERT INTO u VALUES (1)", "SELECT * FROM all_u() LIMIT 1"],
    ),
    same(
        "extension",
        T.format("note text"),
        "CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS plpgsql",
        new_uses=["SELECT 'A'::citext = 'a'"],
    ),
]


def cents_in(row: Row) -> Decimal:
    return (Decimal(row["cents"]) / 100).quantize(Decimal("0.01"))


FOLDED = [
    Recipe(
        "several operations folded on one table",
        OTHERS
        + T.format("reference text NOT NULL, cents int NOT NULL, n int, code text")
        + "CREATE INDEX t_c ON t (cents)",
        "ALTER TABLE t RENAME COLUMN reference TO label;"
        "ALTER TABLE t ADD COLUMN price numeric NOT NULL, DROP COLUMN cents, ADD COLUMN kind text NOT NULL;"
        "CREATE INDEX CONCURRENTLY t_kind ON t (kind); ALTER TABLE t ADD CHECK (n > 0), ALTER n SET NOT NULL;"
        "ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES other, ADD UNIQUE (code); COMMENT ON TABLE t IS 'much';"
        "CREATE TABLE items (t_id bigint REFERENCES t ON DELETE CASCADE);\n"
        "-- crossfade: up t.price = round(cents / 100.0, 2)\n-- crossfade: down t.cents = (price * 100)::int\n"
        "-- crossfade: up t.kind = left(reference, 1)",
        {"reference": ["ab", "ac", "b"], "cents": [0, 50, 12300], **COUNTS, "code": own("a", "b")},
        {
            "label": ["ab", "ac", "b"],
            "price": [Decimal("1.00"), Decimal("2.50")],
            "kind": ["a", "own"],
            **COUNTS,
            "code": own("a", "b"),
        },
        lambda row, before, other: {
            "label": row["reference"],
            "price": other["price"] if before and other and before["cents"] == row["cents"] else cents_in(row),
            "kind": kind_of(row, before, other)["kind"],
            "n": row["n"],
            "code": row["code"],
        },
        lambda row, before, other: {
            "reference": row["label"],
            "cents": int(row["price"] * 100),
            "n": row["n"],
            "code": row["code"],
        },
        quick=True,
    ),
]


QUICK = {"rename", "add, derived, never NULL", "replacement, total"}
_PLAIN = [replace(one, quick=one.quick or one.name in QUICK) for one in WITH_COLUMNS]
THROUGH_VIEWS = [
    replace(one, name=f"{one.name}, through views", lanes=True, stars="some", quick=False)
    for one in WITH_COLUMNS
    if "crossfade: retype" not in one.change
]
FAMILIES = [*_PLAIN, *COLUMNS, *TYPES, *CONSTRAINTS, *TABLES, *BESIDE, *FOLDED, *THROUGH_VIEWS]
