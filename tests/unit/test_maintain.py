"""What a purge needs before it begins, each refusal word for word."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from crossfade.backup.proof import Verdict
from crossfade.model.change import Change, Stage
from crossfade.model.errors import CrossfadeError
from crossfade.model.path import Act
from crossfade.model.ports import SchemaFacts, Standing
from crossfade.model.requirement import Config, Database, Process, Requirement, Service, Waiver
from crossfade.walk.maintain import Proven, chosen, refuse_purge, waiver_line

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
CHANGE = Change("c1", "v2.sql", "base", ["public.orders"])
WAIVER = Waiver(what="purge:restore-point", name="Ada", reason="set by hand", expires=date(2026, 12, 31))


def config(**requirement: object) -> Config:
    web = Process(name="web", command=("serve", "{port}"), role="web", instances=1)
    return Config(
        service=Service(name="shop"),
        processes={"web": web},
        databases={"main": Database(name="main", app_url="env:A", admin_url="env:B")},
        requirement=Requirement(**{"purge_after_s": 86400.0, **requirement}),  # type: ignore[arg-type]
        waivers=(WAIVER,),
    )


def hidden(days: float) -> Standing:
    return Standing(CHANGE, Stage.HIDDEN, "v2", NOW - timedelta(days=days))


def restored(days: float, verdict: str = Verdict.RESTORED) -> Proven:
    return Proven(verdict, NOW - timedelta(days=days))


def test_with_everything_there_it_may_begin() -> None:
    refuse_purge(config(), hidden(2), restored(1), NOW)


def test_before_the_soak_is_over_it_is_refused() -> None:
    with pytest.raises(CrossfadeError) as caught:
        refuse_purge(config(), hidden(0.125), restored(1), NOW)
    assert caught.value.exit == 1
    assert caught.value.render() == (
        "error[purge-too-early]: v2.sql may not be purged yet: its old shape was hidden 3 hours ago, and is kept in"
        " place for 24 hours\n"
        "  requirement.purge_after_s = 86400\n"
        "hint: wait until 2026-03-11 09:00 UTC, then: crossfade schema purge"
    )


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (None, "none on record"),
        (restored(8), "restored on 2026-03-02 12:00 UTC"),
        (restored(1, Verdict.FAILED), "failed on 2026-03-09 12:00 UTC"),
    ],
)
def test_without_a_fresh_restore_it_is_refused(proof: Proven | None, said: str) -> None:
    with pytest.raises(CrossfadeError) as caught:
        refuse_purge(config(), hidden(2), proof, NOW)
    assert caught.value.exit == 1
    assert caught.value.render() == (
        "error[purge-unproven]: v2.sql may not be purged: nothing shows that its data could be brought back\n"
        f"  restore proof: {said}\n"
        "  wanted:        restored, not older than 7 days\n"
        "hint: crossfade drill"
    )


def test_without_a_restore_point_somebody_answers_for_it() -> None:
    nobody = replace(config(), waivers=())
    with pytest.raises(CrossfadeError) as caught:
        refuse_purge(nobody, hidden(2), restored(1), NOW)
    assert caught.value.exit == 1
    assert caught.value.render() == (
        "error[purge-unarchived]: v2.sql may not be purged: this version of crossfade sets no restore point and sees"
        " none archived\n"
        "  no waiver 'purge:restore-point' is in force\n"
        'hint: set a restore point by hand, then write it down: [[waiver]] what = "purge:restore-point" with name,'
        " reason and expiry"
    )
    assert waiver_line(config().waivers, NOW.date()) == "waived by Ada until 2026-12-31: set by hand"
    assert waiver_line(config().waivers, date(2027, 1, 1)) is None


def test_the_oldest_is_purged_unless_one_is_named() -> None:
    other = Standing(Change("c2", "v3.sql", "base", ["public.lines"]), Stage.HIDDEN, "v3", NOW)
    facts = SchemaFacts(None, [hidden(9), other])
    assert chosen(facts, Act.PURGE, None).change.id == "c1"
    assert {chosen(facts, Act.PURGE, name).change.id for name in ("c2", "v3.sql", "v3")} == {"c2"}


@pytest.mark.parametrize(
    ("act", "name", "text"),
    [
        (
            Act.UNDO_CHANGE,
            None,
            "error[nothing-to-move]: there is no schema change to undo\n"
            "  no change stands where it could be\n"
            "hint: crossfade schema status",
        ),
        (
            Act.PURGE,
            "v9",
            "error[nothing-to-move]: there is no schema change to purge\n"
            "  v2.sql (c1) at 'old shape hidden'\n"
            "hint: crossfade schema status",
        ),
    ],
)
def test_what_is_not_there_is_refused(act: Act, name: str | None, text: str) -> None:
    with pytest.raises(CrossfadeError) as caught:
        chosen(SchemaFacts(None, [hidden(9)]), act, name)
    assert caught.value.exit == 2
    assert caught.value.render() == text
