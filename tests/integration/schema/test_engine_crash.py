"""PostgreSQL is killed in the middle of a schema change: called again, the act ends as if nothing had happened.

Given two versions that write all the while, when the server is killed at a moment of any act and started again, then
what was acknowledged is there, the act comes to the end of an undisturbed one, and nothing half made is left.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from crossfade.embedded.cluster import Cluster
from crossfade.embedded.postgres import find_postgres
from crossfade.embedded.postmaster import postmaster_pid, server_processes
from crossfade.host.ports import free_port
from crossfade.model.change import Change
from crossfade.model.errors import CrossfadeError
from crossfade.model.requirement import Staging
from crossfade.schema.backfill import Filler
from crossfade.schema.catalog import read_catalog
from crossfade.schema.engine import PostgresSchemaEngine
from crossfade.schema.planning import PlanOptions, Source, plan_change
from crossfade.schema.session import Sessions
from crossfade.walk.clock import SystemClock

CHANGE = """
BEGIN;
ALTER TABLE orders RENAME COLUMN reference TO code;
ALTER TABLE orders DROP COLUMN amount;
ALTER TABLE orders ADD COLUMN kind text;
UPDATE orders SET kind = left(code, 1) WHERE kind IS NULL;
ALTER TABLE orders ALTER COLUMN kind SET NOT NULL;
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders);
CREATE INDEX orders_kind ON orders (kind);
COMMIT;
-- crossfade: down orders.amount = length(code)
"""
ROWS = 20_000
FORWARD = ("expand", "backfill", "record", "detach")
ROUND = (*FORWARD, "attach", "undo", *FORWARD, "purge")
OLD_SERVES = {"expand", "backfill", "record", "undo"}  # while the act is under way
NEW_SERVES = {"backfill", "record", "detach", "attach", "purge"}
SETTINGS = {"fsync": "on", "synchronous_commit": "on", "max_connections": "40", "shared_buffers": "32MB"}
CLOCK = SystemClock()
LEFT_OVER = """
    SELECT 'invalid index', indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready)
    UNION ALL SELECT 'unvalidated', conname::text FROM pg_constraint WHERE NOT convalidated
    UNION ALL SELECT 'orphan', p.oid::regprocedure::text FROM pg_proc p
    WHERE p.pronamespace = 'crossfade_sync'::regnamespace AND p.prorettype = 'trigger'::regtype
      AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = p.oid)
    UNION ALL SELECT 'disabled', tgname::text FROM pg_trigger WHERE tgenabled <> 'O' AND NOT tgisinternal
"""
BUILDING = "SELECT FROM pg_stat_progress_create_index WHERE relid = 'public.orders'::regclass"


def kill_server(cluster: Cluster) -> None:
    """SIGKILL to the postmaster and to all its children, as when the machine goes down; its files stay."""
    first = postmaster_pid(cluster.data)
    assert first is not None
    for pid in (first, *server_processes(cluster.data)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until_s = time.monotonic() + 30
    while any(server_processes(cluster.data)):
        assert time.monotonic() < until_s
        time.sleep(0.01)


@pytest.fixture(
    params=[pytest.param(15), pytest.param(18, marks=pytest.mark.long)], ids=lambda m: f"pg{m}", scope="module"
)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A server whose commits are on the disk; `home` and `new_home` are on it."""
    try:
        programs = find_postgres(os.environ.get("CROSSFADE_TEST_POSTGRES"), request.param)
    except CrossfadeError:
        pytest.skip(f"PostgreSQL {request.param} is not here")
    base = Path(tempfile.mkdtemp(prefix="crossfade-crash-"))
    base.chmod(0o711)
    one = Cluster(base, free_port(), programs)
    one.create(SETTINGS, lambda: secrets.token_hex(8))
    one.start(CLOCK)
    yield one
    one.stop()
    shutil.rmtree(base)


