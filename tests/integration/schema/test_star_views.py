"""Whole rows asked for in prepared statements, while a change goes there and back: no session sees an error.

Given a live set of connections of each version, without a pooler, each running prepared SELECT * and RETURNING *, when
a change is walked to its end, or back from each stage, then none of them fails, each row has the columns of its own
version, and what either version wrote is there in both shapes.
"""

from __future__ import annotations

import random
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from crossfade.model.requirement import Staging
from crossfade.schema.backfill import Filler
from crossfade.schema.catalog import read_catalog
from crossfade.schema.engine import PostgresSchemaEngine
from crossfade.schema.planning import PlanOptions, Source, plan_change
from crossfade.schema.session import Sessions

sys.path.insert(0, str(Path(__file__).parent))
from test_engine_killed import run

CHANGE = """
ALTER TABLE orders RENAME COLUMN reference TO code;
ALTER TABLE orders DROP COLUMN amount;
ALTER TABLE orders ADD COLUMN kind text;
UPDATE orders SET kind = left(code, 1) WHERE kind IS NULL;
CREATE INDEX orders_kind ON orders (kind);
ALTER TABLE labels ALTER COLUMN weight TYPE bigint;
ALTER TABLE labels ADD COLUMN colour text NOT NULL DEFAULT 'grey';
-- crossfade: reads-null orders.amount
"""
ITEMS = ("order_id", "id")
COLUMNS = {
    "old": {"orders": ("id", "reference", "amount"), "labels": ("name", "weight"), "items": ITEMS},
    "new": {"orders": ("id", "code", "kind"), "labels": ("name", "weight", "colour"), "items": ITEMS},
}
TEXT = {"old": "reference", "new": "code"}
CONNECTIONS = 3  # a version


@dataclass
class Service:
    """A database with a role a lane, and what the versions wrote."""

    walk: Any
    urls: dict[str, str]
    roles: dict[str, str]  # shape -> role
    before: str
    raw: str
    written: dict[int, str] = field(default_factory=dict)  # id -> text

    @property
    def home(self) -> Any:
        return self.walk.home

    @property
    def engine(self) -> PostgresSchemaEngine:
        return self.walk.engine

    def fingerprint(self) -> str:
        with psycopg.connect(self.home.admin_url) as connection:
            return read_catalog(connection).fingerprint()

    def path_of(self, shape: str) -> str:
        with psycopg.connect(self.urls[shape], autocommit=True) as connection:
            return str(connection.execute("SHOW search_path").fetchone()[0])

    def give_amounts(self) -> None:
        """The old version gives every row what it was told that it may find missing."""
        with psycopg.connect(self.urls["old"]) as connection:
            connection.execute("UPDATE orders SET amount = 0 WHERE amount IS NULL")

    def require_all_written(self, *shapes: str) -> None:
        """Every write is there, in the words of each version that may live now."""
        for shape in shapes:
            with psycopg.connect(self.urls[shape]) as connection:
                rows = connection.execute(f"SELECT id, {TEXT[shape]} FROM orders WHERE id > 1000").fetchall()
            assert dict(rows) == self.written, shape


class Live:
    """One version's connections, each asking for whole rows by prepared statements, until it is stopped."""

    def __init__(self, service: Service, shape: str, first_id: int) -> None:
        self.service, self.shape = service, shape
        self.errors: list[str] = []
        self.statements = 0
        self.written: dict[int, str] = {}
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(first_id + number * 100_000,)) for number in range(CONNECTIONS)
        ]
        for thread in self._threads:
            thread.start()
        self.goes_on()

    def goes_on(self) -> None:
        """Wait until it has done some more: every connection runs each of its statements."""
        until, end_s = self.statements + 20 * CONNECTIONS, time.monotonic() + 60
        while self.statements < until and time.monotonic() < end_s:
            time.sleep(0.01)
        assert self.statements >= until, self.errors

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        self.service.written |= self.written

    def _run(self, id: int) -> None:
        rng, text = random.Random(id), TEXT[self.shape]
        extra, value = (", amount", ", 5") if self.shape == "old" else ("", "")
        with psycopg.connect(self.service.urls[self.shape], autocommit=True) as connection:
            while not self._end.is_set():
                id += 1
                first = f"{self.shape}{rng.randrange(10**6)}"
                second = f"u{first}"
                insert = f"INSERT INTO orders (id, {text}{extra}) VALUES (%s, %s{value}) RETURNING *"
                self._ask(connection, insert, [id, first], (id, first))
                self.written[id] = first
                update = f"UPDATE orders SET {text} = %s WHERE id = %s RETURNING *"
                self._ask(connection, update, [second, id], (id, second))
                self.written[id] = second
                self._ask(connection, "SELECT * FROM orders WHERE id = %s", [id], (id, second))
                self._ask(connection, "SELECT * FROM labels", [], ("one",))
                self._ask(connection, "INSERT INTO items (order_id) VALUES (%s) RETURNING order_id, id", [id], (id,))
                time.sleep(0.002)

    def _ask(self, connection: Any, statement: str, given: list[Any], begins: tuple[Any, ...]) -> None:
        table = statement.removeprefix("SELECT * FROM ").removeprefix("INSERT INTO ").removeprefix("UPDATE ").split()[0]
        try:
            cursor = connection.execute(statement, given, prepare=True)
            row = cursor.fetchone()
            names = tuple(column.name for column in cursor.description)
            if names != COLUMNS[self.shape][table] or row[: len(begins)] != begins:
                self.errors.append(f"{statement} gave {names} {row}, not {begins}")
        except Exception as exc:
            self.errors.append(f"{getattr(exc, 'sqlstate', '')} {exc!r}")
        self.statements += 1


