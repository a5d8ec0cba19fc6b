"""What counts as an event of a verdict, and that a verdict survives the death of who was judging."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossfade.judge import Judge
from crossfade.model.ports import InFlight, Record, Slot
from crossfade.model.requirement import Endpoint
from crossfade.model.verdict import EndpointLimit, Event
from crossfade.signals.eventlog import EventLog
from crossfade.signals.events import EndpointMatcher, Events

ORDERS = Endpoint(name="place", match="POST /orders", hang_ms=3000)
SHOW = Endpoint(name="show", match="GET /orders/{id}", hang_ms=2000)
RECORD = Record(
    at=10.0, assigned=Slot.RIGHT, served=Slot.RIGHT, instance="w1", share_bp=2500, unit="u1", method="POST",
    path="/orders", status=201, ended_by="--", headers_us=5000, total_ms=6, retries=0, pinned=False,
    position="r1:3", key="k1",
)  # fmt: skip


def events() -> Events:
    return Events([ORDERS, SHOW], "r1", Slot.LEFT)


def one(record: Record) -> Event:
    (event,) = events().of_records([record])
    return event


def test_a_record_becomes_an_event_of_its_lane_with_the_share_in_force() -> None:
    event = one(RECORD)
    assert (event.lane, event.share_bp, event.endpoint, event.unit) == ("new", 2500, "place", "u1")
    assert (event.failed, event.ms) == (False, 5.0)
    assert one(replace(RECORD, assigned=Slot.LEFT, served=Slot.LEFT)).lane == "old"


@pytest.mark.parametrize(
    "changes",
    [{"pinned": True}, {"share_bp": 0}, {"position": "r0:3"}, {"path": "/elsewhere"}, {"method": "GET"}],
    ids=["pinned", "before the first share", "another release", "no endpoint", "another method"],
)
def test_what_never_counts(changes: dict[str, object]) -> None:
    assert events().of_records([replace(RECORD, **changes)]) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [500, 503, 0, -1])
def test_failures(status: int) -> None:
    assert one(replace(RECORD, status=status)).failed


@pytest.mark.parametrize("status", [200, 301, 404, 422])
def test_a_customers_own_mistake_is_no_failure(status: int) -> None:
    assert not one(replace(RECORD, status=status)).failed


def test_an_answer_of_the_old_lane_to_a_request_of_the_new_one_is_a_failure_of_the_new_one() -> None:
    event = one(replace(RECORD, served=Slot.LEFT))
    assert (event.lane, event.failed) == ("new", True)


def test_a_client_that_leaves_by_itself_is_nobodys_failure_unless_it_waited_too_long() -> None:
    gone = replace(RECORD, ended_by="CD", status=-1, headers_us=-1, total_ms=800)
    assert events().of_records([gone]) == []
    assert one(replace(gone, total_ms=3500)).failed


def test_a_hung_request_counts_once_when_it_is_seen_and_not_again_when_it_ends() -> None:
    made = events()
    flying = InFlight("k7", Slot.RIGHT, 2500, method="GET", path="/orders/7")
    (event,), keys = made.of_in_flight([flying], 2500, 12.0)
    assert (event.endpoint, event.hung, event.failed, keys) == ("show", True, True, ["k7"])
    assert made.of_in_flight([flying], 2500, 12.2) == ([], [])
    ended = replace(RECORD, key="k7", method="GET", path="/orders/7", status=504, total_ms=9000)
    assert made.of_records([ended]) == []


@pytest.mark.parametrize("change", [{"answering": True}, {"pinned": True}, {"age_ms": 1999}, {"path": "/x"}])
def test_what_does_not_hang(change: dict[str, object]) -> None:
    flying = InFlight("k", Slot.RIGHT, 5000, method="GET", path="/orders/7")
    assert events().of_in_flight([replace(flying, **change)], 2500, 1.0) == ([], [])  # type: ignore[arg-type]


def test_a_placeholder_is_one_part_of_the_path() -> None:
    matcher = EndpointMatcher([SHOW])
    assert matcher.match("GET", "/orders/7") is SHOW
    assert matcher.match("GET", "/orders/7/lines") is None
    assert matcher.match("GET", "/orders/") is None


LIMIT = EndpointLimit("place", True, 0.02, 500, 0.1, 3000)


def fed(file: Path, kill_at: int | None) -> list[str]:
    """Feed 400 events; where `kill_at` says so the judge dies and another one resumes from the file."""
    judge = Judge([LIMIT])
    log = EventLog(file, judge)
    log.begin(0.0, 3)
    for n in range(400):
        if n == kill_at:
            with file.open("a") as torn:
                torn.write('{"t": 4, "lane": "n')
            judge = Judge([LIMIT])
            log = EventLog(file, judge)
            assert log.last_step == (4 if n > 200 else 3)
        if n == 200:
            log.step(2.0, 4)
        lane = "new" if n % 4 == 0 else "old"
        failed = n % 40 == 0
        log.feed([Event(n / 100, lane, 2500, "place", f"u{n}", failed, 4.0, hung=failed)], [f"k{n}"])  # type: ignore[arg-type]
    return judge.verdict(4.0).lines()


@pytest.mark.parametrize("kill_at", [1, 150, 201, 399])
def test_a_verdict_survives_the_death_of_the_judge(tmp_path: Path, kill_at: int) -> None:
    assert fed(tmp_path / "killed.jsonl", kill_at) == fed(tmp_path / "whole.jsonl", None)


def test_requests_counted_as_hung_are_remembered(tmp_path: Path) -> None:
    fed(tmp_path / "e.jsonl", None)
    assert EventLog(tmp_path / "e.jsonl", Judge([LIMIT])).hung == [f"k{n}" for n in range(0, 400, 40)]
