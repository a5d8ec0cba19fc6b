"""Given a real PostgreSQL of each version that is here, a database of an ordinary role, and a change to walk on it."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from crossfade.embedded.postgres import Cluster, find_postgres
from crossfade.host.ports import free_port
from crossfade.journal.install import install
from crossfade.model.change import Backfill, Change, Kept, Policy, ShapeMapping, Unit
from crossfade.model.errors import CrossfadeError
from crossfade.model.requirement import Staging
from crossfade.schema.compare import Comparison
from crossfade.schema.engine import PostgresSchemaEngine

MAJORS = (15, 18)
SERVICE = "shop"


class RealClock:
    def monotonic_s(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.fixture(scope="session")
def new_cluster() -> Iterator[Callable[[int], Cluster]]:
    base = Path(tempfile.mkdtemp(prefix="crossfade-schema-"))  # the server's user can pass; pytest's own is closed
    base.chmod(0o711)
    clusters: dict[int, Cluster] = {}

    def make(major: int) -> Cluster:
        if major not in clusters:
            try:
                programs = find_postgres(os.environ.get("CROSSFADE_TEST_POSTGRES"), major)
            except CrossfadeError:
                pytest.skip(f"PostgreSQL {major} is not here")
            directory = base / str(major)
            directory.mkdir(mode=0o711)
            one = Cluster(directory, free_port(), programs)
            clusters[major] = one
            settings = {"fsync": "off", "max_connections": "40", "max_prepared_transactions": "5"}
            one.create({**settings, "autovacuum_naptime": "1s"}, lambda: secrets.token_hex(8))
            one.start(RealClock())
        return clusters[major]

    yield make
    for one in clusters.values():
        if one.data.exists():
            one.stop()
    shutil.rmtree(base)


@pytest.fixture(params=MAJORS, ids=lambda major: f"pg{major}", scope="session")
def cluster(request: pytest.FixtureRequest, new_cluster: Callable[[int], Cluster]) -> Cluster:
    return new_cluster(request.param)


@dataclass
class Home:
    """A database owned by an ordinary role, with the journal's schema and a lease."""

    admin_url: str
    super_url: str
    name: str

    def ask(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.super_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def holding(self, *statements: str, url: str = "", name: str = "the report") -> Iterator[psycopg.Connection]:
        """Another session, in a transaction that has run these."""
        with psycopg.connect(url or self.super_url, application_name=name) as connection:
            for statement in statements:
                connection.execute(statement)
            yield connection
            connection.rollback()

    def catalog(self) -> list[tuple[object, ...]]:
        """What the application's schema looks like: columns, indexes, triggers, constraints, names in order."""
        return self.ask(
            """
            SELECT 'column', c.relname::text, a.attnum::text, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                   || ' ' || a.attnotnull
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL SELECT 'index', c.relname::text, i.indisvalid::text, pg_get_indexdef(i.indexrelid)
            FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace
            UNION ALL SELECT 'trigger', c.relname::text, t.tgname::text, pg_get_triggerdef(t.oid)
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal
            UNION ALL
            SELECT 'constraint', r.relname::text, c.conname::text || c.convalidated, pg_get_constraintdef(c.oid)
            FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid WHERE r.relnamespace = 'public'::regnamespace
            ORDER BY 1, 2, 3, 4
            """
        )

    def acts(self) -> list[str]:
        """The track's rows, in order: "do expand:public.orders"."""
        return [str(row[0]) for row in self.ask("SELECT way || ' ' || unit FROM crossfade.schema_act ORDER BY id")]

    def in_place(self) -> list[str]:
        """Units whose last row says do."""
        rows = self.ask("SELECT DISTINCT ON (unit) unit, way FROM crossfade.schema_act ORDER BY unit, id DESC")
        return [str(unit) for unit, way in rows if way == "do"]

    def lead(self, epoch: int) -> None:
        """Another leader, from now on."""
        self.ask("UPDATE crossfade.lease SET epoch = %s", epoch)


def make_home(cluster: Cluster, rows: int = 1000) -> Home:
    database = f"shop_{secrets.token_hex(4)}"
    password = secrets.token_hex(8)
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(database), sql.Literal(password))
        )
        connection.execute(
            sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(database)),
        )
    super_url = cluster.admin_url().rsplit("/", 1)[0] + f"/{database}"
    admin_url = f"postgresql://{database}:{password}@127.0.0.1:{cluster.port}/{database}"
    with psycopg.connect(super_url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(database)))
    with psycopg.connect(admin_url, autocommit=True) as connection:
        install(connection)
        connection.execute("INSERT INTO crossfade.lease VALUES ('shop', 'us', 'here', 1, 1, now(), now() + '1 day')")
        connection.execute("CREATE TABLE public.orders (id bigint PRIMARY KEY, reference text, amount int NOT NULL)")
        connection.execute(
            "INSERT INTO public.orders SELECT n, 'r' || n, n %% 100 FROM generate_series(1, %s) AS n", (rows,)
        )
        connection.execute("ANALYZE public.orders")
    return Home(admin_url, super_url, database)


