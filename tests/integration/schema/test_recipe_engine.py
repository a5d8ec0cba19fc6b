"""A planned change on the real engine: there and back it leaves the schema as it was, to the end as by the raw SQL."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from crossfade.schema.catalog import Catalog, read_catalog
from crossfade.schema.planning import PlanOptions, Source, plan_change

CHANGE = """
BEGIN;
ALTER TABLE orders RENAME COLUMN reference TO code;
ALTER TABLE orders DROP COLUMN amount;
ALTER TABLE orders ADD COLUMN kind text;
UPDATE orders SET kind = left(code, 1) WHERE kind IS NULL;
ALTER TABLE orders ALTER COLUMN kind SET NOT NULL;
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders);
CREATE INDEX items_order ON items (order_id);
CREATE INDEX orders_kind ON orders (kind);
CREATE UNIQUE INDEX orders_code ON orders (code);
INSERT INTO alembic_version VALUES ('7');
COMMIT;
-- crossfade: reads-null orders.amount
"""


def look(home: Any) -> Catalog:
    with psycopg.connect(home.admin_url) as connection:
        return read_catalog(connection)


@pytest.fixture
def planned(walk: Any) -> Any:
    """The walk of a change that was planned against the database it walks on, and what the raw SQL makes of it."""
    home = walk.home
    home.ask("CREATE TABLE alembic_version (version_num text PRIMARY KEY)")
    home.ask(f'ALTER TABLE alembic_version OWNER TO "{home.name}"')
    before = look(home)
    with psycopg.connect(home.admin_url) as connection:
        connection.execute(CHANGE.replace("BEGIN;", "").replace("COMMIT;", ""))
        raw = read_catalog(connection)
        connection.rollback()
    change = plan_change("7.sql", [Source("7.sql", CHANGE)], before, PlanOptions(True, "new", "none"))
    return walk.but(change=change), before, raw


def test_there_and_back_leaves_the_schema_as_it_was(planned: Any) -> None:
    walk, before, _ = planned
    walk.through("expand", "backfill", "record", "detach")
    assert walk.where() == "old shape hidden"
    walk.home.ask("INSERT INTO orders (id, code, kind) VALUES (2000, 'new', 'own')")
    walk.through("attach")
    walk.home.ask("UPDATE orders SET reference = 'x' || reference, amount = 7 WHERE id > 1999")
    assert walk.home.ask("SELECT reference, amount, code, kind FROM orders WHERE id = 2000") == [
        ("xnew", 7, "xnew", "own")
    ]
    walk.through("undo")
    assert look(walk.home).fingerprint() == before.fingerprint()
    assert walk.home.ask("SELECT id, reference, amount FROM orders WHERE id > 999 ORDER BY id") == [
        (1000, "r1000", 0),
        (2000, "xnew", 7),
    ]


def test_to_the_end_is_what_the_raw_sql_gives(planned: Any) -> None:
    walk, _, raw = planned
    walk.through("expand", "backfill", "record", "detach", "purge")
    assert look(walk.home).fingerprint() == raw.fingerprint()
    assert walk.home.ask("SELECT count(*), min(code), min(kind) FROM orders") == [(1000, "r1", "r")]
    assert walk.home.ask("SELECT version_num FROM alembic_version") == [("7",)]
    (kept,) = [one for one in walk.change.purge_keeps if "amount" in one.columns[0]]
    assert walk.home.ask(f"SELECT count(*) FROM {kept.attic}") == [(1000,)]


def test_a_later_change_of_another_table_is_not_held_up_by_a_hidden_shape(planned: Any) -> None:
    walk, _, _ = planned
    walk.through("expand", "backfill", "detach")
    sql = "ALTER TABLE alembic_version ADD COLUMN note text"
    later = plan_change("8.sql", [Source("8.sql", sql)], look(walk.home), PlanOptions(True, "new", "none"))
    assert later.tables == ("public.alembic_version",)


BESIDE = """
CREATE TYPE mood AS ENUM ('fine');
CREATE SEQUENCE numbers;
CREATE FUNCTION shout(x text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper(x) $$;
CREATE OR REPLACE FUNCTION total() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM orders; $$;
ALTER TABLE orders ADD COLUMN n serial, ADD COLUMN m bigint GENERATED ALWAYS AS IDENTITY, ADD COLUMN mood mood;
ALTER TABLE orders ADD COLUMN number bigint DEFAULT nextval('numbers');
ALTER SEQUENCE numbers OWNED BY orders.number;
ALTER TABLE orders ALTER COLUMN reference TYPE varchar;
-- crossfade: retype orders.reference
CREATE VIEW seen AS SELECT id, n, mood FROM orders;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS many FROM orders;
DROP VIEW old_orders;
-- crossfade: data detach
-- crossfade: undo UPDATE orders SET mood = NULL
UPDATE orders SET mood = 'fine' WHERE id < 10;
"""


@pytest.fixture
def beside(walk: Any) -> Any:
    """The walk of a change of what stands beside the tables."""
    home = walk.home
    home.ask("CREATE VIEW old_orders AS SELECT id FROM orders")
    home.ask("CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'")
    for what in ("VIEW old_orders", "FUNCTION total()"):
        home.ask(f'ALTER {what} OWNER TO "{home.name}"')
    before = look(home)
    with psycopg.connect(home.admin_url) as connection:
        connection.execute(BESIDE)
        raw = read_catalog(connection)
        connection.rollback()
    change = plan_change("9.sql", [Source("9.sql", BESIDE)], before, PlanOptions(True, "new", "none"))
    return walk.but(change=change), before, raw


def test_things_beside_the_tables_there_and_back_leave_the_schema_as_it_was(beside: Any) -> None:
    walk, before, _ = beside
    walk.through("expand", "backfill", "detach")
    assert walk.home.ask("SELECT total(), count(mood), count(DISTINCT n), count(DISTINCT m) FROM orders") == [
        (1000, 9, 1000, 1000)
    ]
    walk.through("attach")
    assert walk.home.ask("SELECT total(), count(mood), (SELECT count(*) FROM old_orders) FROM orders") == [(0, 0, 1000)]
    walk.through("undo")
    assert look(walk.home) == before
    walk.through("expand", "backfill", "detach", "attach", "undo")
    assert look(walk.home) == before, "the attic has the type of the first round, and of the second"


def test_things_beside_the_tables_to_the_end_are_what_the_raw_sql_gives(beside: Any) -> None:
    walk, _, raw = beside
    walk.through("expand", "backfill", "detach", "purge")
    assert look(walk.home).fingerprint() == raw.fingerprint()


def test_writes_to_what_stays_do_not_stop_a_purge(planned: Any) -> None:
    walk, _, raw = planned
    walk.through("expand", "backfill", "record", "detach")
    walk.home.ask("UPDATE orders SET code = 'before' WHERE id = 1")

    def write(unit: str) -> None:
        if unit.startswith("keep:"):  # copied, and not yet looked at again
            walk.home.ask("UPDATE orders SET code = 'meanwhile ' || id WHERE id IN (2, 3)")

    walk.but(before_row=write).act("purge")
    assert look(walk.home).fingerprint() == raw.fingerprint()
    assert walk.home.ask("SELECT count(*) FROM orders WHERE code LIKE 'meanwhile _'") == [(2,)]
