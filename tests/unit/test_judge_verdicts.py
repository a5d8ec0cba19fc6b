"""What a person on release duty reads: pass, fail or inconclusive, each with the numbers it rests on."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from crossfade.judge import Judge
from crossfade.model.verdict import EndpointLimit, Event, Outcome, Verdict

ORDER = EndpointLimit("create order", True, 0.01, 500, 0.05, 10_000)
BROWSE = EndpointLimit("browse", False, 0.02, 500, 0.05, 10_000)


def event(t_s: float, lane: str, *, share_bp: int = 1000, endpoint: str = "create order", **facts: object) -> Event:
    """One request; healthy unless said otherwise."""
    healthy = {"unit": "", "failed": False, "ms": 80.0}
    return Event(t_s=t_s, lane=lane, share_bp=share_bp, endpoint=endpoint, **(healthy | facts))  # type: ignore[arg-type]


def traffic(
    seconds: int,
    share_bp: int,
    *,
    seed: int = 7,
    per_s: int = 50,
    start_s: float = 0.0,
    fails: tuple[float, float] = (0.0, 0.0),
    slow: tuple[float, float] = (0.0, 0.0),
    endpoint: str = "create order",
) -> Iterator[Event]:
    """Requests of one endpoint; ratios are (old, new)."""
    rng = random.Random(seed)
    for index in range(seconds * per_s):
        new = rng.random() * 10_000 < share_bp
        failed, late = rng.random() < fails[new], rng.random() < slow[new]
        yield event(
            start_s + index / per_s,
            "new" if new else "old",
            share_bp=share_bp,
            endpoint=endpoint,
            failed=failed,
            ms=900.0 if late else 80.0,
        )


def judged(*streams: Iterator[Event], limits: tuple[EndpointLimit, ...] = (ORDER,), **rules: float) -> Verdict:
    """The verdict after all the events of an attempt that began at 0."""
    judge = Judge(limits, **rules)  # type: ignore[arg-type]
    judge.begin(0.0)
    for stream in streams:
        judge.feed(stream)
    return judge.verdict(1e9)


def test_a_healthy_version_passes_and_says_what_was_shown() -> None:
    verdict = judged(traffic(60, 2500))
    assert verdict.outcome is Outcome.PASS
    assert "all 2 binding signals are shown to be within limits with 95 % confidence" in verdict.reason
    assert verdict.attribution is None


@pytest.mark.parametrize(("limit", "enough"), [(0.05, 71), (0.02, 179), (0.01, 360)])
def test_the_documented_number_of_good_events_is_enough_and_one_less_is_not(limit: float, enough: int) -> None:
    limits = (EndpointLimit("create order", True, limit, 500, 0.05, 10_000),)
    short = judged((event(i, "new") for i in range(enough - 1)), limits=limits, restart_s=1e9)
    assert short.outcome is Outcome.INCONCLUSIVE
    assert short.readings[0].needs == 1
    assert judged((event(i, "new") for i in range(enough)), limits=limits).outcome is Outcome.PASS


def test_too_few_events_say_how_many_are_missing() -> None:
    verdict = judged(event(i, "new") for i in range(100))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == (
        "errors:create order is not shown to be under 1 % yet: 0 of 100 requests failed on the new lane, "
        "so under 3.24 % with 95 % confidence; needs ~260 more good ones"
    )


def test_an_endpoint_nobody_uses_on_the_new_lane_is_inconclusive() -> None:
    verdict = judged(event(i, "old") for i in range(1000))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "no events on 'create order' on the new lane: needs ~360"


def test_an_endpoint_that_is_not_critical_and_not_used_blocks_nothing() -> None:
    assert judged(traffic(60, 2500), limits=(ORDER, BROWSE)).outcome is Outcome.PASS


def test_where_none_is_critical_all_are_binding() -> None:
    assert judged(traffic(60, 2500), limits=(BROWSE,)).outcome is Outcome.INCONCLUSIVE


def test_without_any_endpoint_nothing_passes() -> None:
    assert judged(traffic(60, 2500), limits=()).outcome is Outcome.INCONCLUSIVE


def test_five_percent_failures_at_share_ten_are_found_and_blamed_on_the_new_lane() -> None:
    verdict = judged(traffic(120, 1000, fails=(0.002, 0.05), per_s=200))
    assert verdict.outcome is Outcome.FAIL
    assert (verdict.cause, verdict.attribution) == ("errors:create order", "new lane")
    assert "requests failed on the new lane" in verdict.reason
    assert "2,000 to 1 is asked" in verdict.reason


@pytest.mark.parametrize("seed", range(5))
def test_innocent_errors_on_both_lanes_are_not_failed_in_a_long_run(seed: int) -> None:
    rates = {"fails": (0.002, 0.002), "slow": (0.01, 0.01), "per_s": 100}
    verdict = judged(traffic(900, 2500, seed=seed, **rates), limits=(ORDER, BROWSE))  # type: ignore[arg-type]
    assert verdict.outcome is Outcome.PASS


def test_requests_that_hang_fail_although_they_never_ended() -> None:
    hangs = (event(20 + i, "new", failed=True, hung=True, ms=10_000.0) for i in range(8))
    verdict = judged(traffic(20, 1000), hangs)
    assert (verdict.outcome, verdict.cause, verdict.attribution) == (
        Outcome.FAIL,
        "errors:create order",
        "new lane",
    )


def test_an_answer_after_the_hanging_time_is_a_failure_even_with_a_good_status() -> None:
    verdict = judged(event(i, "new", ms=10_000.0) for i in range(8))
    assert verdict.readings[0].bad_new == 8


def test_one_slow_endpoint_is_named() -> None:
    verdict = judged(traffic(60, 1000, slow=(0.01, 0.33)), traffic(60, 1000, endpoint="browse"), limits=(ORDER, BROWSE))
    assert (verdict.outcome, verdict.cause, verdict.attribution) == (Outcome.FAIL, "slow:create order", "new lane")


def test_trouble_on_both_lanes_is_failed_but_blamed_on_neither() -> None:
    verdict = judged(traffic(60, 2500, fails=(0.3, 0.3)))
    assert (verdict.outcome, verdict.attribution) == (Outcome.FAIL, "shared, unattributed")
    assert "the old lane breaks the same limit, so it is not attributed to either" in verdict.reason


def test_trouble_of_the_old_lane_alone_does_not_turn_a_better_version_back() -> None:
    assert judged(traffic(60, 2500, fails=(0.2, 0.0))).outcome is Outcome.PASS


def test_at_share_100_the_limits_alone_decide_and_the_verdict_says_so() -> None:
    good = judged(event(i, "new", share_bp=10_000) for i in range(400))
    assert good.outcome is Outcome.PASS
    assert "no old lane serves beside it, so these are absolute limits only" in good.reason
    bad = judged(event(i, "new", share_bp=10_000, failed=i % 5 == 0) for i in range(400))
    assert (bad.outcome, bad.attribution) == (Outcome.FAIL, None)
    assert "no old lane served beside it to compare with" in bad.reason
    assert bad.readings[0].log_e == 0  # labels say nothing there


def test_a_lost_signal_is_inconclusive_but_a_proven_failure_stays_one() -> None:
    judge = Judge((ORDER,))
    judge.begin(0.0)
    judge.feed(traffic(60, 2500))
    lost = judge.verdict(60, source_complete=False, detail="12 records are missing")
    assert (lost.outcome, lost.reason) == (Outcome.INCONCLUSIVE, "the signal is lost: 12 records are missing")
    judge.feed(event(60 + i, "new", failed=True) for i in range(30))
    assert judge.verdict(90, source_complete=False).outcome is Outcome.FAIL
    judge.feed(traffic(600, 2500, start_s=90.0))
    assert judge.verdict(700).outcome is Outcome.FAIL


def test_nothing_from_before_the_first_share_or_an_earlier_attempt_counts() -> None:
    judge = Judge((ORDER,))
    judge.feed(event(i, "new", failed=True) for i in range(50))
    assert judge.verdict(50).reason == "no share of this attempt is in force yet"
    judge.begin(100.0)
    judge.feed(event(99.0, "new", failed=True) for _ in range(50))
    assert judge.verdict(101).readings[0].n_new == 0
    judge.feed(event(101.0, "new", failed=True) for _ in range(50))
    assert judge.verdict(102).outcome is Outcome.FAIL
    judge.begin(200.0)
    assert judge.verdict(200).outcome is Outcome.INCONCLUSIVE
    assert judge.verdict(200).readings[0].n_new == 0


def test_pinned_requests_and_unnamed_endpoints_do_not_count() -> None:
    verdict = judged(
        (event(i, "new", failed=True, counts=False) for i in range(50)),
        (event(i, "new", failed=True, endpoint="other") for i in range(50)),
    )
    assert verdict.readings[0].n_new == 0


def test_a_unit_that_keeps_retrying_is_one_piece_of_evidence() -> None:
    healthy = traffic(60, 1000, fails=(0.002, 0.002))
    retries = (event(60 + i / 10, "new", unit="ann", failed=True) for i in range(100))
    verdict = judged(healthy, retries)
    assert verdict.outcome is Outcome.INCONCLUSIVE  # nothing is proven, and nothing is forgiven
    assert verdict.readings[0].bad_new >= 100
    strangers = (event(60 + i / 10, "new", unit=f"u{i}", failed=True) for i in range(100))
    assert judged(traffic(60, 1000, fails=(0.002, 0.002)), strangers).outcome is Outcome.FAIL


def test_late_trouble_is_found_because_the_tests_start_anew() -> None:
    early = list(traffic(1800, 1000, per_s=20, fails=(0.008, 0.008)))
    late = list(traffic(150, 1000, per_s=20, start_s=1800.0, fails=(0.008, 0.15), seed=8))
    assert judged(iter(early), iter(late), restart_s=300.0).outcome is Outcome.FAIL
    assert judged(iter(early), iter(late), restart_s=1e9).outcome is not Outcome.FAIL


def test_a_new_position_asks_for_a_fresh_event_before_it_is_left() -> None:
    judge = Judge((ORDER,))
    judge.begin(0.0)
    judge.feed(traffic(60, 2500))
    judge.mark_step(60.0)
    assert judge.verdict(61.0).reason == "no events on 'create order' on the new lane at this position yet: needs ~1"
    judge.feed([event(61.0, "new", share_bp=5000)])
    assert judge.verdict(62.0).outcome is Outcome.PASS


def test_mounting_evidence_holds_an_advance_that_the_bounds_would_allow() -> None:
    judge = Judge((ORDER,))
    judge.begin(0.0)
    judge.feed(event(i / 100, "new" if i % 10 == 0 else "old") for i in range(30_000))
    judge.mark_step(300.0)
    judge.feed(event(300 + i / 10, "new", failed=True) for i in range(2))
    verdict = judge.verdict(301.0)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "an advance waits from 20" in verdict.reason


def test_every_verdict_prints_its_numbers() -> None:
    lines = judged(traffic(60, 2500)).lines()
    assert lines[0].startswith("pass: all 2 binding signals")
    assert [line.split(": ")[0] for line in lines[1:]] == ["  errors:create order", "  slow:create order"]
    assert "worse than old E=" in lines[1]
    shared = judged(traffic(60, 2500, fails=(0.3, 0.3))).lines()
    assert shared[0].startswith("fail [shared, unattributed]: errors:create order breaks its limit of 1 %")


def test_a_quiet_healthy_service_of_20_requests_a_second_advances() -> None:
    verdict = judged(traffic(180, 2500, per_s=20, fails=(0.001, 0.001)))
    assert verdict.outcome is Outcome.PASS


def test_a_limit_of_the_whole_binds_nothing_but_the_comparison_with_the_old_lane() -> None:
    anything = (EndpointLimit("create order", True, 1.0, 500, 1.0, 10_000),)
    alone = (event(i, "new", share_bp=10_000, failed=True) for i in range(50))
    assert judged(alone, limits=anything).outcome is Outcome.PASS
    worse = judged(traffic(60, 1000, fails=(0.01, 0.3)), limits=anything)
    assert (worse.outcome, worse.attribution) == (Outcome.FAIL, "new lane")


def test_where_the_old_lane_is_beyond_its_limit_the_new_one_is_held_to_the_old_one() -> None:
    verdict = judged(traffic(120, 5000, per_s=200, slow=(0.2, 0.02)), margin=0.01)
    slow = verdict.readings[1]
    assert 0.15 < slow.limit < 0.21
    assert verdict.outcome is Outcome.PASS


def test_a_tenth_more_slow_requests_is_tolerated() -> None:
    verdict = judged(traffic(300, 2500, slow=(0.02, 0.022)))
    assert verdict.outcome is Outcome.PASS


def test_a_broken_limit_with_hardly_any_old_requests_beside_it_is_blamed_on_nobody_yet() -> None:
    judge = Judge((ORDER,))
    judge.begin(0.0)
    judge.feed(event(i / 10, "new", share_bp=9000, failed=True) for i in range(5))
    judge.feed([event(0.5, "old", share_bp=9000)])
    verdict = judge.verdict(1.0)
    assert (verdict.outcome, verdict.attribution) == (Outcome.FAIL, None)
    assert verdict.reason.endswith("1 on the old lane since the trouble began are too few to say whose it is")
    judge.feed(event(1 + i / 10, "old", share_bp=9000) for i in range(5))
    assert judge.verdict(2.0).attribution == "new lane"