class Writer(threading.Thread):
    """One version's writes, on rows of its own: what was acknowledged, and what may have been written besides."""

    def __init__(self, home: Any, shape: str, first_id: int) -> None:
        super().__init__(daemon=True)
        self.shape, self._next_id = shape, first_id
        self._column = "reference" if shape == "old" else "code"
        self._more = "amount" if shape == "old" else "kind"
        self._rng = random.Random(shape)
        self.stored: dict[int, str] = {}  # acknowledged
        self.maybe: dict[int, set[str]] = {}  # sent, and the answer never came
        self.refused: list[str] = []
        self.lost_sight = 0
        self._url = self._role(home)
        self.writing = threading.Lock()
        self.serves = False
        self.over = False

    def _role(self, home: Any) -> str:
        role, password = f"{self.shape}_{secrets.token_hex(4)}", secrets.token_hex(8)
        with psycopg.connect(home.super_url, autocommit=True) as boss:
            name = sql.Identifier(role)
            boss.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
            boss.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}").format(name))
            boss.execute("INSERT INTO crossfade_sync.lane VALUES (%s, %s)", (role, self.shape))
        return f"postgresql://{role}:{password}@{home.admin_url.split('@', 1)[1]}"

    def run(self) -> None:
        while not self.over:
            with suppress(psycopg.OperationalError), psycopg.connect(self._url, autocommit=True) as connection:
                while not self.over:
                    with self.writing:
                        if self.serves:
                            self._write(connection)
                    time.sleep(0.004)
            time.sleep(0.02)

    def _write(self, connection: psycopg.Connection[Any]) -> None:
        text = secrets.token_hex(4)
        if self.stored and self._rng.random() < 0.5:
            id = self._rng.choice(list(self.stored))
            words = f"UPDATE orders SET {self._column} = %s, {self._more} = %s WHERE id = %s"
        else:
            id = self._next_id = self._next_id + 1
            words = f"INSERT INTO orders ({self._column}, {self._more}, id) VALUES (%s, %s, %s)"
        try:
            connection.execute(words.encode(), (text, 5 if self.shape == "old" else text[:1], id))
        except psycopg.OperationalError as exc:
            self.maybe.setdefault(id, set()).add(text)
            if exc.sqlstate is None or exc.sqlstate.startswith("57P"):
                self.lost_sight += 1
                raise
            self.refused.append(f"{self.shape}: {exc}")
        except psycopg.Error as exc:
            self.refused.append(f"{self.shape}: {exc}")
        else:
            self.stored[id] = text
            self.maybe.pop(id, None)

    def serve(self, yes: bool) -> None:
        with self.writing:  # a write that is under way has its answer first
            self.serves = yes

    def lost(self, found: dict[int, str]) -> list[str]:
        """What was acknowledged and does not read as it was written, nor as a write without an answer would."""
        return [
            f"{self.shape} {id}: wrote {text}, reads {found.get(id)}"
            for id, text in self.stored.items()
            if found.get(id) not in {text, *self.maybe.get(id, ())}
        ]


@dataclass
class Walked:
    """A change on its way, with the moment at which the server is to be killed."""

    cluster: Cluster
    home: Any
    change: Change
    moment: str = ""  # "before KEY", "after KEY", "compare": of the unit whose key begins so
    said: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)

    def engine(self) -> PostgresSchemaEngine:
        url, settings = self.home.admin_url, Staging(batch_ms=5)
        walked = self

        class Watched(Filler):
            def compare(self, task: Any, go_on: Callable[[], bool], say: Any) -> Any:
                looks = iter(range(10**9))
                return super().compare(task, lambda: next(looks) != 3 or walked.at("compare") or go_on(), say)

        def filler(change: str) -> Filler:
            return Watched(Sessions(url, CLOCK).beside, "shop", change, lambda: settings, CLOCK, engine.fence)

        engine = PostgresSchemaEngine(
            url,
            "shop",
            CLOCK,
            settings,
            lambda: 1,
            filler=filler,
            before_row=lambda unit: walked.at(f"before {unit}") and None,
            after_row=lambda unit: walked.at(f"after {unit}") and None,
        )
        return engine

    def at(self, moment: str) -> bool:
        """Something is about to happen; kill the server if this is what was waited for. Always false."""
        self.rows.append(moment)
        if self.moment and moment.startswith(self.moment):
            self.moment = ""
            self.killed[moment] += 1
            kill_server(self.cluster)
        return False

    def act(self, name: str) -> dict[str, Any]:
        engine = self.engine()
        if name == "expand":
            return dict(engine.expand(self.change, "v7", lambda: True, self.said.append))
        return dict(getattr(engine, name)(self.change, lambda: True, self.said.append))

    def dies_in(self, name: str, moment: str) -> None:
        """The act, with the server killed at this moment, and started again afterwards."""
        self.moment = moment
        with pytest.raises(CrossfadeError) as caught:
            self.act(name)
        assert self.moment == "", f"{moment} never came in {name}: {self.rows}"
        assert caught.value.id == "schema-unreachable", caught.value.render()
        self.cluster.start(CLOCK)

    def stage(self) -> str:
        facts = self.engine().facts()
        return str(facts.open.stage if facts.open else facts.detached[0].stage if facts.detached else "none")

    def end(self) -> list[object]:
        """What is there, but for the rows."""
        with psycopg.connect(self.home.admin_url, autocommit=True) as connection:
            schema = read_catalog(connection).fingerprint()
        # Rows of the hidden reference are kept only if somebody wrote between the purge's first unit and its copy.
        attic = self.home.ask("SELECT attic, kept FROM crossfade.attic WHERE kept NOT LIKE '%_reference%' ORDER BY 1")
        where = self.home.ask("SELECT change, version, stage FROM crossfade.change")
        return [schema, self.home.catalog(), self.home.in_place(), attic, where, self.home.ask(LEFT_OVER)]


