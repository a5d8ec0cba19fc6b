"""What holds for any traffic: the level, and that neither batches nor chance change a verdict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.judge import Judge
from crossfade.judge.bounds import events_needed, log_martingale, lower_bound, shown, upper_bound
from crossfade.judge.labels import LabelTest
from crossfade.judge.limits import LimitTest
from crossfade.judge.restarts import LOG_UNSTARTED, RESTARTS_MAX, WEIGHTS, Restarts, UnitLedger
from crossfade.model.verdict import EndpointLimit, Event, Outcome

LIMITS = (
    EndpointLimit("create order", True, 0.05, 500, 0.05, 10_000),
    EndpointLimit("browse", False, 0.05, 500, 0.05, 10_000),
)

events = st.lists(
    st.builds(
        Event,
        t_s=st.floats(0, 1000),
        lane=st.sampled_from(["old", "new"]),
        share_bp=st.sampled_from([0, 1, 500, 2500, 5000, 9999, 10_000]),
        endpoint=st.sampled_from(["create order", "browse", "unnamed"]),
        unit=st.sampled_from(["", "", "a", "b", "c"]),
        failed=st.booleans(),
        ms=st.sampled_from([1.0, 499.9, 500.0, 20_000.0]),
        hung=st.booleans(),
        counts=st.sampled_from([True, True, True, False]),
    ),
    max_size=60,
)


@given(events, st.integers(1, 7))
@settings(deadline=None)
def test_how_events_are_batched_changes_nothing_and_neither_does_repeating_it(stream: list[Event], size: int) -> None:
    at_once, in_batches, one_by_one = (Judge(LIMITS, restart_s=50) for _ in range(3))
    for judge in (at_once, in_batches, one_by_one):
        judge.begin(10.0)
    at_once.feed(stream)
    for start in range(0, len(stream), size):
        in_batches.feed(stream[start : start + size])
        in_batches.verdict(1000.0)
    for event in stream:
        one_by_one.feed([event])
    assert at_once.verdict(1000.0) == in_batches.verdict(1000.0) == one_by_one.verdict(1000.0)


@given(events)
@settings(deadline=None)
def test_only_the_order_in_time_matters_to_the_counts(stream: list[Event]) -> None:
    forward, backward = Judge(LIMITS), Judge(LIMITS)
    for judge, order in ((forward, stream), (backward, stream[::-1])):
        judge.begin(10.0)
        judge.feed(order)
    for a, b in zip(forward.verdict(1e4).readings, backward.verdict(1e4).readings, strict=True):
        assert (a.n_new, a.bad_new, a.n_old, a.bad_old) == (b.n_new, b.bad_new, b.n_old, b.bad_old)
        assert a.upper_bound_new == b.upper_bound_new


@given(events)
@settings(deadline=None)
def test_a_proven_failure_stays_and_a_lost_signal_never_passes(stream: list[Event]) -> None:
    judge = Judge(LIMITS)
    judge.begin(0.0)
    failed = False
    for event in stream:
        judge.feed([event])
        outcome = judge.verdict(1e4, source_complete=False).outcome
        assert outcome is not Outcome.PASS
        assert outcome is Outcome.FAIL or not failed
        failed = outcome is Outcome.FAIL


@given(st.integers(1, 9999), st.floats(1.0, 2.0), st.floats(0.0, 1.0))
def test_a_bad_event_never_raises_the_expected_evidence_of_an_equal_or_better_version(
    share_bp: int, tolerance: float, part: float
) -> None:
    """The factor of each event has mean at most 1 for any true ratio up to the tolerated one."""
    share, ratio = share_bp / 10_000, part * tolerance
    new, old = LabelTest(tolerance), LabelTest(tolerance)
    new.add(0, 0, new=True, share_bp=share_bp)
    old.add(0, 0, new=False, share_bp=share_bp)
    theta = share * ratio / (share * ratio + 1 - share)
    rest = np.exp(LOG_UNSTARTED[0])
    mean = theta * np.exp(new.log_e(1)) + (1 - theta) * np.exp(old.log_e(1))
    assert rest < mean <= 1 + 1e-9


@given(st.floats(1e-6, 0.9), st.floats(0.0, 1.0))
def test_an_event_within_the_limit_never_raises_the_expected_evidence_against_it(limit: float, part: float) -> None:
    good, bad = LimitTest(limit), LimitTest(limit)
    good.add_good(0)
    bad.add_bad(0, 0)
    p = limit * part
    assert p * np.exp(bad.log_e(1)) + (1 - p) * np.exp(good.log_e(1)) <= 1 + 1e-9


@given(st.integers(0, 9999), st.lists(st.booleans(), max_size=30))
def test_more_failures_on_the_new_lane_are_never_less_evidence(share_bp: int, labels: list[bool]) -> None:
    test = LabelTest()
    for new in labels:
        test.add(0, 0, new=new, share_bp=share_bp)
    before = test.log_e(1)
    test.add(0, 0, new=True, share_bp=share_bp)
    assert test.log_e(1) >= before


def test_the_weights_of_all_restarts_sum_to_at_most_one() -> None:
    assert WEIGHTS.sum() < 1
    assert np.exp(LOG_UNSTARTED[-1]) + WEIGHTS.sum() == pytest.approx(1)


@given(st.lists(st.floats(0, 1e6), max_size=200))
def test_restarts_stay_ordered_and_bounded(times: list[float]) -> None:
    restarts = Restarts(0.0, 1.0)
    for index, t_s in enumerate(times):
        place = restarts.place(t_s)
        assert 0 <= place < len(restarts) <= RESTARTS_MAX
        if index % 5 == 0:
            restarts.step(t_s)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=40))
def test_a_unit_counts_at_most_once_in_each_restart(bad: list[tuple[str, int]]) -> None:
    ledger = UnitLedger()
    counted: set[tuple[str, int]] = set()
    for unit, place in bad:
        rows = [(unit, row) for row in range(ledger.first_row(unit, place), place + 1)]
        assert counted.isdisjoint(rows)
        counted.update(rows)
        assert (unit, place) in counted  # and it does count in the restart it belongs to


@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.001, 0.01, 0.05]))
@settings(deadline=None)
def test_bounds_hold_what_was_observed_and_agree_with_what_is_needed(n: int, part: float, limit: float) -> None:
    bad = round(n * part)
    low, high = lower_bound(n, bad, limit, 0.05), upper_bound(n, bad, limit, 0.05)
    assert 0 <= low <= bad / n <= high <= 1
    needed = events_needed(n, bad, limit, limit, 0.05)
    assert shown(n + needed, bad, limit, limit, 0.05)
    assert needed == 0 or not shown(n + needed - 1, bad, limit, limit, 0.05)
    assert (high < limit) == (needed == 0) or abs(high - limit) < 1e-6


def test_the_bound_covers_the_truth_at_every_moment() -> None:
    """2,000 lanes at exactly the limit, looked at after every event: the limit is excluded in at most 5 %."""
    rng = np.random.default_rng(11)
    excluded = 0
    for _ in range(2000):
        bads = np.flatnonzero(rng.random(1000) < 0.02)
        # M rises with every good event, so the highest points lie just before a bad one and at the end.
        looks = [(int(at), k) for k, at in enumerate(bads)] + [(1000, len(bads))]
        excluded += any(log_martingale(n, k, 0.02, 0.02) >= np.log(20) for n, k in looks)
    assert excluded <= 2000 * 0.05 + 3 * (2000 * 0.05 * 0.95) ** 0.5


def innocent(seed: int, sour: float) -> bool:
    """Whether an innocent version is failed at alpha = 0.05: three shares, restarts, and two kinds of customers.

    `sour` 0: a twentieth of all requests fails, half of them of sticky units. Else: all units are sticky, and
    that part of them fails nearly always and retries, on whichever lane it is.
    """
    rng = np.random.default_rng(seed)
    units = 80
    draws, sours = rng.random(units) * 10_000, rng.random(units) < sour
    judge = Judge((EndpointLimit("create order", True, 0.6, 500, 0.6, 10_000),), alpha=0.05, restart_s=5)
    judge.begin(0.0)
    owners, lots, fates, waits = rng.integers(units, size=900), *rng.random((3, 900))
    for index in range(900):
        t_s = index / 30
        share_bp = (500, 2500, 5000)[index // 300]
        if index in (300, 600):
            judge.mark_step(t_s)
        owner = int(owners[index])
        sticky = bool(sour) or index % 2 == 0
        new = (draws[owner] if sticky else lots[index] * 10_000) < share_bp
        failed = fates[index] < ((0.9 if sours[owner] else 0.0) if sour else 0.05)
        ms = 900.0 if waits[index] < 0.05 else 80.0
        unit = str(owner) if sticky else ""
        judge.feed([Event(t_s, "new" if new else "old", share_bp, "create order", unit, bool(failed), ms)])
    return judge.verdict(30.0).outcome is Outcome.FAIL


@pytest.mark.parametrize("sour", [0.0, 0.15])
def test_an_innocent_version_is_failed_no_more_often_than_the_budget_allows(sour: float) -> None:
    failed = sum(innocent(seed, sour) for seed in range(400))
    assert failed <= 400 * 0.05 * 1.5


def test_the_expected_evidence_of_an_innocent_version_is_at_most_one() -> None:
    """Restarted, at changing shares, at the end of 3,000 attempts: the mean of E, not only how often it is large."""
    rng = np.random.default_rng(3)
    evidence = []
    for _ in range(3000):
        test = LabelTest()
        for index in range(12):
            share_bp = (500, 2500, 5000)[index // 4]
            test.add(0, index // 4, new=bool(rng.random() * 10_000 < share_bp), share_bp=share_bp)
        evidence.append(np.exp(test.log_e(3)))
    assert np.mean(evidence) <= 1 + 3 * np.std(evidence) / 3000**0.5
