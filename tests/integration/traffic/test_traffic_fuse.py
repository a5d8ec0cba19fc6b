"""The fuse returns all traffic to the old slot by itself, stays that way, and knows an innocent version."""

from __future__ import annotations

from typing import Any

import pytest

from crossfade.model.ports import FULL_BP, FuseLimit, Slot

LIMIT = FuseLimit(failures=20, ratio=0.1)
SECRET = "secret-of-the-release"
SIDES = [Slot.LEFT, Slot.RIGHT]


def blow(town: Any, old: Slot) -> int:
    """Send to two versions that fail 30 % until the fuse trips; how many failures the new one gave."""
    failures = 0
    for _ in range(400):
        answer = town.get("/fail/300")
        failures += answer.status >= 500 and answer.text == f"{old.other}1"
        if town.facts().fuse_tripped:
            return failures
    raise AssertionError(f"the fuse did not trip after {failures} failures")


@pytest.mark.parametrize("old", SIDES)
def test_it_trips_stays_latched_and_is_cleared_by_disarming(town: Any, old: Slot) -> None:
    town.lanes()
    town.fade(old, 5000, fuse=LIMIT, pin=SECRET)
    collector = town.collector()
    assert blow(town, old) == LIMIT.failures, "the old lane's own failures do not count"
    assert {town.get().text for _ in range(100)} == {f"{old}1"}, "the new version answers well again; it stays latched"
    assert {town.get(unit=f"c{n}").text for n in range(50)} == {f"{old}1"}
    town.fade(old, FULL_BP, fuse=LIMIT, pin=SECRET)
    assert {town.get().text for _ in range(50)} == {f"{old}1"}, "whatever the share says"
    assert town.facts().fuse_tripped
    assert town.facts().fader.new_share_bp == FULL_BP
    assert town.get(x_crossfade_pin=f"{SECRET}:{old.other}").text == f"{old.other}1", "pins still reach the new slot"
    town.wait_for(lambda: len(collector.take()) == 0 and collector.health().connected, "the records came")
    town.get()
    assert town.records(collector, 1)[0].share_bp == 0, "the share in force was none"

    town.fade(old, FULL_BP)
    assert not town.facts().fuse_tripped
    assert {town.get().text for _ in range(50)} == {f"{old.other}1"}
    town.fade(old, FULL_BP, fuse=LIMIT)
    assert {town.get().text for _ in range(50)} == {f"{old.other}1"}, "what was counted before arming is forgotten"
    assert not town.facts().fuse_tripped


def test_it_needs_no_controller(town: Any) -> None:
    town.lanes()
    town.fade(Slot.LEFT, 5000, fuse=LIMIT)
    answers = [town.get("/fail/1000" if n < 200 else "/", unit=f"c{n}") for n in range(300)]  # nobody looks
    on_new = [n for n, answer in enumerate(answers) if answer.text == "right1"]
    assert len(on_new) == LIMIT.failures, "not one request more than the limit says"
    assert all(answer.status == 200 for answer in answers[200:])


def test_an_innocent_version_never_trips_it(town: Any) -> None:
    town.lanes()
    town.fade(Slot.LEFT, FULL_BP, fuse=FuseLimit(failures=3, ratio=0.1))
    failed = sum(town.get("/fail/2").status >= 500 for _ in range(3000))
    assert failed == 6
    assert not town.facts().fuse_tripped, "the count alone was passed twice"
    assert town.get().text == "right1"


def test_a_ratio_of_few_requests_does_not_trip_it(town: Any) -> None:
    town.lanes()
    town.fade(Slot.LEFT, FULL_BP, fuse=LIMIT)
    assert [town.get("/fail/1000").status for _ in range(LIMIT.failures - 1)] == [500] * (LIMIT.failures - 1)
    assert not town.facts().fuse_tripped
    town.get("/fail/1000")
    assert town.facts().fuse_tripped


def test_answers_the_proxy_made_count_too(make_town: Any) -> None:
    town = make_town(server_timeout_s=0.05)
    town.lanes()
    town.fade(Slot.LEFT, FULL_BP, fuse=FuseLimit(failures=5, ratio=0.1))
    assert [town.get("/wait/5").status for _ in range(5)] == [504] * 5
    assert town.facts().fuse_tripped
    assert town.get().text == "left1"


def test_failures_of_the_old_slot_and_of_pinned_requests_do_not_trip_it(town: Any) -> None:
    town.lanes()
    town.fade(Slot.LEFT, 0, fuse=FuseLimit(failures=3, ratio=0.01), pin=SECRET)
    for _ in range(20):
        assert town.get("/fail/1000").status == 500
        assert town.get("/fail/1000", x_crossfade_pin=f"{SECRET}:right").status == 500
    assert not town.facts().fuse_tripped


def test_it_never_sends_customers_to_an_old_slot_without_instances(town: Any) -> None:
    town.lanes()
    town.fade(Slot.LEFT, FULL_BP, fuse=FuseLimit(failures=3, ratio=0.1))
    for _ in range(3):
        town.get("/fail/1000")
    assert town.get().text == "left1"
    town.proxy.set_members(Slot.LEFT, [])
    assert town.get().text == "right1"


def test_a_trip_that_was_seen_survives_a_restart_of_the_proxy(town: Any) -> None:
    town.lanes()
    town.fade(Slot.LEFT, FULL_BP, fuse=FuseLimit(failures=3, ratio=0.1))
    for _ in range(3):
        town.get("/fail/1000")
    assert town.facts().fuse_tripped
    town.kill_proxy()
    town.start_proxy()
    assert town.facts().fuse_tripped
    assert {town.get().text for _ in range(20)} == {"left1"}
    town.fade(Slot.LEFT, FULL_BP)
    assert town.get().text == "right1"