@pytest.fixture
def home(cluster: Cluster) -> Home:
    return make_home(cluster)


SYNC = """
CREATE FUNCTION crossfade_sync.orders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.code := coalesce(NEW.code, NEW.reference);
        NEW.reference := coalesce(NEW.reference, NEW.code);
    ELSIF NEW.code IS DISTINCT FROM OLD.code THEN NEW.reference := NEW.code;
    ELSE NEW.code := NEW.reference;
    END IF;
    RETURN NEW;
END $$
"""
ORDERS = "public.orders"


EXPAND = (
    Unit(
        "expand:public.orders",
        "add code and note; keep reference and code in step",
        do=(
            "ALTER TABLE public.orders ADD COLUMN code text, ADD COLUMN note text",
            SYNC,
            "CREATE TRIGGER zz_sync BEFORE INSERT OR UPDATE ON public.orders"
            " FOR EACH ROW EXECUTE FUNCTION crossfade_sync.orders()",
        ),
        undo=(
            "DROP TRIGGER zz_sync ON public.orders",
            "DROP FUNCTION crossfade_sync.orders()",
            "ALTER TABLE public.orders DROP COLUMN code, DROP COLUMN note",
        ),
        locks=((ORDERS, "ACCESS EXCLUSIVE"),),
        retypes=(ORDERS,),
    ),
    Unit(
        "expand:check",
        "code is not empty",
        do=("ALTER TABLE public.orders ADD CONSTRAINT code_there CHECK (code <> '') NOT VALID",),
        undo=("ALTER TABLE public.orders DROP CONSTRAINT code_there",),
        locks=((ORDERS, "ACCESS EXCLUSIVE"),),
    ),
)
SETTLE = (
    Unit(
        "settle:orders_code",
        "an index on code",
        do=("CREATE UNIQUE INDEX CONCURRENTLY orders_code ON public.orders (code)",),
        undo=("DROP INDEX CONCURRENTLY public.orders_code",),
        concurrent=True,
        probe="SELECT coalesce((SELECT indisvalid FROM pg_index"
        " WHERE indexrelid = to_regclass('public.orders_code')), false)",
        wreck=("DROP INDEX CONCURRENTLY IF EXISTS public.orders_code",),
    ),
    Unit(
        "settle:check",
        "the check is validated",
        do=("ALTER TABLE public.orders VALIDATE CONSTRAINT code_there",),
        undo=("SELECT 1",),
        locks=((ORDERS, "SHARE UPDATE EXCLUSIVE"),),
        scans=True,
    ),
)
DETACH = (
    Unit(
        "detach:public.orders",
        "reference goes out of sight",
        do=(
            "DROP TRIGGER zz_sync ON public.orders",
            "ALTER TABLE public.orders RENAME COLUMN reference TO _gone_reference",
            SYNC.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(".reference", "._gone_reference"),
            "CREATE TRIGGER zz_sync BEFORE INSERT OR UPDATE ON public.orders"
            " FOR EACH ROW EXECUTE FUNCTION crossfade_sync.orders()",
        ),
        undo=(
            "DROP TRIGGER zz_sync ON public.orders",
            "ALTER TABLE public.orders RENAME COLUMN _gone_reference TO reference",
            SYNC.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
            "CREATE TRIGGER zz_sync BEFORE INSERT OR UPDATE ON public.orders"
            " FOR EACH ROW EXECUTE FUNCTION crossfade_sync.orders()",
        ),
        locks=((ORDERS, "ACCESS EXCLUSIVE"),),
        retypes=(ORDERS,),
    ),
)
PURGE = (
    Unit(
        "purge-sync:public.orders",
        "nothing is kept in step any more",
        do=("DROP TRIGGER zz_sync ON public.orders", "DROP FUNCTION crossfade_sync.orders()"),
        locks=((ORDERS, "SHARE ROW EXCLUSIVE"),),
    ),
    Unit(
        "purge:public.orders",
        "the old column is dropped",
        do=("ALTER TABLE public.orders DROP COLUMN _gone_reference",),
        locks=((ORDERS, "ACCESS EXCLUSIVE"),),
        retypes=(ORDERS,),
    ),
)


