"""A database with an old and a new version writing to it, and a change that is walked to each stage and back.

The model beside it knows what every row must look like to each version: what a version wrote is what it reads, and the
other version reads its counterpart.
"""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from crossfade.model.change import Change, Stage, Unit
from crossfade.schema.catalog import read_catalog
from crossfade.schema.planning import PlanOptions, Source, plan_change

Row = dict[str, Any]
STAGES = list(Stage)


@dataclass
class Recipe:
    """One change: the table before it, its SQL, the two versions' columns, and how each reads what the other wrote."""

    name: str
    ddl: str
    change: str
    old: Mapping[str, Sequence[Any]]  # column -> values that the old version writes
    new: Mapping[str, Sequence[Any]]
    read_new: Callable[[Row, Row | None, Row | None], Row]  # old row, old row before, new row before -> new row
    read_old: Callable[[Row, Row | None, Row | None], Row]
    old_defaults: Row = field(default_factory=dict)
    new_defaults: Row = field(default_factory=dict)
    lanes: bool = True

    def __str__(self) -> str:
        return self.name


class World:
    """The table t, walked by running the units' SQL."""

    def __init__(
        self, home: Any, recipe: Recipe, rows: Sequence[Row] = (), both_changed: str = "new", stars: str = "none"
    ) -> None:
        self.home, self.recipe = home, recipe
        self.at = Stage.BASE
        self.admin = psycopg.connect(home.admin_url, autocommit=True)
        self.admin.execute("DROP TABLE IF EXISTS public.orders")
        self.admin.execute(recipe.ddl)
        with self.admin.transaction(force_rollback=True):
            self.admin.execute(re.sub(r"CONCURRENTLY|BEGIN;|COMMIT", "", recipe.change))
            self.raw = read_catalog(self.admin)
        self.base = read_catalog(self.admin)
        options = PlanOptions(recipe.lanes, both_changed, stars)
        self.change: Change = plan_change("t.sql", [Source("t.sql", recipe.change)], self.base, options)
        self.old = self._connect("old")
        self.new = self._connect("new")

    def _connect(self, shape: str) -> psycopg.Connection[Any]:
        role, password = f"{shape}_{secrets.token_hex(4)}", secrets.token_hex(8)
        with psycopg.connect(self.home.super_url, autocommit=True) as boss:
            name = sql.Identifier(role)
            boss.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
            boss.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}").format(name))
            boss.execute(sql.SQL("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {}").format(name))
            boss.execute("INSERT INTO crossfade_sync.lane VALUES (%s, %s)", (role, shape))
        rest = self.home.admin_url.split("@", 1)[1]
        unprepared = {"prepare_threshold": None} if "crossfade: retype" in self.recipe.change else {}
        connection = psycopg.connect(f"postgresql://{role}:{password}@{rest}", autocommit=True, **unprepared)
        if shape == "new" and self.change.shapes:
            connection.execute(sql.SQL("SET search_path TO {}, public").format(sql.Identifier(self.change.shapes)))
        return connection

    def close(self) -> None:
        for connection in (self.admin, self.old, self.new):
            connection.close()

    def units(self, stage: Stage) -> Sequence[Unit]:
        change = self.change
        return {
            Stage.BOTH: [*change.expand],
            Stage.EQUAL: [*change.settle, *change.record],
            Stage.HIDDEN: [*change.detach],
            Stage.GONE: [*change.purge],
        }[stage]

    def forward(self) -> None:
        """One stage on."""
        self.at = STAGES[self.at.rank + 1]
        if self.at is Stage.EQUAL:
            for fill in self.change.backfill:
                pairs = ", ".join(f"{column} = {value}" for column, value in fill.assignments)
                self.admin.execute(f"UPDATE {fill.table} SET {pairs} WHERE {fill.unfilled}")
                assert self.one(f"SELECT count(*) FROM {fill.table} WHERE {fill.unfilled}") == 0
                assert self.one(f"SELECT count(*) FROM {fill.table} WHERE {fill.differs}") == 0
        for unit in self.units(self.at):
            self.run(unit, unit.do)

    def back(self) -> None:
        """One stage back."""
        for unit in reversed(self.units(self.at)):
            self.run(unit, unit.undo)
        self.at = STAGES[self.at.rank - 1]

    def run(self, unit: Unit, statements: Sequence[str]) -> None:
        if unit.concurrent:
            for statement in statements:
                self.admin.execute(statement)
            if statements is unit.do:
                assert self.one(unit.probe) is True
            return
        with self.admin.transaction():
            locks = unit.undo_locks or unit.locks if statements is unit.undo else unit.locks
            for table, mode in locks:
                self.admin.execute(f"LOCK TABLE {table} IN {mode} MODE")
            for statement in statements:
                self.admin.execute(statement)

    def one(self, statement: str) -> Any:
        row = self.admin.execute(statement).fetchone()
        return row and row[0]

    def go(self, stage: Stage) -> None:
        while self.at.rank < stage.rank:
            self.forward()
        while self.at.rank > stage.rank:
            self.back()

    def live(self, shape: str) -> bool:
        """Whether a version of that shape serves now."""
        return self.at.rank <= 2 if shape == "old" else self.at.rank >= 2

    def rows(self, shape: str) -> dict[int, Row]:
        """All rows, as a version reads them."""
        columns = list(self.columns(shape))
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        connection = self.old if shape == "old" else self.new
        found = connection.execute(sql.SQL("SELECT id, {} FROM t ORDER BY id").format(listed)).fetchall()
        return {row[0]: dict(zip(columns, row[1:], strict=True)) for row in found}

    def columns(self, shape: str) -> Mapping[str, Sequence[Any]]:
        return self.recipe.old if shape == "old" else self.recipe.new

    def insert(self, shape: str, id: int, values: Row) -> None:
        names = ["id", *values]
        statement = sql.SQL("INSERT INTO t ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(sql.Placeholder() * len(names))
        )
        (self.old if shape == "old" else self.new).execute(statement, [id, *values.values()])

    def update(self, shape: str, id: int, values: Row) -> None:
        pairs = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
        statement = sql.SQL("UPDATE t SET {} WHERE id = %s").format(pairs)
        (self.old if shape == "old" else self.new).execute(statement, [*values.values(), id])

    def delete(self, shape: str, id: int) -> None:
        (self.old if shape == "old" else self.new).execute("DELETE FROM t WHERE id = %s", [id])

    def noted(self) -> list[tuple[str, Any, Any]]:
        """What was recorded of writes that the two shapes cannot both hold."""
        with psycopg.connect(self.home.super_url) as boss:
            return boss.execute("SELECT kind, key, data FROM crossfade.mismatch ORDER BY id").fetchall()


