"""One walker leads: races, takeover, and a walker that slept past its lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.ports import RowKind


def test_of_two_the_first_leads_and_the_second_says_who(walker, home) -> None:
    one, two = walker(holder="first").lead(), walker(holder="second")
    with pytest.raises(CrossfadeError) as caught:
        two.lease.acquire()
    assert caught.value.exit == Exit.HELD_BY_OTHER
    since, ends, host = home.ask(
        "SELECT to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), "
        "to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), host FROM crossfade.lease"
    )[0]
    assert caught.value.render() == (
        f"error[lease-held]: service 'shop' has been led by another walker since {since} UTC\n"
        f"  leader: first, pid {os.getpid()} on {host}, epoch 1\n"
        f"  its lease ends {ends} UTC unless it is renewed\n"
        "hint: crossfade status --watch"
    )
    assert one.lease.leading()
    assert not two.lease.leading()
    assert not two.lease.renew()


def test_a_lease_given_up_is_free_at_once_and_the_epoch_grows(walker) -> None:
    one, two = walker(), walker()
    one.lead()
    one.lease.release()
    assert not one.lease.leading()
    assert two.lead().lease.epoch == 2
    two.lease.release()
    assert one.lead().lease.epoch == 3


def test_a_lease_ends_before_the_database_calls_it_ended(walker, home) -> None:
    one = walker(ttl_s=1).lead()
    started = time.monotonic()
    while one.lease.leading():
        time.sleep(0.01)
    if time.monotonic() - started < 1:
        assert home.ask("SELECT expires_at > clock_timestamp() FROM crossfade.lease") == [(True,)]
    assert one.lease.renew(), "nobody took it, so it goes on"
    assert one.lease.leading()
    assert one.lease.epoch == 1


def test_a_taken_over_lease_is_not_renewed(walker, home) -> None:
    one = walker(holder="one").lead()
    home.ask("UPDATE crossfade.lease SET expires_at = now()")
    two = walker(holder="two").lead()
    assert not one.lease.renew()
    assert not one.lease.leading()
    one.lease.release()
    assert two.lease.renew(), "the loser's release did not end it"


def test_an_older_copy_of_the_database_gives_no_epoch_out_twice(walker, home) -> None:
    one = walker().lead()
    with one.lock.act(one.lease.epoch):
        pass
    home.ask("DELETE FROM crossfade.lease")
    assert not one.lease.renew()
    assert walker().lead().lease.epoch == 2


def test_of_many_at_once_exactly_one_leads(walker, home) -> None:
    rivals = [walker() for _ in range(6)]
    rivals[0].journal.bind()
    won: list[int] = []
    lost: list[str] = []
    gate = threading.Barrier(len(rivals))

    def race(one) -> None:
        gate.wait()
        try:
            won.append(one.lease.acquire())
        except CrossfadeError as error:
            lost.append(error.id)

    for round_number in (1, 2, 3):
        threads = [threading.Thread(target=race, args=(one,)) for one in rivals]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (won, lost) == ([round_number], ["lease-held"] * 5)
        home.ask("UPDATE crossfade.lease SET expires_at = now()")
        won.clear()
        lost.clear()


def leads(one) -> bool:
    try:
        one.lead()
    except CrossfadeError as error:
        if error.id != "lease-held":
            raise
        return False
    return True


SLEEPER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("parts", sys.argv[1])
parts = importlib.util.module_from_spec(spec)
sys.modules["parts"] = parts
spec.loader.exec_module(parts)
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import RowKind
one = parts.Walker(pathlib.Path(sys.argv[2]), sys.stdin.readline().strip(), "sleeper", ttl_s=2).lead()
one.journal.append("r1", RowKind.EVENT, {"by": "sleeper"}, {})
print("leads", flush=True)
sys.stdin.readline()
print(one.lease.leading(), flush=True)
def attempt(act):
    try:
        act()
        print("acted", flush=True)
    except CrossfadeError as error:
        print(error.id, flush=True)
def act():
    with one.lock.act(one.lease.epoch):
        pass
attempt(lambda: one.journal.append("r1", RowKind.INTENT, {}, {}))
attempt(lambda: one.journal.append_local("r1", RowKind.INTENT, {}, {}))
attempt(one.journal.copy_up)
attempt(act)
print(one.lease.renew(), flush=True)
"""


