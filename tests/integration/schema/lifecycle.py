"""One change walked by the real engine while both versions write from threads of their own, and what must come of it.

Rule: the ledger is kept by the test alone. Under a row's lock a version writes, the ledger notes what the row must show
to either version, and reads are held to it at once, whatever the engine is doing meanwhile. A write may be refused only
where the family says that its plan declared it. The locks of every unit are read from `pg_locks` when all its
statements have run; none of a table that is there may be stronger than the plan declares, and what it does not
declare may stop no reader and no writer. (Views are not held to it: LOCK takes the tables under a view as well, and no
materialized view at all, so none can be declared.)
"""

from __future__ import annotations

import itertools
import json
import random
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from catalog_look import look, told_apart
from psycopg import sql
from recipe_world import Model, Recipe, Row

from crossfade.model.change import Change, Stage, Unit
from crossfade.model.requirement import Staging
from crossfade.schema.backfill import Filler
from crossfade.schema.catalog import read_catalog
from crossfade.schema.engine import PostgresSchemaEngine
from crossfade.schema.planning import PlanOptions, Source, plan_change
from crossfade.schema.session import Sessions
from crossfade.walk.clock import SystemClock

CLOCK = SystemClock()
FORWARD = ("expand", "backfill", "compare", "record", "detach")
ROUND = ("expand", "undo", *FORWARD, "attach", "undo", *FORWARD, "attach", "detach", "purge")
OLD_SERVES = {"expand", "backfill", "compare", "record", "undo"}  # while the act is under way
NEW_SERVES = {"compare", "detach", "attach", "purge"}
LIVE = {
    Stage.BASE: {"old"},
    Stage.BOTH: {"old"},
    Stage.EQUAL: {"old", "new"},
    Stage.HIDDEN: {"new"},
    Stage.GONE: {"new"},
}
MODES = ["ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE",
         "EXCLUSIVE", "ACCESS EXCLUSIVE"]  # fmt: skip
STOPS_NOBODY = "SHARE UPDATE EXCLUSIVE"
HELD = """
    SELECT '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"', upper(regexp_replace(
           regexp_replace(l.mode, 'Lock$', ''), '(?<=[a-z])(?=[A-Z])', ' ', 'g'))
    FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.application_name = 'crossfade schema' AND a.datname = current_database() AND l.locktype = 'relation'
    AND l.database = a.datid AND l.granted AND c.relkind IN ('r', 'p')
    AND n.nspname NOT LIKE 'crossfade%' AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
"""
TURNS = {"expand": "undo", "undo": "expand", "detach": "attach", "attach": "detach"}
WRITES = 8  # of each version that lives, between two acts


class Died(Exception):
    """The process that walks is gone at this moment, as far as it knows."""


class Ledger:
    """What every row must show to each version; whoever writes a row holds its lock."""

    def __init__(self, recipe: Recipe) -> None:
        self.model = Model(recipe)
        self._locks = [threading.Lock() for _ in range(64)]
        self._guard = threading.Lock()
        self.ids = itertools.count(1000)

    @contextmanager
    def row(self, id: int) -> Iterator[None]:
        with self._locks[id % len(self._locks)]:
            yield

    def some(self, rng: random.Random) -> int | None:
        with self._guard:
            ids = list(self.model.old)
        return rng.choice(ids) if ids else None

    def wrote(self, shape: str, id: int, values: Row, inserted: bool) -> None:
        with self._guard:
            self.model.wrote(shape, id, values, inserted)

    def deleted(self, id: int) -> None:
        with self._guard:
            self.model.deleted(id)


