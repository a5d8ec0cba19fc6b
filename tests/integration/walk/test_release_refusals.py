"""What a person reads when a release cannot begin, or what they ask of it cannot be done.

Every text comes from the command line itself, on a folder with two versions and a spool, without a
database: only the clock is a fake, which lets the waiting be simulated.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from crossfade.cli import main as cli
from crossfade.cli import site as cli_site
from crossfade.journal.spool import Spool
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.path import Path as ReleasePath
from crossfade.model.ports import Row, RowKind
from crossfade.model.settings.parse import parse_config
from crossfade.model.walker import Event, Phase, Refusal, State, advance
from crossfade.testing.clock import FakeClock
from crossfade.walk.asks import Asks
from crossfade.walk.begin import begin, make_plan
from crossfade.walk.loop import plan_release
from crossfade.walk.site import Site
from crossfade.walk.status import Status, write_status

CONFIG = """\
[service]
name = "shop"
[process.web]
command = ["shop", "{port}"]
[[endpoint]]
name = "start"
match = "GET /"
[endpoint.smoke]
[versions]
source = "directory"
directories = { v1 = "v1", v2 = "v2" }
[database.main]
app_url = "env:CF_TEST_APP_URL"
admin_url = "env:CF_TEST_ADMIN_URL"
"""


@dataclass
class Told:
    """What a command left behind."""

    code: object
    out: str
    err: str


class SpoolOnly:
    """A journal whose database is out of reach: rows go to the spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def append(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        return self._spool.append(release, 1, kind, state, data, local=True)


class Service:
    """A folder with a configuration and two versions."""

    def __init__(self, home: Path, clock: FakeClock) -> None:
        self.home, self.clock = home, clock
        (home / "crossfade.toml").write_text(CONFIG)
        for version in ("v1", "v2"):
            (home / version).mkdir()
            (home / version / "app.py").write_text(f"print({version!r})\n")
        self.site = Site(parse_config(CONFIG), home / "crossfade.toml", clock)
        self.site.state_dir.mkdir()
        self.spool = Spool(self.site.state_dir / "spool.jsonl", clock)

    def released(self, version: str, phase: Phase) -> ReleasePath:
        """A release of that version is in the spool, and stands in that phase."""
        plan = make_plan(self.site, self.spool, version)
        plan_release(SpoolOnly(self.spool), "20260101-001640-ab12", plan.path, plan.data)  # type: ignore[arg-type]
        last = len(plan.path.steps) if phase is Phase.COMPLETED else 0
        state = State(phase, last).to_json()
        self.spool.append("20260101-001640-ab12", 1, RowKind.EVENT, state, {}, local=True)
        return plan.path


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    clock = FakeClock()
    monkeypatch.setattr(cli_site, "SystemClock", lambda: clock)
    monkeypatch.chdir(tmp_path)
    return Service(tmp_path, clock)


@pytest.fixture
def crossfade(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """The command, as a shell runs it."""

    def run(*arguments: str) -> Told:
        monkeypatch.setattr(sys, "argv", ["crossfade", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Told(ended.value.code, captured.out, captured.err)

    return run


def test_a_second_release_waits_for_the_first(service: Service, crossfade: Callable[..., Told]) -> None:
    service.released("v1", Phase.STANDING)
    told = crossfade("release", "v2")
    assert told.err == (
        "error[release-in-progress]: release 20260101-001640-ab12 (nothing -> v1) is under way\n"
        "  it is standing\n"
        "hint: crossfade status, then wait, crossfade rollback or crossfade abandon\n"
    )
    assert told.code == Exit.HELD_BY_OTHER


def test_what_serves_already_is_not_released_again(service: Service, crossfade: Callable[..., Told]) -> None:
    digest = service.released("v1", Phase.COMPLETED).new_digest
    told = crossfade("release", "v1")
    assert told.err == (
        "error[release-changes-nothing]: v1 serves already\n"
        f"  digest: {digest.removeprefix('sha256:')[:12]}\n"
        "hint: name another version: crossfade release VERSION\n"
    )
    assert told.code == Exit.USAGE


def test_only_the_plan_that_was_shown_is_walked(service: Service, crossfade: Callable[..., Told]) -> None:
    found = make_plan(service.site, service.spool, "v2").path.digest
    told = crossfade("release", "v2", "--plan", "0123abcd")
    text = (
        "error[plan-changed]: the plan for v2 is not the one that was shown\n"
        "  shown: 0123abcd\n"
        f"  found: {found}\n"
        "hint: crossfade plan v2, look at it, then release again"
    )
    assert told.err == text + "\n"
    assert told.code == Exit.NOT_MET
    with pytest.raises(CrossfadeError) as caught:  # and the controller plans once more, for itself
        begin(service.site, service.spool, "v2", "0123abcd")
    assert caught.value.render() == text
    assert service.spool.last is None, "a refused release leaves no row"


@pytest.mark.parametrize("what", ["pause", "resume", "rollback", "abandon"])
def test_there_is_nothing_to_ask_of_a_service_that_was_never_released(
    what: str, service: Service, crossfade: Callable[..., Told]
) -> None:
    told = crossfade(what)
    assert told.err == (
        f"error[nothing-to-ask]: there is nothing to {what}: no release was ever begun here\n"
        "  service: shop\n"
        "hint: crossfade status\n"
    )
    assert told.code == Exit.USAGE
    assert Asks(service.site.state_dir).pending() == []


def test_a_refused_ask_says_why(
    service: Service, crossfade: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = service.released("v1", Phase.COMPLETED)
    write_status(service.site.state_dir, Status("", 1, 1, True, release="20260101-001640-ab12"))
    refusal = advance(path, State(Phase.COMPLETED, len(path.steps)), Event.PAUSE)
    assert isinstance(refusal, Refusal)
    asks = Asks(service.site.state_dir)

    def the_controller_answers(_: float) -> None:
        for ask in asks.pending():
            asks.answer(ask, f"refused: {refusal.reason}")

    monkeypatch.setattr(service.clock, "sleep", the_controller_answers)
    told = crossfade("pause")
    assert told.err == (
        "error[ask-refused]: pause was refused\n"
        "  a release that is completed cannot take: pause\n"
        "hint: crossfade status\n"
    )
    assert told.code == Exit.NOT_MET


def test_an_ask_that_nobody_answers_stays_asked(service: Service, crossfade: Callable[..., Told]) -> None:
    service.released("v1", Phase.STANDING)
    write_status(service.site.state_dir, Status("", 1, 1, True, release="20260101-001640-ab12"))
    told = crossfade("pause")
    assert told.err == (
        "error[ask-unanswered]: nobody answered pause within 15 s; it stays asked\n"
        "  the controller: not running\n"
        "hint: crossfade doctor\n"
    )
    assert told.code == Exit.UNREACHABLE
    assert [ask.what for ask in Asks(service.site.state_dir).pending()] == ["pause"]


@pytest.mark.parametrize("output", [["--output", "json"], ["--output=json"]])
def test_with_json_a_failure_is_data_too(output: list[str], service: Service, crossfade: Callable[..., Told]) -> None:
    told = crossfade("plan", "v9", *output)
    assert told.err == (
        "error[version-unknown]: there is no version v9\n"
        "  known: v1, v2\n"
        "hint: name one that exists, or add it to crossfade.toml\n"
    )
    assert json.loads(told.out) == {
        "error": "version-unknown",
        "message": "there is no version v9",
        "facts": {"name": "v9", "looked_for": "known: v1, v2"},
        "hint": "name one that exists, or add it to crossfade.toml",
    }
    assert told.code == Exit.CONFIG
    assert crossfade("plan", "json").out == "", "a version may be called json"


def test_what_nobody_foresaw_is_our_bug_and_no_traceback(
    service: Service, crossfade: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.cli.plan.open_spool", lambda _: {}["spool"])
    told = crossfade("plan", "v2")
    line = told.err.split("test_release_refusals.py:")[1].split(")")[0]
    assert told.err == (
        "error[bug]: crossfade met something it does not know: KeyError\n"
        f"  'spool' (test_release_refusals.py:{line})\n"
        "hint: please report this text; CROSSFADE_TRACEBACK=1 prints where it came from\n"
    )
    assert told.code == Exit.BUG
    monkeypatch.setenv("CROSSFADE_TRACEBACK", "1")
    assert crossfade("plan", "v2").err.startswith("Traceback (most recent call last):\n")
