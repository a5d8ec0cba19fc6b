"""Types, sequences, schemas, views, functions and triggers beside the tables: there, back, and to the end.

Given things that a database has, when a change is walked to each stage and back, then the way back gives exactly what
was there, with owner, rights and comment, and the end is what the raw SQL gives.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossfade.model.change import Stage
from crossfade.schema.catalog import read_catalog

sys.path.insert(0, str(Path(__file__).parent))
from recipe_world import Recipe, World

T = "CREATE TABLE t (id bigint PRIMARY KEY, note text);"
LOOK = """
WITH s AS (SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%'
    AND nspname NOT LIKE 'crossfade%' AND nspname <> 'information_schema')
SELECT 'schema', nspname::text, '', '', '' FROM s
UNION ALL SELECT 'extension', extname, '', '', '' FROM pg_extension
UNION ALL SELECT 'type', typname, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum e
    WHERE e.enumtypid = y.oid), typacl::text, obj_description(y.oid, 'pg_type')
    FROM pg_type y JOIN s ON s.oid = typnamespace
UNION ALL SELECT 'class ' || relkind::text, relname, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END
    || COALESCE(reloptions::text, ''), relacl::text, obj_description(c.oid, 'pg_class')
    FROM pg_class c JOIN s ON s.oid = relnamespace
UNION ALL SELECT 'routine', proname, pg_get_functiondef(p.oid), proacl::text, obj_description(p.oid, 'pg_proc')
    FROM pg_proc p JOIN s ON s.oid = pronamespace
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(g.oid), tgenabled::text, ''
    FROM pg_trigger g WHERE NOT tgisinternal AND tgrelid = 'public.t'::regclass AND tgname NOT LIKE '%crossfade%'
UNION ALL SELECT 'sequence owner', d.objid::regclass::text, d.refobjid::regclass::text,
    (SELECT attname FROM pg_attribute WHERE attrelid = d.refobjid AND attnum = d.refobjsubid)::text, ''
    FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
    WHERE d.deptype = 'a' AND d.refclassid = 'pg_class'::regclass