@pytest.fixture
def service_of(walk: Any) -> Any:
    def make(stars: str = "some") -> Service:
        home = walk.home
        home.ask(sql.SQL("ALTER ROLE {} CREATEROLE").format(sql.Identifier(home.name)))
        urls, roles = {}, {}
        rest = home.admin_url.split("@", 1)[1]
        with psycopg.connect(home.admin_url, autocommit=True) as admin:
            admin.execute("CREATE TABLE items (id serial PRIMARY KEY, order_id bigint REFERENCES orders)")
            admin.execute("CREATE TABLE labels (name text PRIMARY KEY, weight int NOT NULL DEFAULT 1)")
            admin.execute("INSERT INTO labels VALUES ('one')")
            for shape in ("old", "new"):
                role, password = f"{shape}_{secrets.token_hex(4)}", secrets.token_hex(8)
                name = sql.Identifier(role)
                admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
                admin.execute(sql.SQL("GRANT SELECT, INSERT, UPDATE ON orders, items, labels TO {}").format(name))
                admin.execute(sql.SQL("GRANT USAGE ON SEQUENCE items_id_seq TO {}").format(name))
                urls[shape], roles[shape] = f"postgresql://{role}:{password}@{rest}", role
        with psycopg.connect(home.admin_url) as admin:
            base = read_catalog(admin)
            admin.execute(CHANGE.encode())
            raw = read_catalog(admin).fingerprint()
            admin.rollback()
        change = plan_change("7.sql", [Source("7.sql", CHANGE)], base, PlanOptions(True, "new", stars))
        return Service(Walk(walk, change, roles), urls, roles, base.fingerprint(), raw)

    return make


class Walk:
    """The engine with its real backfill; each act on an engine of its own, as after a restart."""

    def __init__(self, plain: Any, change: Any, roles: dict[str, str], **hooks: Any) -> None:
        self.plain, self.change, self.roles, self.hooks = plain, change, roles, hooks
        self.home = plain.home

    @property
    def engine(self) -> PostgresSchemaEngine:
        url, settings = self.home.admin_url, Staging(pass_wait_s=0.0, lock_tries_s=30.0)
        clock = type(self.plain.engine._sessions.clock)()

        def filler(change: str) -> Filler:
            return Filler(Sessions(url, clock).beside, "shop", change, lambda: settings, clock, lambda _c: None)

        return PostgresSchemaEngine(url, "shop", clock, settings, lambda: 1, filler=filler, **self.hooks)

    def but(self, **hooks: Any) -> Walk:
        return Walk(self.plain, self.change, self.roles, **hooks)

    def act(self, name: str) -> None:
        engine = self.engine
        engine.lanes({role: shape for shape, role in self.roles.items()})
        given = (self.change, "v7") if name == "expand" else (self.change,)
        getattr(engine, name)(*given, lambda: True, lambda _text: None)


@contextmanager
def living(service: Service, shape: str, first_id: int) -> Iterator[Live]:
    one = Live(service, shape, first_id)
    try:
        yield one
    finally:
        one.stop()
    assert one.errors == []


def through(service: Service, acts: str, *lives: Live) -> None:
    for act in acts.split():
        service.walk.act(act)
        for one in lives:
            one.goes_on()