def plan(home: Any) -> Change:
    home.ask(f"INSERT INTO orders SELECT n, 'r' || n, 9 FROM generate_series(1001, {ROWS}) AS n")
    with psycopg.connect(home.admin_url) as connection:
        return plan_change(
            "7.sql", [Source("7.sql", CHANGE)], read_catalog(connection), PlanOptions(True, "new", "none")
        )


@pytest.fixture
def walked(cluster: Cluster, home: Any) -> Walked:
    return Walked(cluster, home, plan(home))


@pytest.fixture
def undisturbed(cluster: Cluster, new_home: Callable[[], Any]) -> Callable[..., list[object]]:
    """The ends of the acts of a walk on which nothing dies, one after the other."""

    def ends(*acts: str) -> list[object]:
        home = new_home()
        walked = Walked(cluster, home, plan(home))
        found: list[object] = []
        with versions(walked) as writers:
            for act in acts:
                serve(writers, act, done=False)
                walked.act(act)
                serve(writers, act, done=True)
                found.append(walked.end())
        return found

    return ends


@contextmanager
def versions(walked: Walked) -> Iterator[list[Writer]]:
    """Both versions, which write when they serve."""
    writers = [Writer(walked.home, "old", 1_000_000), Writer(walked.home, "new", 2_000_000)]
    for one in writers:
        one.start()
    yield writers
    for one in writers:
        one.over = True
        one.join(30)
    assert [text for one in writers for text in one.refused] == []
    assert all(one.stored for one in writers), "both wrote"


def serve(writers: list[Writer], act: str, *, done: bool) -> None:
    """Who serves while the act is under way, and between it and the next."""
    old, new = (act in OLD_SERVES, act in NEW_SERVES)
    if done:
        old, new = old or act == "attach", new and act != "undo"
    for one, yes in zip(writers, (old, new), strict=True):
        one.serve(yes)


def check(walked: Walked, writers: list[Writer]) -> None:
    """Everything acknowledged is there, in every shape that is in sight and filled."""
    stage = walked.stage()
    names = "SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname IN ('reference', 'code')"
    columns = {str(name) for (name,) in walked.home.ask(names)}
    if "reference" in columns and "equal" not in stage:
        columns = {"reference"}  # the other one is not filled yet
    for column in columns:
        with ExitStack() as nobody_writes:
            for one in writers:
                nobody_writes.enter_context(one.writing)
            found = dict(walked.home.ask(f"SELECT id, {column} FROM orders WHERE id > {ROWS}"))
            assert [text for one in writers for text in one.lost(found)] == [], f"{column} at {stage}"
        assert walked.home.ask(f"SELECT count(*) FROM orders WHERE id <= {ROWS} AND {column} = 'r' || id") == [(ROWS,)]


DEATHS = {  # what is done just before the server dies, in the first walk of the act and in the second
    "expand": ["before expand:", "after expand:"],
    "backfill": ["before index:", "after index:", "compare"],
    "record": [],
    "detach": ["before hide:", "after hide:"],
    "attach": ["before hide:", "after hide:"],
    "undo": ["before keep:", "after keep:", "before expand:", "after expand:"],
    "purge": ["before keep:", "after keep:", "before purge:", "after purge:"],
}


def test_a_server_killed_in_every_act_loses_nothing_and_the_walk_ends_the_same(
    walked: Walked, undisturbed: Any
) -> None:
    ends = undisturbed(*ROUND)
    with versions(walked) as writers:
        for act, expected in zip(ROUND, ends, strict=True):
            serve(writers, act, done=False)
            for moment in DEATHS[act]:
                if act in walked.rows:  # each act dies in its first walk
                    continue
                walked.dies_in(act, moment)
                check(walked, writers)
            walked.rows.append(act)
            walked.act(act)
            serve(writers, act, done=True)
            check(walked, writers)
            assert walked.end() == expected, act
        assert all(one.lost_sight for one in writers), "they wrote while it died"
    assert sum(walked.killed.values()) == sum(map(len, DEATHS.values()))


