"""What the versions' change files ask for can be staged, on the shop's own database, as they are written."""

from __future__ import annotations

from typing import Any

import psycopg

from crossfade.demo.service.build import CHANGES, materialize
from crossfade.model.change import Change, Policy
from crossfade.schema.catalog import read_catalog
from crossfade.schema.planning import PlanOptions, Source, plan_change


def planned(version: str, database: Any, tmp_path: Any) -> Change:
    materialize(version, tmp_path / version)
    file = tmp_path / version / "migrations" / f"{version}.sql"
    with psycopg.connect(database.admin_url) as connection:
        catalog = read_catalog(connection)
    options = PlanOptions(has_lane_roles=True, star_queries="none")
    return plan_change(file.name, [Source(file.name, file.read_text())], catalog, options)


def test_each_change_is_staged_from_the_shape_of_the_version_before(database: Any, reshape: Any, tmp_path: Any) -> None:
    seven = planned("v7", database, tmp_path)
    assert seven.tables == ("public.orders",)
    assert {one.policy for one in seven.mappings} == {Policy.NONE}, "nothing is lost either way"
    assert [fill.table for fill in seven.backfill] == ['"public"."orders"']
    reshape("v7")
    eight, mended = planned("v8", database, tmp_path), planned("v8b", database, tmp_path)
    assert eight.tables == ("public.order_lines",), "v7's change may wait for its purge meanwhile"
    assert Policy.RECORD in {one.policy for one in eight.mappings}
    assert eight.id == mended.id, "what v8 left serves v8b"
    assert set(CHANGES) == {"v7", "v8", "v8b"}
