"""What goes into the proxy comes out of it the same; what it prints is read right."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.model.ports import FULL_BP, Address, Fader, FuseLimit, InFlight, Slot
from crossfade.signals.completeness import LAG_S, Completeness
from crossfade.signals.ring_line import parse_line
from crossfade.traffic.fader_map import Entries, parse_lines, read
from crossfade.traffic.haproxy_facts import parse_address, parse_flying, parse_map, parse_stat
from crossfade.traffic.haproxy_members import settle

A, B, C = (Address("127.0.0.1", port) for port in (1, 2, 3))
SAFE = st.text("abcXYZ019.:=()", min_size=1, max_size=30)
LIMITS = st.builds(FuseLimit, st.integers(1, 10**6), st.integers(1, 1000).map(lambda n: n / 1000))
FADERS = st.builds(
    Fader,
    st.sampled_from(Slot),
    st.integers(0, FULL_BP),
    st.just("") | SAFE,
    st.none() | LIMITS,
    st.just("") | st.text("abcXYZ019", min_size=16, max_size=40),
)


@given(FADERS, st.integers(1, 99), st.just("") | SAFE, st.integers(0, 99))
def test_the_map_holds_the_whole_fader(fader: Fader, generation: int, mark: str, tripped: int) -> None:
    entries = Entries(fader, generation, mark, tripped)
    assert read(entries.values(), 10) == entries
    in_file = [f"{key} {value}" for key, value in entries.values().items()]
    assert read(parse_lines(in_file), 10) == entries


@given(FADERS)
def test_the_share_of_right_says_who_is_new(fader: Fader) -> None:
    right_bp = int(Entries(replace(fader, fuse=None)).fader_value().split("|")[0])
    assert fader.new_share_bp == (right_bp if fader.old is Slot.LEFT else FULL_BP - right_bp)


def test_a_role_swap_at_full_share_does_not_move_a_request() -> None:
    before = Entries(Fader(Slot.LEFT, FULL_BP, "s")).fader_value()
    after = Entries(Fader(Slot.RIGHT, 0, "s")).fader_value()
    assert before.split("|")[0] == after.split("|")[0] == "10000"


def test_only_arming_begins_a_generation() -> None:
    armed = Fader(Slot.LEFT, 100, "s", FuseLimit(5, 0.1))
    entries = Entries(Fader(Slot.LEFT, 0, "s")).with_fader(armed)
    assert entries.generation == 1
    assert entries.with_fader(replace(armed, new_share_bp=500)).generation == 1
    tripped = replace(entries, tripped_generation=1)
    assert tripped.fuse_tripped
    assert tripped.with_fader(replace(armed, new_share_bp=900)).fuse_tripped, "latched"
    disarmed = tripped.with_fader(replace(armed, fuse=None))
    assert not disarmed.fuse_tripped
    again = disarmed.with_fader(armed)
    assert (again.generation, again.fuse_tripped) == (2, False)


@pytest.mark.parametrize("bad", ["with space", "a|b", "x;y", "line\nbreak", "-"])
def test_no_text_can_change_the_map_or_the_command(bad: str) -> None:
    fader = Fader(Slot.LEFT, 0, "s")
    for entries in (Entries(replace(fader, salt=bad)), Entries(replace(fader, pin=bad)), Entries(fader, mark=bad)):
        with pytest.raises(AssertionError):
            entries.check_invariants()


def test_places_are_kept_filled_and_run_out() -> None:
    assert settle({"p1": A, "p2": B}, [B, C], ["p3"]) == ({"p2": B, "p3": C}, [])
    assert settle({"p1": A}, [A, B, C], ["p2"]) == ({"p1": A, "p2": B}, [C])
    assert settle({"p1": A, "p2": A}, [A, A], []) == ({"p1": A}, [])
    assert settle({"p1": A}, [], ["p2"]) == ({}, [])


def test_addresses_may_be_of_either_family() -> None:
    assert parse_address("127.0.0.1:80") == Address("127.0.0.1", 80)
    assert parse_address("[::1]:80") == Address("::1", 80)


def test_the_map_is_read_from_what_the_proxy_prints() -> None:
    assert parse_map("0x31f690a0 fader 0|left|-\n0x31f70c20 mark r:1\n\n") == {"fader": "0|left|-", "mark": "r:1"}


def test_places_are_read_from_the_statistics() -> None:
    head = "# pxname,svname,scur,status,lastchg,addr,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other"
    rows = [
        "crossfade,FRONTEND,2,OPEN,,,1,2,3,4,5,6",
        "left,place1,1,UP 1/2,3,127.0.0.1:7001,,,,,,",
        "left,place2,0,DOWN 1/2,4,127.0.0.1:7002,,,,,,",
        "left,place3,1,DRAIN,5,127.0.0.1:7003,,,,,,",
        "left,place4,0,MAINT,6,127.0.0.1:1,,,,,,",
        "left,BACKEND,0,UP,7,,,,,,,",
        "other,place1,0,UP,7,127.0.0.1:1,,,,,,",
    ]
    counts = parse_stat("\n".join([head, *rows]))
    assert counts.requests_ended == 21
    assert [(p.name, p.status, p.in_flight, p.since_s) for p in counts.places] == [
        ("place1", "up", 1, 3),
        ("place2", "down", 0, 4),
        ("place3", "drain", 1, 5),
        ("place4", "maint", 0, 6),
    ]


def test_requests_in_flight_are_read_from_their_table() -> None:
    table = """\
