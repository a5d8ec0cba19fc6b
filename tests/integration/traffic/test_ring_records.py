"""Every request leaves one record with what was in force when it was assigned, and none is lost unseen."""

from __future__ import annotations

import socket
import time
from typing import Any

from crossfade.model.ports import FULL_BP, Slot


def test_a_record_says_what_happened(town: Any) -> None:
    town.lanes()
    collector = town.collector()
    town.fade(Slot.RIGHT, 2500)
    town.proxy.set_mark("release-7:shifted(25)")
    before = time.time()
    for _ in range(8):
        town.get("/orders?token=hush&x=1", unit="ann")
    town.get("/fail/1000", method="POST")
    after = time.time()
    *asked, posted = town.records(collector, 9)
    first = asked[0]
    assert {(r.path, r.method, r.status, r.ended_by, r.retries, r.pinned) for r in asked} == {
        ("/orders", "GET", 200, "--", 0, False)
    }
    assert {(r.assigned, r.served) for r in asked} == {(first.assigned, first.assigned)}
    assert {r.unit for r in asked} == {first.unit}
    assert len(first.unit) == 16
    assert "ann" not in first.unit
    assert {r.share_bp for r in asked} == {2500}
    assert {r.position for r in asked} == {"release-7:shifted(25)"}
    assert all(before <= r.at <= after for r in asked)
    address = town.instances[f"{first.assigned}1"][1]
    assert first.instance == f"{address.host}:{address.port}"
    assert all(0 < r.headers_us < 1_000_000 and 0 <= r.total_ms < 1000 for r in asked)
    assert (posted.method, posted.status, posted.unit) == ("POST", 500, "")
    assert len({r.key for r in (*asked, posted)}) == 9
    assert "hush" not in repr((*asked, posted))


def test_headers_are_timed_in_microseconds(town: Any) -> None:
    town.lanes()
    collector = town.collector()
    town.get("/wait/0.15")
    (record,) = town.records(collector, 1)
    assert 150_000 <= record.headers_us < 1_000_000
    assert record.total_ms >= 150


def test_what_the_proxy_answered_itself_was_served_by_nobody(make_town: Any) -> None:
    town = make_town(server_timeout_s=0.1)
    town.lanes(left=1, right=0)
    collector = town.collector()
    assert town.get("/wait/5").status == 504
    town.proxy.set_members(Slot.LEFT, [])
    assert town.get("/").status == 503
    timed_out, nobody = town.records(collector, 2)
    assert (timed_out.served, timed_out.status, timed_out.ended_by) == (None, 504, "sH")
    assert (nobody.served, nobody.status, nobody.instance) == (None, 503, "")
    assert nobody.ended_by == "SC"


def test_a_late_collector_gets_the_lines_from_before(town: Any) -> None:
    town.lanes()
    for n in range(200):
        town.get(f"/early/{n}")
    collector = town.collector()
    assert [r.path for r in town.records(collector, 200)] == [f"/early/{n}" for n in range(200)]


def test_a_collector_that_returns_goes_on_where_it_was(town: Any) -> None:
    town.lanes()
    first = town.collector()
    town.get("/1")
    assert [r.path for r in town.records(first, 1)] == ["/1"]
    first.close()
    town.collectors.remove(first)
    time.sleep(0.3)
    for n in range(2, 30):
        town.get(f"/{n}")
    second = town.collector()
    assert [r.path for r in town.records(second, 28)] == [f"/{n}" for n in range(2, 30)]


def observe(town: Any, collector: Any, more: int = 0) -> None:
    """One look as the controller takes it."""
    seen = collector.seen()
    facts = town.facts()
    collector.observed_total(facts.requests_total + more, facts.started_at, seen)


def test_records_are_held_to_what_the_proxy_counted(town: Any) -> None:
    town.lanes()
    collector = town.collector()
    for n in range(50):
        town.get(f"/{n}")
    town.get("/fail/1000")
    bad_request(town)
    give_up(town, "/wait/0.2")
    town.wait_for(lambda: town.facts().requests_total == 53, "the proxy ended all")
    town.records(collector, 52)  # the request nobody could read is counted, and is no record
    for _ in range(4):
        observe(town, collector)
        time.sleep(0.3)
    assert collector.health().missing == 0
    assert collector.health().connected
    observe(town, collector, more=7)  # seven that never arrive
    time.sleep(0.2)
    assert collector.health().missing == 7
    assert collector.health().detail == "7 not received"


def test_a_late_collector_under_load_is_not_blamed_for_what_earlier_ones_took(town: Any) -> None:
    town.lanes()
    first = town.collector()
    for _ in range(40):
        town.get()
    town.records(first, 40)
    first.close()
    town.collectors.remove(first)
    second = town.collector()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        for _ in range(20):
            town.get()
        observe(town, second)
        assert second.health().missing == 0
    assert second.health().connected


