"""What stands beside the tables, at single stages: rows as written, values that stay, what the old version still uses.

That all of it comes and goes is walked by `test_lifecycle.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossfade.model.change import Stage

sys.path.insert(0, str(Path(__file__).parent))
from catalog_look import look
from recipe_world import Recipe, World

T = "CREATE TABLE t (id bigint PRIMARY KEY, note text);"


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


def test_rows_are_changed_as_it_is_written_and_taken_back_as_it_is_said(world_of: Any) -> None:
    world = world_of(
        T + "INSERT INTO t VALUES (1, NULL), (2, 'a'); CREATE TABLE log (line text)",
        "-- crossfade: data expand\n-- crossfade: undo UPDATE t SET note = NULL WHERE note = 'none'\n"
        "UPDATE t SET note = 'none' WHERE note IS NULL;\nALTER TABLE t ADD COLUMN n int;\n"
        "-- crossfade: data detach\n-- crossfade: undo DELETE FROM log; UPDATE t SET n = NULL\n"
        "WITH one AS (UPDATE t SET n = id RETURNING id) INSERT INTO log SELECT id FROM one;\n"
        "CREATE TABLE kind (name text); INSERT INTO kind VALUES ('x')",
    )
    base = look(world.admin)
    for stage, notes, n in ((Stage.EQUAL, ["none", "a"], None), (Stage.BASE, [None, "a"], None),
                            (Stage.HIDDEN, ["none", "a"], 2), (Stage.EQUAL, ["none", "a"], None),
                            (Stage.HIDDEN, ["none", "a"], 2)):  # fmt: skip
        world.go(stage)
        assert world.one("SELECT array_agg(note ORDER BY id) FROM t") == notes
        if stage is Stage.BASE:
            assert look(world.admin) == base
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
    base = look(world.admin)
    world.go(Stage.BOTH)
    assert world.one("SELECT 'a=>1'::hstore ? 'a'") is True
    world.go(Stage.BASE)
    assert look(world.admin) == base


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
