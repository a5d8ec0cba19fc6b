"""The path of a release with a schema change, of a hotfix beside one, and of a move of the schema alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crossfade.model.change import Backfill, Change, Policy, ShapeMapping, Stage, Unit
from crossfade.model.path import Act, Path
from crossfade.model.ports import Standing
from crossfade.model.requirement import Config, Database, Process, Service, Staging, Traffic
from crossfade.model.walker import Event, Phase, Refusal, State, Zone, advance, zone
from crossfade.plan.release import Named, SchemaPart, plan_maintenance, plan_release
from crossfade.plan.show import lines

TABLE = '"public"."orders"'
CHANGE = Change(
    "c0123456789ab",
    "migrations/v2.sql",
    "base",
    ["public.orders"],
    expand=[
        Unit(
            "expand:public.orders",
            "add code; keep reference and code in step",
            [f"ALTER TABLE {TABLE} ADD COLUMN code text"],
            [f"ALTER TABLE {TABLE} DROP COLUMN code"],
            [(TABLE, "ACCESS EXCLUSIVE")],
            retypes=[TABLE],
        )
    ],
    backfill=[Backfill("backfill:public.orders", TABLE, [("code", "reference")], "code IS NULL", "code <> reference")],
    record=[Unit("record:1", "write alembic_version", ["UPDATE alembic_version SET x = 1"], ["UPDATE y SET x = 0"])],
    detach=[Unit("detach:public.orders", "hide reference", ["ALTER"], ["ALTER back"], [(TABLE, "ACCESS EXCLUSIVE")])],
    purge=[Unit("purge:public.orders", "drop reference", ["ALTER"])],
    mappings=[ShapeMapping("public.orders", ["reference"], ["code"], Policy.NONE, "reference <-> code, total")],
    notes=["the trigger touch_orders fires for each row that is filled"],
)
OLD, NEW = Named("v1", "d1"), Named("v2", "d2")


def config(star: str = "none") -> Config:
    web = Process(name="web", command=("serve", "{port}"), role="web", instances=1)
    return Config(
        service=Service(name="shop"),
        processes={"web": web},
        databases={"main": Database(name="main", app_url="env:A", admin_url="env:B")},
        traffic=Traffic(shares=(50.0, 100.0)),
        schema=Staging(change="m/{version}.sql", star_queries=star),
    )


def path_at(stage: Stage) -> Path:
    return plan_release(config(), OLD, NEW, "c", SchemaPart(stage, CHANGE.tables, CHANGE))


def names(path: Path) -> list[str]:
    return [position.name for position in path.positions]


def test_the_schema_comes_first_and_its_old_shape_goes_last() -> None:
    path = path_at(Stage.BASE)
    assert names(path) == [
        "steady", "expanded", "backfilled", "recorded", "standby", "smoked", "shifted(50)", "shifted(100)", "retired",
        "detached",
    ]  # fmt: skip
    assert [path.stage(i).rank for i in range(10)] == [0, 1, 2, 2, 2, 2, 2, 2, 2, 3]
    assert path.first_irreversible() is None
    assert Path.from_json(path.to_json()) == path


@pytest.mark.parametrize(("stage", "first"), [(Stage.BOTH, Act.BACKFILL), (Stage.EQUAL, Act.BACKFILL)])
def test_a_change_that_is_there_already_is_not_expanded_again_but_compared(stage: Stage, first: Act) -> None:
    path = path_at(stage)
    assert path.steps[0].act is first
    assert path.stage(0) is stage


def test_a_hotfix_goes_out_on_the_expanded_schema_and_leaves_it_as_it_is() -> None:
    path = plan_release(config(), OLD, Named("v1b", "d1b"), "c", SchemaPart(Stage.EQUAL, CHANGE.tables))
    assert names(path)[:2] == ["steady", "standby"]
    assert {path.stage(i) for i in range(len(path.positions))} == {Stage.EQUAL}
    assert path.change_id == ""
    assert zone(path, len(path.steps)) is Zone.ALONE, "nothing is hidden by it"


def test_another_statement_or_another_base_is_another_plan() -> None:
    other = Change(**{**CHANGE.__dict__, "base": "moved by a neighbour"})
    moved = plan_release(config(), OLD, NEW, "c", SchemaPart(Stage.BASE, CHANGE.tables, other))
    assert moved.digest != path_at(Stage.BASE).digest


def test_a_change_keeps_its_digest_through_the_journal() -> None:
    assert Change.from_json(CHANGE.to_json()).digest == CHANGE.digest


@pytest.mark.parametrize(("act", "end"), [(Act.PURGE, "purged"), (Act.UNDO_CHANGE, "steady")])
def test_a_move_of_the_schema_alone_has_no_fader_and_no_way_back_by_a_step(act: Act, end: str) -> None:
    stage = Stage.HIDDEN if act is Act.PURGE else Stage.EQUAL
    standing = Standing(CHANGE, stage, "v2", datetime(2026, 1, 1, tzinfo=UTC))
    path = plan_maintenance(config(), NEW, "c", standing, act)
    assert path.maintenance
    assert names(path)[-1] == end
    assert zone(path, 0) is Zone.STILL
    refused = advance(path, State(Phase.STANDING, 0), Event.ROLLBACK)
    assert isinstance(refused, Refusal)
    failed = advance(path, State(Phase.STEPPING, 0), Event.ACT_FAILED, "it broke")
    assert isinstance(failed, State)
    assert failed.phase is Phase.HALTED


def test_the_plan_answers_for_each_step_what_it_locks_and_whether_whole_rows_change() -> None:
    told = "\n".join(lines(config(), path_at(Stage.BASE), 800, CHANGE, sql=True))
    assert "both shapes, equal" in told
    assert 'ACCESS EXCLUSIVE on "public"."orders"; SELECT * changes; declared: nobody asks for it' in told
    assert f"backfill  {TABLE}: code = reference" in told
    assert "undo    ALTER TABLE" in told
    assert "mapping   public.orders: reference <-> code, total" in told
    assert "note      the trigger touch_orders fires" in told
    some = "\n".join(lines(config("some"), path_at(Stage.BASE), 800, CHANGE))
    assert 'SELECT * changes on "public"."orders"' in some


def test_the_plan_says_which_way_back_the_next_release_gives_up() -> None:
    path = path_at(Stage.BASE)
    assert lines(config(), path, 800, gives_up="v0")[-1] == (
        "gives up         the way back to v0, which a rollback still brings until this begins"
    )
    assert not any(line.startswith("gives up") for line in lines(config(), path, 800))
