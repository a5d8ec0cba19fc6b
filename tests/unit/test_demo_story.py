"""What a story reports of the schema's steps is what the journal has."""

from __future__ import annotations

from datetime import UTC, datetime

from crossfade.demo.command import CHANGES, GOOD, as_promised
from crossfade.demo.story import Told, lock_times
from crossfade.model.ports import Row, RowKind


def row(**data: object) -> Row:
    return Row(1, datetime(2026, 1, 1, tzinfo=UTC), "release", 1, RowKind.RESULT, {}, data)


def step(lock_wait_ms: float, held_ms: float) -> dict[str, object]:
    return {"unit": "expand:public.orders", "lock_wait_ms": lock_wait_ms, "tries": 1, "held_ms": held_ms}


def test_lock_times_are_medians_and_maxima_over_all_steps() -> None:
    rows = [row(act="expand", steps=[step(1, 4), step(3, 8)]), row(act="set share"), row(steps=[step(8, 90)])]
    assert lock_times(rows) == {
        "steps": 3,
        "lock_wait_ms_median": 3.0,
        "lock_wait_ms_max": 8.0,
        "held_ms_median": 8.0,
        "held_ms_max": 90.0,
    }
    assert lock_times([row(act="set share")]) == {}


def test_one_lost_value_or_another_end_than_told_breaks_the_promise() -> None:
    kept = Told("v1", "v7", "completed", "walker", 9, 0, 0, 0, None, None)
    assert as_promised([kept])
    assert not as_promised([kept, Told("v1", "v7", "completed", "walker", 9, 0, 0, 1, None, None)])
    assert not as_promised([kept, Told("v1", "v7", "halted", "walker", 9, 0, 0, 0, None, None, as_told=False)])


def test_the_last_line_keeps_its_names() -> None:
    told = Told("v1", "v7", "completed", "walker", 9, 0, 0, 0, None, None, "cause").to_json()
    assert list(told)[:10] == [
        *("from", "to", "outcome", "by", "requests", "failed", "failed_on_new_lane", "lost_writes"),
        *("seconds_to_verdict", "seconds_verdict_to_old_only"),
    ]


def test_the_stories_end_on_one_shape() -> None:
    assert (GOOD.version, GOOD.leaves) == ("v7", ("v7",))
    assert [(one.version, one.leaves) for one in CHANGES] == [("v8", ("v7",)), ("v8", ("v7", "v8")), ("v8b", ("v8",))]
