"""Lanes under a real supervisord: started, watched, restarted, stopped; and what happens when parts of it die."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import Instance, LaneSpec, ProcessSpec, Slot
from crossfade.runtime import procfs
from crossfade.runtime.supervisor import SupervisorRuntime
from crossfade.runtime.supervisord import Supervisord, ensure_supervisord, find_supervisord, socket_file

SECRET = "s3cret-of-the-test"
SERVER = """
import http.server, os, signal, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = repr({"version": os.environ["VERSION"], "secret": os.environ.get("TOKEN", "")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print("answered", flush=True)

def slow_end(*_):
    time.sleep(float(os.environ.get("END_S", "0")))
    print("ended well", flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, slow_end)
print("listening", os.environ["VERSION"], flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class RealClock:
    """The operating system's clock."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


CLOCK = RealClock()


def until(fact: Callable[[], object], limit_s: float = 30.0) -> None:
    """Wait until the fact is true."""
    deadline = time.monotonic() + limit_s
    while not fact():
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.05)


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "state"
    try:
        yield directory
    finally:
        runtime = SupervisorRuntime(directory, CLOCK)
        for slot in Slot:
            runtime.stop(slot)
        found = find_supervisord(directory, CLOCK)
        if found is not None:
            found.shutdown()


def lane(directory: Path, slot: Slot, version: str, *, instances: int = 1, **env: str) -> LaneSpec:
    directory.mkdir(exist_ok=True)
    (directory / "server.py").write_text(SERVER)
    command = (sys.executable, "server.py", "{port}")
    web = ProcessSpec("web", command, str(directory), {"VERSION": "{version}", **env}, instances, True, 3.0)
    return LaneSpec(slot, version, f"digest-{version}", (web,))


def instances(runtime: SupervisorRuntime, slot: Slot) -> list[Instance]:
    return list(runtime.observe()[slot].instances)


def get(instance: Instance) -> str:
    assert instance.address is not None
    with urlopen(f"http://127.0.0.1:{instance.address.port}/", timeout=5) as answer:
        return str(answer.read().decode())


def answers(instance: Instance) -> bool:
    try:
        return bool(get(instance))
    except OSError:
        return False


def serving(runtime: SupervisorRuntime, slot: Slot) -> list[Instance]:
    """Wait until every instance of the slot runs and answers; its instances."""

    def all_serve() -> bool:
        found = instances(runtime, slot)
        return bool(found) and all(i.state == "running" and answers(i) for i in found)

    until(all_serve)
    return instances(runtime, slot)


def supervisord_of(state_dir: Path) -> Supervisord:
    found = find_supervisord(state_dir, CLOCK)
    assert found is not None
    return found


def kill_supervisord(state_dir: Path) -> None:
    identity = procfs.identify(supervisord_of(state_dir).rpc.pid())
    assert identity is not None
    os.kill(identity.pid, signal.SIGKILL)
    until(lambda: not identity.alive())


def test_a_started_lane_serves_and_is_observed_with_version_and_addresses(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    before = time.time()
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1", instances=2))
    found = serving(runtime, Slot.LEFT)
    facts = runtime.observe()
    assert (facts[Slot.LEFT].version, facts[Slot.LEFT].digest) == ("v1", "digest-v1")
    assert facts[Slot.RIGHT].version is None
    assert [i.name for i in found] == ["left-web-1", "left-web-2"]
    assert len({i.address for i in found}) == 2
    assert all("'version': 'v1'" in get(i) for i in found)
    for instance in found:
        assert instance.pid is not None
        assert procfs.command_line(instance.pid)[1] == "server.py"  # nothing stands between
        assert instance.started_at is not None
        assert before - 2 < instance.started_at < time.time() + 2
    until(lambda: "left-web-1: listening v1" in runtime.log_tail(Slot.LEFT, 20))


def test_starting_the_same_lane_again_changes_nothing(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    spec = lane(tmp_path / "v1", Slot.LEFT, "v1", instances=2)
    runtime.start(spec)
    first = serving(runtime, Slot.LEFT)
    runtime.start(spec)
    SupervisorRuntime(state_dir, CLOCK).start(spec)
    assert serving(runtime, Slot.LEFT) == first


def test_another_lane_in_the_slot_is_refused_and_the_first_stays(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    first = lane(tmp_path / "v1", Slot.LEFT, "v1")
    runtime.start(first)
    before = serving(runtime, Slot.LEFT)
    with pytest.raises(CrossfadeError) as caught:
        runtime.start(lane(tmp_path / "v2", Slot.LEFT, "v2"))
    assert caught.value.exit == 5
    assert caught.value.render() == (
        "error[slot-occupied]: the left slot already holds another lane\n"
        "  wanted: v2 (digest-v2)\n"
        "  found:  v1 (digest-v1); it is another build\n"
        "hint: crossfade status"
    )
    with pytest.raises(CrossfadeError, match="already holds another lane"):
        runtime.start(replace(first, processes=(replace(first.processes[0], instances=2),)))
    assert serving(runtime, Slot.LEFT) == before


def test_a_crashed_instance_comes_back_on_its_port(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1", instances=2))
    first, second = serving(runtime, Slot.LEFT)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: instances(runtime, Slot.LEFT)[0].pid not in (None, first.pid))
    again, other = serving(runtime, Slot.LEFT)
    assert again.address == first.address
    assert other == second


def test_one_lane_is_stopped_and_the_other_is_not_touched(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1", instances=2))
    left = serving(runtime, Slot.LEFT)
    runtime.start(lane(tmp_path / "v2", Slot.RIGHT, "v2"))
    right = serving(runtime, Slot.RIGHT)
    assert instances(runtime, Slot.LEFT) == left
    runtime.stop(Slot.LEFT)
    runtime.stop(Slot.LEFT)
    assert runtime.observe()[Slot.LEFT].version is None
    assert not any(answers(i) for i in left)
    assert serving(runtime, Slot.RIGHT) == right
    runtime.start(lane(tmp_path / "v3", Slot.LEFT, "v3"))
    assert "'version': 'v3'" in get(serving(runtime, Slot.LEFT)[0])
    assert instances(runtime, Slot.RIGHT) == right
    assert "v1" not in runtime.log_tail(Slot.LEFT, 50)  # the log of a slot begins anew with each lane


def test_stop_waits_for_a_slow_end_and_ends_what_does_not_end(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1", END_S="1"))
    runtime.start(lane(tmp_path / "v2", Slot.RIGHT, "v2", END_S="60"))
    slow, stubborn = serving(runtime, Slot.LEFT)[0], serving(runtime, Slot.RIGHT)[0]
    log = state_dir / "logs" / "left-web-1.log"
    runtime.stop(Slot.LEFT)
    assert log.read_text().endswith("ended well\n")
    runtime.stop(Slot.RIGHT)
    assert slow.pid is not None
    assert stubborn.pid is not None
    assert procfs.identify(slow.pid) is None
    assert procfs.identify(stubborn.pid) is None
    assert "ended well" not in (state_dir / "logs" / "right-web-1.log").read_text()


def test_after_supervisord_was_killed_its_processes_serve_on_and_are_kept(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1", instances=2))
    before = serving(runtime, Slot.LEFT)
    old_pid = supervisord_of(state_dir).rpc.pid()
    kill_supervisord(state_dir)
    assert all(answers(i) for i in before)  # although their supervisor, and any pipe to it, is gone
    after = serving(runtime, Slot.LEFT)  # observing starts a new one
    assert supervisord_of(state_dir).rpc.pid() != old_pid
    assert after == before
    # A kept process that dies is started again ...
    assert before[0].pid is not None
    os.kill(before[0].pid, signal.SIGKILL)
    until(lambda: instances(runtime, Slot.LEFT)[0].pid not in (None, before[0].pid))
    again = serving(runtime, Slot.LEFT)
    assert again[0].address == before[0].address
    # ... and a kept one is stopped like any other.
    runtime.stop(Slot.LEFT)
    assert not any(answers(i) for i in again)
    assert (state_dir / "logs" / "left-web-2.log").read_text().endswith("ended well\n")


def test_a_kept_process_that_ignores_its_end_is_ended(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1", END_S="60"))
    (before,) = serving(runtime, Slot.LEFT)
    kill_supervisord(state_dir)
    assert serving(runtime, Slot.LEFT) == [before]
    runtime.stop(Slot.LEFT)
    assert before.pid is not None
    assert procfs.identify(before.pid) is None


def test_stop_without_a_supervisord_ends_the_lane_and_starts_nothing(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1"))
    (before,) = serving(runtime, Slot.LEFT)
    kill_supervisord(state_dir)
    runtime.stop(Slot.LEFT)
    assert not answers(before)
    assert find_supervisord(state_dir, CLOCK) is None
    assert runtime.observe()[Slot.LEFT].version is None


def test_an_instance_that_keeps_dying_is_failed_and_tried_again(state_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    command = ("/bin/sh", "-c", "test -e mended || { echo no config; exit 1; }; exec sleep 600")
    worker = ProcessSpec("worker", command, str(tmp_path / "v1"), {}, 1, False, 3.0)
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(LaneSpec(Slot.LEFT, "v1", "d", (worker,)))
    until(lambda: instances(runtime, Slot.LEFT)[0].state == "failed")
    assert runtime.log_tail(Slot.LEFT, 1) == "no config"
    assert instances(runtime, Slot.LEFT)[0].address is None
    tries = (state_dir / "logs" / "left-worker-1.log").read_text().count("no config")
    assert tries < 10  # it does not spin
    (tmp_path / "v1" / "mended").touch()
    until(lambda: instances(runtime, Slot.LEFT)[0].state == "running")


STEPS_OF_START = ["secrets", "record", "supervisord", "file", "reload", "group"]
STEPS_OF_STOP = ["mark", "file away", "group away", "sightings away", "record away"]
KILLED = textwrap.dedent(
    """
    import os, pickle, signal, sys, importlib.util
    from pathlib import Path
    from crossfade.model.ports import Slot
    from crossfade.runtime.supervisor import SupervisorRuntime
    import time

    class Clock:
        monotonic_s = staticmethod(time.monotonic)
        sleep = staticmethod(time.sleep)

    def after(step):
        if step == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGKILL)

    runtime = SupervisorRuntime(Path(sys.argv[1]), Clock(), after_step=after)
    if sys.argv[2] == "stop":
        runtime.stop(Slot.LEFT)
    else:
        runtime.start(pickle.loads(bytes.fromhex(sys.argv[2])))
    sys.exit("the step never came")
    """
)


def run_killed(state_dir: Path, what: str, step: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(state_dir), what, step],
        timeout=60,
        start_new_session=True,
        check=False,
        env={**os.environ, "TOKEN_OF_TEST": SECRET},
    )
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS_OF_START)
def test_start_killed_after_any_step_is_completed_by_starting_again(
    state_dir: Path, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", SECRET)
    spec = lane(tmp_path / "v1", Slot.LEFT, "v1", instances=2, TOKEN="env:TOKEN_OF_TEST")
    run_killed(state_dir, pickle.dumps(spec).hex(), step)
    runtime = SupervisorRuntime(state_dir, CLOCK)
    if step in ("record", "supervisord", "file", "reload"):
        # A supervisord that starts with the file in place has the lane already; else nothing runs yet.
        facts = runtime.observe()[Slot.LEFT]
        assert facts.digest == spec.digest
        assert facts.instances == ()
    runtime.start(spec)
    found = serving(runtime, Slot.LEFT)
    assert [i.name for i in found] == ["left-web-1", "left-web-2"]
    assert all(SECRET in get(i) for i in found)
    key = runtime._places.marker("")
    marked = [
        p.pid for p in procfs.processes() if procfs.environment(p.pid).get("CROSSFADE_INSTANCE", "").startswith(key)
    ]
    assert sorted(marked) == sorted(i.pid or 0 for i in found)  # and nothing was started twice


@pytest.mark.parametrize("step", STEPS_OF_STOP)
def test_stop_killed_after_any_step_is_completed_by_stopping_again(state_dir: Path, tmp_path: Path, step: str) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1"))
    (before,) = serving(runtime, Slot.LEFT)
    run_killed(state_dir, "stop", step)
    runtime.stop(Slot.LEFT)
    assert not answers(before)
    assert runtime.observe()[Slot.LEFT].version is None
    assert list((state_dir / "supervisor" / "lanes").iterdir()) == []
    runtime.start(lane(tmp_path / "v2", Slot.LEFT, "v2"))
    assert "'version': 'v2'" in get(serving(runtime, Slot.LEFT)[0])


def test_a_start_finishes_a_stop_that_was_cut_short(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1"))
    serving(runtime, Slot.LEFT)
    run_killed(state_dir, "stop", "mark")
    assert [i.state for i in instances(runtime, Slot.LEFT)] == ["stopping"]
    runtime.start(lane(tmp_path / "v2", Slot.LEFT, "v2"))
    assert "'version': 'v2'" in get(serving(runtime, Slot.LEFT)[0])


def test_secrets_reach_the_process_and_stand_nowhere_else(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", SECRET)
    (tmp_path / "token").write_text("from-file-" + SECRET + "\n")
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1", TOKEN="env:TOKEN_OF_TEST"))
    runtime.start(lane(tmp_path / "v2", Slot.RIGHT, "v2", TOKEN=f"file:{tmp_path}/token"))
    left, right = serving(runtime, Slot.LEFT)[0], serving(runtime, Slot.RIGHT)[0]
    assert f"'secret': '{SECRET}'" in get(left)
    assert f"'secret': 'from-file-{SECRET}'" in get(right)
    for process in procfs.processes():
        assert SECRET not in " ".join(procfs.command_line(process.pid))
    holders = [p for p in state_dir.rglob("*") if p.is_file() and SECRET in p.read_text(errors="replace")]
    assert [p.name for p in holders] == ["left.secrets"]
    assert holders[0].stat().st_mode & 0o777 == 0o600
    supervisord = supervisord_of(state_dir).rpc.pid()
    assert SECRET not in procfs.environment(supervisord).values()
    runtime.stop(Slot.LEFT)
    assert not holders[0].exists()


def test_a_missing_secret_is_told_before_the_start_or_in_the_lanes_log(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    with pytest.raises(CrossfadeError, match="could not be resolved"):
        runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1", TOKEN="env:NEVER_SET_ANYWHERE"))
    assert runtime.observe()[Slot.LEFT].version is None
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1", TOKEN=f"file:{tmp_path}/absent"))
    until(lambda: "secret-unresolved" in runtime.log_tail(Slot.LEFT, 10))
    assert runtime.log_tail(Slot.LEFT, 3) == (
        f"error[secret-unresolved]: the secret reference file:{tmp_path}/absent could not be resolved\n"
        f"  reason: {tmp_path}/absent: No such file or directory\n"
        "hint: set what the reference names, then run the same command again"
    )


def test_a_third_version_on_the_host_is_found(state_dir: Path, tmp_path: Path) -> None:
    runtime = SupervisorRuntime(state_dir, CLOCK)
    runtime.start(lane(tmp_path / "v1", Slot.LEFT, "v1"))
    serving(runtime, Slot.LEFT)
    assert runtime.found_instances() == []
    stray = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={
            **os.environ,
            "CROSSFADE_INSTANCE": runtime._places.marker("right-web-1"),
            "CROSSFADE_SLOT": "right",
            "CROSSFADE_VERSION": "v0",
            "CROSSFADE_DIGEST": "digest-v0",
        },
    )
    try:
        until(lambda: runtime.found_instances())
        (found,) = runtime.found_instances()
        assert (found.pid, found.version, found.slot, found.name) == (stray.pid, "v0", "right", "right-web-1")
    finally:
        stray.kill()
        stray.wait()


def test_a_state_directory_with_a_long_path_works(tmp_path: Path) -> None:
    directory = tmp_path / ("long-" * 12) / ("path-" * 12)
    supervisord = ensure_supervisord(directory, CLOCK)
    try:
        path = socket_file(supervisord.places)
        assert len(os.fsencode(path)) < 100
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o700
    finally:
        supervisord.shutdown()
        path.parent.rmdir()


def test_observing_without_reviving_says_that_the_runtime_is_away(state_dir: Path, tmp_path: Path) -> None:
    SupervisorRuntime(state_dir, CLOCK).start(lane(tmp_path / "v1", Slot.LEFT, "v1"))
    kill_supervisord(state_dir)
    with pytest.raises(CrossfadeError) as caught:
        SupervisorRuntime(state_dir, CLOCK, revive=False).observe()
    assert caught.value.exit == 6
    assert caught.value.render() == (
        "error[runtime-unreachable]: the runtime supervisord did not answer\n"
        f"  asked:  {state_dir}\n"
        "  reason: nothing answers there\n"
        "hint: crossfade doctor"
    )