class Version(threading.Thread):
    """One instance of a version: it writes and reads as that version does, while it serves."""

    def __init__(self, life: Life, shape: str, number: int) -> None:
        super().__init__(daemon=True, name=f"{shape} {number}")
        self.life, self.shape, self.recipe, self.ledger = life, shape, life.recipe, life.ledger
        self.rng = random.Random(f"{life.seed} {life.recipe.name} {self.name}")
        self.columns: Mapping[str, Sequence[Any]] = self.recipe.old if shape == "old" else self.recipe.new
        self.defaults = self.recipe.old_defaults if shape == "old" else self.recipe.new_defaults
        self.uses = self.recipe.old_uses if shape == "old" else self.recipe.new_uses
        self.wrong: list[str] = []
        self.refused = 0
        self.writing = threading.Lock()
        self.more = threading.Condition()
        self.done = 0
        self.over = False
        self.connection: psycopg.Connection[Any] | None = None

    def run(self) -> None:
        while not self.over:
            with self.writing:
                if self.connection is not None:
                    try:
                        self.once(self.connection)
                    except Exception as exc:  # told by the thread that waits
                        self.wrong.append(f"{self.name} at {self.life.act_now}: {exc!r}")
                        self.over = True
            with self.more:
                self.done += 1
                self.more.notify_all()
            time.sleep(0.001)

    def serve(self, yes: bool) -> None:
        """A version starts with a session of its own, and stops."""
        with self.writing:  # a write that is under way has its answer first
            if not yes and self.connection is not None:
                self.connection.close()
                self.connection = None
            elif yes and self.connection is None:
                self.connection = self.life.connect(self.shape)

    def until_more(self, count: int) -> None:
        with self.more:
            goal = self.done + count
            assert self.more.wait_for(lambda: self.done >= goal or self.wrong, timeout=60), f"{self.name} hangs"

    def once(self, connection: psycopg.Connection[Any]) -> None:
        rng = self.rng
        what = rng.choice(["insert"] * 2 + ["update"] * 3 + ["read"] * 2 + ["delete"] + ["use"] * len(self.uses))
        if what == "use":
            use = rng.choice(self.uses)
            self.write(connection, use, {"id": next(self.ledger.ids)} if "%(id)s" in use else None)
            return
        id = next(self.ledger.ids) if what == "insert" else self.ledger.some(rng)
        if id is None:
            return
        with self.ledger.row(id):
            if what == "insert":
                given = {n: v for n, v in self.columns.items() if n not in self.defaults or rng.random() < 0.6}
                self.insert(connection, id, {name: self.value(choices, id) for name, choices in given.items()})
            elif id in self.ledger.model.old:
                getattr(self, what)(connection, id)

    def value(self, choices: Sequence[Any], id: int) -> Any:
        chosen = self.rng.choice(choices)
        return chosen(id) if callable(chosen) else chosen

    def write(self, connection: psycopg.Connection[Any], statement: Any, values: Any) -> bool:
        """Whether it was taken; refused may be only what the family's plan declares."""
        try:
            connection.execute(statement, values)
        except psycopg.Error as exc:
            if exc.sqlstate not in self.recipe.refused.get(self.shape, ()):
                text = statement if isinstance(statement, str) else statement.as_string(connection)
                raise AssertionError(f"refused: {text} {values}: {exc}") from exc
            self.refused += 1
            return False
        return True

    def insert(self, connection: psycopg.Connection[Any], id: int, values: Row) -> None:
        names = [self.recipe.key, *values]
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            self.life.table(self.shape),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join(sql.Placeholder() * len(names)),
        )
        if self.write(connection, statement, [id, *values.values()]):
            self.ledger.wrote(self.shape, id, values, True)

    def update(self, connection: psycopg.Connection[Any], id: int) -> None:
        if not self.columns:
            return
        names = self.rng.sample(list(self.columns), self.rng.randint(1, len(self.columns)))
        values = {name: self.value(self.columns[name], id) for name in names}
        pairs = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
        statement = sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(
            self.life.table(self.shape), pairs, sql.Identifier(self.recipe.key)
        )
        if self.write(connection, statement, [*values.values(), id]):
            self.ledger.wrote(self.shape, id, values, False)

    def delete(self, connection: psycopg.Connection[Any], id: int) -> None:
        statement = sql.SQL("DELETE FROM {} WHERE {} = %s").format(
            self.life.table(self.shape), sql.Identifier(self.recipe.key)
        )
        if self.write(connection, statement, [id]):
            self.ledger.deleted(id)

    def read(self, connection: psycopg.Connection[Any], id: int) -> None:
        model = self.ledger.model
        wanted = (model.old if self.shape == "old" else model.new)[id]
        found = self.life.rows(connection, self.shape, id)
        self.life.alike(found, {id: wanted}, "one row")


