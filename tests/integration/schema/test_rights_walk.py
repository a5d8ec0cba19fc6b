"""A whole change, there, back and to its end, by ordinary roles alone; lanes write meanwhile, also behind PgBouncer."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from crossfade.embedded.postgres import Cluster
from crossfade.journal.install import install
from crossfade.model.change import Change
from crossfade.model.requirement import Staging
from crossfade.schema.backfill import Filler
from crossfade.schema.catalog import read_catalog
from crossfade.schema.engine import PostgresSchemaEngine
from crossfade.schema.planning import PlanOptions, Source, plan_change

sys.path.insert(0, str(Path(__file__).parent))
from pgbouncer import needs_pgbouncer
from team import RealClock, Team, team_of

LANES = ("shop_left", "shop_right")
ROWS = 2000
SQL = """
ALTER TABLE orders RENAME COLUMN reference TO code;
ALTER TABLE orders ADD COLUMN note text;
CREATE UNIQUE INDEX CONCURRENTLY orders_code ON orders (code);
CREATE TABLE lines (id bigint PRIMARY KEY, says text);
"""


@pytest.fixture(params=[False, True], ids=["ordinary", "pg_monitor"])
def team(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Team]:
    with team_of(cluster, seeing=request.param) as made:
        with made.admin() as admin:
            install(admin)
            admin.execute("INSERT INTO crossfade.lease VALUES ('shop', 'us', 'here', 1, 1, now(), now() + '1 day')")
            admin.execute("INSERT INTO orders (reference) SELECT 'r' || n FROM generate_series(1, %s) AS n", [ROWS])
        yield made


@pytest.fixture
def engine(team: Team) -> PostgresSchemaEngine:
    """As the walk puts it together: the real filler, the lease's epoch, everything as shop_admin."""
    settings = Staging(pass_wait_s=0.2, batch_ms=20)

    def filler(change: str) -> Filler:
        return Filler(
            lambda: psycopg.connect(team.url("shop_admin"), options="-c search_path=pg_catalog"),
            "shop",
            change,
            lambda: settings,
            RealClock(),
            made.fence,
        )

    made = PostgresSchemaEngine(team.url("shop_admin"), "shop", RealClock(), settings, lambda: 1, filler=filler)
    return made


@pytest.fixture
def change(team: Team) -> Change:
    """Planned from plain SQL against the team's database, with what crossfade's role sees of it."""
    with team.admin() as admin:
        catalog = read_catalog(admin)
    return plan_change("0007.sql", [Source("0007.sql", SQL)], catalog, PlanOptions(True, star_queries="none"))


class Writer:
    """One version that writes in its own shape all the while."""

    def __init__(self, url: str, column: str) -> None:
        self.url, self.column = url, column
        self.written: dict[int, str] = {}  # what is stored by id
        self.failed: list[str] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        insert = f"INSERT INTO public.orders ({self.column}) VALUES (gen_random_uuid()) RETURNING id"
        update = (
            f"UPDATE public.orders SET {self.column} = 'w' || gen_random_uuid() WHERE id = %s RETURNING {self.column}"
        )
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            while not self._end.wait(0.002):
                try:
                    row = connection.execute(insert.encode()).fetchone()
                    assert row is not None
                    stored = connection.execute(update.encode(), row).fetchone()
                    assert stored is not None
                    self.written[row[0]] = stored[0]
                except psycopg.Error as exc:
                    self.failed.append(str(exc))


def go_on() -> bool:
    return True


def quiet(_text: str) -> None:
    pass


def differing(team: Team) -> list[tuple[Any, ...]]:
    return team.ask("SELECT id FROM orders WHERE code IS DISTINCT FROM reference")


