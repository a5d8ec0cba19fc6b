"""A service in memory: a proxy, a place where processes run, and the requests of its customers.

Rule: faults are data (`Faults`), set by a seed or by hand; the fakes keep the promises of the ports, so
that what breaks in a simulation is the walker and not the fake. Requests follow the fader exactly as the
proxy does: a draw per request, the pinned ones apart, the fuse latched until it is disarmed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from crossfade.model.errors import fail
from crossfade.model.ports import (
    FULL_BP,
    Address,
    Fader,
    InFlight,
    Instance,
    LaneFacts,
    LaneSpec,
    Member,
    ProxyFacts,
    Record,
    Slot,
    SourceHealth,
)
from crossfade.testing.clock import FakeClock


@dataclass
class Faults:
    """What goes wrong, by version."""

    error_ratio: dict[str, float] = field(default_factory=dict)
    slow_ratio: dict[str, float] = field(default_factory=dict)  # of requests that take 2 s
    never_ready: set[str] = field(default_factory=set)
    dies_at_s: dict[str, float] = field(default_factory=dict)
    shared_error_from_s: float | None = None  # the database is in trouble for both versions
    proxy_down: bool = False
    journal_down: bool = False
    blind: bool = False  # records do not come
    lost_ratio: float = 0.0  # of the records, which the proxy counted and nobody received
    stop_fails: int = 0  # how many times in a row the runtime does not answer to `stop`


class FakeWorld:
    """`Proxy`, `Runtime` and `RecordSource` over one state; `live(seconds)` lets customers come."""

    def __init__(self, rng: random.Random, clock: FakeClock, requests_per_s: int = 100) -> None:
        self.rng = rng
        self.clock = clock
        self.requests_per_s = requests_per_s
        self.faults = Faults()
        self.fader = Fader(Slot.LEFT, 0, "salt")
        self.mark = ""
        self.tripped = False
        self.members: dict[Slot, list[Address]] = {Slot.LEFT: [], Slot.RIGHT: []}
        self.lanes: dict[Slot, LaneSpec] = {}
        self.started_at: dict[Slot, float] = {}
        self.total = 0
        self.missing = 0
        self.lost: list[str] = []  # requests that no lane could answer: what a customer would have seen
        self.touches: list[str] = []  # every act on the outside, in order
        self._records: list[Record] = []
        self._recent: list[bool] = []  # failures of the new slot, for the fuse

    # -- Proxy ------------------------------------------------------------------------------------

    def set_fader(self, fader: Fader) -> None:
        """Put the fader in force."""
        self._reach_proxy()
        self.touches.append(f"share {fader.new_share_bp} old {fader.old}")
        if fader.fuse is None:
            self.tripped = False
            self._recent.clear()
        self.fader = fader.check_invariants()

    def set_members(self, slot: Slot, addresses: Sequence[Address]) -> None:
        """Make exactly these the members."""
        self._reach_proxy()
        self.members[slot] = list(addresses)

    def set_mark(self, mark: str) -> None:
        """Stamp the records from here on."""
        self._reach_proxy()
        self.mark = mark

    def _reach_proxy(self) -> None:
        if self.faults.proxy_down:
            raise fail("proxy-unreachable", socket="simulated", detail="simulated")

    def _alive(self, slot: Slot) -> bool:
        lane = self.lanes.get(slot)
        return lane is not None and self.clock.monotonic_s() < self.faults.dies_at_s.get(lane.version, 1e18)

    def proxy_facts(self) -> ProxyFacts:
        """What is in force."""
        self._reach_proxy()
        members = {
            slot: [
                Member(f"w{n}", address, "up" if self._alive(slot) else "down", 0)
                for n, address in enumerate(addresses)
            ]
            for slot, addresses in self.members.items()
        }
        flying: list[InFlight] = []
        return ProxyFacts(self.fader, self.tripped, members, flying, self.total, "once")

    # -- customers --------------------------------------------------------------------------------

    def live(self, seconds: float) -> None:
        """Let time pass, with customers."""
        for _ in range(round(self.requests_per_s * seconds)):
            self._request()
        self.clock.sleep(seconds)

    def _request(self) -> None:
        self.total += 1
        fader = self.fader
        new = fader.old.other
        drawn = self.rng.randrange(FULL_BP) < fader.new_share_bp
        assigned = new if drawn and not self.tripped else fader.old
        served = assigned
        if not (self.members[assigned] and self._alive(assigned)):
            served = assigned.other
            if not (self.members[served] and self._alive(served)):
                self.lost.append(f"request {self.total}: nobody serves")
                return
        version = self.lanes[served].version
        now_s = self.clock.monotonic_s()
        shared = self.faults.shared_error_from_s is not None and now_s >= self.faults.shared_error_from_s
        failed = self.rng.random() < (0.5 if shared else self.faults.error_ratio.get(version, 0.0))
        slow = self.rng.random() < self.faults.slow_ratio.get(version, 0.0)
        if assigned is new:
            self._feed_fuse(failed)
        if self.faults.blind:
            return
        if self.rng.random() < self.faults.lost_ratio:
            self.missing += 1
            return
        self._records.append(
            Record(
                at=self.clock.now().timestamp(),
                assigned=assigned,
                served=served,
                instance="w0",
                share_bp=fader.new_share_bp,
                unit="" if self.rng.random() < 0.5 else f"u{self.rng.randrange(500)}",
                method="POST",
                path="/orders",
                status=500 if failed else 201,
                ended_by="--",
                headers_us=2_000_000 if slow else 5_000,
                total_ms=2000 if slow else 5,
                retries=0,
                pinned=False,
                position=self.mark,
                key=str(self.total),
            )
        )

    def _feed_fuse(self, failed: bool) -> None:
        limit = self.fader.fuse
        if limit is None:
            return
        self._recent = [*self._recent[-199:], failed]
        failures = sum(self._recent)
        if failures >= limit.failures and failures / len(self._recent) >= limit.ratio:
            self.tripped = True

    # -- RecordSource -----------------------------------------------------------------------------

    def take(self) -> Sequence[Record]:
        """Records since the last call."""
        taken, self._records = self._records, []
        return taken

    def seen(self) -> int:
        """All of them: nothing is under way in a simulation."""
        return self.total

    def observed_total(self, total: int, started_at: str, seen: int) -> None:
        """The fake counts exactly; there is nothing to hold it to."""

    def health(self) -> SourceHealth:
        """Whether the stream is complete."""
        return SourceHealth(not self.faults.blind, 0.0, self.missing, "simulated")


class FakeRuntime:
    """`Runtime` over a FakeWorld."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def start(self, lane: LaneSpec) -> None:
        """Start a lane; it runs at once, ready or not."""
        world = self._world
        if world.lanes.get(lane.slot) == lane:
            return
        assert lane.slot not in world.lanes, f"two lanes in {lane.slot}"
        world.touches.append(f"start {lane.version}")
        world.lanes[lane.slot] = lane
        world.started_at[lane.slot] = world.clock.monotonic_s()

    def stop(self, slot: Slot) -> None:
        """Stop a lane; a lane that still serves customers is a fault of the walker."""
        world = self._world
        if world.faults.stop_fails:
            world.faults.stop_fails -= 1
            raise fail("runtime-unreachable", runtime="simulated", where="here", reason="simulated")
        lane = world.lanes.pop(slot, None)
        if lane is not None:
            world.touches.append(f"stop {lane.version}")

    def observe(self) -> Mapping[Slot, LaneFacts]:
        """What runs."""
        found = {}
        for slot, lane in self._world.lanes.items():
            process = lane.processes[0]
            port = 1 if slot is Slot.LEFT else 2
            state = "running" if lane.version not in self._world.faults.never_ready else "starting"
            instance = Instance(f"{slot}-{process.role}-0", process.role, Address("127.0.0.1", port), state)
            found[slot] = LaneFacts(slot, lane.version, lane.digest, [instance])
        return found

    def log_tail(self, slot: Slot, lines: int) -> str:
        """A line the lane wrote."""
        return f"simulated log of {slot}"[: lines * 80]


class FakeProxy:
    """`Proxy` over a FakeWorld (its `observe` is the proxy's, not the runtime's)."""

    knows_members = True

    def __init__(self, world: FakeWorld) -> None:
        self.set_fader = world.set_fader
        self.set_members = world.set_members
        self.set_mark = world.set_mark
        self.observe = world.proxy_facts


def without_pin(fader: Fader) -> Fader:
    """The fader without its secret, for comparing end states."""
    return replace(fader, pin="", salt="")
