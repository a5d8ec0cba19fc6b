"""Which change an act means without a service, and each refusal of one that comes too early."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from crossfade.model.change import Change, Stage, Unit
from crossfade.model.errors import CrossfadeError
from crossfade.model.path import Act
from crossfade.model.ports import SchemaFacts, Standing
from crossfade.walk.schema_order import meant

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def standing(stage: Stage, id: str = "c1", name: str = "0042.sql") -> Standing:
    return Standing(Change(id, name, "base", ["public.orders"]), stage, "", NOW)


def opened(stage: Stage) -> SchemaFacts:
    return SchemaFacts(standing(stage))


def hidden(*ids: str) -> SchemaFacts:
    return SchemaFacts(None, [standing(Stage.HIDDEN, id, f"{id}.sql") for id in ids])


@pytest.mark.parametrize(
    ("act", "stage"),
    [
        (Act.BACKFILL, Stage.BOTH),
        (Act.BACKFILL, Stage.EQUAL),  # compares again
        (Act.DETACH, Stage.EQUAL),
        (Act.ATTACH, Stage.EQUAL),  # brings back what a stopped detach has hidden
        (Act.UNDO_CHANGE, Stage.BASE),  # what a stopped expand has left
        (Act.UNDO_CHANGE, Stage.BOTH),
        (Act.UNDO_CHANGE, Stage.EQUAL),
    ],
)
def test_an_act_goes_on_from_the_stage_before_it(act: Act, stage: Stage) -> None:
    found = meant(act, opened(stage), None)
    assert found.standing is not None
    assert found.standing.stage is stage


def test_the_newest_comes_back_first_and_the_oldest_is_purged_first() -> None:
    facts = hidden("c1", "c2")
    chosen = {act: meant(act, facts, None).standing for act in (Act.DETACH, Act.ATTACH, Act.PURGE)}
    assert {act: one.change.id for act, one in chosen.items() if one} == {
        Act.DETACH: "c2",
        Act.ATTACH: "c2",
        Act.PURGE: "c1",
    }
    assert meant(Act.PURGE, facts, "c2.sql").standing == facts.detached[1]


@pytest.mark.parametrize(
    ("act", "facts", "name", "says"),
    [
        (Act.UNDO_CHANGE, SchemaFacts(None), None, "no schema change is open"),
        (Act.ATTACH, SchemaFacts(None), None, "nothing is detached"),
        (Act.PURGE, SchemaFacts(None), None, "no detached change waits for its purge"),
        (Act.BACKFILL, hidden("c1"), None, "c1.sql is filled and detached already"),
        (Act.PURGE, SchemaFacts(None, gone=["c1"]), "c1", "c1 is purged already"),
    ],
)
def test_what_is_done_already_is_said_and_nothing_happens(
    act: Act, facts: SchemaFacts, name: str | None, says: str
) -> None:
    found = meant(act, facts, name)
    assert found.standing is None
    assert found.nothing == says


@pytest.mark.parametrize(
    ("act", "facts", "text"),
    [
        (
            Act.DETACH,
            opened(Stage.BOTH),
            "1 error[schema-order]: detach was not begun: 0042.sql stands at 'both shapes'\n"
            "  needed: 'both shapes, equal'\n"
            "hint: crossfade schema backfill",
        ),
        (
            Act.BACKFILL,
            opened(Stage.BASE),
            "1 error[schema-order]: backfill was not begun: 0042.sql stands at 'base'\n"
            "  needed: 'both shapes'\n"
            "hint: crossfade schema expand FILE",
        ),
        (
            Act.PURGE,
            opened(Stage.EQUAL),
            "1 error[schema-order]: purge was not begun: 0042.sql stands at 'both shapes, equal'\n"
            "  needed: 'old shape hidden'\n"
            "hint: crossfade schema detach",
        ),
        (
            Act.UNDO_CHANGE,
            hidden("c1"),
            "1 error[schema-order]: undo was not begun: c1.sql stands at 'old shape hidden'\n"
            "  needed: 'both shapes, equal' or before\n"
            "hint: crossfade schema attach, then: crossfade schema undo",
        ),
        (
            Act.DETACH,
            SchemaFacts(None),
            "1 error[schema-none-open]: detach was not begun: no schema change is open\nhint: crossfade schema expand"
            " FILE",
        ),
        (
            Act.ATTACH,
            replace(hidden("c1"), open=standing(Stage.BOTH, "c2", "0043.sql")),
            "5 error[schema-another-open]: attach of c1.sql was not begun: another change is open\n"
            "  open: 0043.sql at 'both shapes'\n"
            "hint: finish it: crossfade schema backfill; or take it back: crossfade schema undo",
        ),
    ],
)
def test_what_comes_too_early_is_told_the_command_that_comes_first(act: Act, facts: SchemaFacts, text: str) -> None:
    with pytest.raises(CrossfadeError) as caught:
        meant(act, facts, None)
    assert f"{int(caught.value.exit)} {caught.value.render()}" == text


def test_a_name_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(CrossfadeError) as caught:
        meant(Act.UNDO_CHANGE, opened(Stage.BOTH), "0099.sql")
    assert caught.value.exit == 2
    assert caught.value.render() == (
        "error[nothing-to-move]: there is no schema change to undo by the name 0099.sql\n"
        "  0042.sql (c1) at 'both shapes'\n"
        "hint: crossfade schema status"
    )


def test_a_purge_that_only_ends_the_keeping_in_step_drops_nothing() -> None:
    sync = Unit("purge-sync:orders", "the old shape is not kept in step any more", do=("DROP TRIGGER t ON orders",))
    drop = Unit("purge:orders", "drop reference", do=("ALTER TABLE orders DROP COLUMN reference",))
    added = Change("c1", "0042.sql", "base", ["public.orders"], purge=[sync])
    assert not added.drops
    assert replace(added, purge=[sync, drop]).drops
