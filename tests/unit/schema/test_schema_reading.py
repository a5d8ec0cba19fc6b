"""Reading SQL text: statements with their lines, annotations, and expressions rewritten as trees."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.schema.annotations import read_annotations
from crossfade.schema.expressions import Reader, read_text
from crossfade.schema.naming import hidden, literal, quote, short, sync_trigger
from crossfade.schema.parser import Source, read_sources

sys.path.insert(0, str(Path(__file__).parent))
from schema_values import catalog, plan


def test_statements_come_with_their_file_and_line() -> None:
    text = (
        "BEGIN;\n-- first\n/* and\n more */ ALTER TABLE é ADD x int;\n\nSET x = 1; SET CONSTRAINTS ALL IMMEDIATE;"
        " UPDATE alembic_version SET version_num = 'b';\n"
    )
    script = read_sources([Source("a.sql", text), Source("b.sql", "DROP TABLE t; COMMIT")])
    assert [(one.kind, one.where) for one in script.statements] == [
        ("alter_table_stmt", "a.sql:4"),
        ("drop_stmt", "b.sql:1"),
    ]
    assert [one.where for one in script.version_rows] == ["a.sql:6"]


@pytest.mark.parametrize(
    "table",
    ["alembic_version", "alembic_version_shop", "django_migrations", "_prisma_migrations", "flyway_schema_history",
     "__diesel_schema_migrations", "schema_migrations"],
)  # fmt: skip
def test_rows_of_a_migration_tool_are_known_by_its_table(table: str) -> None:
    script = read_sources([Source("a.sql", f"INSERT INTO {table} VALUES ('x'); DELETE FROM orders")])
    assert len(script.version_rows) == 1
    assert len(script.statements) == 1


def test_annotations_are_comments_alone() -> None:
    text = (
        'SELECT \'-- crossfade: up a.b = 1\', $$\n-- crossfade: up a.b = 2\n$$ -- crossfade: up "A"."b = c" = x = y\n;'
        "/* -- crossfade: up a.b = 3 */ --crossfade:reads-null public.a.b\n-- crossfade: partial a.b  record"
    )
    read = read_annotations(read_sources([Source("a.sql", text)]).comments)
    assert [(one.verb, one.schema, one.table, one.column, one.expression, str(one.policy)) for one in read] == [
        ("up", "", "A", "b = c", "x = y", ""),
        ("reads-null", "public", "a", "b", "", ""),
        ("partial", "", "a", "b", "", "record"),
    ]


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("reference", "new.cf"),
        ("reference || 'reference'", "new.cf || 'reference'"),
        ('orders.reference || public.orders."Ref""x"', 'new.cf || new."Ref""x"'),
        ("reference_id::text || references_", "new.reference_id::text || new.references_"),
        ('"select" || upper(reference)', 'new."select" || pg_catalog.upper(new.cf)'),
        ("reference::varchar(3) COLLATE \"C\"", "new.cf::varchar(3) COLLATE \"C\""),
        ("CASE reference WHEN 'a' THEN 1 ELSE 2 END", "CASE new.cf WHEN 'a' THEN 1 ELSE 2 END"),
        ("COALESCE(reference, 'x') = ANY (ARRAY[reference])", "COALESCE(new.cf, 'x') = ANY(ARRAY[new.cf])"),
        ("NOT (reference LIKE 'a%' OR reference IS NULL)", "NOT (new.cf LIKE 'a%' OR new.cf IS NULL)"),
        ("(reference || 'a') || reference", "(new.cf || 'a') || new.cf"),
        ("reference OPERATOR(pg_catalog.||) 'x'", "new.cf OPERATOR(pg_catalog.||) 'x'"),
        ("public.slug(reference)", "public.slug(new.cf)"),
        ("E'\\\\n' || reference", "E'\\\\n' || new.cf"),
    ],
)  # fmt: skip
def test_columns_are_replaced_in_the_tree_and_nowhere_else(text: str, rewritten: str) -> None:
    names = {"reference", "reference_id", "references_", "select", 'Ref"x'}
    reader = Reader(catalog(), "public", "orders", names)
    assert read_text(text, reader, "a.sql:1").render("new", {"reference": "cf"}) == rewritten


def test_an_expression_knows_whether_nulls_pass() -> None:
    reader = Reader(catalog(), "public", "orders", {"a", "b"})
    strict = ["a", "upper(a)", "a || 'x'", "(a::int + 1)::text", "left(upper(b), 2)", 'a COLLATE "C"']
    lax = ["coalesce(a, 'x')", "'x'", "CASE WHEN a = 'x' THEN 1 END", "a IS NULL", "a IS DISTINCT FROM b"]
    assert [text for text in strict if not read_text(text, reader, "").nulls_pass] == []
    assert [text for text in lax if read_text(text, reader, "").nulls_pass] == []


def test_names_fit_and_never_meet() -> None:
    assert quote('a"b') == '"a""b"'
    assert literal("it's \\") == "E'it''s \\\\'"
    long = "ü" * 40
    assert len(short(long).encode()) <= 63
    assert short(long) != short(long + "x")
    assert hidden("c0123456789ab", "reference") == "cf_012345_reference"
    assert sync_trigger("c1", "insert", ("audit", "~")) == "~crossfade_c1_insert"
    assert sync_trigger("c1", "insert", ("audit", "~~~last", "élan")) == "élan~c1_insert"


def test_the_same_thing_twice_is_once_where_it_may_be_there_already() -> None:
    twice = "CREATE EXTENSION IF NOT EXISTS hstore; ALTER TYPE mood ADD VALUE IF NOT EXISTS 'odd';"
    assert [unit.key for unit in plan(twice * 2).expand] == ["extension:hstore", "value:public.mood:odd"]
    with pytest.raises(CrossfadeError) as refused:
        plan("ALTER TYPE mood ADD VALUE 'odd'; ALTER TYPE mood ADD VALUE 'odd'")
    assert refused.value.render() == (
        "error[schema-not-staged]: 7.sql:1: creating value odd of public.mood has no safe form yet\n"
        "  reason: there is one already, and the old version may count on it as it is\n"
        "hint: take another name, and drop the old one in a later release"
    )


def test_a_name_that_postgresql_chooses_tells_the_included_columns_too() -> None:
    change = plan("ALTER TABLE orders ADD UNIQUE (id) INCLUDE (note); CREATE INDEX ON orders (state) INCLUDE (note)")
    assert [unit.key for unit in (*change.expand, *change.detach)] == [
        "index:public.orders_state_note_idx",
        "index:public.orders_id_note_key",
        "hide:public.orders",
    ]