def test_a_walker_that_slept_past_its_lease_acts_on_nothing(walker, home, tmp_path) -> None:
    state = tmp_path / "state"
    sleeper = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(Path(__file__).with_name("conftest.py")), str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        print(home.admin_url, file=sleeper.stdin, flush=True)
        assert sleeper.stdout.readline() == "leads\n"
        os.kill(sleeper.pid, signal.SIGSTOP)
        new = walker()
        while not leads(new):
            time.sleep(0.1)
        with new.lock.act(new.lease.epoch):
            new.journal.append("r1", RowKind.EVENT, {"by": "new"}, {})
        os.kill(sleeper.pid, signal.SIGCONT)
        out, _ = sleeper.communicate("go\n", timeout=20)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert out.split() == ["False", "lease-lost", "lease-lost", "lease-lost", "lease-lost", "False"]
    assert [row.state for row in new.journal.rows()] == [{"by": "sleeper"}, {"by": "new"}]
    assert home.ask("SELECT count(*) FROM crossfade.journal") == [(2,)]


LEADER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("parts", sys.argv[1])
parts = importlib.util.module_from_spec(spec)
sys.modules["parts"] = parts
spec.loader.exec_module(parts)
one = parts.Walker(pathlib.Path(sys.argv[2]), sys.stdin.readline().strip(), "leader", ttl_s=600).lead()
with one.lock.act(one.lease.epoch):
    pass
print("leads", flush=True)
sys.stdin.readline()
print(one.lease.renew(), flush=True)
"""


@pytest.fixture
def leader(home, tmp_path):
    """Another process of this host, which leads for ten minutes to come and has acted."""
    process = subprocess.Popen(
        [sys.executable, "-c", LEADER, str(Path(__file__).with_name("conftest.py")), str(tmp_path / "state")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    print(home.admin_url, file=process.stdin, flush=True)
    assert process.stdout.readline() == "leads\n"
    yield process
    process.kill()
    process.communicate()


def test_a_leader_killed_on_this_host_is_succeeded_at_once(leader, walker) -> None:
    new = walker()
    assert not leads(new)
    leader.kill()
    leader.wait()
    assert new.lead().lease.epoch == 2


def test_a_leader_that_is_only_stopped_is_waited_for(leader, walker) -> None:
    new = walker()
    os.kill(leader.pid, signal.SIGSTOP)
    assert not leads(new)
    os.kill(leader.pid, signal.SIGCONT)
    out, _ = leader.communicate("go\n", timeout=20)
    assert out == "True\n"


def test_a_leader_killed_on_another_host_is_waited_for(leader, walker, home) -> None:
    new = walker()
    home.ask("UPDATE crossfade.lease SET host = 'another'")
    leader.kill()
    leader.wait()
    assert not leads(new)


def test_the_end_of_somebody_who_moved_the_fader_is_not_the_leaders(leader, walker, home, tmp_path) -> None:
    mover = (
        "import pathlib, sys\n"
        "from crossfade.journal.epoch import EpochLock\n"
        "from crossfade.walk.clock import SystemClock\n"
        "with EpochLock(pathlib.Path(sys.argv[1]), 'shop', SystemClock()).act_fader_to_old() as epoch: print(epoch)"
    )
    lock = str(tmp_path / "state" / "shop.epoch")
    done = subprocess.run([sys.executable, "-c", mover, lock], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    new = walker()
    assert new.lock.ended() is not None, "whoever acted last is gone"
    assert not leads(new), "but the leader lives"
