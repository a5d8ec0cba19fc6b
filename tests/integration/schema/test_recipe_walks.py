"""Every recipe, there and back, with both versions writing at random: each reads every write in its own shape.

Given a table with rows, when a change is walked to each stage and back while both versions write, then what a version
wrote is what it reads, the other reads its counterpart, and the end is the same schema as the raw SQL gives.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crossfade.model.change import Stage
from crossfade.schema.catalog import read_catalog

sys.path.insert(0, str(Path(__file__).parent))
from recipe_world import Model, Players, Recipe, Row, World

TEXTS = ["", "a", "B", "it's", 'a "b"', "né", "x\\y", "$crossfade$"]
NULLS = [*TEXTS, None]


def plain(*names: str) -> Any:
    """A reader that takes these columns over as they are."""
    return lambda row, *_: {name: row[name] for name in names}


def renamed(old: str, new: str, *shared: str) -> tuple[Any, Any]:
    def to_new(row: Row, *_: Any) -> Row:
        return {new: row[old], **{name: row[name] for name in shared}}

    def to_old(row: Row, *_: Any) -> Row:
        return {old: row[new], **{name: row[name] for name in shared}}

    return to_new, to_old


def kind_of(row: Row, before: Row | None, other: Row | None) -> Row:
    """The new version's row: kind follows reference until it has a value of its own."""
    follows = before is None or other is None or other["kind"] == (before["reference"] or "")[:1]
    kind = (row["reference"] or "")[:1] if follows else other["kind"]
    return {"reference": row["reference"], "kind": kind}


def total_of(row: Row, before: Row | None, other: Row | None) -> Row:
    """The old version's row: total follows price and count until it has a value of its own."""
    follows = before is None or other is None or other["total"] == before["price"] * before["count"]
    return {**row, "total": row["price"] * row["count"] if follows else other["total"]}


def keeps(default: Any, name: str) -> Any:
    """A reader whose column stands where it was, or at its default."""
    return lambda row, before, other: {**row, name: other[name] if other else default}


def without(name: str) -> Any:
    return lambda row, *_: {column: value for column, value in row.items() if column != name}


