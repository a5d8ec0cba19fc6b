"""The whole plan of each recipe, to the letter: what is read before an empty line, what would be run after it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crossfade.model.change import Change
from crossfade.model.errors import CrossfadeError
from crossfade.plan.show_change import change_lines
from crossfade.schema.planning import PlanOptions, Source, change_id, plan_change

sys.path.insert(0, str(Path(__file__).parent))
from schema_values import catalog, plan, script

PLANS = sorted((Path(__file__).parent / "plans").glob("*.txt"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_plan_of_a_recipe(path: Path) -> None:
    sql, expected = path.read_text().split("\n\n", 1)
    change = plan(sql, stars="some" if path.stem.startswith("views_") else "none")
    assert script(change) == expected
    assert Change.from_json(json.loads(json.dumps(change.to_json()))) == change


def test_the_id_is_of_the_net_change_alone() -> None:
    one = change_id([Source("a.sql", "ALTER TABLE orders ADD COLUMN x int; -- why\n\n-- crossfade: up orders.x=1")])
    text = (
        "-- crossfade:  up  orders.x =  1\nBEGIN;\nalter table orders\n  add x INTEGER;\nSET lock_timeout = 1; COMMIT"
    )
    assert change_id([Source("b.sql", text)]) == one
    split = [Source("1.sql", "alter table orders add x int"), Source("2.sql", "-- crossfade: up orders.x = 1")]
    assert change_id(split) == one
    assert change_id([Source("a.sql", "ALTER TABLE orders ADD COLUMN y int")]) != one
    assert len(one) == 13
    assert one.startswith("c")


def test_statements_sum_up_to_one_net_change() -> None:
    sql = (
        "ALTER TABLE orders ADD COLUMN a int DEFAULT 1; ALTER TABLE orders RENAME COLUMN a TO b;"
        "ALTER TABLE orders ALTER COLUMN b SET DEFAULT 2, ALTER COLUMN b SET NOT NULL;"
        "ALTER TABLE orders ADD COLUMN c int; ALTER TABLE orders DROP COLUMN c;"
        "ALTER TABLE orders ADD IF NOT EXISTS b int;"
        "ALTER TABLE orders RENAME note TO memo; ALTER TABLE orders RENAME memo TO note;"
        "ALTER TABLE orders RENAME note TO memo; ALTER TABLE orders DROP memo;"
        "ALTER TABLE orders DROP IF EXISTS nothing"
    )
    change = plan(sql)
    assert [unit.says for unit in change.expand] == ["add column b"]
    assert list(change.expand[0].do) == [
        'ALTER TABLE "public"."orders" ADD COLUMN "b" int DEFAULT 1 NOT NULL',
        'ALTER TABLE "public"."orders" ALTER COLUMN "b" SET DEFAULT 2',
    ]
    assert change.detach[0].says == "hide note"


def test_several_operations_on_a_table_are_one_unit_one_trigger_pair_and_one_fill() -> None:
    change = plan(
        "ALTER TABLE orders RENAME reference TO code; ALTER TABLE orders ADD COLUMN kind text NOT NULL;"
        "ALTER TABLE held ADD COLUMN n int; ALTER TABLE log DROP COLUMN line;\n"
        "-- crossfade: up orders.kind = left(reference, 1)"
    )
    assert [unit.key for unit in change.expand] == ["expand:public.held", "expand:public.orders"]
    assert sum("CREATE TRIGGER" in statement for unit in change.expand for statement in unit.do) == 2
    assert [fill.key for fill in change.backfill] == ["backfill:public.orders"]
    assert change.tables == ("public.held", "public.log", "public.orders")
    assert change.base == catalog().fingerprint()
    assert "public.log has no primary key: whole rows are recorded and kept where a key would do" in change.notes


def test_a_new_column_may_be_filled_in_the_words_of_after_a_rename() -> None:
    change = plan(
        "ALTER TABLE orders RENAME reference TO code; ALTER TABLE orders ADD COLUMN kind text NOT NULL;"
        "UPDATE orders SET kind = left(code, 1)"
    )
    assert ('"kind"', 'COALESCE("kind", pg_catalog."left"(reference, 1))') in change.backfill[0].assignments


def test_no_unit_changes_what_whole_rows_are_where_views_keep_them_and_the_plan_says_so() -> None:
    sql = "ALTER TABLE orders ADD COLUMN x int; ALTER TABLE log DROP COLUMN line; CREATE TABLE fresh (id int)"
    change = plan(sql, stars="some")
    assert change.retypes() == {}
    assert change.shapes == f"crossfade_{change.id}"
    told = "\n".join(change_lines(change, "some"))
    assert 'ACCESS EXCLUSIVE on "public"."orders"; SELECT * is kept stable by a view' in told
    assert "SELECT * changes" not in told
    assert [note for note in change.notes if "view" in note] == [
        f"public.{table} is a view from expand to purge, so these fail there: ON CONFLICT ON CONSTRAINT, TRUNCATE,"
        " COPY by name, ctid and xmin, TABLESAMPLE, GROUP BY its key with other columns beside, WHERE CURRENT OF,"
        " pg_get_serial_sequence, and MERGE before PostgreSQL 17"
        for table in ("log", "orders")
    ]
    assert plan("CREATE INDEX i ON orders (note)", stars="some").shapes == ""


def test_the_version_that_wins_is_the_stated_one() -> None:
    both = 'AND (new."reference" IS NOT NULL) THEN\n'
    texts = {}
    for wins in ("new", "old"):
        function = next(
            text
            for text in plan("ALTER TABLE orders RENAME reference TO code", both_changed=wins).expand[0].do
            if "insert" in text
        )
        texts[wins] = function.split(both)[1].split("\n")[1].strip()
    assert texts == {"new": 'new."reference" := new.code;', "old": 'new."code" := new.reference;'}


def test_what_the_old_shape_still_demands_and_what_hangs_on_the_session_is_said() -> None:
    notes = plan(
        "ALTER TABLE orders ADD COLUMN code text NOT NULL, DROP COLUMN reference;\n"
        "-- crossfade: up orders.code = to_char(length(reference), '9')\n-- crossfade: down orders.reference = code"
    ).notes
    assert list(notes) == [
        "public.orders: depends on session settings, which must be alike in both versions:"
        " pg_catalog.to_char(pg_catalog.length(reference), '9')",
        "public.orders: until the purge, what the new version writes is held to the old shape's, too: orders_check",
    ]


def test_versions_that_share_a_role_are_told_what_a_write_cannot_tell() -> None:
    one = plan("ALTER TABLE orders ADD COLUMN c text NOT NULL;\n-- crossfade: up orders.c = reference", lanes=False)
    two = plan(
        "ALTER TABLE orders DROP COLUMN reference;\n-- crossfade: down orders.reference = upper(state)",
        lanes=False,
    )
    assert [change.notes[0] for change in (one, two)] == [
        "public.orders: the versions share a role, so c follows reference whoever changes them, as long as it was what"
        " they say",
        "public.orders: the versions share a role, so reference follows state whoever changes them, as long as it was"
        " what they say",
    ]


@pytest.mark.parametrize("named", ["slug(note)", "note::mood"])
def test_what_stands_along_the_search_path_is_named_with_its_schema(named: str) -> None:
    sql = "ALTER TABLE orders ADD COLUMN c text NOT NULL;\n-- crossfade: up orders.c = "
    bare, whole = plan(sql + named), plan(sql + named.replace("slug", "public.slug").replace("mood", "public.mood"))
    assert [fill.assignments for fill in bare.backfill] == [fill.assignments for fill in whole.backfill]
    assert "public." in str(bare.backfill[0].assignments)


def test_a_function_whose_body_names_more_than_a_trigger_finds_is_refused() -> None:
    body = "CREATE OR REPLACE FUNCTION public.slug(text)\n RETURNS text\nAS $$SELECT note FROM orders$$"
    known = replace(catalog(), routines={"public.slug(text)": body})
    source = Source(
        "7.sql", "ALTER TABLE orders ADD COLUMN kind text NOT NULL;\n-- crossfade: up orders.kind = slug(note)"
    )
    with pytest.raises(CrossfadeError) as refused:
        plan_change("7.sql", [source], known, PlanOptions(True, star_queries="none"))
    assert "slug names orders, which a trigger does not find without its schema" in str(refused.value.facts["reason"])
    with_path = {"public.slug(text)": body.replace("AS $$", " SET search_path TO 'public'\nAS $$")}
    assert plan_change(
        "7.sql", [source], replace(known, routines=with_path), PlanOptions(True, star_queries="none")
    ).backfill


def test_an_index_that_is_made_anew_under_its_name_is_not_refused_twice_over() -> None:
    change = plan(
        "DROP INDEX orders_reference; CREATE INDEX IF NOT EXISTS orders_reference ON orders (reference, note);"
        "DROP INDEX orders_reference; CREATE INDEX orders_reference ON orders (note);"
        "ALTER INDEX orders_reference RENAME TO other"
    )
    assert [unit.key for unit in change.expand] == ["index:public.other"]
    assert not change.detach


def test_of_two_comments_the_last_one_stands() -> None:
    change = plan("COMMENT ON TYPE mood IS 'a'; COMMENT ON TYPE mood IS 'b'")
    said = [statement for unit in change.purge for statement in unit.do if statement.startswith("COMMENT")]
    assert said == ["COMMENT ON TYPE mood IS 'b'"]
