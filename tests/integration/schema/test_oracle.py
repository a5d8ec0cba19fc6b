"""The oracle can fail: each defect that it is there for is planted in a change, walked, and found.

Given a change whose plan says less than its SQL does, or one database that is not as the other, when it is looked at,
then exactly that is told; and nothing is told of a change that is what it says.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest

from crossfade.model.change import Change, Unit
from crossfade.model.requirement import Staging
from crossfade.schema.oracle.differences import differences, read_schema
from crossfade.schema.oracle.rows import fill
from crossfade.schema.oracle.statements import RAN, broken, outcomes, statements_of
from crossfade.schema.oracle.witness import Witness, tables
from crossfade.walk.schema_engine import Where, catalog_at, engine_at

ORDERS = '"public"."orders"'


def _walked(home, clock, do: Sequence[str], locks: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the oracle says of a change of one unit; the engine walks it."""
    unit = Unit("expand:planted", "planted", do=do, undo=("SELECT 1",), locks=locks)
    change = Change(id="c0planted", name="planted.sql", base="", tables=("public.orders",), expand=(unit,))
    with psycopg.connect(home.admin_url) as connection:
        witness = Witness(tables(connection))
    where = Where(home.admin_url, "shop", Staging())
    engine_at(where, clock, witness=witness, fenced=False).expand(change, "v", lambda: True, lambda _: None)
    return [(one.kind, one.table) for one in witness.findings]


@pytest.mark.parametrize(
    ("statement", "declared", "told"),
    [
        ("ALTER TABLE public.orders ADD COLUMN note text", "ACCESS EXCLUSIVE", []),
        ("ALTER TABLE public.orders ADD COLUMN note text", "", ["undeclared"]),
        ("ALTER TABLE public.orders ADD COLUMN note text", "SHARE ROW EXCLUSIVE", ["undeclared"]),
        ("ALTER TABLE public.orders ALTER amount TYPE bigint", "ACCESS EXCLUSIVE", ["rewrite", "scan"]),
        ("ALTER TABLE public.orders ALTER reference SET NOT NULL", "ACCESS EXCLUSIVE", ["scan"]),
        ("CREATE INDEX planted ON public.orders (amount)", "SHARE", ["scan"]),
        ("ALTER TABLE public.orders ADD CHECK (amount >= 0)", "ACCESS EXCLUSIVE", ["scan"]),
        ("ALTER TABLE public.orders ADD CHECK (amount >= 0) NOT VALID", "ACCESS EXCLUSIVE", []),
    ],
)
def test_what_a_step_does_and_does_not_say_is_found(home, clock, statement, declared, told) -> None:
    locks = [(ORDERS, declared)] if declared else []
    assert _walked(home, clock, [statement], locks) == [(kind, ORDERS) for kind in told]


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        ("ALTER TABLE orders ALTER amount SET DEFAULT 7", "column public.orders.amount is "),
        ("CREATE INDEX planted ON orders (amount)", "class i public.planted is missing"),
        ("COMMENT ON COLUMN orders.amount IS 'cents'", "column public.orders.amount is "),
        ("GRANT SELECT ON orders TO PUBLIC", "class r public.orders is "),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "routine public.f() is missing"),
        ("CREATE TYPE mood AS ENUM ('good')", "enumeration public.mood is missing"),
        ("CREATE VIEW seen AS SELECT id FROM orders", "class v public.seen is missing"),
        ("CREATE SEQUENCE numbers OWNED BY orders.id", "class S public.numbers is missing"),
        (
            "ALTER TABLE orders ADD CHECK (amount > -1) NOT VALID",
            "constraint public.orders orders_amount_check is ",
        ),
        ("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "class r public.orders is "),
    ],
)
def test_a_schema_that_is_not_as_the_raw_sql_leaves_it_is_told(home, planted, told) -> None:
    with psycopg.connect(home.admin_url, autocommit=True) as connection:
        found = read_schema(connection)
        assert differences(found, read_schema(connection)) == []
        connection.execute(planted)
        lines = differences(found, read_schema(connection))
    assert any(line.startswith(told) for line in lines), lines


def test_a_statement_of_the_version_before_that_no_longer_runs_is_told(home, clock) -> None:
    said = statements_of(catalog_at(home.admin_url, clock), ["public.orders"])
    with psycopg.connect(home.admin_url, autocommit=True) as connection:
        before = outcomes(connection, said)
        assert list(before.values()).count(RAN) == 2  # the third gives a key twice, before and after
        connection.execute("ALTER TABLE orders ADD COLUMN note text NOT NULL DEFAULT ''")
        assert broken(before, outcomes(connection, said)) == []
        connection.execute("ALTER TABLE orders RENAME reference TO code")
        told = broken(before, outcomes(connection, said))
    assert len(told) == 2
    assert all("42703" in line for line in told), told


def test_every_table_gets_rows_that_its_rules_allow(home, clock) -> None:
    with psycopg.connect(home.admin_url, autocommit=True) as connection:
        connection.execute(
            """
            CREATE TYPE mood AS ENUM ('good', 'bad');
            CREATE DOMAIN cents AS int CHECK (VALUE >= 0);
            CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail varchar(9) NOT NULL UNIQUE,
                mood mood NOT NULL, owes cents NOT NULL, born date NOT NULL CHECK (born < '2025-01-01'));
            CREATE TABLE notes (id uuid PRIMARY KEY, person bigint NOT NULL REFERENCES people, tags text[] NOT NULL,
                data jsonb NOT NULL)
            """
        )
        assert fill(connection, catalog_at(home.admin_url, clock)) == []
        counts = connection.execute("SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM notes)").fetchone()
    assert counts is not None
    assert min(counts) >= 2