RENAME = "CREATE TABLE t (id bigint PRIMARY KEY, reference text{}, note text);"
RECIPES = [
    Recipe(
        "rename",
        RENAME.format(" NOT NULL CHECK (reference <> 'never')")
        + "CREATE INDEX t_ref ON t (lower(reference) DESC) WHERE reference <> 'z'; CREATE INDEX t_note ON t (note);"
        "COMMENT ON COLUMN t.reference IS 'it''s a reference'",
        "ALTER TABLE t RENAME COLUMN reference TO code",
        {"reference": TEXTS, "note": NULLS},
        {"code": TEXTS, "note": NULLS},
        *renamed("reference", "code", "note"),
        lanes=False,
    ),
    Recipe(
        "rename, nullable with a default",
        RENAME.format(" DEFAULT 'new'"),
        'ALTER TABLE t RENAME COLUMN reference TO "Co de"',
        {"reference": [*NULLS, "new"], "note": NULLS},
        {"Co de": [*NULLS, "new"], "note": NULLS},
        *renamed("reference", "Co de", "note"),
        {"reference": "new"},
        {"Co de": "new"},
        lanes=False,
    ),
    Recipe(
        "rename of a type whose equal values are not alike",
        "CREATE TABLE t (id bigint PRIMARY KEY, amount numeric, note json)",
        "ALTER TABLE t RENAME amount TO price; ALTER TABLE t RENAME note TO memo",
        {"amount": [Decimal("1.0"), Decimal("1.00"), Decimal("0.000"), None], "note": [None]},
        {"price": [Decimal("1.0"), Decimal("1.00"), Decimal("0.000"), None], "memo": [None]},
        lambda row, *_: {"price": row["amount"], "memo": row["note"]},
        lambda row, *_: {"amount": row["price"], "note": row["memo"]},
        lanes=False,
    ),
    Recipe(
        "replacement, total",
        "CREATE TABLE t (id bigint PRIMARY KEY, cents int NOT NULL DEFAULT 100, note text)",
        "ALTER TABLE t ADD COLUMN price numeric(10,2) NOT NULL DEFAULT 1, DROP COLUMN cents;\n"
        "-- crossfade: up t.price = cents / 100.0\n-- crossfade: down t.cents = (price * 100)::int",
        {"cents": [0, 1, 99, 100, 12345], "note": NULLS},
        {"price": [Decimal("0.00"), Decimal("0.01"), Decimal("1.00"), Decimal("77.10")], "note": NULLS},
        lambda row, *_: {"price": (Decimal(row["cents"]) / 100).quantize(Decimal("0.01")), "note": row["note"]},
        lambda row, *_: {"cents": int(row["price"] * 100), "note": row["note"]},
        {"cents": 100},
        {"price": Decimal("1.00")},
    ),
    Recipe(
        "split in two",
        "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL)",
        "ALTER TABLE t ADD COLUMN first text NOT NULL, ADD COLUMN last text NOT NULL, DROP COLUMN name;\n"
        "-- crossfade: up t.first = split_part(name, ' ', 1)\n"
        "-- crossfade: up t.last = substr(name, strpos(name, ' ') + 1)\n"
        "-- crossfade: down t.name = first || ' ' || last",
        {"name": ["a b", "é o'x", "x y z"]},
        {"first": ["a", "ö"], "last": ["b", "c d", ""]},
        lambda row, *_: dict(zip(("first", "last"), row["name"].split(" ", 1), strict=True)),
        lambda row, *_: {"name": f"{row['first']} {row['last']}"},
        lanes=False,
    ),
    Recipe(
        "add, derived, never NULL",
        "CREATE TABLE t (id bigint PRIMARY KEY, reference text NOT NULL)",
        "ALTER TABLE t ADD COLUMN kind text; UPDATE t SET kind = left(reference, 1) WHERE kind IS NULL;"
        "ALTER TABLE t ALTER COLUMN kind SET NOT NULL; CREATE INDEX CONCURRENTLY t_kind ON t (kind)",
        {"reference": ["ab", "ac", "b", "é"]},
        {"reference": ["ab", "ac", "b", "é"], "kind": ["a", "own", ""]},
        kind_of,
        without("kind"),
    ),
    Recipe(
        "add, derived, may be NULL",
        "CREATE TABLE t (id bigint PRIMARY KEY, reference text)",
        "ALTER TABLE t ADD COLUMN kind text;\n-- crossfade: up t.kind = left(coalesce(reference, ''), 1)",
        {"reference": ["ab", "ac", "b", None]},
        {"reference": ["ab", "ac", "b"], "kind": ["a", "own", None]},
        kind_of,
        without("kind"),
    ),
    Recipe(
        "add with a constant default",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text)",
        "ALTER TABLE t ADD COLUMN n int NOT NULL DEFAULT 7; CREATE INDEX t_n ON t (n);CREATE UNIQUE INDEX ON t (id, n)",
        {"note": NULLS},
        {"note": NULLS, "n": [1, 7]},
        keeps(7, "n"),
        without("n"),
        {},
        {"n": 7},
    ),
    Recipe(
        "add with a default that goes again",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text)",
        "BEGIN; ALTER TABLE t ADD COLUMN n int DEFAULT 7 NOT NULL; ALTER TABLE t ALTER COLUMN n DROP DEFAULT; COMMIT",
        {"note": NULLS},
        {"note": NULLS, "n": [1, 7]},
        keeps(7, "n"),
        without("n"),
    ),
    Recipe(
        "add one value that the old version's rows have",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text)",
        "ALTER TABLE t ADD COLUMN n int NOT NULL;\n-- crossfade: up t.n = 7",
        {"note": NULLS},
        {"note": NULLS, "n": [1, 7]},
        keeps(7, "n"),
        without("n"),
    ),
    Recipe(
        "add arrays and enumerations",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text); DROP TYPE IF EXISTS mood;"
        "CREATE TYPE mood AS ENUM ('fine', 'odd')",
        "ALTER TABLE t ADD COLUMN n int[] NOT NULL DEFAULT '{}', ADD COLUMN m mood DEFAULT 'fine'",
        {"note": NULLS},
        {"note": NULLS, "n": [[], [1, 2]], "m": ["fine", "odd", None]},
        lambda row, _, other: {**row, "n": other["n"] if other else [], "m": other["m"] if other else "fine"},
        plain("note"),
        {},
        {"n": [], "m": "fine"},
    ),
    Recipe(
        "add nullable",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text)",
        "ALTER TABLE t ADD COLUMN n int",
        {"note": NULLS},
        {"note": NULLS, "n": [1, None]},
        keeps(None, "n"),
        without("n"),
    ),
    Recipe(
        "wider types in place",
        "CREATE TABLE t (id bigint PRIMARY KEY, code varchar(9) NOT NULL DEFAULT 'new', amount numeric(6,2),"
        " note varchar, at timestamp(0)); CREATE UNIQUE INDEX ON t (id, code); CREATE INDEX ON t (amount)",
        "ALTER TABLE t ALTER COLUMN code TYPE text; ALTER TABLE t ALTER amount TYPE numeric(10,2),"
        " ALTER note TYPE text, ALTER at SET DATA TYPE timestamp USING at::timestamp;\n-- crossfade: retype t.code\n"
        "-- crossfade: retype t.amount\n-- crossfade: retype t.note\n-- crossfade: retype t.at",
        {"code": ["a", "new"], "amount": [Decimal("1.00"), None], "note": NULLS},
        {"code": ["b", "new"], "amount": [Decimal("9999.99"), None], "note": NULLS},
        plain("code", "amount", "note"),
        plain("code", "amount", "note"),
        {"code": "new"},
        {"code": "new"},
    ),
    Recipe(
        "drop with a default",
        "CREATE TABLE t (id bigint PRIMARY KEY, note text, state text NOT NULL DEFAULT 'open')",
        "ALTER TABLE t DROP COLUMN state",
        {"note": NULLS, "state": ["open", "shut"]},
        {"note": NULLS},
        without("state"),
        keeps("open", "state"),
        {"state": "open"},
    ),
    Recipe(
        "drop, computed for the old version",
        "CREATE TABLE t (id bigint PRIMARY KEY, price int NOT NULL, count int NOT NULL,"
        " total int NOT NULL CHECK (total > -1))",
        "ALTER TABLE t DROP COLUMN total;\n-- crossfade: down t.total = price * count",
        {"price": [1, 2, 3], "count": [0, 5], "total": [7, 10]},
        {"price": [1, 2, 3], "count": [0, 5]},
        without("total"),
        total_of,
    ),
    Recipe(
        "all at once",
        "CREATE TABLE t (id bigint PRIMARY KEY, reference text NOT NULL, note text DEFAULT 'n')",
        "ALTER TABLE t RENAME reference TO code; ALTER TABLE t DROP COLUMN note;"
        "ALTER TABLE t ADD COLUMN kind text NOT NULL;\n-- crossfade: up t.kind = left(reference, 1)",
        {"reference": ["ab", "ac", "b"], "note": NULLS},
        {"code": ["ab", "ac", "b"], "kind": ["a", "own"]},
        lambda row, before, other: {"code": row["reference"], "kind": kind_of(row, before, other)["kind"]},
        lambda row, _before, other: {"reference": row["code"], "note": other["note"] if other else "n"},
        {"note": "n"},
    ),
]


