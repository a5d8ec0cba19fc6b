"""How often the judge fails an innocent version, how soon it finds a guilty one, and how fast it counts.

Run: python benchmarks/judge_level.py [--runs 400]. Seeds are fixed; no clock but the one that times the counting.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crossfade.judge import Judge
from crossfade.judge.bounds import events_needed
from crossfade.model.verdict import EndpointLimit, Event, Outcome

LIMITS = (
    EndpointLimit("create order", True, 0.01, 500, 0.05, 10_000),
    EndpointLimit("list orders", True, 0.01, 500, 0.05, 10_000),
    EndpointLimit("browse", False, 0.02, 500, 0.05, 10_000),
)
REQUESTS_PER_S = 200


@dataclass(frozen=True)
class Traffic:
    """Customers by lane: how often a request fails or is slow, and how sticky they are."""

    seconds: int
    shares: tuple[tuple[int, int], ...]  # (from second, share in basis points)
    fails: tuple[float, float] = (0.002, 0.002)  # old, new
    slow: tuple[float, float] = (0.01, 0.01)
    onset_s: float = 0.0  # until then the new lane is as good as the old one
    only: str = ""  # the endpoint whose new lane differs
    units: int = 0  # 0: each request is its own unit
    sour: float = 0.0  # the part of units that fail half of their requests, on both lanes


def stream(traffic: Traffic, seed: int) -> Iterator[tuple[str, float, Event | None]]:
    """('step', t, None) and ('event', t, event) in order of time."""
    rng = np.random.default_rng(seed)
    size = traffic.seconds * REQUESTS_PER_S
    draws, sours = rng.random(traffic.units or 1), rng.random(traffic.units or 1) < traffic.sour
    owners = rng.integers(traffic.units or 1, size=size).tolist()
    lots, fates, waits = (rng.random(size).tolist() for _ in range(3))
    which = rng.integers(len(LIMITS), size=size).tolist()
    shares = list(traffic.shares)
    share_bp = shares.pop(0)[1]
    for index in range(size):
        t_s = index / REQUESTS_PER_S
        if shares and t_s >= shares[0][0]:
            share_bp = shares.pop(0)[1]
            yield "step", t_s, None
        owner, name = owners[index], LIMITS[which[index]].name
        new = (draws[owner] if traffic.units else lots[index]) * 10_000 < share_bp
        worse = bool(new) and t_s >= traffic.onset_s and traffic.only in ("", name)
        failed = fates[index] < (0.5 if traffic.units and sours[owner] else traffic.fails[worse])
        ms = 900.0 if waits[index] < traffic.slow[worse] else 80.0
        unit = str(owner) if traffic.units else ""
        event = Event(t_s, "new" if new else "old", share_bp, name, unit, bool(failed), ms)
        yield "event", t_s, event


def failed_at(traffic: Traffic, seed: int, judge: Judge) -> tuple[float | None, int, str]:
    """When a failure was proven, how many customers had been failed by the new lane, and by which words."""
    judge.begin(0.0)
    harmed = 0
    for _, t_s, event in stream(traffic, seed):
        if event is None:
            judge.mark_step(t_s)
            continue
        judge.feed([event])
        if event.lane == "new" and (event.failed or event.ms >= 500):  # only then a failure can be proven
            harmed += 1
            verdict = judge.verdict(t_s)
            if verdict.outcome is Outcome.FAIL:
                return t_s, harmed, str(verdict.attribution)
    return None, harmed, ""


def passed_at(limit: float, share_bp: int) -> float:
    """The median time until a healthy version is shown to be healthy."""
    limits = tuple(EndpointLimit(x.name, x.critical, limit, 500, 0.05, 10_000) for x in LIMITS)
    times = []
    for seed in range(20):
        judge = Judge(limits)
        judge.begin(0.0)
        traffic = Traffic(240, ((0, share_bp),), fails=(0.001, 0.001))
        for index, (_, t_s, event) in enumerate(stream(traffic, seed)):
            judge.feed([event] if event else [])
            if index % 100 == 0 and judge.verdict(t_s).outcome is Outcome.PASS:
                times.append(t_s)
                break
        else:
            times.append(float("inf"))
    return statistics.median(times)


STEPS = ((0, 500), (20, 2500), (40, 5000))
INNOCENT = {
    "no units": Traffic(60, STEPS),
    "60 sticky units": Traffic(60, STEPS, units=60),
    "60 sticky units, a tenth sour": Traffic(60, STEPS, units=60, sour=0.1),
    "2,000 sticky units, 1 % sour": Traffic(60, STEPS, units=2000, sour=0.01),
    "5 % failures on both": Traffic(60, STEPS, fails=(0.05, 0.05)),
    "5 % failures on both, 300 sticky": Traffic(60, STEPS, fails=(0.05, 0.05), units=300),
}
GUILTY = {
    "5 % fail, share 5": Traffic(120, ((0, 500),), fails=(0.002, 0.05)),
    "5 % fail, share 10": Traffic(120, ((0, 1000),), fails=(0.002, 0.05)),
    "5 % fail, share 25": Traffic(120, ((0, 2500),), fails=(0.002, 0.05)),
    "5 % of one endpoint, share 10": Traffic(240, ((0, 1000),), fails=(0.002, 0.05), only="create order"),
    "30 % of one endpoint, share 10": Traffic(120, ((0, 1000),), fails=(0.002, 0.3), only="create order"),
    "30 % of one endpoint, share 50": Traffic(120, ((0, 5000),), fails=(0.002, 0.3), only="create order"),
    "all of one endpoint, share 5": Traffic(120, ((0, 500),), fails=(0.002, 1.0), only="create order"),
    "a third slow on one, share 10": Traffic(120, ((0, 1000),), slow=(0.01, 0.33), only="create order"),
    "5 % of one after 10 min, share 10": Traffic(
        840, ((0, 1000),), fails=(0.002, 0.05), only="create order", onset_s=600
    ),
    "both lanes fail 30 %, share 25": Traffic(60, ((0, 2500),), fails=(0.3, 0.3)),
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    print(
        f"level: innocent versions failed at alpha = 0.05, restarts every 10 s, {runs} runs "
        "(one endpoint, its limit out of reach)"
    )
    wide = (EndpointLimit(LIMITS[0].name, True, 0.5, 500, 0.5, 10_000),)
    for name, traffic in INNOCENT.items():
        judge = Judge(wide, alpha=0.05, restart_s=10)
        failed = sum(failed_at(traffic, seed, judge)[0] is not None for seed in range(runs))
        print(f"  {name:34} {100 * failed / runs:5.1f} %")
    few = max(10, runs // 5)
    print(
        f"delay at alpha = 0.001, {REQUESTS_PER_S} requests/s, {few} runs: median and worst seconds, customers harmed"
    )
    for name, traffic in GUILTY.items():
        found = [failed_at(traffic, seed, Judge(LIMITS)) for seed in range(few)]
        at = [t - traffic.onset_s for t, _, _ in found if t is not None]
        harmed = statistics.median(h for _, h, _ in found)
        words = ",".join(sorted({w for _, _, w in found if w}))
        median, worst = (statistics.median(at), max(at)) if at else (float("nan"), float("nan"))
        print(f"  {name:34} {median:6.1f} {worst:6.1f} s   {harmed:5.0f}   found {len(at)}/{few}  {words}")
    print("new-lane events for an advance with none bad: ", end="")
    print(", ".join(f"{100 * p:g} %: {events_needed(0, 0, p, p, 0.05)}" for p in (0.05, 0.02, 0.01, 0.001)))
    print("seconds until the first share may be left, 0.1 % errors, two critical endpoints of three, 20 runs")
    for limit in (0.05, 0.02, 0.01):
        row = [f"share {bp // 100}: {passed_at(limit, bp):.1f} s" for bp in (500, 1000, 2500, 5000)]
        print(f"  limit {100 * limit:g} %: {', '.join(row)}")
    for name, traffic in (("0.2 % bad", Traffic(60, STEPS)), ("4 % slow", Traffic(60, STEPS, slow=(0.04, 0.04)))):
        events = [event for _, _, event in stream(traffic, 1) if event is not None]
        judge = Judge(LIMITS)
        judge.begin(0.0)
        begun = time.perf_counter()
        judge.feed(events)
        print(f"counting, {name}: {len(events) / (time.perf_counter() - begun):,.0f} events/s")


if __name__ == "__main__":
    main()
