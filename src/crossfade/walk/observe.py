"""Reading the world once a turn, and boiling it down to the facts a decision may depend on.

Rule: observing changes nothing outside. What cannot be read is named in `blind`, never guessed. Verdicts
are asked for only while customers reach the new lane; events from before the first share never count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from crossfade.model import walker
from crossfade.model.decide import Facts, LaneHealth
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import LaneFacts, ProxyFacts, Record, RecordSource, Slot
from crossfade.model.requirement import Config
from crossfade.model.verdict import Verdict
from crossfade.model.walker import Phase, State
from crossfade.plan.release import dwell
from crossfade.signals.eventlog import EventLog
from crossfade.signals.eventlog import Judging as Feeding
from crossfade.signals.events import Events
from crossfade.signals.latency import RollingLatency
from crossfade.walk.acts import Lanes, Parts
from crossfade.walk.asks import Ask, Asks

VERDICT_EVERY_S = 0.2
BLIND_AFTER_S = 3.0
SHARE_WINDOW_S = 30.0
MISSING_TOLERATED_RATIO = 0.001  # of this attempt's records: what they could hide is far below every usual limit
CENSUS_EVERY_S = 2.0
RESUMED_FROM = (Phase.PAUSED, Phase.HELD, Phase.HALTED)
WATCHING = (Phase.STANDING, Phase.STEPPING, Phase.PAUSED, Phase.HELD)


class Judging(Feeding, Protocol):
    """What the observer needs of the judge: to be fed, and its verdict."""

    def verdict(self, t_s: float, source_complete: bool = True, detail: str = "") -> Verdict:
        """What the events show up to now."""


class LiveObserver:
    """`Observer` over the real parts."""

    def __init__(
        self,
        config: Config,
        lanes: Lanes,
        parts: Parts,
        records: RecordSource,
        judge: Judging,
        asks: Asks,
        event_file: Path,
        behind: Callable[[], str] = str,
        latency: RollingLatency | None = None,
    ) -> None:
        self._config, self._lanes, self._parts = config, lanes, parts
        self._records, self._judge, self._asks, self._behind = records, judge, asks, behind
        self._events = Events(config.endpoints, lanes.release, lanes.old_slot)
        self._log = EventLog(event_file, judge)
        self._events.remember_hung(self._log.hung)
        self._latency = latency
        self._ask: Ask | None = None
        self.reply = ""
        self._index: int | None = None
        self._phase: Phase | None = None
        self._foreigners: Sequence[str] = ()
        self._census_s = float("-inf")
        self._arrived_s = 0.0
        self._seen: deque[tuple[float, bool]] = deque()
        self._down_since: dict[Slot, float] = {}
        self._dark_since: float | None = None
        self._before_share = (0, 0)  # records missing and seen just before this walker saw a share in force
        self._verdict: Verdict | None = None
        self._verdict_s = 0.0
        self.proxy: ProxyFacts | None = None
        self._running: Mapping[Slot, LaneFacts] | None = {}
        self._schema_behind: tuple[int, str] | None = None  # at which position, what; None: not looked at yet

    # -- one turn ---------------------------------------------------------------------------------

    def facts(self, state: State) -> Facts:
        """Observe everything once."""
        now_s = self._parts.clock.monotonic_s()
        wall_s = self._parts.clock.now().timestamp()
        self._arrive(state, now_s, wall_s)
        blind = self._look_at_proxy()
        blind += self._look_at_runtime()
        if behind := self._behind():
            blind.append(f"the journal ({behind}); crossfade resume --adopt accepts it")
        blind += self._look_at_schema(state)
        self._feed(wall_s)
        blind += self._look_at_records(state, now_s)
        standing = dwell(self._config, self._lanes.path, state.index)
        return Facts(
            asked=self._asked(),
            fuse_tripped=self.proxy is not None and self.proxy.fuse_tripped,
            verdict=self._judged(state, now_s, wall_s, blind),
            old=self._health(self._lanes.old_slot, now_s),
            new=self._health(self._lanes.new_slot, now_s),
            old_down_s=self._down_s(self._lanes.old_slot, now_s),
            new_down_s=self._down_s(self._lanes.new_slot, now_s),
            schema_behind=self._behind_at(state.index),
            foreign=self._foreign(now_s),
            blind=tuple(blind) if state.phase in WATCHING else (),
            stood_s=now_s - self._arrived_s,
            step_min_s=standing.min_s,
            step_cap_s=standing.cap_s,
            at_cap=self._config.traffic.at_cap,
        )

    def answered(self, reply: str) -> None:
        """The ask is in the journal now."""
        self.reply = reply
        if self._ask is not None:
            self._asks.answer(self._ask, reply)
            self._ask = None

    def measured_share(self) -> tuple[int, int]:
        """Requests of the last half minute assigned to the new lane, and to both."""
        return sum(new for _, new in self._seen), len(self._seen)

    # -- its parts --------------------------------------------------------------------------------

    def _arrive(self, state: State, now_s: float, wall_s: float) -> None:
        if state.phase is Phase.STANDING and self._phase in RESUMED_FROM:
            self._arrived_s = now_s  # a person, or what was missing, gave it its time anew
        self._phase = state.phase
        if state.index == self._index:
            return
        self._index, self._arrived_s = state.index, now_s
        self._seen.clear()
        if not self._lanes.path.positions[state.index].exposed:
            return
        if self._log.begun_s is None:
            self._log.begin(wall_s, state.index)
        elif self._log.last_step != state.index:
            self._log.step(wall_s, state.index)

    def _look_at_proxy(self) -> list[str]:
        seen = self._records.seen()
        try:
            self.proxy = self._parts.proxy.observe()
        except CrossfadeError as error:
            self.proxy = None
            return [f"the proxy ({error.message})"]
        self._records.observed_total(self.proxy.requests_total, self.proxy.started_at, seen)
        return []

    def _look_at_runtime(self) -> list[str]:
        """Asked only where the proxy cannot tell which instances take requests."""
        self._running = {}
        if self._parts.proxy.knows_members:
            return []
        try:
            self._running = self._parts.runtime.observe()
        except CrossfadeError as error:
            self._running = None
            return [f"the runtime ({error.message})"]
        return []

    def _look_at_schema(self, state: State) -> list[str]:
        """Once for each walker: whether the database still has what the release stands on.

        Only a failover or a restore can take it away, and after one the journal is bound anew, by a new walker.
        """
        change = self._parts.change
        if change is None or self._schema_behind is not None or self._behind() or not change.may_ask():
            return []
        try:
            self._schema_behind = (state.index, change.behind(self._lanes.path, state.index))
        except CrossfadeError as error:
            return [f"the schema ({error.message})"]
        return []

    def _behind_at(self, index: int) -> str:
        """What was found, for as long as the release stands where it was found; what it does then mends it."""
        if self._schema_behind is None:
            return ""
        if self._schema_behind[0] != index:
            self._schema_behind = (index, "")
        return self._schema_behind[1]

    def _feed(self, wall_s: float) -> None:
        records = self._records.take()
        self._count_shares(records)
        if self._latency is not None:
            self._latency.feed(records, wall_s)
        if self._log.begun_s is None:
            return
        self._log.feed(self._events.of_records(records))
        if self.proxy is not None and self.proxy.fader.new_share_bp:
            share_bp = self.proxy.fader.new_share_bp
            self._log.feed(*self._events.of_in_flight(self.proxy.in_flight, share_bp, wall_s))

    def _count_shares(self, records: Sequence[Record]) -> None:
        mark = self._lanes.mark(self._index or 0)
        self._seen.extend(
            (r.at, r.assigned is self._lanes.new_slot) for r in records if r.position == mark and not r.pinned
        )
        while self._seen and self._seen[0][0] < self._seen[-1][0] - SHARE_WINDOW_S:
            self._seen.popleft()

    def _look_at_records(self, state: State, now_s: float) -> list[str]:
        """Records that do not come blind the judge; for a moment that is only the network's lag."""
        health = self._records.health()
        exposed = self._lanes.path.positions[state.index].exposed
        seen = self._records.seen()
        if not exposed:
            self._before_share = (health.missing, seen)  # an earlier gap says nothing about this attempt
        missing_before, seen_before = self._before_share
        missing = max(0, health.missing - missing_before)
        tolerated = MISSING_TOLERATED_RATIO * max(0, seen - seen_before)
        if not exposed or (health.connected and missing <= tolerated):
            self._dark_since = None
            return []
        self._dark_since = self._dark_since if self._dark_since is not None else now_s
        if now_s - self._dark_since < BLIND_AFTER_S:
            return []
        if not health.connected:
            return [f"the request records ({health.detail or 'not connected'})"]
        return [f"{missing} request records are missing, {tolerated:.0f} are tolerated"]

    def _judged(self, state: State, now_s: float, wall_s: float, blind: list[str]) -> Verdict | None:
        exposed = self._lanes.path.positions[state.index].exposed
        if not exposed or state.phase not in WATCHING:
            self._verdict = None
        elif self._verdict is None or now_s - self._verdict_s >= VERDICT_EVERY_S:
            self._verdict = self._judge.verdict(wall_s, not blind, "; ".join(blind))
            self._verdict_s = now_s
        return self._verdict

    def _health(self, slot: Slot, now_s: float) -> LaneHealth:
        lane = self._lanes.old if slot is self._lanes.old_slot else self._lanes.new
        wanted = sum(p.instances for p in lane.processes if p.takes_port) if lane is not None else 0
        if self.proxy is None or self._running is None:
            return LaneHealth(0, 0)  # unknown is not down: `blind` says so
        if self._parts.proxy.knows_members:
            healthy = sum(member.state == "up" for member in self.proxy.members.get(slot, ()))
        else:
            facts = self._running.get(slot)
            healthy = sum(i.state == "running" for i in facts.instances if i.address) if facts else 0
        if healthy or not wanted:
            self._down_since.pop(slot, None)
        else:
            self._down_since.setdefault(slot, now_s)
        return LaneHealth(healthy, wanted)

    def _down_s(self, slot: Slot, now_s: float) -> float:
        return now_s - self._down_since.get(slot, now_s)

    def _foreign(self, now_s: float) -> Sequence[str]:
        if now_s - self._census_s >= CENSUS_EVERY_S:  # it reads every process of the host
            self._foreigners, self._census_s = self._parts.foreign(), now_s
        return self._foreigners

    def _asked(self) -> walker.Event | None:
        pending = self._asks.pending()
        self._ask = next((ask for ask in pending if ask.event is not None), None)
        return self._ask.event if self._ask is not None else None
