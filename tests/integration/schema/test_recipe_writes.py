"""What single writes do while both shapes live: conflicts, values without counterpart, upserts, COPY, and odd names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from crossfade.model.change import Stage
from crossfade.schema.catalog import read_catalog

sys.path.insert(0, str(Path(__file__).parent))
from recipe_world import Recipe, World


def recipe(ddl: str, change: str, old: str, new: str, lanes: bool = True) -> Recipe:
    def as_is(row: Any, *_: Any) -> Any:
        return row

    columns = ({name: [] for name in names.split()} for names in (old, new))
    return Recipe("one", ddl, change, *columns, as_is, as_is, lanes=lanes)


RENAME = recipe(
    "CREATE TABLE t (id bigint PRIMARY KEY, reference text NOT NULL); CREATE UNIQUE INDEX t_reference ON t (reference)",
    "ALTER TABLE t RENAME reference TO code",
    "reference",
    "code",
)
CODES = recipe(
    "CREATE TABLE t (id bigint PRIMARY KEY, state text NOT NULL)",
    "ALTER TABLE t ADD COLUMN code int NOT NULL, DROP COLUMN state;\n"
    "-- crossfade: up t.code = CASE state WHEN 'open' THEN 1 WHEN 'shut' THEN 2 ELSE 0 END\n"
    "-- crossfade: down t.state = CASE code WHEN 1 THEN 'open' WHEN 2 THEN 'shut' ELSE 'unknown' END\n",
    "state",
    "code",
)


@pytest.fixture
def world_of(home: Any) -> Iterator[Any]:
    made: list[World] = []

    def make(recipe: Recipe, stage: Stage = Stage.EQUAL, policy: str = "", **given: Any) -> World:
        if policy:
            recipe = Recipe(**{**vars(recipe), "change": recipe.change + f"-- crossfade: partial t.code {policy}"})
        made.append(World(home, recipe, **given))
        made[-1].go(stage)
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(("wins", "value"), [("new", "from new"), ("old", "from old")])
def test_one_write_of_both_shapes_that_disagree_is_decided_and_recorded(world_of: Any, wins: str, value: str) -> None:
    world = world_of(RENAME, both_changed=wins)
    world.insert("old", 1, {"reference": "a"})
    world.old.execute("UPDATE t SET reference = 'from old', code = 'from new' WHERE id = 1")
    world.old.execute("INSERT INTO t (id, reference, code) VALUES (2, 'from old 2', 'from new 2')")
    assert world.rows("old") == {1: {"reference": value}, 2: {"reference": value + " 2"}}
    assert world.rows("new") == {1: {"code": value}, 2: {"code": value + " 2"}}
    assert world.noted() == [
        ("conflict", {"id": 1}, {"old": {"reference": "from old"}, "new": {"code": "from new"}}),
        ("conflict", {"id": 2}, {"old": {"reference": "from old 2"}, "new": {"code": "from new 2"}}),
    ]


def test_an_application_that_writes_both_shapes_alike_is_left_alone(world_of: Any) -> None:
    world = world_of(RENAME)
    world.new.execute("INSERT INTO t (id, reference, code) VALUES (1, 'a', 'a')")
    world.new.execute("UPDATE t SET reference = 'b', code = 'b'")
    assert world.rows("old") == {1: {"reference": "b"}}
    assert world.noted() == []


def test_a_value_without_counterpart_is_recorded_and_stays_until_the_old_version_writes(world_of: Any) -> None:
    world = world_of(CODES, policy="record")
    world.insert("old", 1, {"state": "open"})
    world.update("new", 1, {"code": 7})
    world.insert("new", 2, {"code": 8})
    assert world.rows("new") == {1: {"code": 7}, 2: {"code": 8}}
    assert world.rows("old") == {1: {"state": "unknown"}, 2: {"state": "unknown"}}
    assert world.noted() == [
        ("no counterpart", {"id": 1}, {"old": {"state": "unknown"}, "new": {"code": 7}}),
        ("no counterpart", {"id": 2}, {"old": {"state": "unknown"}, "new": {"code": 8}}),
    ]
    fill = world.change.backfill[0]
    assert world.one(f"SELECT count(*) FROM t WHERE {fill.differs}") == 0, "both shapes say what they can"
    assert world.one(f"SELECT count(*) FROM t WHERE {fill.unfilled}") == 0, "a fill that resumes leaves them alone"
    kept = world.change.undo_keeps[0]
    assert world.one(f"SELECT count(*) FROM t WHERE {kept.only_new}") == 2, "the way back knows what it would lose"
    world.go(Stage.HIDDEN)
    world.go(Stage.EQUAL)
    world.update("old", 1, {"state": "shut"})
    assert world.rows("new") == {1: {"code": 2}, 2: {"code": 8}}


def test_a_value_without_counterpart_is_rejected_where_that_was_said(world_of: Any) -> None:
    world = world_of(CODES, policy="reject")
    world.insert("new", 1, {"code": 2})
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        world.update("new", 1, {"code": 7})
    assert refused.value.diag.message_primary == (
        "the value of code in public.t has no counterpart in state, which the version before still reads"
    )
    assert (refused.value.diag.table_name, refused.value.diag.column_name) == ("t", "code")
    assert world.rows("old") == {1: {"state": "shut"}}


def test_upserts_copies_and_many_rows_at_once_of_either_version(world_of: Any) -> None:
    world = world_of(RENAME)
    world.old.execute("INSERT INTO t (id, reference) VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    world.new.execute("INSERT INTO t (id, code) VALUES (1, 'A') ON CONFLICT (id) DO UPDATE SET code = excluded.code")
    world.new.execute("INSERT INTO t (id, code) VALUES (9, 'b') ON CONFLICT (code) DO UPDATE SET code = 'B'")
    world.old.execute("INSERT INTO t (id, reference) VALUES (9, 'c') ON CONFLICT (reference) DO NOTHING")
    with world.old.cursor().copy("COPY t (id, reference) FROM STDIN") as copy:
        copy.write("4\td\n5\te\n")
    with world.new.cursor().copy("COPY t (id, code) FROM STDIN") as copy:
        copy.write("6\tf\n")
    found = world.new.execute("UPDATE t SET code = code || '!' WHERE id > 4 RETURNING id, code, reference").fetchall()
    assert sorted(found) == [(5, "e!", "e!"), (6, "f!", "f!")]
    values = {1: "A", 2: "B", 3: "c", 4: "d", 5: "e!", 6: "f!"}
    assert world.rows("old") == {id: {"reference": value} for id, value in values.items()}
    assert world.rows("new") == {id: {"code": value} for id, value in values.items()}


def test_a_column_the_old_version_reads_null_in_is_loosened_and_tightened_again(world_of: Any) -> None:
    ddl = "CREATE TABLE t (id bigint PRIMARY KEY, note text NOT NULL, x int)"
    world = world_of(
        recipe(ddl, "ALTER TABLE t DROP COLUMN note;\n-- crossfade: reads-null t.note", "note x", "x"), Stage.BASE
    )
    base = read_catalog(world.admin).fingerprint()
    world.insert("old", 1, {"note": "a", "x": 1})
    world.go(Stage.HIDDEN)
    world.insert("new", 2, {"x": 2})
    world.go(Stage.EQUAL)
    assert world.rows("old") == {1: {"note": "a", "x": 1}, 2: {"note": None, "x": 2}}
    assert world.one(f"SELECT count(*) FROM t WHERE {world.change.undo_keeps[0].only_new}") == 1
    world.go(Stage.BASE)
    with pytest.raises(psycopg.errors.CheckViolation):
        world.insert("old", 3, {"x": 3})
    world.old.execute("DELETE FROM t WHERE id = 2")
    world.admin.execute(f"ALTER TABLE t DROP CONSTRAINT cf_{world.change.id[1:7]}_t_note_not_null")
    world.admin.execute("ALTER TABLE t ALTER note SET NOT NULL")
    world.go(Stage.EQUAL)
    world.go(Stage.BASE)
    assert read_catalog(world.admin).fingerprint() == base


@pytest.mark.parametrize(
    ("old", "new", "beyond"),
    [
        ("varchar(3)", "text", "'abcd'"),
        ("varchar(3)", "varchar(9)", "'ab   '"),
        ("numeric(4,2)", "numeric(6,2)", "100.00"),
        ("numeric(4,2)", "numeric", "1.001"),
        ("numeric(4,2)", "numeric", "'Infinity'"),
        ("cidr", "inet", "'10.0.0.1/8'"),
        ("timestamp(0)", "timestamp(3)", "'2026-01-01 00:00:00.5'"),
        ("time(0)", "time", "'00:00:00.5'"),
        ("interval(0)", "interval", "'0.5 s'"),
        ("varbit(2)", "varbit", "B'101'"),
    ],
)
def test_a_wider_type_goes_there_and_back_and_stays_where_a_value_needs_it(
    world_of: Any, old: str, new: str, beyond: str
) -> None:
    ddl = f"CREATE TABLE t (id bigint PRIMARY KEY, c {old}); CREATE INDEX ON t (c)"
    change = f"ALTER TABLE t ALTER COLUMN c TYPE {new};\n-- crossfade: retype t.c"
    world = world_of(recipe(ddl, change, "c", "c"), Stage.BASE)
    base = read_catalog(world.admin).fingerprint()
    files = "SELECT array_agg(pg_relation_filenode(oid) ORDER BY oid) FROM pg_class WHERE relname ~ '^t(_|$)'"
    before = world.one(files)
    world.go(Stage.EQUAL)
    assert world.one(files) == before, "nothing was written anew"
    assert read_catalog(world.admin).fingerprint() == world.raw.fingerprint()
    world.go(Stage.BASE)
    assert read_catalog(world.admin).fingerprint() == base
    world.go(Stage.EQUAL)
    world.admin.execute(f"INSERT INTO t VALUES (1, {beyond})")
    world.go(Stage.BASE)
    assert read_catalog(world.admin).fingerprint() == world.raw.fingerprint(), "the wider type stays"
    assert world.one(f"SELECT c::text = ({beyond}::{new})::text FROM t") is True, "and so does the value"
    world.admin.execute("DELETE FROM t")
    world.go(Stage.GONE)
    assert read_catalog(world.admin).fingerprint() == world.raw.fingerprint()


def test_a_large_table_keeps_its_wider_type_on_the_way_back(world_of: Any) -> None:
    change = "ALTER TABLE t ALTER COLUMN c TYPE text;\n-- crossfade: retype t.c"
    world = world_of(recipe("CREATE TABLE t (id bigint PRIMARY KEY, c varchar(99))", change, "c", "c"), Stage.BOTH)
    world.admin.execute("INSERT INTO t SELECT i, repeat('x', 99) FROM generate_series(1, 9000) i")
    world.go(Stage.BASE)
    assert read_catalog(world.admin).fingerprint() == world.raw.fingerprint()


@pytest.mark.parametrize("type", ["serial", "bigserial", "int GENERATED BY DEFAULT AS IDENTITY",
                                  "bigint GENERATED ALWAYS AS IDENTITY"])  # fmt: skip
def test_a_numbered_column_counts_on_through_each_stage_there_and_back(world_of: Any, type: str) -> None:
    world = world_of(
        recipe("CREATE TABLE t (id bigint PRIMARY KEY)", f"ALTER TABLE t ADD COLUMN n {type}", "id", "id n"), Stage.BASE
    )
    base, ids = read_catalog(world.admin).fingerprint(), iter(range(1, 1000))
    for _ in range(20):
        world.insert("old", next(ids), {})
    for stage in (Stage.BOTH, Stage.EQUAL, Stage.HIDDEN, Stage.EQUAL, Stage.HIDDEN, Stage.BASE, Stage.HIDDEN):
        world.go(stage)
        for shape in ("old", "new"):
            if world.live(shape):
                world.insert(shape, next(ids), {})
        if stage is Stage.BASE:
            assert read_catalog(world.admin).fingerprint() == base
        elif stage is not Stage.BOTH:
            assert world.one("SELECT count(DISTINCT n) = count(*) FROM t") is True
            assert world.one("SELECT n = max(n) OVER () FROM t ORDER BY id DESC LIMIT 1") is True
    world.go(Stage.GONE)
    assert read_catalog(world.admin).fingerprint() == world.raw.fingerprint()
    world.insert("new", next(ids), {})
    assert world.one("SELECT count(DISTINCT n) = count(*) FROM t") is True
    assert world.one("SELECT string_agg(sequencename, ', ') FROM pg_sequences WHERE schemaname = 'public'") == "t_n_seq"


def test_a_virtual_column_comes_and_goes_where_postgresql_has_it(world_of: Any, home: Any) -> None:
    change = "ALTER TABLE t ADD COLUMN n text GENERATED ALWAYS AS (upper(note)) VIRTUAL"
    ddl = "CREATE TABLE t (id bigint PRIMARY KEY, note text)"
    if home.ask("SELECT current_setting('server_version_num')::int")[0][0] < 180000:
        pytest.skip("PostgreSQL 15 has no virtual columns")
    world = world_of(recipe(ddl, change, "note", "note n"), Stage.BASE)
    base = read_catalog(world.admin).fingerprint()
    world.insert("old", 1, {"note": "a"})
    world.go(Stage.BOTH)
    world.insert("old", 2, {"note": "b"})
    assert world.rows("new") == {1: {"note": "a", "n": "A"}, 2: {"note": "b", "n": "B"}}
    world.go(Stage.BASE)
    assert read_catalog(world.admin).fingerprint() == base
    world.go(Stage.GONE)
    assert read_catalog(world.admin).fingerprint() == world.raw.fingerprint()


def test_the_new_version_writes_between_the_end_of_sync_and_the_drop(world_of: Any) -> None:
    world = world_of(RENAME, Stage.HIDDEN)
    sync, drop = world.change.purge
    world.run(sync, sync.do)
    world.insert("new", 1, {"code": "a"})
    world.run(drop, drop.do)
    assert world.rows("new") == {1: {"code": "a"}}
    assert read_catalog(world.admin).fingerprint() == world.raw.fingerprint()


def test_who_wrote_a_row_that_names_no_mapped_column_is_asked_of_the_lane(world_of: Any) -> None:
    ddl = "CREATE TABLE t (id bigint PRIMARY KEY, cents int DEFAULT 5)"
    change = (
        "ALTER TABLE t ADD COLUMN price numeric DEFAULT 9, DROP COLUMN cents;\n"
        "-- crossfade: up t.price = cents / 100.0\n-- crossfade: down t.cents = (price * 100)::int"
    )
    world = world_of(recipe(ddl, change, "cents", "price"))
    world.insert("old", 1, {})
    world.insert("new", 2, {})
    world.insert("old", 3, {"cents": None})
    world.insert("new", 4, {"price": None})
    assert world.rows("old") == {1: {"cents": 5}, 2: {"cents": 900}, 3: {"cents": None}, 4: {"cents": None}}
    assert world.rows("new")[1]["price"] == Decimal("0.05")
    assert world.rows("new")[2]["price"] == 9


def test_names_that_need_quoting_and_triggers_of_the_users_own(world_of: Any) -> None:
    ddl = (
        'CREATE TABLE t (id bigint PRIMARY KEY, "select" text, "Ü ""x" text);'
        'CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new."select" := upper(new."select");'
        ' RETURN new; END $$; CREATE TRIGGER "~~own" BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION up()'
    )
    change = 'ALTER TABLE t RENAME "select" TO "new"; ALTER TABLE t RENAME "Ü ""x" TO "$crossfade$"'
    one = recipe(ddl, change, "select", "new")
    world = world_of(Recipe(**{**vars(one), "old": {"select": [], 'Ü "x': []}, "new": {"new": [], "$crossfade$": []}}))
    world.insert("old", 1, {"select": "a", 'Ü "x': "b"})
    world.insert("new", 2, {"new": "a", "$crossfade$": "b"})
    world.update("old", 1, {"select": "c"})
    assert world.rows("new") == {1: {"new": "C", "$crossfade$": "b"}, 2: {"new": "a", "$crossfade$": "b"}}
    assert world.rows("old")[1] == {"select": "C", 'Ü "x': "b"}
    assert any("triggers fire for each row" in note for note in world.change.notes)


def test_a_table_with_its_parts_and_a_row_of_the_migration_tool_come_and_go(world_of: Any) -> None:
    ddl = "CREATE TABLE t (id bigint PRIMARY KEY, x int); CREATE TABLE alembic_version (version_num text PRIMARY KEY);"
    change = (
        "CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t_id bigint REFERENCES t, name text);"
        "CREATE INDEX CONCURRENTLY items_name ON items (name); COMMENT ON TABLE items IS 'parts';"
        "INSERT INTO items (name) VALUES ('first');"
        "INSERT INTO alembic_version (version_num) VALUES ('b')"
    )
    world = world_of(recipe(ddl, change, "x", "x"), Stage.EQUAL)
    assert world.one("SELECT name FROM items") == "first"
    assert world.one("SELECT version_num FROM alembic_version") == "b"
    world.go(Stage.BASE)
    assert world.one("SELECT count(*) FROM alembic_version") == 0
    assert read_catalog(world.admin).fingerprint() == world.base.fingerprint()
    world.go(Stage.GONE)
    assert read_catalog(world.admin).fingerprint() == world.raw.fingerprint()


def test_a_change_of_case_alone_goes_over_under_a_collation_that_does_not_see_it(world_of: Any, home: Any) -> None:
    home.ask("CREATE EXTENSION citext")
    ddl = "CREATE TABLE t (id bigint PRIMARY KEY, reference public.citext NOT NULL)"
    change = (
        "ALTER TABLE t ADD COLUMN code public.citext NOT NULL, DROP COLUMN reference;\n"
        "-- crossfade: up t.code = reference || '!'\n-- crossfade: down t.reference = left(code::text, -1)"
    )
    world = world_of(recipe(ddl, change, "reference", "code"))
    world.insert("old", 1, {"reference": "a"})
    world.update("old", 1, {"reference": "A"})
    assert world.rows("new") == {1: {"code": "A!"}}
    world.update("new", 1, {"code": "a!"})
    assert world.rows("old") == {1: {"reference": "a"}}
    assert world.noted() == []