def rename_change() -> Change:
    """Rename reference to code, with an index on it and a constraint; a note only the new version writes."""
    return Change(
        id="c1",
        name="0007.sql",
        base="base",
        tables=("public.orders",),
        expand=EXPAND,
        backfill=(
            Backfill(
                "backfill:public.orders",
                ORDERS,
                (("code", "reference"),),
                "code IS NULL AND reference IS NOT NULL",
                "code IS DISTINCT FROM reference",
            ),
        ),
        settle=SETTLE,
        record=(
            Unit(
                "record:alembic",
                "alembic's own row",
                do=("CREATE TABLE public.alembic_version (v text)",),
                undo=("DROP TABLE public.alembic_version",),
            ),
        ),
        detach=DETACH,
        purge=PURGE,
        mappings=(ShapeMapping(ORDERS, ("reference",), ("code",), Policy.NONE, "reference <-> code, total"),),
        purge_keeps=(Kept(ORDERS, ("id",), ("_gone_reference",), "crossfade_attic.c1_orders"),),
        undo_keeps=(Kept(ORDERS, ("id",), ("note",), "crossfade_attic.c1_orders_new", "note IS NOT NULL"),),
    ).check_invariants()


@dataclass
class PlainFiller:
    """Fills a table by one statement; good enough to walk the engine past it."""

    url: str

    def fill(self, task: Backfill, go_on: Callable[[], bool], say: Callable[[str], None]) -> dict[str, object]:
        pairs = ", ".join(f"{column} = {text}" for column, text in task.assignments)
        with psycopg.connect(self.url, autocommit=True) as connection:
            done = connection.execute(f"UPDATE {task.table} SET {pairs} WHERE {task.unfilled}".encode())
            return {"filled": done.rowcount}

    def compare(self, task: Backfill, go_on: Callable[[], bool], say: Callable[[str], None]) -> Comparison:
        with psycopg.connect(self.url, autocommit=True) as connection:
            rows = connection.execute(
                f"SELECT id FROM {task.table} WHERE {task.differs} ORDER BY id".encode()
            ).fetchall()
        return Comparison(len(rows), len(rows), tuple(f"id={row[0]}" for row in rows[:5]))


@dataclass
class Walk:
    """An engine and what it said."""

    home: Home
    settings: Staging = field(default_factory=Staging)
    epoch: int = 1
    said: list[str] = field(default_factory=list)
    go_on: Callable[[], bool] = lambda: True
    after_row: Callable[[str], None] = lambda _unit: None
    before_row: Callable[[str], None] = lambda _unit: None
    fenced: bool = True
    change: Change = field(default_factory=rename_change)

    @property
    def engine(self) -> PostgresSchemaEngine:
        return PostgresSchemaEngine(
            self.home.admin_url,
            SERVICE,
            RealClock(),
            self.settings,
            lambda: self.epoch,
            filler=lambda _change: PlainFiller(self.home.admin_url),
            fenced=self.fenced,
            jitter=lambda: 0.5,
            after_row=self.after_row,
            before_row=self.before_row,
        )

    def act(self, name: str) -> dict[str, object]:
        engine = self.engine
        if name == "expand":
            return dict(engine.expand(self.change, "v7", self.go_on, self.said.append))
        return dict(getattr(engine, name)(self.change, self.go_on, self.said.append))

    def through(self, *names: str) -> dict[str, object]:
        measured: dict[str, object] = {}
        for name in names:
            measured = self.act(name)
        return measured

    def where(self) -> str:
        """The change's stage as the facts tell it."""
        facts = self.engine.facts()
        if facts.open is not None:
            return str(facts.open.stage)
        return str(facts.detached[0].stage) if facts.detached else "none"

    def but(self, **changed: object) -> Walk:
        return replace(self, **{"said": [], **changed})


@pytest.fixture
def walk(home: Home) -> Walk:
    return Walk(home)


@pytest.fixture(scope="module")
def new_home(cluster: Cluster) -> Callable[[], Home]:
    return lambda: make_home(cluster)


@pytest.fixture
def clock() -> RealClock:
    return RealClock()
