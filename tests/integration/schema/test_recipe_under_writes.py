"""The stages move while the versions write at once, without a pause: no write fails, none is lost or reads wrong."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from crossfade.model.change import Stage

sys.path.insert(0, str(Path(__file__).parent))
from recipe_world import Recipe, World

CHANGE = """
ALTER TABLE t RENAME COLUMN reference TO code;
ALTER TABLE t ADD COLUMN price numeric NOT NULL, DROP COLUMN cents, ADD COLUMN kind text NOT NULL;
CREATE INDEX CONCURRENTLY t_kind ON t (kind);
-- crossfade: up t.price = cents / 100.0
-- crossfade: down t.cents = (price * 100)::int
-- crossfade: up t.kind = left(reference, 1)
"""
RECIPE = Recipe(
    "under writes",
    "CREATE TABLE t (id bigint PRIMARY KEY, reference text NOT NULL, cents int NOT NULL)",
    CHANGE,
    {"reference": [], "cents": []},
    {"code": [], "price": [], "kind": []},
    lambda row, *_: row,
    lambda row, *_: row,
)
INSERT = {
    "old": "INSERT INTO t (id, reference, cents) VALUES (%(id)s, 'a0', 0)",
    "new": "INSERT INTO t (id, code, price, kind) VALUES (%(id)s, 'a0', 0, 'k')",
}
UPDATE = {
    "old": "UPDATE t SET reference = 'a' || %(n)s::text, cents = %(n)s WHERE id = %(id)s",
    "new": "UPDATE t SET code = 'a' || %(n)s::text, price = %(n)s / 100.0 WHERE id = %(id)s",
}


class Writer:
    """One version's thread: inserts, then writes its own row and rows that everybody writes."""

    def __init__(self, shape: str, connection: psycopg.Connection[Any], first: int) -> None:
        self.shape, self.connection, self.first = shape, connection, first
        self.wrote: dict[int, int] = {}  # its own rows, and what they hold
        self.failed: list[BaseException] = []
        self.done = 0
        self.more = threading.Condition()
        self.stopping = threading.Event()

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.once()
                with self.more:
                    self.done += 1
                    self.more.notify_all()
        except psycopg.Error as exc:
            with self.more:
                self.failed.append(exc)
                self.more.notify_all()

    def once(self) -> None:
        n = self.done
        mine = self.first + n // 3
        if n % 3 == 0:
            self.connection.execute(INSERT[self.shape], {"id": mine})
            self.wrote[mine] = 0
        elif n % 3 == 1:
            self.connection.execute(UPDATE[self.shape], {"id": mine, "n": n})
            self.wrote[mine] = n
        else:
            self.connection.execute(UPDATE[self.shape], {"id": 1 + n % 40, "n": n})

    def until_more(self, count: int) -> None:
        """Wait for that many more writes."""
        with self.more:
            goal = self.done + count
            assert self.more.wait_for(lambda: self.done >= goal or self.failed, timeout=60)
        assert self.failed == []


@contextmanager
def writing(world: World, shape: str, first: int) -> Iterator[Writer]:
    writer = Writer(shape, world.old if shape == "old" else world.new, first)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield writer
    finally:
        writer.stopping.set()
        thread.join(60)
    assert writer.failed == []


@pytest.fixture
def world(home: Any) -> Iterator[World]:
    one = World(home, RECIPE)
    one.old.execute("INSERT INTO t SELECT n, 'a' || n, n FROM generate_series(1, 500) AS n")
    yield one
    one.close()


def test_no_write_fails_and_none_is_lost_there_and_back_and_to_the_end(world: World) -> None:
    kept: dict[int, int] = {}
    with writing(world, "old", 10_000) as old:
        for _ in range(3):
            world.go(Stage.BOTH)
            old.until_more(20)
            world.go(Stage.BASE)
            old.until_more(20)
        world.go(Stage.EQUAL)
        with writing(world, "new", 20_000) as new:
            new.until_more(60)
            old.until_more(60)
        kept |= new.wrote
        world.go(Stage.BASE)
        old.until_more(20)
        world.go(Stage.EQUAL)
    kept |= old.wrote
    found = world.rows("new")
    assert {id: (found[id]["code"], int(found[id]["price"] * 100)) for id in kept} == {
        id: (f"a{n}", n) for id, n in kept.items()
    }
    with writing(world, "new", 30_000) as new:
        for _ in range(3):
            world.go(Stage.HIDDEN)
            new.until_more(20)
            world.go(Stage.EQUAL)
            new.until_more(20)
        found = world.rows("old")
        world.go(Stage.GONE)
        new.until_more(20)
    assert {id: (found[id]["reference"], found[id]["cents"]) for id in kept} == {
        id: (f"a{n}", n) for id, n in kept.items()
    }
    assert len(world.rows("new")) == 500 + len(kept) + len(new.wrote)
    assert world.noted() == []