@pytest.mark.long
def test_a_backfill_goes_on_by_itself_when_the_server_is_back(walked: Walked, undisturbed: Any) -> None:
    expected = undisturbed("expand", "backfill")[-1]
    deaths = 0

    def kill_and_start() -> None:
        nonlocal deaths
        with closing(psycopg.connect(walked.home.super_url, autocommit=True)) as connection:
            before = connection.execute("SELECT coalesce(sum(filled), 0) FROM crossfade.backfill").fetchone()
            comes_true(
                lambda: (
                    (connection.execute("SELECT sum(filled) FROM crossfade.backfill").fetchone()[0] or 0)
                    > before[0] + 500
                )
            )
        kill_server(walked.cluster)
        deaths += 1
        walked.cluster.start(CLOCK)

    with versions(walked) as writers:
        serve(writers, "expand", done=False)
        walked.act("expand")
        serve(writers, "backfill", done=False)
        killing = threading.Thread(target=lambda: [kill_and_start() for _ in range(3)])
        killing.start()
        filled = walked.act("backfill")["filled"]
        killing.join()
        check(walked, writers)
    assert deaths == 3
    assert any("the database is away" in text for text in walked.said), walked.said
    assert walked.end() == expected
    assert sum(one["rows"] for one in filled.values()) > 0


def comes_true(holds: Callable[[], Any]) -> None:
    until_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.002)


@pytest.mark.long
def test_a_concurrent_build_that_dies_with_the_server_is_removed_and_built_anew(
    walked: Walked, undisturbed: Any
) -> None:
    expected = undisturbed("expand", "backfill")[-1]
    walked.act("expand")
    with closing(psycopg.connect(walked.home.super_url)) as holder:
        holder.execute("INSERT INTO orders (id, reference, amount) VALUES (0, 'r0', 0)")  # the build waits for it

        def kill_when_it_builds() -> None:
            with closing(psycopg.connect(walked.home.super_url, autocommit=True)) as connection:
                comes_true(lambda: connection.execute(BUILDING).fetchall())
            kill_server(walked.cluster)

        killing = threading.Thread(target=kill_when_it_builds)
        killing.start()
        with pytest.raises(CrossfadeError) as caught:
            walked.act("backfill")
        killing.join()
    assert caught.value.id == "schema-unreachable"
    walked.cluster.start(CLOCK)
    assert ("invalid index", "orders_kind") in walked.home.ask(LEFT_OVER)
    steps = {step["unit"]: step for step in walked.act("backfill")["steps"]}
    assert [step["tries"] for unit, step in steps.items() if "orders_kind" in unit] == [1]
    assert walked.end() == expected


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_dying_at_every_row_of_every_act(walked: Walked, undisturbed: Any, moment: str) -> None:
    ends = undisturbed(*ROUND)
    with versions(walked) as writers:
        for act, expected in zip(ROUND, ends, strict=True):
            serve(writers, act, done=False)
            seen: set[str] = set()
            while (row := next_row(walked, act, moment, seen)) is not None:
                seen.add(row)
                walked.cluster.start(CLOCK)
                check(walked, writers)
            serve(writers, act, done=True)
            check(walked, writers)
            assert walked.end() == expected, act
    assert sum(walked.killed.values()) > 25, walked.killed


def next_row(walked: Walked, act: str, moment: str, seen: set[str]) -> str | None:
    """The act, with the server killed at the first row at which it was not killed before; None when it is through."""
    died: list[str] = []
    look = walked.at

    def at(what: str) -> bool:
        if what.startswith(moment) and what not in seen and not died:
            died.append(what)
            walked.moment = what
        return look(what)

    walked.at = at  # type: ignore[method-assign]
    try:
        ended_as = end_of(walked, act)
    finally:
        del walked.at  # type: ignore[attr-defined]
    assert ended_as == ("schema-unreachable" if died else "")
    return died[0] if died else None


def end_of(walked: Walked, act: str) -> str:
    """The error's id; empty where the act came through."""
    try:
        walked.act(act)
    except CrossfadeError as error:
        return error.id
    return ""
