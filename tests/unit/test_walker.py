"""The table of the release: every row, what is refused, and that no failure ever moves the fader forward."""

from __future__ import annotations

import pytest

from crossfade.model.path import Act, Kind, Path, Position, Presence, Step
from crossfade.model.walker import (
    ENDED,
    TABLE,
    Event,
    Phase,
    Refusal,
    State,
    Zone,
    act_of,
    advance,
    start,
    zone,
)


def code_path(*shares: int) -> Path:
    """A release of code with these shares in basis points."""
    positions = [
        Position(Kind.STEADY, Presence.SERVING, Presence.ABSENT, 0),
        Position(Kind.STANDBY, Presence.SERVING, Presence.UP, 0),
        Position(Kind.SMOKED, Presence.SERVING, Presence.PINNED, 0),
    ]
    steps = [Step(Act.START_NEW, way_back="stop it"), Step(Act.SMOKE, way_back="nothing to undo")]
    for share in shares:
        old = Presence.WARM if share == 10_000 else Presence.SERVING
        positions.append(Position(Kind.SHIFTED, old, Presence.SERVING, share))
        steps.append(Step(Act.SET_SHARE, share, way_back="fader to old", gated=len(steps) > 2))
    positions.append(Position(Kind.RETIRED, Presence.ABSENT, Presence.SERVING, 10_000))
    steps.append(Step(Act.RETIRE_OLD, way_back="start old, then fader", gated=True))
    return Path("shop", "v1", "d1", "v2", "d2", "c", positions, steps).check_invariants()


PATH = code_path(500, 10_000)
QUIET, STANDBY, SMOKED, SHARED, FULL, ALONE = range(6)


def go(state: State, *events: Event) -> State:
    for event in events:
        after = advance(PATH, state, event, cause=str(event), by="walker")
        assert isinstance(after, State), after
        state = after
    return state


def test_a_good_release_walks_to_the_end() -> None:
    state = start(PATH)
    for _ in PATH.steps:
        state = go(state, Event.ADVANCE, Event.ACT_DONE)
    state = go(state, Event.FINISHED)
    assert (state.phase, state.index) == (Phase.COMPLETED, ALONE)


@pytest.mark.parametrize(
    ("index", "expected"),
    [(QUIET, Zone.QUIET), (SMOKED, Zone.QUIET), (SHARED, Zone.SHARED), (FULL, Zone.FULL), (ALONE, Zone.ALONE)],
)
def test_the_zone_says_how_far_the_fader_is(index: int, expected: Zone) -> None:
    assert zone(PATH, index) is expected


def test_a_bad_verdict_during_the_shift_returns_traffic_then_stops_the_new_lane() -> None:
    state = go(State(Phase.STANDING, SHARED), Event.VERDICT_FAIL)
    assert state.phase is Phase.RETURNING
    assert act_of(PATH, state) == Step(Act.FADER_TO_OLD)
    state = go(state, Event.ACT_FAILED, Event.ACT_DONE)
    assert (state.phase, state.index) == (Phase.UNDOING, SMOKED)
    assert act_of(PATH, state) == Step(Act.STOP_NEW)
    state = go(state, Event.ACT_DONE)
    assert (state.phase, state.index, state.cause) == (Phase.ROLLED_BACK, 0, "verdict fail")


def test_the_first_cause_stays_while_going_back() -> None:
    state = go(State(Phase.STANDING, SHARED), Event.FUSE_TRIPPED, Event.ACT_DONE, Event.ABANDON, Event.ACT_DONE)
    assert (state.phase, state.cause) == (Phase.ABANDONED, "fuse tripped")


def test_before_any_share_a_failure_only_undoes() -> None:
    state = go(State(Phase.STEPPING, STANDBY), Event.ACT_FAILED)
    assert (state.phase, state.index) == (Phase.UNDOING, STANDBY)


def test_a_first_share_that_may_be_in_force_returns_the_traffic() -> None:
    assert go(State(Phase.STEPPING, SMOKED), Event.ROLLBACK).phase is Phase.RETURNING


def test_once_the_old_lane_is_gone_it_is_started_first() -> None:
    state = go(State(Phase.COMPLETED, ALONE), Event.ROLLBACK)
    assert (state.phase, act_of(PATH, state)) == (Phase.RESTORING, Step(Act.START_OLD))
    assert go(state, Event.ACT_DONE).phase is Phase.RETURNING


def test_while_the_old_lane_is_being_retired_the_way_back_makes_sure_of_it() -> None:
    assert go(State(Phase.STEPPING, FULL), Event.FUSE_TRIPPED).phase is Phase.RESTORING


def test_when_both_ways_are_unsafe_it_halts_and_keeps_the_healthy_lane() -> None:
    assert go(State(Phase.STEPPING, FULL), Event.ACT_FAILED).phase is Phase.HALTED
    stranded = go(State(Phase.RESTORING, ALONE), Event.ACT_FAILED)
    assert (stranded.phase, act_of(PATH, stranded)) == (Phase.STRANDED, None)
    assert go(stranded, Event.RESUME).phase is Phase.RESTORING


def test_resuming_a_stranded_way_back_never_goes_forward() -> None:
    for index in (SMOKED, SHARED, FULL, ALONE):
        after = go(State(Phase.STRANDED, index), Event.RESUME)
        assert after.phase in (Phase.UNDOING, Phase.RETURNING, Phase.RESTORING)


@pytest.mark.parametrize("phase", [Phase.ROLLED_BACK, Phase.ABANDONED])
@pytest.mark.parametrize("event", list(Event))
def test_an_end_is_an_end(phase: Phase, event: Event) -> None:
    refusal = advance(PATH, State(phase, 0), event)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == f"a release that is {phase} cannot take: {event}"


DANGER = (Event.VERDICT_FAIL, Event.SHARED_TROUBLE, Event.FUSE_TRIPPED, Event.NEW_LANE_DOWN, Event.ROLLBACK)


@pytest.mark.parametrize("event", DANGER)
@pytest.mark.parametrize("phase", [Phase.STANDING, Phase.STEPPING, Phase.PAUSED, Phase.HELD])
@pytest.mark.parametrize("index", [SHARED, FULL, ALONE])
def test_every_danger_goes_back_from_wherever_customers_are(event: Event, phase: Phase, index: int) -> None:
    if phase is Phase.STEPPING and index == ALONE:
        pytest.skip("there is no step after the last position")
    after = advance(PATH, State(phase, index), event)
    assert isinstance(after, State)
    assert after.phase in (Phase.RETURNING, Phase.RESTORING)


def test_every_phase_has_a_row_and_every_transition_lands_in_one() -> None:
    assert set(TABLE) == set(Phase)
    for row in TABLE.values():
        for by_zone in row.values():
            assert set(by_zone.values()) <= set(Phase)
            assert set(by_zone) <= set(Zone)


def test_only_a_finished_path_completes() -> None:
    completing = {(p, e) for p, row in TABLE.items() for e, z in row.items() if Phase.COMPLETED in z.values()}
    assert completing == {(Phase.STANDING, Event.FINISHED)}
    assert {Phase.COMPLETED, Phase.ROLLED_BACK, Phase.ABANDONED} == ENDED


def test_state_and_path_survive_the_journal() -> None:
    state = State(Phase.HELD, 3, "cause", "fuse", True)
    assert State.from_json(state.to_json()) == state
    assert Path.from_json(PATH.to_json()).digest == PATH.digest


def test_a_path_that_shrinks_a_share_is_refused() -> None:
    with pytest.raises(AssertionError, match="shares only grow"):
        code_path(500, 100, 10_000)
