"""A load balancer of the team's own: what it is told, what it says, and how its trouble is worded."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import Address, Fader, FuseLimit, Slot
from crossfade.signals.command import CommandRecords
from crossfade.traffic.command import CommandProxy, CommandSettings
from crossfade.walk.clock import SystemClock

BALANCER = str(Path(__file__).with_name("balancer.py"))
FADER = Fader(Slot.RIGHT, 2550, "salt", FuseLimit(5, 0.1), "the-secret-of-this-release")


def program(tmp_path: Path, *what: str) -> tuple[str, ...]:
    return (sys.executable, BALANCER, str(tmp_path / "state"), *what)


def settings(tmp_path: Path) -> CommandSettings:
    return CommandSettings(
        set_share=program(tmp_path, "share", "{new}={percent}", "{old}", "{share_bp}"),
        read_share=program(tmp_path, "read"),
        set_members=program(tmp_path, "members", "{slot}", "{addresses}"),
    )


def test_the_share_is_set_and_read_back(tmp_path: Path) -> None:
    proxy = CommandProxy(settings(tmp_path))
    proxy.set_mark("r:4")
    proxy.set_fader(FADER)
    told = json.loads((tmp_path / "state").read_text())
    assert told["args"] == ["left=25.5", "right", "2550"]
    assert told["env"] == {
        "CROSSFADE_OLD": "right",
        "CROSSFADE_NEW": "left",
        "CROSSFADE_SHARE_BP": "2550",
        "CROSSFADE_PERCENT": "25.5",
        "CROSSFADE_SALT": "salt",
        "CROSSFADE_PIN": "the-secret-of-this-release",
        "CROSSFADE_MARK": "r:4",
    }
    facts = proxy.observe()
    assert (facts.fader.old, facts.fader.new_share_bp) == (Slot.RIGHT, 2550)
    assert not proxy.has_fuse
    assert facts.fader.fuse is None, "a fuse that does not exist is not armed"
    assert not facts.fuse_tripped
    assert CommandProxy(settings(tmp_path)).observe().fader.new_share_bp == 2550, "what is in force, not what we asked"


def test_members_are_set_and_listed(tmp_path: Path) -> None:
    proxy = CommandProxy(settings(tmp_path))
    addresses = [Address("127.0.0.1", 7001), Address("127.0.0.1", 7002)]
    proxy.set_members(Slot.LEFT, addresses)
    told = json.loads((tmp_path / "state.members").read_text())
    assert told["args"] == ["left", "127.0.0.1:7001,127.0.0.1:7002"]
    assert not proxy.knows_members
    assert [m.address for m in proxy.observe().members[Slot.LEFT]] == addresses

    told_all = CommandSettings((), program(tmp_path, "read"), list=program(tmp_path, "list"))
    listing = CommandProxy(told_all)
    assert listing.knows_members
    facts = listing.observe()
    assert [(m.address, m.state, m.in_flight) for m in facts.members[Slot.LEFT]] == [(addresses[0], "up", 2)]
    assert [(f.key, f.slot, f.age_ms) for f in facts.in_flight] == [("k1", Slot.LEFT, 12)]
    assert (facts.requests_total, facts.started_at) == (5, "x")


@pytest.mark.parametrize(
    ("what", "line"),
    [("fail", "ended: exit code 3"), ("hang", "ended: not within 0.5 s")],
)
def test_a_program_that_fails_is_quoted(tmp_path: Path, what: str, line: str) -> None:
    proxy = CommandProxy(CommandSettings(program(tmp_path, what), program(tmp_path, what), timeout_s=0.5))
    with pytest.raises(CrossfadeError) as raised:
        proxy.set_fader(FADER)
    text = raised.value.render()
    assert raised.value.id == "traffic-command-failed"
    assert line in text
    assert FADER.pin not in text
    assert ("no such pool" in text) == (what == "fail")


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CrossfadeError) as raised:
        CommandProxy(CommandSettings((), (str(tmp_path / "missing"),))).observe()
    assert "ended: not started: No such file or directory" in raised.value.render()


@pytest.mark.parametrize("what", ["babble", "share", "members"])
def test_a_program_that_prints_something_else_is_told(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSFADE_SHARE_BP", "1")
    monkeypatch.setenv("CROSSFADE_OLD", "left")
    with pytest.raises(CrossfadeError) as raised:
        CommandProxy(CommandSettings((), program(tmp_path, what))).observe()
    assert raised.value.id == "traffic-command-garbled"
    assert 'expected: {"new_share_bp": 0 to 10000' in raised.value.render()


def wait_for(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + 15
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_records_of_the_teams_own(tmp_path: Path) -> None:
    source = CommandRecords(program(tmp_path, "records"), SystemClock(), lambda: (FADER, "r:4"))
    try:
        wait_for(lambda: source.seen() == 3)
        ordered, failed = source.take()
        assert (ordered.assigned, ordered.served, ordered.share_bp) == (Slot.LEFT, Slot.LEFT, 2500)
        assert (ordered.method, ordered.path, ordered.status) == ("POST", "/orders", 201)
        assert (ordered.headers_us, ordered.total_ms, ordered.position) == (41500, 42, "r:4")
        assert len(ordered.unit) == 16
        assert (failed.assigned, failed.status, failed.unit) == (Slot.LEFT, 500, "")
        health = source.health()
        assert (health.connected, health.missing) == (True, 1), "a line that cannot be read is missing"
    finally:
        source.close()
    assert source.take() == []


def test_a_program_that_ends_is_started_again_and_reported(tmp_path: Path) -> None:
    source = CommandRecords(program(tmp_path, "records", "once"), SystemClock(), lambda: (FADER, "r:4"))
    try:
        wait_for(lambda: source.seen() >= 6)
        wait_for(lambda: source.health().detail == "the program ended with exit code 0")
        assert not source.health().connected
    finally:
        source.close()
