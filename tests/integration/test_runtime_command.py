"""A deploy tool as the runtime: what it is told, and what it gets wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import Address, LaneSpec, ProcessSpec, Slot
from crossfade.runtime.command import CommandRuntime

TOOL = """
import json, os, sys, time
from pathlib import Path
here, what = Path(sys.argv[1]), sys.argv[2]
state = here / "state.json"
rows = json.loads(state.read_text()) if state.exists() else []
slot = os.environ.get("CROSSFADE_SLOT")
if what == "start":
    lane = json.load(sys.stdin)
    rows = [r for r in rows if r["slot"] != slot] + [{
        "slot": slot, "version": os.environ["CROSSFADE_VERSION"], "digest": os.environ["CROSSFADE_DIGEST"],
        "name": p["role"] + "-1", "role": p["role"], "host": "127.0.0.1", "port": 8080, "state": "running",
        "pid": None} for p in lane["processes"]]
    state.write_text(json.dumps(rows))
elif what == "stop":
    (here / "stopped").write_text(os.environ["CROSSFADE_VERSION"])
    state.write_text(json.dumps([r for r in rows if r["slot"] != slot]))
elif what == "list":
    print(json.dumps(rows))
elif what == "log":
    print("\\n".join(f"{slot} line {n}" for n in range(9)))
"""


def tool(here: Path) -> CommandRuntime:
    script = here / "tool.py"
    script.write_text(TOOL)
    start, stop, rows, log = ((sys.executable, str(script), str(here), w) for w in ("start", "stop", "list", "log"))
    return CommandRuntime(start, stop, rows, timeout_s=20.0, log_tail=log)


def broken(script: str, timeout_s: float = 20.0) -> CommandRuntime:
    return CommandRuntime(("true",), ("true",), ("sh", "-c", script), timeout_s=timeout_s)


def lane(slot: Slot, version: str) -> LaneSpec:
    web = ProcessSpec("web", ("serve",), "/srv", {"TOKEN": "env:TOKEN"}, 1, True, 10.0)
    return LaneSpec(slot, version, f"digest-{version}", (web,))


def test_the_tool_starts_lists_and_stops_lanes(tmp_path: Path) -> None:
    runtime = tool(tmp_path)
    assert runtime.observe()[Slot.LEFT].version is None
    runtime.start(lane(Slot.LEFT, "v1"))
    runtime.start(lane(Slot.RIGHT, "v2"))
    facts = runtime.observe()
    assert (facts[Slot.LEFT].version, facts[Slot.RIGHT].digest) == ("v1", "digest-v2")
    (instance,) = facts[Slot.LEFT].instances
    assert instance.address == Address("127.0.0.1", 8080)
    runtime.stop(Slot.LEFT)
    assert (tmp_path / "stopped").read_text() == "v1"
    assert runtime.observe()[Slot.LEFT].instances == ()
    assert runtime.observe()[Slot.RIGHT].version == "v2"
    assert runtime.log_tail(Slot.RIGHT, 2) == "right line 7\nright line 8"


def test_a_failing_command_is_quoted_with_its_last_lines() -> None:
    with pytest.raises(CrossfadeError) as caught:
        broken("for i in 1 2 3 4 5 6 7 8 9; do echo step $i; done; echo no route to host >&2; exit 7").observe()
    assert caught.value.exit == 6
    assert caught.value.render() == (
        "error[deploy-command-failed]: the deploy command failed: sh -c 'for i in 1 2 3 4 5 6 7 8 9; do echo step "
        "$i; done; echo no route to host >&2; exit 7'\n"
        "  reason: exit code 7\n"
        "  its last lines:\n"
        "  step 3\n"
        "  step 4\n"
        "  step 5\n"
        "  step 6\n"
        "  step 7\n"
        "  step 8\n"
        "  step 9\n"
        "  no route to host\n"
        "hint: run the command by hand with the variables CROSSFADE_SLOT, CROSSFADE_VERSION and CROSSFADE_DIGEST"
    )


def test_a_command_that_does_not_end_or_exist_is_told() -> None:
    with pytest.raises(CrossfadeError) as caught:
        broken("echo began; exec sleep 60", timeout_s=0.5).observe()
    assert "reason: no end within 0.5 s\n  its last lines:\n  began\n" in caught.value.render()
    with pytest.raises(CrossfadeError) as caught:
        CommandRuntime(("x",), ("x",), ("no-such-tool",), timeout_s=1.0).observe()
    assert "reason: No such file or directory: no-such-tool\n  its last lines:\n  (it wrote nothing)" in (
        caught.value.render()
    )


ROW = {
    "slot": "left",
    "version": "v1",
    "digest": "d",
    "name": "n",
    "role": "web",
    "host": "h",
    "port": 1,
    "state": "running",
    "pid": 1,
}


@pytest.mark.parametrize(
    ("printed", "problem"),
    [
        ({"left": []}, "it is not a list"),
        ([1], "1 is not an object"),
        ([{key: value for key, value in ROW.items() if key != "digest"}], "digest is missing"),
        ([{**ROW, "slot": "blue"}], 'slot "blue" is neither left nor right'),
        ([{**ROW, "state": "up"}], 'state "up" is none of starting, running, stopping, stopped, failed'),
        ([{**ROW, "port": "8080"}], "port '8080' is no port"),
        ([ROW, {**ROW, "version": "v2"}], "two versions in the left slot: v1 and v2"),
    ],
)
def test_a_list_that_is_no_list_of_instances_is_told(printed: object, problem: str) -> None:
    text = json.dumps(printed)
    command = (sys.executable, "-c", f"print({text!r})")
    with pytest.raises(CrossfadeError) as caught:
        CommandRuntime(("x",), ("x",), command, timeout_s=20.0).observe()
    assert caught.value.id == "deploy-list-invalid"
    assert f"  problem: {problem}\n  its last lines:\n  {text}\n" in caught.value.render()


def test_text_that_is_no_json_is_told() -> None:
    with pytest.raises(CrossfadeError) as caught:
        broken("echo hello").observe()
    assert caught.value.exit == 6
    assert caught.value.render() == (
        "error[deploy-list-invalid]: the deploy command printed no list of instances: sh -c 'echo hello'\n"
        "  problem: Expecting value: line 1 column 1 (char 0)\n"
        "  its last lines:\n"
        "  hello\n"
        "hint: print a JSON list of objects with slot, version, digest, name, role, host, port, state, pid"
    )
