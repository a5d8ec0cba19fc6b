"""What is known of casts, each way: which values have their exact counterpart, and what is done with the others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crossfade.model.change import Policy
from crossfade.schema.casts import cast_of, shape, through
from crossfade.schema.catalog import Table

sys.path.insert(0, str(Path(__file__).parent))
from schema_values import ID, KEY, column, plan

ENUMS = {"public.mood": ("glad", "sad"), "public.tone": ("glad", "sad", "{odd}")}


def kept(old: str, new: str) -> str:
    cast = cast_of(shape(old), shape(new), ENUMS)
    return "unknown" if cast is None else cast.fits.format(c="c") or "all"


@pytest.mark.parametrize(
    ("old", "new", "values"),
    [
        ("integer", "bigint", "all"),
        ("bigint", "integer", "c BETWEEN -2147483648 AND 2147483647"),
        ("smallint", "numeric(5,0)", "all"),
        ("integer", "numeric(4,2)", "(c = pg_catalog.round(c, 2) AND pg_catalog.abs(c) < 100)"),
        ("numeric(6,2)", "numeric(10,4)", "all"),
        ("numeric(6,2)", "numeric(6,1)", "c = pg_catalog.round(c, 1)"),
        ("numeric(6,2)", "numeric(2,2)", "(c = pg_catalog.round(c, 2) AND pg_catalog.abs(c) < 1)"),
        ("numeric", "bigint", f"(c = pg_catalog.trunc(c) AND c BETWEEN {-(2**63)} AND {2**63 - 1})"),
        ("bigint", "text", "all"),
        ("character varying(9)", "text", "all"),
        ("text", "character varying(9)", "(pg_catalog.length(CAST(c AS text)) <= 9)"),
        ("text", "boolean", "c IN ('true', 'false')"),
        ("text", "citext", "all"),
        ("public.mood", "text", "all"),
        ("text", "public.mood", "c IN ('glad', 'sad')"),
        ("public.mood", "public.tone", "all"),
        ("public.tone", "public.mood", "CAST(c AS text) IN ('glad', 'sad')"),
        ("text", "public.tone", "c IN ('glad', 'sad', '{odd}')"),
        ("date", "timestamp without time zone", "all"),
        ("timestamp with time zone", "timestamp(3) with time zone", "c = CAST(c AS timestamptz(3))"),
        ("text", "date", "unknown"),
        ("integer[]", "bigint[]", "unknown"),
        ("double precision", "numeric", "unknown"),
    ],
)
def test_which_values_a_cast_keeps(old: str, new: str, values: str) -> None:
    assert kept(old, new) == values


def test_a_chain_of_casts_is_known_where_each_is() -> None:
    chain = [shape(one) for one in ("integer", "bigint", "text")]
    assert through(chain, ENUMS) == cast_of(shape("integer"), shape("text"), ENUMS)
    assert through([shape("public.mood"), shape("text"), shape("public.tone")], ENUMS).total  # type: ignore[union-attr]
    assert through([shape("text"), shape("xml"), shape("text")], ENUMS) is None


@pytest.mark.parametrize(
    ("type", "change", "policy"),
    [
        ("integer", "TYPE bigint", Policy.REJECT),
        ("integer", "TYPE bigint; -- crossfade: partial t.c record", Policy.RECORD),
        ("json", "TYPE jsonb", Policy.RECORD),
        ("date", "TYPE timestamp", Policy.RECORD),
        ("timestamp without time zone", "TYPE timestamptz USING c AT TIME ZONE 'UTC'", Policy.NONE),
        ("timestamp without time zone", "TYPE timestamptz USING c AT TIME ZONE 'Europe/Paris'", Policy.RECORD),
        ("timestamp without time zone", "TYPE timestamptz; -- crossfade: up t.c = c AT TIME ZONE 'UTC'", Policy.NONE),
        ("text", "TYPE int USING length(c); -- crossfade: down t.c = repeat('x', c)", Policy.NONE),
    ],
)
def test_what_becomes_of_a_value_without_counterpart(type: str, change: str, policy: Policy) -> None:
    table = Table("public", "t", (ID, column("c", type)), constraints=(KEY,))
    planned = plan(f"ALTER TABLE t ALTER COLUMN c {change}", tables=[table])
    assert [mapping.policy for mapping in planned.mappings] == [policy]
    assert planned.shapes == f"crossfade_{planned.id}"
