"""The lock file under which acts are done: who may act, and what becomes of one that hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from crossfade.journal.epoch import EpochLock
from crossfade.journal.process import end, started_ticks
from crossfade.model.errors import CrossfadeError, Exit

HOLDER = """
import importlib.util, pathlib, sys, time
spec = importlib.util.spec_from_file_location("parts", sys.argv[1])
parts = importlib.util.module_from_spec(spec)
sys.modules["parts"] = parts
spec.loader.exec_module(parts)
from crossfade.journal.epoch import EpochLock
lock = EpochLock(pathlib.Path(sys.argv[2]), "shop", parts.RealClock())
with lock.act(int(sys.argv[3])):
    print("holds", flush=True)
    time.sleep(float(sys.argv[4]))
print("let go", flush=True)
time.sleep(60)
"""


class Clock:
    monotonic_s = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
    now = None


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "state" / "epoch.lock"


@pytest.fixture
def new_lock(path):
    made = []

    def make(wait_s=2.0):
        made.append(EpochLock(path, "shop", Clock(), wait_s))
        return made[-1]

    yield make
    for lock in made:
        lock.close()


@pytest.fixture
def holder(path):
    started = []

    def start(epoch: int, holds_s: float = 60):
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                HOLDER,
                str(Path(__file__).with_name("conftest.py")),
                path,
                str(epoch),
                str(holds_s),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "holds\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def refused(lock, epoch) -> CrossfadeError:
    with pytest.raises(CrossfadeError) as caught, lock.act(epoch):
        pytest.fail("it acted")
    return caught.value


def test_a_lower_epoch_acts_on_nothing_and_the_epoch_never_goes_down(new_lock, path) -> None:
    lock = new_lock()
    assert lock.current() == 0
    with lock.act(2):
        pass
    error = refused(new_lock(), 1)
    assert (error.id, error.exit) == ("lease-lost", Exit.HELD_BY_OTHER)
    assert error.facts["found"] == f"epoch 2 acted on this host, pid {os.getpid()}"
    with lock.act_fader_to_old() as epoch:
        assert epoch == 2
    assert new_lock().current() == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_new_leader_ends_the_stuck_holder_and_goes_on(new_lock, holder) -> None:
    stuck = holder(1)
    os.kill(stuck.pid, signal.SIGSTOP)
    with new_lock().act(2):
        assert stuck.wait(5) == -signal.SIGKILL
    assert new_lock().current() == 2


def test_the_fader_to_old_ends_a_stuck_holder_without_a_lease(new_lock, holder) -> None:
    stuck = holder(5)
    os.kill(stuck.pid, signal.SIGSTOP)
    with new_lock().act_fader_to_old() as epoch:
        assert epoch == 5
        assert stuck.wait(5) == -signal.SIGKILL
    assert new_lock().current() == 5


def test_an_act_that_ends_in_time_is_waited_for(new_lock, holder) -> None:
    busy = holder(1, holds_s=0.3)
    with new_lock().act(2):
        assert busy.stdout.readline() == "let go\n"
    assert busy.poll() is None, "it lives"


def test_a_holder_of_the_same_or_a_higher_epoch_is_left_alone(new_lock, holder) -> None:
    process = holder(3)
    for epoch in (2, 3):
        error = refused(new_lock(wait_s=0.1), epoch)
        assert error.id == "act-lock-held"
        assert error.facts["holder"] == f"pid {process.pid}, epoch 3"
    assert process.poll() is None


def test_a_process_that_only_has_the_same_pid_is_left_alone(new_lock, holder, path) -> None:
    process = holder(1)
    actor = new_lock().actor()
    path.write_text(path.read_text().replace(str(actor.started_ticks), str(actor.started_ticks - 1)))
    assert refused(new_lock(wait_s=0.1), 2).id == "act-lock-held"
    assert process.poll() is None
    assert not end(process.pid, started_ticks(process.pid) + 1)
    assert process.poll() is None


def test_threads_of_one_walker_share_the_lock_so_the_fader_to_old_waits_for_no_slow_act(new_lock) -> None:
    lock = new_lock()
    inside, go_on = threading.Event(), threading.Event()

    def slow_act() -> None:
        with lock.act(1):
            inside.set()
            go_on.wait(10)

    thread = threading.Thread(target=slow_act)
    thread.start()
    inside.wait(10)
    with lock.act(1), lock.act_fader_to_old() as epoch:
        assert epoch == 1
    assert refused(new_lock(wait_s=0.1), 1).id == "act-lock-held", "other processes stay out"
    go_on.set()
    thread.join(10)
    with new_lock(wait_s=0.1).act(1):
        pass


def test_a_record_that_cannot_be_read_keeps_nobody_from_acting(new_lock, path) -> None:
    new_lock()
    path.write_bytes(b"\0" * 256)
    with new_lock().act(4):
        pass
    assert new_lock().current() == 4


def test_a_process_that_is_gone_has_no_start_time(holder) -> None:
    process = holder(1)
    ticks = started_ticks(process.pid)
    process.kill()
    process.wait()
    assert started_ticks(process.pid) is None
    assert not end(process.pid, ticks)
