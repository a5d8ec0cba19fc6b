"""What a view needs and keeps: the right to point roles at it, the grants of its table, and who may not have one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from crossfade.model.errors import CrossfadeError, Exit
from crossfade.schema.catalog import read_catalog
from crossfade.schema.planning import PlanOptions, Source, plan_change

CHANGE = "ALTER TABLE orders RENAME reference TO code; ALTER TABLE orders ADD COLUMN kind text"


@pytest.fixture
def lanes(walk: Any) -> Iterator[dict[str, str]]:
    """Two roles, made by a superuser; shape -> role."""
    roles = {shape: f"{shape}_{secrets.token_hex(4)}" for shape in ("old", "new")}
    for role in roles.values():
        walk.home.ask(f"CREATE ROLE {role} LOGIN PASSWORD 'only for this test'")
        walk.home.ask(f"GRANT SELECT, INSERT, UPDATE ON orders TO {role}")
    yield roles
    for role in roles.values():
        walk.home.ask(f"DROP OWNED BY {role}; DROP ROLE {role}")


def planned(walk: Any) -> Any:
    with psycopg.connect(walk.home.admin_url) as connection:
        catalog = read_catalog(connection)
    change = plan_change("7.sql", [Source("7.sql", CHANGE)], catalog, PlanOptions(True, "new", "some"))
    return walk.but(change=change)


def may_point(walk: Any, lanes: dict[str, str]) -> None:
    walk.home.ask(f'ALTER ROLE "{walk.home.name}" CREATEROLE')
    if walk.home.ask("SHOW server_version_num")[0][0] >= "160000":
        for role in lanes.values():
            walk.home.ask(f'GRANT {role} TO "{walk.home.name}" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE')


def expanded(walk: Any, lanes: dict[str, str]) -> Any:
    """An engine that has expanded the change."""
    engine = walk.engine
    engine.lanes({role: shape for shape, role in lanes.items()})
    engine.expand(walk.change, "v7", lambda: True, lambda _text: None)
    return engine


def path_of(walk: Any, role: str) -> str:
    rest = walk.home.admin_url.split("@", 1)[1]
    with psycopg.connect(f"postgresql://{role}:only for this test@{rest}".replace(" ", "%20")) as connection:
        return str(connection.execute("SHOW search_path").fetchone()[0])


def test_without_the_right_to_point_roles_nothing_begins(walk: Any, lanes: dict[str, str]) -> None:
    one = planned(walk)
    version = int(walk.home.ask("SHOW server_version_num")[0][0])
    with pytest.raises(CrossfadeError) as caught:
        expanded(one, lanes)
    grant = f'ALTER ROLE "{walk.home.name}" CREATEROLE'
    if version >= 160000:
        grant += f'; GRANT "{lanes["new"]}" TO "{walk.home.name}" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE'
    assert caught.value.render() == (
        f"error[lane-path-not-ours]: the search path of {lanes['new']} cannot be set, so the new version would see the"
        " old shape; nothing was begun\n"
        f"  reason: {walk.home.name} may not alter that role\n"
        f"hint: {grant}"
    )
    assert caught.value.exit is Exit.NOT_MET
    assert walk.home.acts() == []
    walk.home.ask(grant)  # what is told is enough
    expanded(one, lanes)
    assert path_of(walk, lanes["new"]) == f'{one.change.shapes}, "$user", public'
    assert path_of(walk, lanes["old"]) == '"$user", public'


def test_a_hotfix_in_the_new_lanes_place_sees_the_old_shape_again(walk: Any, lanes: dict[str, str]) -> None:
    may_point(walk, lanes)
    new, old = lanes["new"], lanes["old"]
    walk.home.ask(f'ALTER ROLE {new} IN DATABASE "{walk.home.name}" SET search_path TO "Odd Schema", public')
    one = planned(walk)
    engine = expanded(one, lanes)
    assert path_of(walk, new) == f'{one.change.shapes}, "Odd Schema", public'
    engine.lanes({new: "old", old: "old"})
    assert path_of(walk, new) == '"Odd Schema", public'
    one.engine.lanes({new: "new", old: "old"})
    assert path_of(walk, new) == f'{one.change.shapes}, "Odd Schema", public'
    one.through("backfill", "detach", "attach", "undo")
    assert path_of(walk, new) == '"Odd Schema", public'
    assert walk.home.ask("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'crossfade_c%'") == [(0,)]


def test_the_views_have_the_grants_of_their_table_and_no_others(walk: Any, lanes: dict[str, str]) -> None:
    may_point(walk, lanes)
    new, old = lanes["new"], lanes["old"]
    home = walk.home
    home.ask(f"REVOKE ALL ON orders FROM {old}, {new}")
    home.ask(f"GRANT SELECT (id, reference), UPDATE (reference) ON orders TO {old}")
    home.ask(f"GRANT SELECT, INSERT ON orders TO {new} WITH GRANT OPTION")
    home.ask(f'ALTER DEFAULT PRIVILEGES FOR ROLE "{home.name}" GRANT ALL ON TABLES TO {old}')
    one = planned(walk)
    expanded(one, lanes)
    asked = """
        SELECT n.nspname = 'public', g.grantee::regrole::text, g.privilege_type, g.is_grantable FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) g
        WHERE c.relname = 'orders' AND g.grantee <> c.relowner
        UNION ALL SELECT n.nspname = 'public', g.grantee::regrole::text, g.privilege_type || ' ' || a.attname, false
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
        aclexplode(a.attacl) g WHERE c.relname = 'orders' ORDER BY 1, 2, 3"""
    to_new = [("INSERT", True), ("SELECT", True)]
    assert home.ask(asked) == [
        *((False, new, *right) for right in to_new),
        *((False, old, right, False) for right in ("SELECT code", "SELECT id", "UPDATE code")),
        *((True, new, *right) for right in to_new),
        *((True, old, right, False) for right in ("SELECT id", "SELECT reference", "UPDATE reference")),
    ]
    rest = home.admin_url.split("@", 1)[1]
    with psycopg.connect(f"postgresql://{old}:only%20for%20this%20test@{rest}", autocommit=True) as connection:
        connection.execute("UPDATE orders SET reference = 'x' WHERE id = 1 AND reference = 'r1'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT amount FROM orders")
    one.through("backfill", "detach", "purge")
    assert home.ask("SELECT code FROM orders WHERE id = 1") == [("x",)]
    home.ask(f'ALTER DEFAULT PRIVILEGES FOR ROLE "{home.name}" REVOKE ALL ON TABLES FROM {old}')


def test_what_hangs_on_a_tables_name_or_row_type_is_seen(walk: Any) -> None:
    home = walk.home
    with psycopg.connect(home.admin_url) as connection:
        connection.execute("""
            CREATE RULE quiet AS ON DELETE TO orders WHERE old.id < 0 DO INSTEAD NOTHING;
            CREATE FUNCTION whole(orders) RETURNS bigint LANGUAGE sql AS 'SELECT $1.id';
            CREATE TABLE kept (id int, before orders);
            CREATE VIEW listed AS SELECT id, reference FROM orders;
            CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN RAISE NOTICE ''%'', TG_TABLE_NAME; RETURN new; END';
            CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
            CREATE TRIGGER audited AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION audit();
            CREATE TRIGGER stamped BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
        """)
        catalog = read_catalog(connection)
    bound = catalog.tables["public", "orders"].bound
    assert list(bound) == [
        "column before of table public.kept",
        "function public.whole(public.orders)",
        "rule quiet",
        "trigger audited, whose function asks for the table's name",
    ]
    assert catalog.tables["public", "kept"].bound == ()
    with pytest.raises(CrossfadeError) as caught:
        plan_change("7.sql", [Source("7.sql", CHANGE)], catalog, PlanOptions(True, "new", "some"))
    assert caught.value.id == "star-queries-some"


def test_blockers_of_the_table_behind_are_seen_by_the_name_in_front(walk: Any, lanes: dict[str, str]) -> None:
    may_point(walk, lanes)
    one = planned(walk)
    expanded(one, lanes)
    one = one.but(settings=replace(one.settings, lock_tries_s=0.5))
    one.through("backfill")
    table = f'"{one.change.shapes}".orders'
    with walk.home.holding(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE"), pytest.raises(CrossfadeError) as caught:
        one.act("detach")
    assert caught.value.id == "schema-lock-not-granted"
    assert "the report, role" in caught.value.facts["blockers"]
    assert 'has RowExclusiveLock on "public"."orders"' in caught.value.facts["blockers"]
