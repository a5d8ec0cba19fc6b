"""Facts in, one event out: what comes first, and that unknown never goes forward."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossfade.model.decide import Facts, LaneHealth, decide
from crossfade.model.path import Path
from crossfade.model.ports import FULL_BP
from crossfade.model.requirement import Config, Database, Process, Service, Traffic
from crossfade.model.verdict import Outcome, Verdict
from crossfade.model.walker import Event, Phase, State
from crossfade.plan.release import Named, dwell, plan_release
from crossfade.plan.show import lines

CONFIG = Config(
    service=Service(name="shop"),
    processes={"web": Process(name="web", command=("x", "{port}"), role="web")},
    databases={"main": Database(name="main", app_url="env:A", admin_url="env:B")},
    traffic=Traffic(shares=(10.0, 100.0), step_min_s=5, step_cap_s=60),
)
PATH: Path = plan_release(CONFIG, Named("v1", "d1"), Named("v2", "d2"), "c")
SMOKED, SHARED, FULL, RETIRED = 2, 3, 4, 5
WELL = Facts(
    verdict=Verdict(Outcome.PASS, "", None, reason="within limits"),
    old=LaneHealth(2, 2), new=LaneHealth(2, 2), stood_s=10, step_min_s=5, step_cap_s=60,
)  # fmt: skip
BAD = Verdict(Outcome.FAIL, "errors:x", "new lane", reason="7 of 20 failed")
OPEN = Verdict(Outcome.INCONCLUSIVE, "", None, reason="needs ~100")


def at(index: int, phase: Phase = Phase.STANDING) -> State:
    return State(phase, index)


def event(index: int, facts: Facts, phase: Phase = Phase.STANDING) -> Event | None:
    return decide(PATH, at(index, phase), facts).event


def test_a_pass_advances_and_an_open_verdict_waits() -> None:
    assert event(SHARED, WELL) is Event.ADVANCE
    waiting = decide(PATH, at(SHARED), replace(WELL, verdict=OPEN))
    assert waiting.event is None
    assert waiting.reason == "needs ~100; at the cap of 60 s: hold"


def test_nothing_advances_before_its_time() -> None:
    early = decide(PATH, at(SHARED), replace(WELL, stood_s=2))
    assert (early.event, early.reason) == (None, "stands at shifted(10) for at least 5 s; 3 s left")


@pytest.mark.parametrize(
    ("policy", "wanted"), [("hold", Event.CAP_REACHED), ("advance", Event.ADVANCE), ("rollback", Event.VERDICT_FAIL)]
)
def test_at_the_cap_the_policy_decides(policy: str, wanted: Event) -> None:
    assert event(SHARED, replace(WELL, verdict=OPEN, stood_s=61, at_cap=policy)) is wanted


def test_danger_comes_before_a_persons_word_and_both_before_progress() -> None:
    facts = replace(WELL, asked=Event.PAUSE)
    assert event(SHARED, facts) is Event.PAUSE
    assert event(SHARED, replace(facts, verdict=BAD)) is Event.VERDICT_FAIL
    assert event(SHARED, replace(facts, verdict=BAD, fuse_tripped=True)) is Event.FUSE_TRIPPED


def test_trouble_of_both_lanes_is_nobodys_fault_but_comes_back() -> None:
    shared = replace(BAD, attribution="shared, unattributed")
    assert event(SHARED, replace(WELL, verdict=shared)) is Event.SHARED_TROUBLE


@pytest.mark.parametrize("phase", [Phase.STANDING, Phase.PAUSED, Phase.HELD, Phase.STEPPING])
def test_a_failing_version_comes_back_from_every_phase_that_watches(phase: Phase) -> None:
    assert event(SHARED, replace(WELL, verdict=BAD), phase) is Event.VERDICT_FAIL


def test_blind_holds_and_never_advances_nor_blames() -> None:
    blind = replace(WELL, blind=("the request records (not connected)",))
    assert event(SHARED, blind) is Event.BLIND
    assert event(SHARED, blind, Phase.HELD) is None
    assert event(SHARED, WELL, Phase.HELD) is Event.SIGHTED


def test_a_lane_is_down_after_two_seconds_not_after_a_blip() -> None:
    gone = replace(WELL, new=LaneHealth(0, 2), new_down_s=1.9)
    assert event(SHARED, gone) is not Event.NEW_LANE_DOWN
    down = decide(PATH, at(SHARED), replace(gone, new_down_s=2.1))
    assert (down.event, down.reason) == (Event.NEW_LANE_DOWN, "none of 2 instances of v2 was healthy for 2.1 s")
    assert event(SMOKED, replace(gone, new_down_s=9)) is not Event.NEW_LANE_DOWN, "no customer is on it"
    assert event(FULL, replace(WELL, old=LaneHealth(0, 2), old_down_s=3)) is Event.OLD_LANE_DOWN
    assert event(RETIRED, replace(WELL, old=LaneHealth(0, 2), old_down_s=3)) is Event.FINISHED


def test_a_third_version_halts() -> None:
    found = decide(PATH, at(SHARED), replace(WELL, foreign=("left-web-1 (pid 7)",)))
    assert (found.event, found.reason) == (Event.THIRD_VERSION, "a third version is alive: left-web-1 (pid 7)")


def test_a_pause_waits_for_the_act_under_way_but_a_rollback_does_not() -> None:
    assert event(SMOKED, replace(WELL, asked=Event.PAUSE), Phase.STEPPING) is None
    assert event(SMOKED, replace(WELL, asked=Event.ROLLBACK), Phase.STEPPING) is Event.ROLLBACK


def test_the_old_version_is_kept_warm_before_it_is_retired() -> None:
    assert dwell(CONFIG, PATH, FULL).min_s == CONFIG.requirement.keep_warm_s
    assert PATH.positions[FULL].new_share_bp == FULL_BP


def test_the_plan_reads_as_it_will_happen() -> None:
    text = lines(CONFIG, PATH, 1500)
    assert text[0] == f"shop: v1 -> v2  plan {PATH.digest}"
    assert [row.split("  ")[1].strip() for row in text[2:8]] == [
        "steady", "standby", "smoked", "shifted(10)", "shifted(100)", "retired",
    ]  # fmt: skip
    assert "after retired    1.5 s to start v1, then the fader" in text
    assert "irreversible     nothing" in text


def test_a_first_start_has_no_way_back_and_says_so() -> None:
    path = plan_release(CONFIG, None, Named("v1", "d1"), "c")
    assert [p.name for p in path.positions] == ["steady", "standby", "smoked", "shifted(100)", "retired"]
    assert path.steps[-1].way_back == "none: there is no earlier version"
