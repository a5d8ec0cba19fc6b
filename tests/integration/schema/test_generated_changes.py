"""For all schemas, rows and changes: the end is what the raw SQL gives, and either version reads what the other wrote.

Given drawn tables with rows, when the drawn change is walked through every act by the real engine, then after the way
back the schema is as it was, at the end it is what the raw SQL gives, and what a version wrote at any stage is read by
both as the mapping says.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from psycopg import sql

from crossfade.model.change import Change, Stage
from crossfade.model.errors import CrossfadeError
from crossfade.schema.catalog import read_catalog
from crossfade.schema.planning import PlanOptions, Source, plan_change

sys.path.insert(0, str(Path(__file__).parent))
from catalog_look import look, told_apart
from generated import TYPES, Drawn, Fate, World, name_of, q, worlds
from lifecycle import LIVE, engine_on

ACTS = ("expand", "undo", "expand", "backfill", "detach", "attach", "undo", "expand", "backfill", "detach", "purge")
CLEAR = """
    DELETE FROM crossfade.schema_act; DELETE FROM crossfade.backfill; DELETE FROM crossfade.mismatch;
    DELETE FROM crossfade.attic; DELETE FROM crossfade.change; DROP SCHEMA public CASCADE; CREATE SCHEMA public;
    DROP SCHEMA IF EXISTS "Zwei" CASCADE
"""
SYNC = """
    SELECT format('DROP FUNCTION %s CASCADE', p.oid::regprocedure) FROM pg_proc p
    WHERE pronamespace = 'crossfade_sync'::regnamespace AND prorettype = 'trigger'::regtype
    UNION ALL SELECT format('DROP TABLE %s', c.oid::regclass) FROM pg_class c
    WHERE relnamespace = 'crossfade_attic'::regnamespace AND relkind = 'r'
"""


@dataclass
class Table:
    """One drawn table's rows, as each version must read them."""

    drawn: Drawn
    rows: dict[int, dict[str, dict[Fate, str]]] = field(default_factory=dict)  # number -> shape -> column -> literal


class Walked:
    """A drawn world in the database, emptied before."""

    def __init__(self, home: Any, world: World) -> None:
        self.home, self.world, self.rng = home, world, random.Random(world.seed)
        self.connection = psycopg.connect(home.admin_url, autocommit=True)
        for (drop,) in self.connection.execute(SYNC).fetchall():
            self.connection.execute(drop)
        self.connection.execute(CLEAR)
        self.connection.execute(world.ddl)  # type: ignore[arg-type]
        self.base = look(self.connection)
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(world.change)  # type: ignore[arg-type]
            self.raw = look(self.connection)
        self.tables = [Table(one) for one in world.tables]
        self.next = 1

    def plan(self) -> Change:
        with closing(psycopg.connect(self.home.admin_url, autocommit=True)) as connection:
            sources = [Source("t.sql", self.world.change)]
            return plan_change("t.sql", sources, read_catalog(connection), PlanOptions(True, "new", "none"))

    def session(self, shape: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.home.lanes[shape], autocommit=True)

    def write(self, live: set[str]) -> None:
        """Some writes of each version that lives, and what they must come to."""
        for shape in sorted(live):
            with closing(self.session(shape)) as connection:
                for table in self.tables:
                    for _ in range(3):
                        self._write(connection, table, shape)

    def _write(self, connection: Any, table: Table, shape: str) -> None:
        rng, drawn = self.rng, table.drawn
        mine = drawn.columns(shape)
        if table.rows and mine and rng.random() < 0.5:
            number = rng.choice(sorted(table.rows))
            values = {one: self._value(one) for one in rng.sample(mine, rng.randint(1, len(mine)))}
            pairs = ", ".join(f"{q(name_of(one, shape))} = {value}" for one, value in values.items())
            connection.execute(f"UPDATE {q(drawn.name)} SET {pairs} WHERE {self._where(drawn, number)}")
            row = table.rows[number]
        else:
            number, self.next = self.next, self.next + 1
            values = {one: self._value(one) for one in mine if (one.not_null and not one.default) or rng.random() < 0.7}
            names = [*map(q, drawn.key_columns), *(q(name_of(one, shape)) for one in values)]
            given = ", ".join([*drawn.key_values(number), *values.values()])
            connection.execute(f"INSERT INTO {q(drawn.name)} ({', '.join(names)}) VALUES ({given})")
            row = table.rows[number] = {
                one: {fate: fate.absent for fate in drawn.columns(one)} for one in ("old", "new")
            }
        for fate, value in values.items():
            for other in ("old", "new"):
                if fate in row[other]:
                    row[other][fate] = value

    def _value(self, fate: Fate) -> str:
        choices = [*TYPES[fate.type], *([] if fate.not_null else ["NULL"])]
        return f"({self.rng.choice(choices)})::{fate.type}"

    def _where(self, drawn: Drawn, number: int) -> str:
        pairs = zip(drawn.key_columns, drawn.key_values(number), strict=True)
        return " AND ".join(f"{q(name)} = {value}" for name, value in pairs)

    def check(self, live: set[str]) -> None:
        """Every row, as each version that lives reads it."""
        for shape in sorted(live):
            with closing(self.session(shape)) as connection:
                for table in self.tables:
                    for number, row in table.rows.items():
                        self._check(connection, table.drawn, shape, number, row[shape])

    def _check(self, connection: Any, drawn: Drawn, shape: str, number: int, row: dict[Fate, str]) -> None:
        columns = [(q(name_of(fate, shape)), f"({value})::{fate.type}") for fate, value in row.items()]
        listed = ", ".join([f"{name}::text, {value}::text" for name, value in columns] or ["1, 1"])
        found = connection.execute(
            f"SELECT {listed} FROM {q(drawn.name)} WHERE {self._where(drawn, number)}"
        ).fetchone()
        assert found is not None, f"{drawn.name} {number} is gone"
        wrong = [(name, found[2 * at], found[2 * at + 1]) for at, (name, _) in enumerate(columns)
                 if found[2 * at] != found[2 * at + 1]]  # fmt: skip
        assert not wrong, f"the {shape} version reads in row {number} of {drawn.name}: {wrong}"

    def undone(self) -> None:
        """What only the new version wrote is gone with its columns."""
        for table in self.tables:
            for row in table.rows.values():
                row["new"] = {one: row["old"].get(one, one.absent) for one in table.drawn.columns("new")}

    def stage(self) -> Stage:
        row = self.connection.execute("SELECT stage FROM crossfade.change").fetchone()
        return Stage(row[0]) if row else Stage.BASE


