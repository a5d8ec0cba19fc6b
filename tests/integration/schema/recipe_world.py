"""A change, its two versions, and a database where the units' SQL is run by hand, one stage at a time.

The model beside it knows what every row must look like to each version: what a version wrote is what it reads, and the
other version reads its counterpart.
"""

from __future__ import annotations

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
    stars: str = "none"
    tables: tuple[str, str] = ("t", "t")  # what each version calls its table, and `key` the column it is found by
    key: str = "id"
    old_uses: Sequence[str] = ()  # what else a version runs, and is never refused
    new_uses: Sequence[str] = ()
    refused: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by shape, SQLSTATEs that the plan declares
    stays: bool = False  # the way back is not the schema as it was, as the plan says
    noted: bool = False  # the plan says that writes are recorded
    blurs: Row = field(default_factory=dict)  # column -> what the trigger writes where the old version wrote NULL
    old_kept: str = ""  # the column that a purge drops, whole, and nothing else tells of
    new_kept: str = ""  # the column whose values, NULL apart, only the new version has told
    since: int = 15  # the major version of PostgreSQL that has it
    quick: bool = False  # stands for its kind in the short run

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