# table: crossfade_flying, type: string, size:1000, used:3
0x1: key=12|1795476717000000|right|-|GET|/a\\=b|c use=1 exp=1999 shard=0 gpc0=0 conn_cur=1
0x2: key=13|1795476717500000|left|left|POST|/stream use=1 exp=1999 shard=0 gpc0=1 conn_cur=1
0x3: key=14|1795476717500000|left|-|POST|/over use=0 exp=1999 shard=0 gpc0=1 conn_cur=0
"""
    waits, streams = parse_flying(table, 1795476718750000)
    assert waits == InFlight("12", Slot.RIGHT, 1750, False, "GET", "/a=b|c")
    assert streams == InFlight("13", Slot.LEFT, 1250, True, "POST", "/stream", pinned=True)
    assert parse_flying("", 0) == []


LINE = "7 1795476717051755 right left 1 127.0.0.1:1 100 -5 200 -- 897 3 +1 - 5 r:1 GET /a b"


def test_a_line_is_read_and_a_garbled_one_is_told() -> None:
    text = "\t".join(LINE.split(" ", 17))
    line = parse_line(text)
    assert line is not None
    assert line.record is not None
    assert (line.pid, line.counted) == (7, True)
    record = line.record
    assert (record.assigned, record.served, record.retries, record.path) == (Slot.RIGHT, Slot.LEFT, 1, "/a b")
    assert record.unit == "fffffffffffffffb"
    assert record.at == 1795476717.051755
    assert parse_line("hello") is None
    assert parse_line(text.replace("right", "middle")) is None
    assert parse_line(text.replace("200", "two hundred")) is None


def test_an_aborted_request_without_a_status_is_not_in_the_proxys_count() -> None:
    line = parse_line("\t".join(LINE.replace(" 200 ", " -1 ").split(" ", 17)))
    assert line is not None
    assert line.record is not None
    assert (line.counted, line.record.status) == (False, 0)


@given(st.data())
def test_a_complete_stream_never_reads_as_missing(data: st.DataObject) -> None:
    """However late each record comes (up to the lag), whenever the proxy is looked at."""
    ends = sorted(data.draw(st.lists(st.floats(0, 3), max_size=40)))
    lags = data.draw(st.lists(st.floats(0, LAG_S * 0.99), min_size=len(ends), max_size=len(ends)))
    earlier = data.draw(st.integers(0, 50))  # counted by the proxy, taken by an earlier collector
    arrivals = sorted(end + lag for end, lag in zip(ends, lags, strict=True))
    count = Completeness()
    events = sorted([(at, 0) for at in arrivals] + [(look / 4, 1) for look in range(1, 17)])
    for at, look in events:
        if not look:
            count.arrived(1, at)
            continue
        total = earlier + sum(end <= at for end in ends)
        count.observed(total, count.count, settled=True, now_s=at)
        assert count.missing(at) == 0


def test_a_lost_record_shows_on_a_quiet_service_and_stays_until_it_comes() -> None:
    count = Completeness()
    count.observed(100, 0, settled=False, now_s=0)
    count.arrived(3, 1)
    count.observed(104, 3, settled=True, now_s=2)
    assert count.missing(2.05) == 0
    assert count.missing(2.2) == 1
    count.arrived(1, 3)
    for look in range(10):
        count.observed(104, 4, settled=True, now_s=4 + look)
    assert count.missing(20) == 0
