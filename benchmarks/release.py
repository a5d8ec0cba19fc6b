"""What a release costs, and how fast it comes back: measured on real parts, in one run.

    python benchmarks/release.py [--rounds 5] [--output json]

It prints, with medians and the number of rounds:
- the proxy's added latency: the same GET to one instance directly and through the proxy, in turns;
- the controller's CPU for 1,000 requests/s of records, while a share is in force;
- the time from the verdict until every new request goes to the old slot, with the database up and down;
- the way back from `retired`: predicted and measured;
- share accuracy: wanted and measured share with its 99.9 % binomial interval.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import urllib3

from crossfade.cli.release import begin_release
from crossfade.demo.load import Load, LoadOptions
from crossfade.demo.stage import POSTGRES, Stage
from crossfade.journal.spool import Spool
from crossfade.model.ports import Slot
from crossfade.walk.asks import Asks
from crossfade.walk.begin import make_plan
from crossfade.walk.clock import SystemClock
from crossfade.walk.site import CONTROLLER
from crossfade.walk.status import Status, read_status

RATE_PER_S = 200.0
Z_999 = 3.29


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Bench:
    """One stage and what is measured on it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def begin(self, version: str, shares: tuple[float, ...]) -> str:
        self.stage.configure(shares)
        site = self.stage.site()
        return begin_release(site, make_plan(site, self.spool(), version), version)

    def spool(self) -> Spool:
        return Spool(self.stage.site().state_dir / "spool.jsonl", self.stage.clock)

    def until(self, release: str, *names: str, within_s: float = 240) -> Status:
        """Wait for a phase or a position of that name."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            status = read_status(self.stage.site().state_dir)
            if status is not None and status.release == release and {status.phase, status.position} & set(names):
                return status
            time.sleep(0.02)
        raise TimeoutError(f"{release} never reached {names}")

    def ask(self, what: str) -> None:
        site = self.stage.site()
        Asks(site.state_dir).put(what, site.clock.now())

    # -- what is measured -------------------------------------------------------------------------

    def added_latency(self, rounds: int) -> dict[str, float]:
        """Median and p99 of GET /healthz, directly and through the proxy, in turns on kept connections."""
        facts = self.stage.site().runtime().observe()
        slot = next(slot for slot in Slot if facts.get(slot) and facts[slot].instances)
        address = facts[slot].instances[0].address
        assert address is not None
        direct, proxied = [], []
        with urllib3.PoolManager() as pool:
            for _ in range(rounds):
                direct += timed(pool, f"http://{address.host}:{address.port}/healthz")
                proxied += timed(pool, f"{self.stage.base_url}/healthz")
        return {
            "direct_p50_ms": quantile(direct, 0.5),
            "proxied_p50_ms": quantile(proxied, 0.5),
            "added_p50_ms": quantile(proxied, 0.5) - quantile(direct, 0.5),
            "direct_p99_ms": quantile(direct, 0.99),
            "proxied_p99_ms": quantile(proxied, 0.99),
            "p50_ratio": quantile(proxied, 0.5) / quantile(direct, 0.5),
        }

    def share_and_cpu(self, load: Load) -> dict[str, object]:
        """Hold a good version at 25 %: the measured share, and what the controller needs meanwhile.

        A customer with a cookie stays where the draw put them, so requests with a cookie are counted by customer:
        their requests are not independent draws, and an interval over them would be too narrow.
        """
        release = self.begin("v2", (25, 100))
        self.until(release, "shifted(25)")
        self.ask("pause")
        self.until(release, "paused")
        supervisord = self.stage.site().supervisord()
        assert supervisord is not None
        pid = supervisord.part_state(CONTROLLER).pid
        assert pid is not None
        process = psutil.Process(pid)
        before, total = process.cpu_times(), self.stage.site().proxy().observe().requests_total
        load.mark("held")
        began = time.monotonic()
        time.sleep(20)
        took_s = time.monotonic() - began
        after = process.cpu_times()
        rate = (self.stage.site().proxy().observe().requests_total - total) / took_s
        cpu_s = after.user + after.system - before.user - before.system
        load.mark("released")
        time.sleep(1)
        sent = load.so_far().window("held", "released").requests_sent
        new = str(Slot(str(self.spool().rows(release)[0].data["old_slot"])).other)
        self.ask("rollback")
        self.until(release, "rolled_back")
        customers = {one.user: one.slot == new for one in sent if one.cookie and one.slot}
        return {
            "requests_per_s": rate,
            "controller_cores": cpu_s / took_s,
            "controller_cores_per_1000_rps": cpu_s / took_s / rate * 1000,
            "share_of_requests_without_cookie": accuracy([one.slot == new for one in sent if not one.cookie]),
            "share_of_customers_with_cookie": accuracy(list(customers.values())),
        }

    def back(self, rounds: int, *, database_down: bool) -> list[int]:
        """Verdict to old only, in ms: a version that fails 30 % of its orders, at 50 %."""
        found = []
        for _ in range(rounds):
            release = self.begin("v30", (50, 100))
            if database_down:
                self.until(release, "shifted(50)")
                supervisord = self.stage.site().supervisord()
                assert supervisord is not None
                supervisord.stop_part(POSTGRES)
                self.until(release, "undoing", "returning")
                time.sleep(1)
                supervisord.start_part(POSTGRES)
                self.stage.cluster.wait_ready(60, self.stage.clock)
            status = self.until(release, "rolled_back")
            say(f"  rolled back: {status.cause[:150]}")
            rows = self.spool().rows(release)
            found += [int(str(r.data["decided_to_old_only_ms"])) for r in rows if "decided_to_old_only_ms" in r.data]
        return found

    def from_retired(self) -> dict[str, object]:
        """The way back once the old version is stopped: what was predicted, and what it took."""
        release = self.begin("v2", (50, 100))
        predicted = self.until(release, "completed").way_back_s
        self.ask("rollback")
        self.until(release, "rolled_back")
        rows = self.spool().rows(release)
        took = [int(str(r.data["decided_to_old_only_ms"])) for r in rows if "decided_to_old_only_ms" in r.data]
        return {"predicted_s": predicted, "measured_s": took[-1] / 1000 if took else None}


def accuracy(draws: list[bool], wanted: float = 0.25) -> dict[str, object]:
    """The share of the new lane in percent, with the 99.9 % interval of that many draws."""
    half = 100 * Z_999 * math.sqrt(wanted * (1 - wanted) / len(draws))
    measured = 100 * sum(draws) / len(draws)
    interval = [round(100 * wanted - half, 2), round(100 * wanted + half, 2)]
    return {
        "wanted": 100 * wanted,
        "measured": round(measured, 2),
        "draws": len(draws),
        "interval_999": interval,
        "inside": interval[0] <= measured <= interval[1],
    }


def timed(pool: urllib3.PoolManager, url: str, count: int = 150) -> list[float]:
    """Milliseconds of `count` requests, one after the other."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        pool.request("GET", url)
        times.append((time.perf_counter() - began) * 1000)
    return times