ORDER BY 1, 2, 3
"""
WALKS = {
    "new types": (
        T,
        "CREATE TYPE size AS ENUM ('s', 'm'); COMMENT ON TYPE size IS 'how big'; ALTER TYPE size ADD VALUE 'l';"
        "CREATE DOMAIN pos AS int CHECK (value > 0); CREATE TYPE pair AS (a int, b public.size);"
        "ALTER TABLE t ADD COLUMN size size DEFAULT 's';"
        "CREATE TABLE u (id int PRIMARY KEY, p pos, q pair, s public.size NOT NULL)",
    ),
    "types that go": (
        "CREATE TYPE mood AS ENUM ('fine'); CREATE DOMAIN pos AS int; COMMENT ON TYPE mood IS 'x';"
        "CREATE TABLE t (id bigint PRIMARY KEY, m mood[], n mood DEFAULT 'fine')",
        "ALTER TABLE t DROP COLUMN m, DROP COLUMN n; DROP TYPE mood; DROP DOMAIN pos; DROP TYPE IF EXISTS nothing",
    ),
    "sequences and schemas": (
        T + "CREATE SEQUENCE old_s START 7; GRANT USAGE ON SEQUENCE old_s TO PUBLIC; CREATE SCHEMA there",
        "CREATE SCHEMA extra; CREATE SCHEMA IF NOT EXISTS there; CREATE SEQUENCE extra.s START 5;"
        "CREATE SEQUENCE n; ALTER SEQUENCE n INCREMENT 2; GRANT USAGE ON SEQUENCE n TO PUBLIC;"
        "ALTER TABLE t ADD COLUMN n bigint NOT NULL DEFAULT nextval('n'); ALTER SEQUENCE n OWNED BY t.n;"
        "CREATE SEQUENCE m OWNED BY t.note; CREATE SEQUENCE IF NOT EXISTS m; COMMENT ON SCHEMA extra IS 'x';"
        "GRANT USAGE ON SCHEMA extra TO PUBLIC; CREATE TABLE extra.x (id int); DROP SEQUENCE old_s",
    ),
    "views": (
        T + "CREATE VIEW v WITH (security_barrier) AS SELECT id, note FROM t WHERE note > 'a';"
        "COMMENT ON VIEW v IS 'x';"
        "GRANT SELECT ON v TO PUBLIC; CREATE VIEW gone AS SELECT id FROM v; GRANT SELECT ON gone TO PUBLIC;"
        "CREATE MATERIALIZED VIEW mgone AS SELECT id FROM t; CREATE INDEX ON mgone (id)",
        "ALTER TABLE t ADD COLUMN n int; CREATE VIEW w AS SELECT id, n AS number FROM t; GRANT SELECT ON w TO PUBLIC;"
        "CREATE VIEW x AS WITH a AS (SELECT number FROM w) SELECT count(*) AS many FROM a;"
        "CREATE MATERIALIZED VIEW m AS SELECT id, n FROM t; CREATE UNIQUE INDEX m_id ON m (id);"
        "CREATE OR REPLACE VIEW v WITH (security_barrier) AS SELECT t.id, upper(note) AS note FROM t;"
        "DROP VIEW gone; DROP MATERIALIZED VIEW mgone; DROP VIEW IF EXISTS nothing",
    ),
    "functions and triggers": (
        T + "CREATE FUNCTION f(a int, b text DEFAULT 'x') RETURNS text LANGUAGE sql AS $$ SELECT b $$;"
        "COMMENT ON FUNCTION f IS 'x'; REVOKE ALL ON FUNCTION f FROM PUBLIC;"
        "CREATE FUNCTION g(bigint, VARIADIC numeric(4,1)[]) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';"
        "COMMENT ON FUNCTION g IS 'y'; CREATE PROCEDURE p(OUT a int) LANGUAGE plpgsql AS $$ BEGIN a := 1; END $$;"
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;"
        "CREATE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stamp();"
        "ALTER TABLE t ENABLE ALWAYS TRIGGER stamp",
        "CREATE FUNCTION slug(x text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT lower(x) $$;"
        "CREATE FUNCTION u_stamp() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN new.id := (SELECT max(id) FROM u) + 1; RETURN new; END $$;"
        "CREATE TABLE u (id int, s text DEFAULT slug('A')); CREATE TRIGGER u_stamp BEFORE INSERT ON u"
        " FOR EACH ROW EXECUTE FUNCTION u_stamp(); CREATE FUNCTION all_u() RETURNS SETOF u LANGUAGE sql AS 'TABLE u';"
        "CREATE OR REPLACE FUNCTION f(a integer, b text DEFAULT 'x') RETURNS text LANGUAGE sql AS $$ SELECT b || a $$;"
        "CREATE OR REPLACE FUNCTION another() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "DROP FUNCTION g(int8, numeric[]); DROP TRIGGER stamp ON t; DROP FUNCTION stamp; DROP FUNCTION IF EXISTS no();"
        "CREATE TRIGGER note AFTER UPDATE ON t FOR EACH ROW WHEN (old.note IS DISTINCT FROM new.note)"
        " EXECUTE FUNCTION another_trigger(); ".replace("another_trigger", "u_stamp")
        + "CREATE OR REPLACE PROCEDURE p(OUT a int) LANGUAGE plpgsql AS $$ BEGIN a := 2; END $$",
    ),
}


@pytest.fixture
def world_of(home: Any) -> Iterator[Any]:
    made: list[World] = []

    def make(ddl: str, change: str) -> World:
        def as_is(row: Any, *_: Any) -> Any:
            return row

        made.append(World(home, Recipe("one", ddl, change, {}, {}, as_is, as_is)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def look(world: World) -> set[tuple[object, ...]]:
    found = world.admin.execute(LOOK).fetchall()  # reading the catalog leaves its search path in a transaction
    return {(read_catalog(world.admin).fingerprint(),), *found}


@pytest.mark.parametrize("name", WALKS)
def test_things_beside_the_tables_come_and_go(world_of: Any, name: str) -> None:
    ddl, change = WALKS[name]
    world = world_of(ddl, change)
    base = look(world)
    with world.admin.transaction(force_rollback=True):
        world.admin.execute(change)
        raw = look(world)
    for stage in (Stage.BOTH, Stage.BASE, Stage.EQUAL, Stage.HIDDEN, Stage.EQUAL, Stage.HIDDEN, Stage.BASE):
        world.go(stage)
        if stage is Stage.BASE:
            assert look(world) == base
    world.go(Stage.GONE)
    end = look(world)
    assert (end - raw, raw - end) == (set(), set())


def test_rows_are_changed_as_it_is_written_and_taken_back_as_it_is_said(world_of: Any) -> None:
    world = world_of(
        T + "INSERT INTO t VALUES (1, NULL), (2, 'a'); CREATE TABLE log (line text)",
        "-- crossfade: data expand\n-- crossfade: undo UPDATE t SET note = NULL WHERE note = 'none'\n"
        "UPDATE t SET note = 'none' WHERE note IS NULL;\nALTER TABLE t ADD COLUMN n int;\n"
        "-- crossfade: data detach\n-- crossfade: undo DELETE FROM log; UPDATE t SET n = NULL\n"
        "WITH one AS (UPDATE t SET n = id RETURNING id) INSERT INTO log SELECT id FROM one;\n"
        "CREATE TABLE kind (name text); INSERT INTO kind VALUES ('x')",
    )
    base = look(world)
    for stage, notes, n in ((Stage.EQUAL, ["none", "a"], None), (Stage.BASE, [None, "a"], None),
                            (Stage.HIDDEN, ["none", "a"], 2), (Stage.EQUAL, ["none", "a"], None),
                            (Stage.HIDDEN, ["none", "a"], 2)):  # fmt: skip
        world.go(stage)
        assert world.one("SELECT array_agg(note ORDER BY id) FROM t") == notes
        if stage is Stage.BASE:
            assert look(world) == base
        else:
            assert world.one("SELECT n FROM t WHERE id = 2") == n
            assert world.one("SELECT count(*) FROM log") == (n or 0)
            assert world.one("SELECT count(*) FROM kind") == 1


def test_a_value_of_an_enumeration_stays_on_the_way_back_and_the_way_there_may_be_gone_again(world_of: Any) -> None:
    change = "ALTER TYPE mood ADD VALUE 'odd' BEFORE 'bad'; ALTER TYPE mood ADD VALUE IF NOT EXISTS 'new'"
    world = world_of("CREATE TYPE mood AS ENUM ('fine', 'bad'); CREATE TABLE t (id bigint PRIMARY KEY, m mood)", change)
    world.go(Stage.EQUAL)
    world.new.execute("INSERT INTO t VALUES (1, 'odd')")
    assert world.old.execute("SELECT m FROM t").fetchall() == [("odd",)]
    world.go(Stage.BASE)
    assert world.one("SELECT enum_range(NULL::mood)::text") == "{fine,odd,bad,new}"
    world.go(Stage.GONE)
    assert world.one("SELECT enum_range(NULL::mood)::text") == "{fine,odd,bad,new}"


def test_an_extension_comes_and_goes_unless_it_was_there(world_of: Any, home: Any) -> None:
    if not home.ask("SELECT name FROM pg_available_extensions WHERE name = 'hstore'"):
        pytest.skip("this PostgreSQL comes without hstore")
    change = "CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS plpgsql"
    world = world_of(T, change)
    base = look(world)
    world.go(Stage.BOTH)
    assert world.one("SELECT 'a=>1'::hstore ? 'a'") is True
    world.go(Stage.BASE)
    assert look(world) == base


def test_what_the_old_version_uses_is_as_it_was_until_detach(world_of: Any) -> None:
    world = world_of(
        T + "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW v AS SELECT id FROM t;"
        "CREATE VIEW w AS SELECT id FROM t",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'; DROP VIEW w;"
        "CREATE OR REPLACE VIEW v AS SELECT id + 1 AS id FROM t",
    )
    world.admin.execute("INSERT INTO t VALUES (1); GRANT SELECT ON t, v, w TO PUBLIC")
    for stage, seen in ((Stage.EQUAL, (1, 1)), (Stage.HIDDEN, (2, 2)), (Stage.EQUAL, (1, 1))):
        world.go(stage)
        assert world.one("SELECT (f(), (SELECT id FROM v))::text") == str(seen).replace(" ", "")
    assert world.old.execute("SELECT id FROM w").fetchall() == [(1,)]