class Model:
    """What each row must look like to each version."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.old: dict[int, Row] = {}
        self.new: dict[int, Row] = {}

    def wrote(self, shape: str, id: int, values: Row, inserted: bool) -> None:
        recipe = self.recipe
        mine, theirs = (self.old, self.new) if shape == "old" else (self.new, self.old)
        defaults = recipe.old_defaults if shape == "old" else recipe.new_defaults
        columns = recipe.old if shape == "old" else recipe.new
        before = None if inserted else mine[id]
        row = dict.fromkeys(columns) | defaults | values if inserted else {**mine[id], **values}
        read = recipe.read_new if shape == "old" else recipe.read_old
        theirs[id] = read(row, before, theirs.get(id))
        mine[id] = row

    def deleted(self, id: int) -> None:
        self.old.pop(id)
        self.new.pop(id)

    def expanded_again(self) -> None:
        """The new shape begins anew from the old one."""
        self.new = {id: self.recipe.read_new(row, None, None) for id, row in self.old.items()}


class Players:
    """Both versions writing at random, as far as they live."""

    def __init__(self, world: World, model: Model, rng: random.Random) -> None:
        self.world, self.model, self.rng = world, model, rng
        self.next_id = 1000

    def play(self) -> None:
        rng = self.rng
        shape = rng.choice([one for one in ("old", "new") if self.world.live(one)])
        columns = self.world.columns(shape)
        ids = sorted(self.model.old)
        what = rng.choice(["insert", "insert", "update", "update", "update", "delete"])
        if what == "insert" or not ids:
            optional = self.world.recipe.old_defaults if shape == "old" else self.world.recipe.new_defaults
            values = {n: rng.choice(v) for n, v in columns.items() if n not in optional or rng.random() < 0.6}
            self.next_id += 1
            self.world.insert(shape, self.next_id, values)
            self.model.wrote(shape, self.next_id, values, True)
        elif what == "update":
            id = rng.choice(ids)
            names = rng.sample(list(columns), rng.randint(1, len(columns)))
            values = {name: rng.choice(columns[name]) for name in names}
            self.world.update(shape, id, values)
            self.model.wrote(shape, id, values, False)
        else:
            id = rng.choice(ids)
            self.world.delete(shape, id)
            self.model.deleted(id)

    def check(self) -> None:
        for shape, rows in (("old", self.model.old), ("new", self.model.new)):
            if self.world.live(shape):
                found = self.world.rows(shape)  # 1.0 and 1.00 are equal, and are not the same
                assert repr(found) == repr(dict(sorted(rows.items()))), f"the {shape} version at {self.world.at}"