def test_no_session_fails_from_the_expansion_to_the_purge(service_of: Any) -> None:
    service = service_of()
    with living(service, "old", 10_000_000) as old:
        through(service, "expand backfill", old)
        with living(service, "new", 20_000_000) as new:
            through(service, "backfill record", old, new)
            old.stop()
            through(service, "detach attach", new)
            with living(service, "old", 30_000_000) as again:
                through(service, "backfill", new, again)
            service.written |= new.written
            through(service, "detach", new)
            with living(service, "new", 40_000_000) as later:
                through(service, "attach detach purge", new, later)
            new.goes_on()
    service.require_all_written("new")
    assert service.fingerprint() == service.raw
    assert service.path_of("new") == '"$user", public'
    assert service.home.ask("SELECT count(*), min(code), min(kind) FROM orders WHERE id <= 1000") == [(1000, "r1", "r")]


@pytest.mark.parametrize("stage", ["both", "equal", "hidden"])
def test_no_session_fails_on_the_way_back_from_each_stage(service_of: Any, stage: str) -> None:
    service = service_of()
    with living(service, "old", 10_000_000) as old:
        through(service, "expand", old)
        if stage != "both":
            through(service, "backfill", old)
            with living(service, "new", 20_000_000) as new:
                if stage == "hidden":
                    old.stop()
                    through(service, "detach attach", new)
        with living(service, "old", 30_000_000) as again:
            if stage != "both":  # else NOT NULL stays off: the new version's rows say otherwise
                service.give_amounts()
            through(service, "undo", again)
    service.require_all_written("old")
    assert service.fingerprint() == service.before
    assert service.path_of("new") == '"$user", public'


def test_without_views_sessions_do_fail(service_of: Any) -> None:
    service = service_of("none")
    old = Live(service, "old", 10_000_000)
    through(service, "expand", old)
    old.stop()
    assert {error[:5] for error in old.errors} - {"23503"} == {"0A000"}  # an item has no order that was not inserted
    assert "cached plan must not change result type" in old.errors[0]


def test_prepared_statements_of_either_version_keep_their_type_where_the_old_one_has_the_table(service_of: Any) -> None:
    service = service_of("none")
    through(service, "expand backfill")
    int4, int8 = 23, 20

    def ask(connection: Any, statement: str) -> list[Any]:
        cursor = connection.execute(statement, prepare=True)
        return [[(one.name, one.type_code) for one in cursor.description], *cursor.fetchall()]

    def reads_new(connection: Any, weight: int) -> None:
        whole, row = ask(connection, "SELECT * FROM labels")
        assert [name for name, _ in whole] == ["name", "weight", "colour"]
        assert (whole[1], row) == (("weight", int8), ("one", weight, "grey"))
        assert ask(connection, "SELECT weight FROM labels") == [[("weight", int8)], (weight,)]

    with (
        psycopg.connect(service.urls["old"], autocommit=True) as old,
        psycopg.connect(service.urls["new"], autocommit=True) as new,
    ):
        ask(new, "UPDATE labels SET weight = 12 RETURNING *")
        reads_new(new, 12)
        assert ask(old, "SELECT name, weight FROM labels")[1] == ("one", 12)
        assert ask(old, "UPDATE labels SET weight = 13 RETURNING weight") == [[("weight", int4)], (13,)]
        for act in ("detach", "attach", "detach"):
            service.walk.act(act)
            reads_new(new, 13)
            if act == "attach":
                assert ask(old, "SELECT name, weight FROM labels")[1] == ("one", 13)
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            ask(new, "UPDATE labels SET weight = 2 ^ 40")
        assert refused.value.diag.message_primary == (
            "the value of weight in public.labels has no counterpart as integer, which the version before still reads"
        )
        service.walk.act("purge")
        reads_new(new, 13)
        ask(new, "UPDATE labels SET weight = 2 ^ 40 RETURNING name")
        reads_new(new, 2**40)
    assert service.fingerprint() == service.raw


@pytest.mark.long
@pytest.mark.parametrize("moment", ["after_row", "before_row"])
def test_killed_at_every_row_it_ends_where_an_undisturbed_walk_ends(service_of: Any, moment: str) -> None:
    service = service_of()
    there_and_back = ("expand backfill detach attach undo", service.before)
    for acts, end in (there_and_back, ("expand backfill detach purge", service.raw)):
        for act in acts.split():
            if act == "undo":
                service.give_amounts()
            deaths = 0
            while run(service.walk, act, moment):
                deaths += 1
                if moment == "before_row":
                    run(service.walk, act, "after_row")
            assert deaths
            with living(service, "old" if act in ("expand", "undo") else "new", secrets.randbelow(10**9) + 10**7):
                pass
        assert service.fingerprint() == end