@pytest.fixture(scope="module")
def lanes_home(new_home: Any) -> Any:
    """A database for many worlds, one after the other, and a role for each lane."""
    home = new_home()
    home.lanes = {}
    for shape in ("old", "new"):
        role, password = f"{shape}_{home.name}", "lane"
        with psycopg.connect(home.super_url, autocommit=True) as boss:
            boss.execute("DROP TABLE IF EXISTS public.orders")
            boss.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
            )
            for kind in ("TABLES", "SEQUENCES", "SCHEMAS"):
                words = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT ALL ON {} TO {}")
                owner = sql.Identifier(home.name)
                boss.execute(words.format(owner, sql.SQL(kind), sql.Identifier(role)))
            boss.execute("INSERT INTO crossfade_sync.lane VALUES (%s, %s)", (role, shape))
            boss.execute(sql.SQL("GRANT CREATE ON DATABASE {0} TO {0}").format(sql.Identifier(home.name)))
        home.lanes[shape] = f"postgresql://{role}:{password}@{home.admin_url.split('@', 1)[1]}"
    return home


def walk(home: Any, world: World, acts: Sequence[str]) -> None:
    walked = Walked(home, world)
    note(f"{world.ddl}\n--\n{world.change}")
    with closing(walked.connection):
        try:
            change = walked.plan()
        except CrossfadeError as refused:
            note(refused.render())
            return
        walked.write({"old"})
        for act in acts:
            engine = engine_on(home, lambda _moment, _unit: None)
            rest = (change, "v7") if act == "expand" else (change,)
            getattr(engine, act)(*rest, lambda: True, lambda _text: None)
            if act == "undo":
                walked.undone()
            stage = walked.stage()
            walked.check(LIVE[stage])
            walked.write(LIVE[stage])
            walked.check(LIVE[stage])
            if stage in (Stage.BASE, Stage.GONE):
                difference = told_apart(look(walked.connection), walked.base if stage is Stage.BASE else walked.raw)
                assert not difference, f"after {act}: {difference}"
        found = walked.connection.execute("SELECT kind, data FROM crossfade.mismatch").fetchall()
        assert found == []


AS_DRAWN = [Phase.explicit, Phase.reuse, Phase.generate]  # a smaller one takes minutes to find: replay, then cut down
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=4, phases=AS_DRAWN, deadline=None, print_blob=True, suppress_health_check=QUIET)
@given(world=worlds())
def test_a_drawn_change_there_and_back_and_to_the_end(lanes_home: Any, world: World) -> None:
    walk(lanes_home, world, ACTS)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=100, phases=AS_DRAWN, deadline=None, print_blob=True, suppress_health_check=QUIET)
@given(world=worlds())
def test_a_drawn_change_there_and_back_and_to_the_end_for_long(lanes_home: Any, world: World) -> None:
    walk(lanes_home, world, ACTS)
