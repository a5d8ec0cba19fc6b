"""The supervisord of a state directory and its long-lived parts, on the real program."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from crossfade.embedded.cluster import Cluster
from crossfade.embedded.postgres import find_postgres
from crossfade.host.ports import free_port
from crossfade.model.errors import CATALOGUE, CrossfadeError
from crossfade.runtime import procfs, supervisord
from crossfade.runtime.supervisord import Supervisord, ensure_supervisord, find_supervisord

WAIT = "import time; print('up', flush=True); time.sleep(600)"


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
    directory = tmp_path / "the state"  # a space is allowed
    try:
        yield directory
    finally:
        # Started again if a test killed it, so that what it kept is ended with it.
        ensure_supervisord(directory, CLOCK).shutdown()


def add(found: Supervisord, name: str, script: str, tmp_path: Path, **options: object) -> None:
    """Add a part that runs a line of Python."""
    argv = [sys.executable, "-c", script]
    found.add_part(name, argv, directory=tmp_path, env={}, stop_wait_s=3.0, **options)  # type: ignore[arg-type]


def running(found: Supervisord, name: str) -> int:
    """Wait until the part runs; its pid."""
    until(lambda: found.part_state(name).state == "running")
    pid = found.part_state(name).pid
    assert pid is not None
    until(lambda: "crossfade.runtime.launch" not in procfs.command_line(pid))
    return pid


def kill(pid: int) -> None:
    identity = procfs.identify(pid)
    assert identity is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not identity.alive())


def test_ensuring_twice_and_from_two_processes_gives_one_supervisord(state_dir: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from crossfade.runtime.supervisord import ensure_supervisord\n"
        "class Clock: monotonic_s = staticmethod(time.monotonic); sleep = staticmethod(time.sleep)\n"
        "print(ensure_supervisord(Path(sys.argv[1]), Clock()).rpc.pid())"
    )
    command = [sys.executable, "-c", script, str(state_dir)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    pids = {process.communicate(timeout=60)[0].strip() for process in both}
    assert pids == {str(ensure_supervisord(state_dir, CLOCK).rpc.pid())}


def test_it_outlives_its_starter_and_the_starters_process_group(state_dir: Path, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time; from pathlib import Path\n"
        "from crossfade.runtime.supervisord import ensure_supervisord\n"
        "class Clock: monotonic_s = staticmethod(time.monotonic); sleep = staticmethod(time.sleep)\n"
        "found = ensure_supervisord(Path(sys.argv[1]), Clock())\n"
        f"found.add_part('part', [sys.executable, '-c', {WAIT!r}], directory=Path('/'), env={{}})\n"
        "os.killpg(os.getpgrp(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(state_dir)], start_new_session=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    found = find_supervisord(state_dir, CLOCK)
    assert found is not None
    running(found, "part")


def test_adding_a_part_again_leaves_it_and_another_command_replaces_it(state_dir: Path, tmp_path: Path) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    add(found, "one", WAIT, tmp_path)
    add(found, "two", WAIT, tmp_path)
    one, two = running(found, "one"), running(found, "two")
    add(found, "one", WAIT, tmp_path)
    assert running(found, "one") == one
    add(found, "one", WAIT + "  # another", tmp_path)
    assert running(found, "one") != one
    assert running(found, "two") == two
    assert found.part_state("absent").state == "absent"


def test_a_part_is_stopped_started_restarted_and_signalled(state_dir: Path, tmp_path: Path) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    script = "import signal; signal.signal(signal.SIGUSR2, lambda *_: print('got it', flush=True))\n"
    add(found, "part", script + "import time\nwhile True: time.sleep(1)", tmp_path)
    first = running(found, "part")
    until(lambda: b"SIGUSR2" in Path(f"/proc/{first}/cmdline").read_bytes())
    time.sleep(0.3)  # the handler is set after exec
    found.signal_part("part", "USR2")
    log = state_dir / "logs" / "part.log"
    until(lambda: log.read_text() == "got it\n")
    assert log.stat().st_mode & 0o777 == 0o600
    found.stop_part("part")
    found.stop_part("part")
    assert found.part_state("part").state == "stopped"
    assert procfs.identify(first) is None
    found.start_part("part")
    second = running(found, "part")
    found.start_part("part")
    assert running(found, "part") == second
    found.restart("part")
    assert running(found, "part") != second
    found.remove_part("part")
    found.remove_part("part")
    assert found.part_state("part").state == "absent"


def test_a_stopped_part_stays_stopped_and_a_running_one_is_kept_across_a_killed_supervisord(
    state_dir: Path, tmp_path: Path
) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    add(found, "kept", WAIT, tmp_path)
    add(found, "stopped", WAIT, tmp_path)
    kept = running(found, "kept")
    found.stop_part("stopped")
    kill(found.rpc.pid())
    again = ensure_supervisord(state_dir, CLOCK)
    assert running(again, "kept") == kept
    assert again.part_state("stopped").state == "stopped"
    # Even twice.
    kill(again.rpc.pid())
    again = ensure_supervisord(state_dir, CLOCK)
    assert running(again, "kept") == kept
    again.restart("kept")
    assert procfs.identify(kept) is None
    assert running(again, "kept") != kept


def test_a_controller_is_restarted_on_any_end_but_a_clean_one(state_dir: Path, tmp_path: Path) -> None:
    script = (
        "import os, sys, time; from pathlib import Path\n"
        "runs = Path('runs'); n = len(runs.read_text()) + 1 if runs.exists() else 1; runs.write_text('x' * n)\n"
        "if n == 1: os.kill(os.getpid(), 9)\n"
        "if n == 2: sys.exit(70)\n"
        "if n == 3: time.sleep(600)\n"
        "sys.exit(0)"
    )
    found = ensure_supervisord(state_dir, CLOCK)
    add(found, "controller", script, tmp_path, autorestart="unexpected")
    runs = tmp_path / "runs"
    until(lambda: runs.exists() and runs.read_text() == "xxx")
    kill(running(found, "controller"))
    until(lambda: found.part_state("controller").state == "stopped")
    time.sleep(1.5)
    assert runs.read_text() == "xxxx"  # the fourth ended well, at once, and is left alone
    add(found, "controller", script, tmp_path, autorestart="unexpected")  # asked for again, it runs again
    until(lambda: runs.read_text() == "xxxxx")


def test_what_a_crashed_part_left_in_its_group_is_ended_before_it_starts_again(state_dir: Path, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time; from pathlib import Path\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "Path('child').write_text(str(child.pid)); time.sleep(600)"
    )
    found = ensure_supervisord(state_dir, CLOCK)
    add(found, "part", script, tmp_path)
    first = running(found, "part")
    until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = procfs.identify(int((tmp_path / "child").read_text()))
    assert child is not None
    kill(first)
    until(lambda: not child.alive())
    assert running(found, "part") != first


def test_shutdown_ends_everything_and_the_next_ensure_brings_it_back(state_dir: Path, tmp_path: Path) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    add(found, "part", WAIT, tmp_path)
    first = running(found, "part")
    found.shutdown()
    assert procfs.identify(first) is None
    assert find_supervisord(state_dir, CLOCK) is None
    running(ensure_supervisord(state_dir, CLOCK), "part")


def test_a_supervisord_without_its_socket_is_replaced_and_its_processes_are_kept(
    state_dir: Path, tmp_path: Path
) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    add(found, "part", WAIT, tmp_path)
    first, old = running(found, "part"), found.rpc.pid()
    supervisord.socket_file(found.places).unlink()
    again = ensure_supervisord(state_dir, CLOCK)
    assert again.rpc.pid() != old
    assert procfs.identify(old) is None
    assert running(again, "part") == first


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a part as somebody else")
def test_a_part_runs_as_the_user_it_names(state_dir: Path, tmp_path: Path) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(dir="/tmp") as public:
        Path(public).chmod(0o755)
        argv = ["/bin/sh", "-c", "id -un; echo $HOME $SUPERVISOR_ENABLED; exec sleep 600"]
        found.add_part("part", argv, directory=Path(public), env={}, user="nobody")
        pid = running(found, "part")
        assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
        until(lambda: (state_dir / "logs" / "part.log").read_text() == f"nobody\n{nobody.pw_dir}\n")
        found.stop_part("part")


def test_a_program_that_cannot_be_started_says_why_in_its_log(state_dir: Path, tmp_path: Path) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    found.add_part("part", ["no-such-program"], directory=tmp_path, env={})
    log = state_dir / "logs" / "part.log"
    until(lambda: log.exists() and "crossfade.toml\n" in log.read_text())
    first = log.read_text().splitlines()[:3]
    assert "\n".join(first) == (
        "error[program-not-started]: no-such-program could not be started\n"
        "  reason: No such file or directory\n"
        "hint: mend the command, directory or user of this role in crossfade.toml"
    )
    assert CATALOGUE["program-not-started"].exit == 3
    found.add_part("homeless", ["true"], directory=tmp_path / "absent", env={})
    log = state_dir / "logs" / "homeless.log"
    until(lambda: log.exists() and f"reason: No such file or directory: {tmp_path}/absent" in log.read_text())


def test_a_part_gets_the_secrets_it_references(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    monkeypatch.setenv("KEY_OF_TEST", "s3cret-of-a-part")
    argv = ["/bin/sh", "-c", "test $KEY = s3cret-of-a-part && echo right; exec sleep 600"]
    found.add_part("part", argv, directory=tmp_path, env={"KEY": "env:KEY_OF_TEST"})
    log = state_dir / "logs" / "part.log"
    until(lambda: log.exists() and log.read_text() == "right\n")
    found.stop_part("part")
    monkeypatch.delenv("KEY_OF_TEST")
    found.start_part("part")
    until(lambda: log.read_text() == "right\nright\n")
    found.remove_part("part")
    assert list((state_dir / "supervisor" / "parts").iterdir()) == []


def test_a_database_keeps_its_sessions_when_supervisord_is_killed(state_dir: Path) -> None:
    public = Path(tempfile.mkdtemp(dir="/tmp"))
    public.chmod(0o755)
    cluster = Cluster(public / "pg", free_port(), find_postgres())
    try:
        cluster.create({}, lambda: "token-of-test")
        found = ensure_supervisord(state_dir, CLOCK)
        argv, log = cluster.argv(), cluster.log_path
        options = {"directory": public, "env": {}, "stop_signal": "INT", "stop_wait_s": 20.0, "log": log}
        found.add_part("postgres", argv, **options)  # type: ignore[arg-type]
        cluster.wait_ready(30.0, CLOCK)
        with psycopg.connect(cluster.admin_url(), autocommit=True) as session:
            kill(found.rpc.pid())
            assert session.execute("SELECT 1").fetchone() == (1,)
            found = ensure_supervisord(state_dir, CLOCK)
            found.add_part("postgres", argv, **options)  # type: ignore[arg-type]
            assert session.execute("SELECT 2").fetchone() == (2,)
        found.restart("postgres")
        cluster.wait_ready(30.0, CLOCK)
        found.stop_part("postgres")
        assert not cluster.is_running()
        assert "database system is shut down" in log.read_text()
    finally:
        ensure_supervisord(state_dir, CLOCK).shutdown()
        shutil.rmtree(public)


@pytest.mark.long
def test_the_log_of_a_running_part_is_kept_small(state_dir: Path, tmp_path: Path) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    add(found, "part", "print('x' * (11 << 20), flush=True); import time; time.sleep(600)", tmp_path)
    log = state_dir / "logs" / "part.log"
    until(lambda: log.exists() and log.stat().st_size == (11 << 20) + 1)
    until(lambda: log.stat().st_size == 0, 75.0)  # supervisord's minute
    assert log.with_name("part.log.1").stat().st_size == (11 << 20) + 1


def test_an_unknown_part_is_told(state_dir: Path) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    with pytest.raises(CrossfadeError) as caught:
        found.start_part("haproxy")
    assert caught.value.exit == 6
    assert caught.value.render() == (
        "error[part-unknown]: no part named haproxy was added\n"
        f"  looked in: {state_dir}/supervisor/parts\n"
        "hint: crossfade doctor"
    )


def test_what_supervisord_refuses_is_told(state_dir: Path) -> None:
    found = ensure_supervisord(state_dir, CLOCK)
    with pytest.raises(CrossfadeError) as caught:
        found.signal_part("absent", "HUP")
    assert caught.value.exit == 6
    assert caught.value.render() == (
        "error[supervisor-refused]: supervisord refused signalProcess\n"
        "  reason: BAD_NAME: absent:absent\n"
        "hint: crossfade doctor"
    )


def test_a_socket_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / ("long-" * 12) / ("path-" * 12)
    path = supervisord.socket_file(supervisord.record.places(directory))
    path.parent.chmod(0o777)
    try:
        with pytest.raises(CrossfadeError) as caught:
            ensure_supervisord(directory, CLOCK)
    finally:
        path.parent.rmdir()
    assert caught.value.exit == 6
    assert caught.value.render() == (
        f"error[socket-directory-unsafe]: {path.parent} is not a directory that only this user may enter\n"
        "hint: find out who made it, remove it, then run the same command again"
    )


def test_a_supervisord_that_cannot_start_is_told_with_its_last_lines(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "supervisor" / "parts").mkdir(parents=True)
    (state / "supervisor" / "parts" / "bad.conf").write_text("[program:bad]\n")
    with pytest.raises(CrossfadeError) as caught:
        ensure_supervisord(state, CLOCK)
    text = caught.value.render()
    assert text.startswith("error[part-did-not-start]: supervisord did not start within 20.0 s\n  its last lines (")
    assert "program section program:bad does not specify a command" in text