def test_a_restart_of_the_proxy_starts_the_count_again(town: Any) -> None:
    town.lanes()
    collector = town.collector()
    for count in (30, 5):
        for _ in range(count):
            town.get()
        town.records(collector, count)
        for _ in range(2):
            observe(town, collector)
            time.sleep(0.6)
        assert collector.health().missing == 0
        town.kill_proxy()
        town.wait_for(lambda: not collector.health().connected, "the loss of the proxy is seen")
        town.start_proxy()
    town.get()
    assert len(town.records(collector, 1)) == 1


def test_anybody_else_is_refused(town: Any) -> None:
    town.lanes()
    collector = town.collector()
    town.get("/true")
    town.records(collector, 1)
    forged = "1 1795476717051755 right right 1 127.0.0.1:1 100 - 500 -- 9 0 0 - 5 r:1 GET /forged".replace(" ", "\t")
    with socket.create_connection(("127.0.0.1", collector.port)) as stranger:
        stranger.sendall(f"{forged}\n".encode())
        stranger.settimeout(5)
        try:
            assert stranger.recv(10) == b"", "the collector hangs up"
        except ConnectionResetError:
            pass
    assert collector.take() == []
    assert "1 connections refused that were not the proxy's" in collector.health().detail
    town.get("/true")
    assert [r.path for r in town.records(collector, 1)] == ["/true"]


def test_a_queue_that_nobody_empties_counts_what_it_drops(town: Any) -> None:
    town.lanes()
    collector = town.collector(queue_max=10)
    for n in range(25):
        town.get(f"/{n}")
    town.wait_for(lambda: collector.health().missing == 15, "the dropped records are missing")
    assert [r.path for r in collector.take()] == [f"/{n}" for n in range(15, 25)]


def test_a_request_in_flight_has_the_key_of_its_record(town: Any) -> None:
    town.lanes()
    collector = town.collector()
    town.fade(Slot.LEFT, FULL_BP)
    town.get()
    give_up(town, "/wait/1.2?token=hush", after_s=0.6)
    (flying,) = town.facts().in_flight
    assert (flying.slot, flying.method, flying.path, flying.pinned) == (Slot.RIGHT, "GET", "/wait/1.2", False)
    assert 400 <= flying.age_ms < 1200
    record = town.records(collector, 2)[1]
    assert record.key == flying.key
    assert town.facts().in_flight == []


def test_the_age_of_a_request_does_not_begin_with_its_connection(town: Any) -> None:
    town.lanes()
    with socket.create_connection(("127.0.0.1", town.settings.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        time.sleep(1.5)
        client.sendall(b"GET /wait/2 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        (flying,) = town.facts().in_flight
        assert 200 <= flying.age_ms < 1400
        assert not flying.answering


def bad_request(town: Any) -> None:
    with socket.create_connection(("127.0.0.1", town.settings.port)) as client:
        client.sendall(b"NONSENSE\r\n\r\n")
        assert client.recv(20).startswith(b"HTTP/1.1 400")


def give_up(town: Any, path: str, after_s: float = 0.05) -> None:
    """Ask and hang up before the answer."""
    with socket.create_connection(("127.0.0.1", town.settings.port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(after_s)


def test_a_very_long_path_is_cut_and_still_a_record(town: Any) -> None:
    town.lanes()
    collector = town.collector()
    assert town.get("/" + "a" * 7000).status == 200
    assert town.get("/after").status == 200
    long, after = town.records(collector, 2)
    assert long.path.startswith("/aaaa")
    assert 1000 < len(long.path) < 4096
    assert after.path == "/after"


def test_a_full_ring_keeps_the_newest_lines(make_town: Any) -> None:
    town = make_town(ring_bytes=32_768)
    town.lanes()
    for n in range(600):
        town.get(f"/{n}")
    collector = town.collector()
    town.wait_for(lambda: collector.health().connected, "the proxy connects")
    time.sleep(0.5)
    paths = [r.path for r in collector.take()]
    assert 100 < len(paths) < 600
    assert paths == [f"/{n}" for n in range(600 - len(paths), 600)]


def test_a_collector_whose_port_is_held_says_so_and_has_it_once_it_is_free(town: Any) -> None:
    town.lanes()
    port = town.settings.collector_port
    with socket.create_server(("127.0.0.1", port)):
        collector = town.collector()
        time.sleep(0.7)
        health = collector.health()
        assert (health.connected, health.detail) == (False, f"port {port} of 127.0.0.1 is held by another process")
    town.get("/later")
    assert [r.path for r in town.records(collector, 1)] == ["/later"]
    assert collector.health().connected