def engine_on(home: Any, at: Callable[[str, str], None]) -> PostgresSchemaEngine:
    """The real engine with its real filler; `at` is told before and after each row of the journal."""
    url, settings = home.admin_url, Staging(batch_ms=5)

    def filler(change: str) -> Filler:
        return Filler(Sessions(url, CLOCK).beside, "shop", change, lambda: settings, CLOCK, engine.fence)

    engine = PostgresSchemaEngine(
        url,
        "shop",
        CLOCK,
        settings,
        lambda: 1,
        filler=filler,
        before_row=lambda unit: at("before", unit),
        after_row=lambda unit: at("after", unit),
    )
    return engine


@dataclass
class Life:
    """A family's change on its way in a database of its own."""

    home: Any
    recipe: Recipe
    seed: int = 1
    act_now: str = "the start"
    held: dict[str, tuple[str, float]] = field(default_factory=dict)  # the strongest lock and the longest hold
    said: list[str] = field(default_factory=list)
    died: set[tuple[str, str, str]] = field(default_factory=set)  # moment, act, unit

    def __post_init__(self) -> None:
        recipe, home = self.recipe, self.home
        self.roles = {shape: self._role(shape) for shape in ("old", "new")}
        self.admin = psycopg.connect(home.admin_url, autocommit=True)
        self.watcher = psycopg.connect(home.super_url, autocommit=True)
        self.admin.execute("DROP TABLE IF EXISTS public.orders")
        self.admin.execute(recipe.ddl)
        with self.admin.transaction(force_rollback=True):
            self.admin.execute(re.sub(r"CONCURRENTLY|BEGIN;|COMMIT;?", "", recipe.change))
            self.raw = look(self.admin)
        self.base = look(self.admin)
        options = PlanOptions(recipe.lanes, "new", recipe.stars)
        sources = [Source("t.sql", recipe.change)]
        self.change: Change = plan_change("t.sql", sources, read_catalog(self.admin), options)
        change = self.change
        units = (*change.expand, *change.settle, *change.record, *change.detach, *change.purge)
        self.by_key: Mapping[str, Unit] = {unit.key: unit for unit in units}
        self.ledger = Ledger(recipe)
        self.versions = [Version(self, shape, number) for shape in ("old", "new") for number in (1, 2)]

    def _role(self, shape: str) -> str:
        role, password = f"{shape}_{secrets.token_hex(4)}", secrets.token_hex(8)
        with psycopg.connect(self.home.super_url, autocommit=True) as boss:
            name, owner = sql.Identifier(role), sql.Identifier(self.home.name)
            boss.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
            for kind in ("TABLES", "SEQUENCES"):
                words = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT ALL ON {} TO {}")
                boss.execute(words.format(owner, sql.SQL(kind), name))
            boss.execute(
                sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT USAGE ON SCHEMAS TO {}").format(owner, name)
            )
            boss.execute("INSERT INTO crossfade_sync.lane VALUES (%s, %s)", (role, shape))
        return f"postgresql://{role}:{password}@{self.home.admin_url.split('@', 1)[1]}"

    def connect(self, shape: str) -> psycopg.Connection[Any]:
        unprepared = {"prepare_threshold": None} if "crossfade: retype" in self.recipe.change else {}
        connection = psycopg.connect(self.roles[shape], autocommit=True, **unprepared)
        if shape == "new" and self.change.shapes:
            connection.execute(sql.SQL("SET search_path TO {}, public").format(sql.Identifier(self.change.shapes)))
        return connection

    def table(self, shape: str) -> sql.Identifier:
        return sql.Identifier(self.recipe.tables[shape == "new"])

    def rows(self, connection: psycopg.Connection[Any], shape: str, id: int | None = None) -> dict[int, Row]:
        """Rows as a version reads them."""
        columns = list(self.recipe.old if shape == "old" else self.recipe.new)
        listed = sql.SQL(", ").join(map(sql.Identifier, [self.recipe.key, *columns]))
        asked = sql.SQL("SELECT {} FROM {}{} ORDER BY 1").format(
            listed, self.table(shape), sql.SQL("") if id is None else sql.SQL(" WHERE {} = {}").format(
                sql.Identifier(self.recipe.key), sql.Literal(id))
        )  # fmt: skip
        found = connection.execute(asked).fetchall()
        return {row[0]: dict(zip(columns, row[1:], strict=True)) for row in found}

    def alike(self, found: dict[int, Row], wanted: dict[int, Row], who: str) -> None:
        """Compare rows to the letter: 1.0 and 1.00 are equal, and are not the same."""

        def plain(rows: dict[int, Row]) -> dict[int, str]:
            blurs = self.recipe.blurs
            return {
                id: repr({n: blurs[n] if v is None and n in blurs else v for n, v in sorted(row.items())})
                for id, row in rows.items()
            }

        one, other = plain(found), plain(wanted)
        wrong = [f"{id}: {one.get(id)}, not {other.get(id)}" for id in {*one, *other} if one.get(id) != other.get(id)]
        assert not wrong, f"{who} reads {wrong[:5]} ({len(wrong)} rows)"

    # -- the engine ------------------------------------------------------------------------------------

    def do(self, act: str, at: Callable[[str, str], None]) -> None:
        """One call of an act; raises what `at` raises."""
        name = "backfill" if act == "compare" else act
        way = "undo" if act in ("attach", "undo") else "do"

        def looked_at(moment: str, unit: str) -> None:
            if moment == "before" and unit in self.by_key:
                self.measure(self.by_key[unit], way)
            at(moment, unit)

        engine = engine_on(self.home, looked_at)
        if name == "expand":
            done = engine.expand(self.change, "v7", lambda: True, self.said.append)
        else:
            done = getattr(engine, name)(self.change, lambda: True, self.said.append)
        for step in done["steps"]:  # of one that died there is none
            key = f"{step['way']} {step['unit']}"
            mode, held_ms = self.held.get(key, ("", 0.0))
            self.held[key] = (mode, max(held_ms, step["held_ms"]))

    def measure(self, unit: Unit, way: str) -> None:
        """Hold what the unit's transaction has locked to what the plan declared."""
        if unit.concurrent:
            return
        declared = dict(unit.locks if way == "do" else unit.undo_locks or unit.locks)
        for table, mode in self.watcher.execute(HELD).fetchall():
            view = table.replace(f'"cf_{self.change.id[1:7]}_', '"')  # to lock a view locks the table behind it
            allowed = declared.get(table) or declared.get(view, STOPS_NOBODY)
            if MODES.index(mode) > MODES.index(allowed):
                raise AssertionError(f"{way} {unit.key} holds {mode} on {table}, and declares {declared}")
            key = f"{way} {unit.key}"
            strongest = max(self.held.get(key, ("", 0.0))[0] or MODES[0], mode, key=MODES.index)
            self.held[key] = (strongest, self.held.get(key, ("", 0.0))[1])

    def dying(self, act: str) -> None:
        """The act, called again after it died before and after each row that it writes, where it has not died yet.

        Half done it is turned round as well, where there is an act that leads back.
        """
        while died := self._dies(act):
            self.holds()
            if died == "after" and act in TURNS and not (act == "undo" and self.stage() is not Stage.BASE):
                self.do(TURNS[act], lambda _moment, _unit: None)

    def _dies(self, act: str) -> str:
        """Before or after which row it died; empty when it came to its end."""

        def die(moment: str, unit: str) -> None:
            if (moment, act, unit) not in self.died:
                self.died.add((moment, act, unit))
                raise Died(moment)

        try:
            self.do(act, die)
        except Died as died:
            return str(died)
        return ""

    # -- the round --------------------------------------------------------------------------------------

    def stage(self) -> Stage:
        row = self.watcher.execute("SELECT stage FROM crossfade.change").fetchone()
        return Stage(row[0]) if row else Stage.BASE

    def serve(self, live: set[str]) -> None:
        for one in self.versions:
            one.serve(one.shape in live)

    def walk(self, acts: Sequence[str], each: Callable[[str], None]) -> None:
        """The acts, each done by `each`, with writes of the versions that may live during and between them."""
        for one in self.versions:
            one.start()
        try:
            self._begin()
            for act in acts:
                self.act_now = act
                before = self.told_by_one_shape(act)
                self.serve({s for s, serves in (("old", OLD_SERVES), ("new", NEW_SERVES)) if act in serves})
                each(act)
                self.holds()
                if act == "undo":  # the new shape begins anew from the old one
                    with self._nobody_writes():
                        self.ledger.model.expanded_again()
                self.kept(before)
                self.act_now = f"after {act}"
                self.serve(LIVE[self.stage()])
                for one in self.versions:
                    if one.connection is not None:
                        one.until_more(WRITES)
                self.check()
        finally:
            for one in self.versions:
                one.over = True
            for one in self.versions:
                one.join(30)
                one.serve(False)
        self.holds()

    def _begin(self) -> None:
        """Rows from before the change."""
        self.serve({"old"})
        for one in self.versions:
            if one.shape == "old":
                one.until_more(40)

    def holds(self) -> None:
        assert [text for one in self.versions for text in one.wrong] == []

    @contextmanager
    def _nobody_writes(self) -> Iterator[None]:
        with ExitStack() as stack:
            for one in self.versions:
                stack.enter_context(one.writing)
            yield

    def told_by_one_shape(self, act: str) -> dict[int, Any]:
        """What the attic must have of each row when the act is done."""
        model, column = self.ledger.model, self.recipe.old_kept if act == "purge" else self.recipe.new_kept
        if not column or act not in ("purge", "undo") or self.stage() not in (Stage.EQUAL, Stage.HIDDEN):
            return {}
        with self._nobody_writes():
            rows = model.old if act == "purge" else model.new
            return {id: row[column] for id, row in rows.items() if row[column] is not None}

    def kept(self, told: dict[int, Any]) -> None:
        """Hold the attic to it; rows that were deleted meanwhile may be there or not."""
        if not told:
            return
        attics = self.watcher.execute("SELECT attic FROM crossfade.attic").fetchall()
        found: dict[int, Any] = {}
        for (attic,) in attics:
            listed = self.watcher.execute(f"SELECT to_jsonb(a) FROM {attic} a").fetchall()
            for (row,) in listed:
                value = next(value for name, value in row.items() if name != self.recipe.key)
                found[row[self.recipe.key]] = value
        lost = [id for id, value in told.items() if id in self.ledger.model.old and found.get(id) != value]
        assert not lost, f"{self.act_now}: the attic lacks {lost[:5]} ({len(lost)} rows)"

    def check(self) -> None:
        """All rows as every version that lives reads them, and the schema where it must be a known one."""
        stage, model = self.stage(), self.ledger.model
        with self._nobody_writes():
            for shape, rows in (("old", model.old), ("new", model.new)):
                if shape in LIVE[stage]:
                    connection = next(one.connection for one in self.versions if one.shape == shape)
                    assert connection is not None
                    found = self.rows(connection, shape)
                    self.alike(found, dict(sorted(rows.items())), f"the {shape} version {self.act_now}")
        if (stage is Stage.BASE and not self.recipe.stays) or stage is Stage.GONE:
            difference = told_apart(look(self.admin), self.base if stage is Stage.BASE else self.raw)
            assert not difference, f"{self.act_now}: {difference}"
        self.watcher.execute("SELECT count(*) FROM crossfade.mismatch")
        noted = self.watcher.execute("SELECT kind, key, data FROM crossfade.mismatch LIMIT 3").fetchall()
        assert self.recipe.noted or noted == []

    def close(self) -> None:
        self.admin.close()
        self.watcher.close()


class KilledLife(Life):
    """A life whose acts are done by processes that end with SIGKILL."""

    def _dies(self, act: str) -> str:
        seen = [[moment, unit] for moment, of, unit in self.died if of == act]
        name = "backfill" if act == "compare" else act
        given = {"url": self.home.admin_url, "change": self.change.to_json(), "act": name, "seen": seen}
        program = Path(__file__).with_name("killed_act.py")
        ran = subprocess.run(
            [sys.executable, str(program)], input=json.dumps(given), text=True, capture_output=True, timeout=120
        )
        if ran.returncode == 0:
            return ""
        assert ran.returncode == -signal.SIGKILL, ran.stderr
        moment, unit = json.loads(ran.stdout)
        self.died.add((moment, act, unit))
        return str(moment)