def quantile(values: list[float], part: float) -> float:
    """The value that this part does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@contextmanager
def bench() -> Iterator[tuple[Bench, Stage]]:
    """A stage with v1 serving."""
    directory = Path(tempfile.mkdtemp(prefix="crossfade-bench-"))
    directory.chmod(0o711)
    stage = Stage(directory, SystemClock())
    try:
        stage.set_up((50, 100))
        measured = Bench(stage)
        measured.until(measured.begin("v1", (100,)), "completed")
        yield measured, stage
    finally:
        stage.strike(keep=False)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--output", choices=["text", "json"], default="text")
    options = arguments.parse_args()
    result: dict[str, object] = {"rounds": options.rounds}
    with bench() as (measured, stage):
        say("latency, direct and through the proxy")
        result["latency"] = measured.added_latency(options.rounds)
        load = LoadOptions(stage.base_url, rate_per_s=RATE_PER_S, max_s=1800)
        with Load(load, stage.directory / "load") as customers:
            say("share accuracy and controller CPU at 25 %")
            result["share_and_cpu"] = measured.share_and_cpu(customers)
            for down in (False, True):
                say(f"verdict to old only, database {'down' if down else 'up'}")
                times = measured.back(options.rounds, database_down=down)
                name = "verdict_to_old_only_database_down_ms" if down else "verdict_to_old_only_ms"
                result[name] = {"median": statistics.median(times), "max": max(times), "all": times}
            say("the way back from retired")
            result["from_retired"] = measured.from_retired()
    if options.output == "json":
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name}: {json.dumps(value, indent=2)}")


if __name__ == "__main__":
    main()
