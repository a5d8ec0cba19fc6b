"""One simulated service with its walker: real table, decision, loop, acts, observer and judge; fake world."""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path as File

from crossfade.judge.judge import Judge
from crossfade.model.change import Change
from crossfade.model.ports import LaneSpec, ProcessSpec, Row, Slot
from crossfade.model.requirement import (
    Config,
    Database,
    Endpoint,
    Process,
    Requirement,
    Service,
    Traffic,
)
from crossfade.model.verdict import EndpointLimit
from crossfade.model.walker import Phase
from crossfade.plan.release import NO_SCHEMA, Named, SchemaPart, plan_release
from crossfade.testing.clock import FakeClock
from crossfade.testing.journal import FakeJournal, FakeLease, Killed
from crossfade.testing.schema import FakeSchemaEngine
from crossfade.testing.world import FakeProxy, FakeRuntime, FakeWorld
from crossfade.walk.acts import Lanes, Parts, ReleaseActs
from crossfade.walk.asks import Asks
from crossfade.walk.change_walk import ChangeWalk
from crossfade.walk.health import Answer
from crossfade.walk.loop import Release, Turn, Walker, read_release
from crossfade.walk.loop import plan_release as write_plan
from crossfade.walk.observe import LiveObserver

WEB = ProcessSpec("web", ["serve", "{port}"], ".", {}, 1, True, 5.0)
ENDPOINT = Endpoint(name="order", match="POST /orders", error_ratio_max=0.02, slow_ms=500, slow_ratio_max=0.05)


def config(**traffic: object) -> Config:
    """A small service with one critical endpoint."""
    web = Process(name="web", command=("serve", "{port}"), role="web", instances=1, start_timeout_s=5)
    settings: dict[str, object] = {"shares": (10.0, 50.0, 100.0), "step_min_s": 3.0, "step_cap_s": 120.0}
    return Config(
        service=Service(name="shop"),
        processes={"web": web},
        databases={"main": Database(name="main", app_url="env:A", admin_url="env:B")},
        requirement=Requirement(drain_s=1, keep_warm_s=3),
        endpoints=(ENDPOINT,),
        traffic=Traffic(**{**settings, **traffic}),  # type: ignore[arg-type]
    )


CHANGE = Change("c1", "v2.sql", "base", ["public.orders"])


class AtOnce:
    """Background work that is done when it is asked for: a simulation has no threads."""

    def run(self, _key: str, work):  # type: ignore[no-untyped-def]
        return work()


@dataclass
class Simulated:
    """One service, one release, and whoever walks it."""

    seed: int
    folder: File
    config: Config = field(default_factory=config)
    engine: FakeSchemaEngine | None = None  # with one, the release walks CHANGE

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.world = FakeWorld(random.Random(self.seed), self.clock)
        self.journal = FakeJournal(self.world)
        self.asks = Asks(self.folder)
        old = LaneSpec(Slot.LEFT, "v1", "d1", [WEB])
        self.new = LaneSpec(Slot.RIGHT, "v2", "d2", [WEB])
        self.old = old
        runtime = FakeRuntime(self.world)
        runtime.start(old)
        self.world.members[Slot.LEFT] = [i.address for i in runtime.observe()[Slot.LEFT].instances if i.address]
        self.world.touches.clear()
        self.kills = 0
        self.turns: list[Turn] = []

    def lanes(self, release: Release) -> Lanes:
        """Both lanes."""
        return Lanes(
            release.id, release.path, Slot.LEFT, self.old, self.new, "/healthz", "/ready", 5.0, 1.0, "salt", "pin",
            self.config.traffic.fuse,
        )  # fmt: skip

    def parts(self) -> Parts:
        """The fakes behind the ports."""

        def probe(address, _path):  # type: ignore[no-untyped-def]
            slot = Slot.LEFT if address.port == 1 else Slot.RIGHT
            return Answer(200, "ok") if self.world._alive(slot) else Answer(None, "refused")

        return Parts(
            FakeProxy(self.world), FakeRuntime(self.world), self.clock, nullcontext, nullcontext, probe,
            lambda: "proven", list, change=self.change_walk(),
        )  # fmt: skip

    def change_walk(self) -> ChangeWalk | None:
        """The schema's side, where there is one."""
        if self.engine is None:
            return None
        roles = {"left": "old", "right": "new"}
        left = lambda: ["v1 is still there"] if Slot.LEFT in self.world.lanes else []  # noqa: E731
        return ChangeWalk(self.engine, CHANGE, "v2", "v1", self.clock, roles=roles, left_over=left)

    def walker(self) -> Walker:
        """A walker that begins, or resumes from the journal's last row."""
        release = read_release(list(self.journal.rows()))
        if release is None:
            schema = NO_SCHEMA
            if self.engine is not None:
                schema = SchemaPart(self.engine.stage, CHANGE.tables, CHANGE)
            path = plan_release(self.config, Named("v1", "d1"), Named("v2", "d2"), "c", schema)
            release = write_plan(self.journal, "r1", path, {})
        lanes, parts = self.lanes(release), self.parts()
        limit = EndpointLimit("order", True, 0.02, 500, 0.05, 10_000)
        events = self.folder / "events.jsonl"
        observer = LiveObserver(self.config, lanes, parts, self.world, Judge([limit]), self.asks, events)
        acts = ReleaseActs(lanes, parts)
        acts._background = AtOnce()  # type: ignore[assignment]
        return Walker(release, self.journal, FakeLease(self.world), observer, acts, self.clock)

    def walk(self, max_s: float = 900, until=lambda _turn: False, kill_after: int | None = None) -> Phase:  # type: ignore[no-untyped-def]
        """Walk to an end, resuming after every kill; returns the last phase."""
        self.journal.kill_after = kill_after
        walker: Walker | None = None
        until_s = self.clock.monotonic_s() + max_s
        while self.clock.monotonic_s() < until_s:
            try:
                walker = walker or self.walker()
                turn = walker.turn()
                self.turns.append(turn)
                if walker.ended or until(turn):
                    return turn.state.phase
            except Killed:
                self.kills += 1
                walker = None
            if self.journal.written and not self.journal.settled() and not self.world.faults.journal_down:
                self.journal.copy_up()
            self.world.live(0.2)
        return self.turns[-1].state.phase

    @property
    def last(self) -> Row:
        """The last row of the journal."""
        return self.journal.written[-1]

    def replay(self) -> str:
        """The command that walks this release again."""
        return f"make simulate SEED={self.seed}"
