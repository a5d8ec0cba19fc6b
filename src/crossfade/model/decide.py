"""Facts in, one event out: what matters most at this turn of the loop, in order of danger.

Rule: `decide` has no side effects and sees only what is passed in. The order of its questions is the order
of danger to customers: traffic that must come back, a world that is not what the path says, a person's
word, blindness, and only then progress. Unknown is never a reason to go on (I6), and never a reason to
blame the new version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.model.path import Path
from crossfade.model.verdict import Outcome, Verdict
from crossfade.model.walker import ENDED, GOING_BACK, Event, Phase, State, Zone, zone


@dataclass(frozen=True)
class LaneHealth:
    """How many instances of a lane take requests, of how many that should."""

    healthy: int
    wanted: int


@dataclass(frozen=True)
class Facts:
    """All that the decision may depend on, observed at one turn."""

    asked: Event | None = None  # what a person asked for: pause, resume, rollback, abandon
    fuse_tripped: bool = False
    verdict: Verdict | None = None  # None where no customer reaches the new lane
    old: LaneHealth = LaneHealth(0, 0)
    new: LaneHealth = LaneHealth(0, 0)
    new_down_s: float = 0.0  # how long the new lane has had no healthy instance
    old_down_s: float = 0.0
    foreign: Sequence[str] = ()  # instances of a third version, by name
    schema_behind: str = ""  # what the database lacks of the position's schema, as a sentence
    blind: Sequence[str] = ()  # what cannot be seen, by name with the reason
    stood_s: float = 0.0  # how long at this position
    step_min_s: float = 0.0
    step_cap_s: float = 0.0
    at_cap: str = "hold"  # hold, advance, rollback


@dataclass(frozen=True)
class Decision:
    """One event, or none; and the sentence that says why, or what is waited for."""

    event: Event | None
    reason: str
    by: str = "walker"


LANE_DOWN_S = 2.0  # a lane is down when nothing in it was healthy for this long; a blip is not


def decide(path: Path, state: State, facts: Facts) -> Decision:
    """Choose the event. Pure: no side effects, no clock, no world."""
    if state.phase in ENDED:
        return _person(facts, state) or Decision(None, f"the release is {state.phase}")
    if state.phase is Phase.STRANDED:
        return _person(facts, state) or Decision(None, f"the way back failed: {state.cause}")
    return (
        _danger(path, state, facts)
        or _person(facts, state)
        or _unknown_world(path, state, facts)
        or _sight(state, facts)
        or _progress(path, state, facts)
    )


def _danger(path: Path, state: State, facts: Facts) -> Decision | None:
    """What must bring the traffic back now. While it is coming back already there is nothing to add."""
    if state.phase in GOING_BACK:
        return None
    at = zone(path, state.index)
    if facts.fuse_tripped:
        return Decision(Event.FUSE_TRIPPED, "the fuse in the proxy tripped and returned all traffic", by="fuse")
    if state.phase is Phase.HALTED:
        return None
    verdict = facts.verdict
    if verdict is not None and verdict.outcome is Outcome.FAIL:
        if verdict.attribution == "shared, unattributed":
            return Decision(Event.SHARED_TROUBLE, verdict.reason)
        return Decision(Event.VERDICT_FAIL, verdict.reason)
    if facts.schema_behind and (at is not Zone.QUIET or state.phase in (Phase.STANDING, Phase.STEPPING)):
        return Decision(Event.SCHEMA_BEHIND, facts.schema_behind)
    new_is_used = at is not Zone.QUIET
    if new_is_used and facts.new.wanted and facts.new_down_s >= LANE_DOWN_S:
        return Decision(
            Event.NEW_LANE_DOWN,
            f"none of {facts.new.wanted} instances of {path.new_version} was healthy for {facts.new_down_s:.1f} s",
        )
    return None


def _person(facts: Facts, state: State) -> Decision | None:
    """What a person asked for. A pause waits until the act that is under way has led to a position."""
    if facts.asked is None or (facts.asked is Event.PAUSE and state.phase is Phase.STEPPING):
        return None
    return Decision(facts.asked, f"asked for by a person: {facts.asked}", by="person")


def _unknown_world(path: Path, state: State, facts: Facts) -> Decision | None:
    """What the path does not know of: a third version, an old lane that died by itself."""
    if state.phase in (*GOING_BACK, Phase.HALTED):
        return None
    if facts.foreign:
        return Decision(Event.THIRD_VERSION, f"a third version is alive: {', '.join(facts.foreign)}")
    old_is_needed = zone(path, state.index) not in (Zone.ALONE, Zone.HIDDEN) and state.phase is not Phase.STEPPING
    if old_is_needed and facts.old.wanted and facts.old_down_s >= LANE_DOWN_S:
        return Decision(
            Event.OLD_LANE_DOWN,
            f"no instance of {path.old_version} was healthy for {facts.old_down_s:.1f} s: there is no way back",
        )
    return None


def _sight(state: State, facts: Facts) -> Decision | None:
    """Blind means hold still; the way back needs no sight."""
    if facts.blind and state.phase is Phase.STANDING:
        return Decision(Event.BLIND, "cannot see: " + "; ".join(facts.blind))
    if state.phase is Phase.HELD and not facts.blind:
        passed = facts.verdict is None or facts.verdict.outcome is Outcome.PASS
        if passed or facts.stood_s < facts.step_cap_s:
            return Decision(Event.SIGHTED, "what was missing is there again")
    return None


def _progress(path: Path, state: State, facts: Facts) -> Decision:
    """Whether the next step may be taken: evidence first, time second."""
    if state.phase is not Phase.STANDING:
        return Decision(None, state.cause or f"{state.phase}")
    position = path.positions[state.index]
    if state.index == len(path.steps):
        return Decision(Event.FINISHED, f"{path.new_version or path.old_version} serves alone")
    if not path.steps[state.index].gated:
        return Decision(Event.ADVANCE, f"nothing is to be shown at {position.name}")
    if facts.stood_s < facts.step_min_s:
        left = facts.step_min_s - facts.stood_s
        return Decision(None, f"stands at {position.name} for at least {facts.step_min_s:g} s; {left:.0f} s left")
    verdict = facts.verdict
    if verdict is not None and verdict.outcome is Outcome.PASS:
        return Decision(Event.ADVANCE, verdict.reason)
    missing = verdict.reason if verdict is not None else "no verdict yet"
    if facts.stood_s < facts.step_cap_s:
        return Decision(None, f"{missing}; at the cap of {facts.step_cap_s:g} s: {facts.at_cap}")
    if facts.at_cap == "rollback":
        return Decision(Event.VERDICT_FAIL, f"cap of {facts.step_cap_s:g} s reached without a pass: {missing}")
    if facts.at_cap == "advance":
        return Decision(Event.ADVANCE, f"cap of {facts.step_cap_s:g} s reached, policy is advance: {missing}")
    return Decision(Event.CAP_REACHED, f"cap of {facts.step_cap_s:g} s reached without a pass: {missing}")
