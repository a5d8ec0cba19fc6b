"""Members come and go while customers are served; what was accepted is answered; a restart changes nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import FULL_BP, Address, FuseLimit, Slot

SECRET = "secret-of-the-release"


class Customer(threading.Thread):
    """Asks all the time over a connection of its own, about 150 times a second, and keeps what it saw."""

    def __init__(self, town: Any, method: str = "GET") -> None:
        super().__init__(daemon=True)
        self.town = type(town)(town.settings, town.proxy, town.log)
        self.method = method
        self.seen: Counter[tuple[int, str]] = Counter()
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(0.005):
            answer = self.town.get("/", method=self.method)
            self.seen[(answer.status, answer.text)] += 1
        self.town.forget_connection()

    @property
    def failed(self) -> dict[tuple[int, str], int]:
        return {key: n for key, n in self.seen.items() if key[0] != 200}


@contextmanager
def customers(town: Any, *methods: str) -> Iterator[list[Customer]]:
    """Customers who ask for as long as the block runs."""
    all_of_them = [Customer(town, method) for method in methods]
    for one in all_of_them:
        one.start()
    try:
        yield all_of_them
    finally:
        for one in all_of_them:
            one.stopped.set()
        for one in all_of_them:
            one.join()


def start_slow(town: Any, path: str) -> tuple[threading.Thread, list[Any]]:
    answers: list[Any] = []
    other = type(town)(town.settings, town.proxy, town.log)

    def ask() -> None:
        answers.append(other.get(path))
        other.forget_connection()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread, answers


def test_adding_and_removing_members_loses_no_request(town: Any) -> None:
    town.lanes(left=1, right=0)
    first = town.instances["left1"][1]
    with customers(town, "GET", "POST") as asking:
        for turn in range(4):
            added = town.start_instance(f"extra{turn}")
            town.proxy.set_members(Slot.LEFT, [first, added])
            town.wait_up(2)
            time.sleep(0.2)
            town.proxy.set_members(Slot.LEFT, [first])
            assert [m.address for m in town.facts().members[Slot.LEFT]] == [first]
            town.kill_instance(f"extra{turn}")
    assert [one.failed for one in asking] == [{}, {}]
    assert {text for one in asking for _, text in one.seen} >= {"left1", "extra0", "extra3"}


def test_a_request_in_flight_finishes_when_its_member_is_removed(town: Any) -> None:
    town.lanes(left=1, right=1)
    town.fade(Slot.LEFT, FULL_BP)
    thread, answers = start_slow(town, "/wait/3")
    town.wait_for(lambda: len(town.facts().in_flight) == 1, "the slow request is in flight")
    before = time.monotonic()
    town.proxy.set_members(Slot.RIGHT, [])
    assert time.monotonic() - before < 3, "it does not wait for as long as the request takes"
    (member,) = town.facts().members[Slot.RIGHT]
    assert (member.state, member.in_flight) == ("drain", 1)
    assert town.get().text == "left1", "no new request goes there"
    thread.join()
    assert (answers[0].status, answers[0].text) == (200, "right1")
    town.proxy.set_members(Slot.RIGHT, [])  # the second call completes it
    assert list(town.facts().members[Slot.RIGHT]) == []


def test_after_the_drain_cap_a_request_is_cut(make_town: Any) -> None:
    town = make_town(drain_cap_s=1, drain_wait_s=0.2)
    town.lanes(left=0, right=1)
    town.fade(Slot.LEFT, FULL_BP)
    thread, answers = start_slow(town, "/wait/20")
    town.wait_for(lambda: len(town.facts().in_flight) == 1, "the slow request is in flight")

    def gone() -> bool:
        town.proxy.set_members(Slot.RIGHT, [])
        return not town.facts().members[Slot.RIGHT]

    town.wait_for(gone, "the member is gone", within_s=6)
    thread.join(timeout=5)
    assert answers[0].status in (0, 502, 503)


def test_an_upgraded_connection_outlives_the_drain_and_ends_at_the_cap(make_town: Any) -> None:
    town = make_town(drain_cap_s=2, drain_wait_s=0.1)
    town.lanes(left=1, right=1)
    town.fade(Slot.LEFT, FULL_BP)
    with socket.create_connection(("127.0.0.1", town.settings.port), timeout=10) as talk, talk.makefile("rb") as heard:
        talk.sendall(b"GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        assert b"101" in heard.readline()
        while heard.readline() != b"\r\n":
            pass
        town.proxy.set_members(Slot.RIGHT, [])
        assert town.get().text == "left1"
        talk.sendall(b"hello\n")
        assert heard.readline() == b"right1 heard hello\n"
        (flying,) = town.facts().in_flight
        assert flying.answering, "it is not a request that hangs"

        def gone() -> bool:
            town.proxy.set_members(Slot.RIGHT, [])
            return not town.facts().members[Slot.RIGHT]

        town.wait_for(gone, "the member is gone", within_s=8)
        assert heard.readline() == b"", "the connection was ended"


def test_a_member_that_drains_can_come_back_to_its_place(town: Any) -> None:
    town.lanes(left=0, right=1)
    address = town.instances["right1"][1]
    town.fade(Slot.LEFT, FULL_BP)
    thread, answers = start_slow(town, "/wait/2")
    town.wait_for(lambda: len(town.facts().in_flight) == 1, "the slow request is in flight")
    (before,) = town.facts().members[Slot.RIGHT]
    town.proxy.set_members(Slot.RIGHT, [])
    town.proxy.set_members(Slot.RIGHT, [address])
    town.wait_up(1)
    (after,) = town.facts().members[Slot.RIGHT]
    assert (after.place, after.address) == (before.place, before.address)
    thread.join()
    assert answers[0].status == 200


def test_more_instances_than_places_is_an_error_that_says_so(make_town: Any) -> None:
    town = make_town(places=2, drain_wait_s=0.1)
    addresses = [Address("127.0.0.1", 1000 + n) for n in range(3)]
    with pytest.raises(CrossfadeError) as raised:
        town.proxy.set_members(Slot.RIGHT, addresses)
    assert raised.value.render().splitlines()[0] == (
        "error[proxy-places-full]: slot right has no free place for 127.0.0.1:1002"
    )
    assert [m.address for m in town.facts().members[Slot.RIGHT]] == addresses[:2], "those that fit are in"


def test_a_new_member_that_is_dead_gets_no_request(town: Any) -> None:
    town.lanes(left=1, right=0)
    alive = town.instances["left1"][1]
    with customers(town, "GET", "POST") as asking:
        town.proxy.set_members(Slot.LEFT, [alive, Address("127.0.0.1", 9)])
        town.wait_for(
            lambda: sorted(m.state for m in town.facts().members[Slot.LEFT]) == ["down", "up"],
            "it is seen as down",
        )
        time.sleep(0.3)
    assert [one.failed for one in asking] == [{}, {}]


def test_killing_an_instance_fails_no_get_and_replays_no_post(town: Any) -> None:
    town.lanes(left=2, right=0)
    with customers(town, "GET", "GET", "POST") as asking:
        for _ in range(3):
            time.sleep(0.3)
            port = town.instances["left2"][1].port
            town.kill_instance("left2")
            time.sleep(0.3)
            town.start_instance("left2", port)
            town.wait_up(2)
    assert asking[0].failed == {}
    assert asking[1].failed == {}
    # A POST that had been sent when its instance died fails; it is never sent to another.
    assert sum(asking[2].failed.values()) <= 3


def test_a_post_that_was_sent_is_never_sent_again_and_a_get_is(town: Any) -> None:
    town.lanes(left=2, right=0)
    assert town.get("/die", method="POST").status == 502
    time.sleep(0.1)
    assert sum(process.poll() is None for process, _ in town.instances.values()) == 1, "one instance died, not two"
    for name, (process, address) in list(town.instances.items()):
        if process.poll() is not None:
            town.kill_instance(name)
            town.start_instance(name, address.port)
    town.wait_up(2)
    assert town.get("/die").status in (502, 503)
    town.wait_for(lambda: all(p.poll() is not None for p, _ in town.instances.values()), "a GET is tried elsewhere")


def test_a_new_slot_without_instances_gives_its_requests_to_the_old(town: Any) -> None:
    town.lanes()
    collector = town.collector()
    town.fade(Slot.LEFT, FULL_BP)
    town.kill_instance("right1")
    town.wait_up(1)
    assert [town.get().text for _ in range(20)] == ["left1"] * 20
    assert {(r.assigned, r.served) for r in town.records(collector, 20)} == {(Slot.RIGHT, Slot.LEFT)}


def test_an_old_slot_without_instances_does_not_fall_forward(town: Any) -> None:
    town.lanes(left=0, right=1)
    town.fade(Slot.LEFT, 0)
    assert town.get().status == 503


def test_a_killed_proxy_comes_back_as_it_was_without_a_controller(town: Any) -> None:
    town.lanes(left=2, right=1)
    town.fade(Slot.LEFT, 2500, fuse=FuseLimit(9, 0.25), pin=SECRET)
    town.proxy.set_mark("release-7:4")
    customers_on_new = {c for c in map(str, range(100)) if town.get(unit=c).text == "right1"}
    before = town.facts()
    town.kill_proxy()
    with pytest.raises(CrossfadeError) as raised:
        town.facts()
    assert raised.value.id == "proxy-unreachable"
    town.start_proxy()
    assert {c for c in map(str, range(100)) if town.get(unit=c).text == "right1"} == customers_on_new
    after = town.facts()
    assert after.fader == before.fader
    assert {s: [m.address for m in ms] for s, ms in after.members.items()} == {
        s: [m.address for m in ms] for s, ms in before.members.items()
    }
    assert after.started_at != before.started_at
    assert town.get(x_crossfade_pin=f"{SECRET}:right").text == "right1"


def test_what_is_asked_twice_is_done_once(town: Any) -> None:
    town.lanes(left=1, right=1)
    town.fade(Slot.LEFT, 2500, fuse=FuseLimit(9, 0.25))
    once = town.facts()
    town.fade(Slot.LEFT, 2500, fuse=FuseLimit(9, 0.25))
    town.proxy.set_mark("r:1")
    town.proxy.set_mark("r:1")
    for slot in Slot:
        town.proxy.set_members(slot, [m.address for m in once.members[slot]])
    town.proxy.write_config()
    twice = town.facts()
    assert (twice.fader, twice.members, twice.started_at) == (once.fader, once.members, once.started_at)


def test_a_state_directory_deeper_than_a_socket_path_may_be(make_town: Any, tmp_path: Path) -> None:
    town = make_town(state_dir=tmp_path / ("deep-" * 20) / ("down-" * 20))
    town.lanes()
    town.fade(Slot.LEFT, FULL_BP)
    assert town.get().text == "right1"


def test_several_threads_keep_the_promises(make_town: Any) -> None:
    town = make_town(threads=2)
    town.lanes()
    collector = town.collector()
    town.fade(Slot.LEFT, FULL_BP, fuse=FuseLimit(20, 0.1))
    with customers(town, "GET", "POST", "GET") as asking:
        time.sleep(1)
    assert [one.failed for one in asking] == [{}, {}, {}]
    count = sum(sum(one.seen.values()) for one in asking)
    assert {(r.assigned, r.share_bp) for r in town.records(collector, count)} == {(Slot.RIGHT, FULL_BP)}
    for _ in range(count // 8):
        town.get("/fail/1000")
    assert town.facts().fuse_tripped


def test_secrets_and_files_are_for_their_owner_only(town: Any) -> None:
    town.fade(Slot.LEFT, 0, pin=SECRET)
    settings = town.settings
    for path in (settings.map_path, settings.config_path, settings.socket_path):
        assert path.stat().st_mode & 0o077 == 0, path
    assert SECRET not in settings.config_path.read_text()
    assert SECRET not in " ".join(town.proxy.argv())


def test_a_configuration_the_proxy_does_not_take_leaves_the_one_before(town: Any) -> None:
    before = town.settings.config_path.read_text()
    broken = type(town.proxy)(replace(town.settings, threads=10_000), town.proxy._members.clock)
    with pytest.raises(CrossfadeError) as raised:
        broken.write_config()
    assert raised.value.id == "proxy-config-invalid"
    assert "nbthread" in raised.value.render()
    assert town.settings.config_path.read_text() == before


def test_a_fader_set_while_the_proxy_is_down_is_in_force_when_it_is_back(town: Any) -> None:
    town.lanes()
    town.fade(Slot.LEFT, FULL_BP)
    town.kill_proxy()
    with pytest.raises(CrossfadeError) as raised:
        town.fade(Slot.LEFT, 0)
    assert raised.value.render().splitlines()[0] == (
        f"error[proxy-unreachable]: the proxy does not answer at {town.settings.socket_path}"
    )
    town.start_proxy()
    assert {town.get().text for _ in range(20)} == {"left1"}


def test_a_change_the_proxy_refuses_is_told_without_the_secret(town: Any) -> None:
    other = type(town.proxy)(town.settings, town.proxy._clock)
    empty = town.settings.map_path.with_name("not-loaded.map")
    with pytest.raises(CrossfadeError) as raised:
        other._socket.tell(f"set map {empty} fader {SECRET}", shown=f"set map {empty} fader ...")
    assert raised.value.id == "proxy-refused"
    assert SECRET not in raised.value.render()
    assert "Unknown map identifier" in raised.value.render()
