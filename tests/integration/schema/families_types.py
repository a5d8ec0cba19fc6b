"""Another type under the same name, in a second column: what both versions write and read.

Rule: a part of `families.py`, each once with the old version on the table itself, once with views for both.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from recipe_world import Recipe

T = "CREATE TABLE t (id bigint PRIMARY KEY, {})"
UTC_HERE = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone TO UTC', current_database()); END $$;"
NUMBERS = [0, 1, -5, 2**31 - 1, -(2**31)]
TIMES = [datetime.fromisoformat(f"2026-{month:02}-28 01:30") for month in (1, 3, 7)]


def each(up: Any, down: Any, *shared: str) -> dict[str, Any]:
    """How column c is read by the other version; the shared columns as they are."""

    def reads(way: Any) -> Any:
        return lambda row, *_: {"c": None if row["c"] is None else way(row["c"]), **{one: row[one] for one in shared}}

    return {"read_new": reads(up), "read_old": reads(down)}


def same(value: Any) -> Any:
    return value


_TYPES = [
    Recipe(
        "another type: integer to bigint, with a default, an index, a check",
        T.format("c integer NOT NULL DEFAULT 7 CHECK (c <> 13), note text")
        + "; CREATE INDEX t_c ON t (c, note); CREATE INDEX t_few ON t (note) WHERE c > 5;"
        " COMMENT ON COLUMN t.c IS 'how many'",
        "ALTER TABLE t ALTER COLUMN c TYPE bigint",
        old={"c": NUMBERS, "note": ["a", None]},
        new={"c": [*NUMBERS, 2**40], "note": ["b", None]},
        refused={"new": ("23514",)},  # until the purge
        **each(same, same, "note"),
        old_defaults={"c": 7},
        new_defaults={"c": 7},
    ),
    Recipe(
        "another type: integer to text, nullable",
        T.format("c integer"),
        "ALTER TABLE t ALTER COLUMN c SET DATA TYPE text",
        old={"c": [*NUMBERS[:3], 99999999, None]},
        new={"c": [*map(str, NUMBERS[:3]), None]},
        **each(str, int),
    ),
    Recipe(
        "another type: a time with the zone that is said, and another default",
        UTC_HERE + T.format("c timestamp NOT NULL DEFAULT '2026-05-05'"),
        "ALTER TABLE t ALTER COLUMN c DROP DEFAULT, ALTER COLUMN c TYPE timestamptz USING c AT TIME ZONE 'UTC',"
        " ALTER COLUMN c SET DEFAULT '2026-06-06 00:00:00+00'",
        old={"c": TIMES},
        new={"c": [one.replace(tzinfo=UTC) for one in TIMES]},
        **each(lambda one: one.replace(tzinfo=UTC), lambda one: one.astimezone(UTC).replace(tzinfo=None)),
        old_defaults={"c": datetime.fromisoformat("2026-05-05")},
        new_defaults={"c": datetime(2026, 6, 6, tzinfo=UTC)},
    ),
    Recipe(
        "another type: a text to an enumeration, by a rule that is said",
        "CREATE TYPE mood AS ENUM ('glad', 'sad', 'none');" + T.format("c text NOT NULL"),
        "ALTER TABLE t ALTER COLUMN c TYPE mood USING c::mood;\n"
        "-- crossfade: up t.c = CASE WHEN c IN ('glad', 'sad') THEN c::public.mood ELSE 'none' END",
        old={"c": ["glad", "sad", "odd"]},
        new={"c": ["glad", "sad"]},
        **each(lambda one: one if one != "odd" else "none", same),
    ),
    Recipe(
        "another type: numeric with a larger scale",
        T.format("c numeric(6,2) DEFAULT 1"),
        "ALTER TABLE t ALTER COLUMN c TYPE numeric(10,4)",
        old={"c": [Decimal("1.25"), Decimal("-3.00"), None]},
        new={"c": [Decimal("2.5000"), None]},
        **each(lambda one: one.quantize(Decimal("0.0001")), lambda one: one.quantize(Decimal("0.01"))),
        old_defaults={"c": Decimal("1.00")},
        new_defaults={"c": Decimal("1.0000")},
    ),
    Recipe(
        "another type: a value that is another one each time",
        T.format("c text NOT NULL DEFAULT gen_random_uuid()::text"),
        "ALTER TABLE t ALTER COLUMN c TYPE varchar",
        old={"c": ["a"]},
        new={"c": ["b"]},
        **each(same, same),
    ),
    Recipe(
        "another type: an enumeration with one value renamed and one less",
        "CREATE TYPE mood AS ENUM ('calm', 'glad', 'sad');" + T.format("c mood NOT NULL DEFAULT 'calm'"),
        "CREATE TYPE tone AS ENUM ('quiet', 'glad'); ALTER TABLE t ALTER COLUMN c DROP DEFAULT,"
        " ALTER COLUMN c TYPE tone USING"
        " (CASE c WHEN 'calm' THEN 'quiet' WHEN 'sad' THEN 'glad' ELSE c::text END)::tone,"
        " ALTER COLUMN c SET DEFAULT 'quiet';\n"
        "-- crossfade: down t.c = (CASE c WHEN 'quiet' THEN 'calm' ELSE c::text END)::public.mood\n"
        "-- crossfade: partial t.c record",
        old={"c": ["calm", "glad"]},
        new={"c": ["quiet", "glad"]},
        **each(lambda one: "quiet" if one == "calm" else one, lambda one: "calm" if one == "quiet" else one),
        old_defaults={"c": "calm"},
        new_defaults={"c": "quiet"},
    ),
    Recipe(
        "another type: unique, a constraint and an index",
        T.format("c integer UNIQUE, note text NOT NULL") + "; CREATE UNIQUE INDEX t_note ON t (note)",
        "ALTER TABLE t ALTER COLUMN c TYPE numeric, ALTER COLUMN note TYPE varchar",
        old={"c": [lambda id: id, lambda id: -id], "note": [lambda id: f"a{id}", lambda id: f"b{id}"]},
        new={
            "c": [lambda id: Decimal(id), lambda id: Decimal(-id)],
            "note": [lambda id: f"a{id}", lambda id: f"b{id}"],
        },
        **each(Decimal, int, "note"),
    ),
]
TYPES = [
    replace(
        one,
        name=f"{one.name}, through views" if stars == "some" else one.name,
        stars=stars,
        quick=(number, stars) == (0, "none"),
    )
    for number, one in enumerate(_TYPES)
    for stars in ("none", "some")
]