def there_and_back(team: Team, engine: PostgresSchemaEngine, change: Change, left: str, right: str) -> None:
    """Walk it with the old version on the left and the new one on the right, back to the start, and to its end."""
    with Writer(left, "reference") as old:
        engine.expand(change, "v7", go_on, quiet)
        with Writer(right, "code") as undone:
            engine.backfill(change, go_on, quiet)
            engine.record(change, go_on, quiet)
            assert differing(team) == []
            with psycopg.connect(right, autocommit=True) as connection:
                connection.execute("INSERT INTO public.lines (id) VALUES (1)")
        engine.undo(change, go_on, quiet)
        engine.expand(change, "v7", go_on, quiet)
        engine.backfill(change, go_on, quiet)
    with Writer(right, "code") as new:
        engine.detach(change, go_on, quiet)
        engine.attach(change, go_on, quiet)
        assert team.ask("SELECT count(*) FROM orders WHERE reference ~ '^r[0-9]+$'") == [(ROWS,)]
        engine.detach(change, go_on, quiet)
        engine.purge(change, go_on, quiet)
    assert [writer.failed for writer in (old, undone, new)] == [[], [], []]
    assert all(writer.written for writer in (old, undone, new))
    stored = dict(team.ask("SELECT id, code FROM orders WHERE code LIKE 'w%'"))
    assert stored == {**old.written, **undone.written, **new.written}


def test_a_whole_change_by_roles_that_are_no_superusers(
    team: Team, engine: PostgresSchemaEngine, change: Change
) -> None:
    roles = team.ask("SELECT rolname::text FROM pg_roles WHERE rolsuper AND rolname LIKE 'shop%'")
    assert roles == []
    there_and_back(team, engine, change, *(team.url(role) for role in LANES))


@needs_pgbouncer
def test_a_whole_change_with_the_lanes_behind_a_pooler_in_transaction_mode(
    team: Team, engine: PostgresSchemaEngine, change: Change
) -> None:
    with team.pooler() as pooler:
        there_and_back(team, engine, change, *(pooler.url(role, "shop") for role in LANES))


WHO = """
CREATE FUNCTION crossfade_sync.who() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM crossfade_sync.note('c1', 'public.orders', 'conflict', to_jsonb(NEW.id),
        jsonb_build_object('wanted', NEW.reference, 'role', session_user, 'shape',
            (SELECT shape FROM crossfade_sync.lane WHERE role = session_user)));
    RETURN NEW;
END $$
"""


@needs_pgbouncer
def test_inside_a_trigger_the_session_is_the_lanes_whoever_used_the_poolers_connection_before(
    team: Team, engine: PostgresSchemaEngine
) -> None:
    engine.lanes({"shop_left": "old", "shop_right": "new"})
    with team.admin() as admin:
        admin.execute(WHO)
        admin.execute("CREATE TRIGGER who BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION crossfade_sync.who()")
    with team.pooler(settings={"default_pool_size": "1"}) as pooler:
        clients = [
            (role, psycopg.connect(pooler.url(role, "shop"), autocommit=True, prepare_threshold=None))
            for role in LANES * 3
        ]
        for _ in range(20):
            for role, client in clients:
                with client.transaction():
                    client.execute("INSERT INTO orders (reference) VALUES (%s)", [role])
        for _, client in clients:
            client.close()
    seen = team.ask(
        "SELECT data->>'wanted', data->>'role', data->>'shape', role, count(*) FROM crossfade.mismatch"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1"
    )
    assert seen == [
        ("shop_left", "shop_left", "old", "shop_left", 60),
        ("shop_right", "shop_right", "new", "shop_right", 60),
    ]


def test_lanes_may_write_where_the_admin_gives_no_function_to_everybody(cluster: Cluster) -> None:
    with team_of(cluster) as team:
        team.ask("ALTER DEFAULT PRIVILEGES FOR ROLE shop_admin REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        with team.admin() as admin:
            install(admin)
            admin.execute(WHO)
            admin.execute(
                "CREATE TRIGGER who BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION crossfade_sync.who()"
            )
        with psycopg.connect(team.url("shop_left"), autocommit=True) as lane:
            lane.execute("INSERT INTO orders (reference) VALUES ('x')")