@pytest.fixture
def world_of(home: Any) -> Iterator[Any]:
    made: list[World] = []

    def make(recipe: Recipe, **given: Any) -> World:
        made.append(World(home, recipe, **given))
        return made[-1]

    yield make
    for one in made:
        one.close()


def start(world: World, rng: random.Random) -> tuple[Model, Players]:
    """Rows from before the change."""
    model = Model(world.recipe)
    for id in range(1, 30):
        values = {name: rng.choice(choices) for name, choices in world.recipe.old.items()}
        world.insert("old", id, values)
        model.wrote("old", id, values, True)
    return model, Players(world, model, rng)


THROUGH_VIEWS = [
    (replace(recipe, lanes=True), "some") for recipe in RECIPES if "crossfade: retype" not in recipe.change
]


@pytest.mark.parametrize(("recipe", "stars"), [*((recipe, "none") for recipe in RECIPES), *THROUGH_VIEWS], ids=str)
def test_every_write_is_read_by_both_versions_there_and_back(world_of: Any, recipe: Recipe, stars: str) -> None:
    world = world_of(recipe, stars=stars)
    rng = random.Random(recipe.name)
    model, players = start(world, rng)
    before = read_catalog(world.admin).fingerprint()
    to = [Stage.BOTH, Stage.BASE, Stage.EQUAL, Stage.BASE, Stage.HIDDEN, Stage.EQUAL, Stage.HIDDEN, Stage.BASE]
    for stage in (*to, Stage.HIDDEN):
        while world.at is not stage:
            again = world.at is Stage.BASE
            world.forward() if world.at.rank < stage.rank else world.back()
            if again:
                model.expanded_again()
            if world.at is Stage.BASE:
                assert read_catalog(world.admin).fingerprint() == before
            for _ in range(12):
                players.play()
                players.check()
    world.forward()
    assert world.rows("new") == model.new
    assert read_catalog(world.admin).fingerprint() == world.raw.fingerprint()
    assert world.noted() == []
