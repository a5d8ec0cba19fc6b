"""A team keeps its deploy tool, its load balancer and its records: crossfade drives them as programs.

The tools are in toy/: a deploy tool that starts processes, and a proxy of a hundred lines. Neither knows
crossfade; what they are asked and print is what docs/reference/command-drivers.md says.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOY = Path(__file__).with_name("toy")


def program(name, *words):
    listed = ", ".join(f'"{word}"' for word in (sys.executable, "-E", str(TOY / name), *words))
    return f"[{listed}]"


TOOLS = f"""
[traffic.command]
set_share = {program("balancer.py", "share", "{old}", "{share_bp}")}
read_share = {program("balancer.py", "shown")}
set_members = {program("balancer.py", "members", "{slot}", "{addresses}")}

[runtime]
driver = "command"

[runtime.command]
start = {program("deploy.py", "start")}
stop = {program("deploy.py", "stop")}
list = {program("deploy.py", "list")}
log = {program("deploy.py", "log")}

[signals]
driver = "command"
command = {program("balancer.py", "records")}
"""


@pytest.fixture
def team(new_service, own_directory):
    """A shop whose team has its own tools."""
    service = new_service(own_directory)
    service.edits = {"[traffic]\n": '[traffic]\ndriver = "command"\n', "instances = 2": "instances = 1"}
    service.tail = TOOLS
    balancer = subprocess.Popen(
        [sys.executable, TOY / "balancer.py", "serve", str(service.stage.port)], cwd=own_directory
    )
    try:
        service.set_up()
        yield service
    finally:
        service.stage.strike(keep=True)
        for slot in ("left", "right"):
            subprocess.run(
                [sys.executable, TOY / "deploy.py", "stop"],
                cwd=own_directory,
                env={"CROSSFADE_SLOT": slot},
                check=True,
                timeout=60,
            )
        balancer.terminate()
        balancer.wait(20)


def test_a_release_walks_and_comes_back_with_the_teams_own_tools(team) -> None:
    with team.customers(50) as traffic:
        release = team.begin("v2")
        team.until(release, "shifted(50)")
        pid = team.controller()
        broken = team.stage.directory / "deployed" / "broken"
        broken.touch()
        held = team.until(release, "held")
        assert "cannot see: the runtime (the deploy command failed" in held.cause
        assert held.set_share == 50
        broken.unlink()
        good = team.ended(release)
        traffic.load.mark("good ended")
        assert (good.outcome, good.position) == ("completed", "retired")
        assert team.controller() == pid, "a deploy tool that fails holds the release; it ends nobody"
        release = team.begin("v30")
        team.until(release, "shifted(50)")
        assert team.kill_controller() != pid
        status = team.ended(release)
    ledger = traffic.ledger
    before = ledger.between(0, next(mark.at for mark in ledger.marks if mark.name == "good ended"))
    assert list(before.failures) == []
    assert set(before.by_version) == {"v1", "v2"}
    assert (status.outcome, status.by) == ("rolled_back", "walker"), status
    assert "place an order" in status.cause
    assert team.serving() == "v2"
    assert team.lost_writes(ledger) == []
    listed = subprocess.run(
        [sys.executable, TOY / "deploy.py", "list"],
        cwd=team.stage.directory,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"version": "v2"' in listed.stdout
    assert "v30" not in listed.stdout
