"""The controller may die at any moment: the release ends as if it had not."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from crossfade.model.ports import RowKind


def walked_once(rows) -> list[str]:
    """The acts that were completed, in order."""
    return [str(row.data["act"]) for row in rows if row.kind is RowKind.RESULT and row.data.get("ok") is True]


ALL_ACTS = ["start new", "smoke", "set share", "set share", "retire old"]


def test_three_kills_change_nothing_for_customers(service, rng) -> None:
    old, new = service.pair()
    with service.customers() as traffic:
        release = service.begin(new)
        for _ in range(3):
            time.sleep(rng.uniform(0.2, 3.5))
            assert service.status().phase != "completed", "all kills fall into the release"
            service.kill_controller()
        status = service.ended(release)
        traffic.load.mark("over")
        time.sleep(2)
    assert (status.outcome, status.position) == ("completed", "retired")
    ledger = traffic.ledger
    assert list(ledger.failures) == []
    assert service.lost_writes(ledger) == []
    assert set(ledger.by_version) == {old, new}
    assert set(ledger.window("over").by_version) == {new}
    assert walked_once(service.rows(release)) == ALL_ACTS
    assert len({row.epoch for row in service.rows(release)}) > 1, "more than one controller led"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_kill_after_every_row_changes_nothing_for_customers(service, eventually) -> None:
    """The controller of each round kills itself once its row is durable; a plain one takes over."""
    _, new = service.pair()
    with service.customers(40) as traffic:
        service.supervisord.stop_part("controller")
        release = service.ask_release(new)
        seq = service.rows()[-1].seq + 1
        while not service.is_over(release):
            doomed = service.run_controller("--die-after-row", str(seq))
            try:
                eventually(lambda d=doomed: d.poll() is not None, 120, f"row {seq}")
            finally:
                code = service.end_controller(doomed)
            assert code == -signal.SIGKILL, f"row {seq}: exit code {code}"
            seq = service.rows()[-1].seq + 1
        service.supervisord.start_part("controller")
        status = service.ended(release)
        time.sleep(1)
    assert status.outcome == "completed"
    assert list(traffic.ledger.failures) == []
    assert service.lost_writes(traffic.ledger) == []
    rows = service.rows(release)
    assert walked_once(rows) == ALL_ACTS
    assert len({row.epoch for row in rows}) >= len(rows) - 1, "nearly every row was its writer's last"


def test_a_stopped_controller_that_wakes_up_acts_on_nothing(service, eventually) -> None:
    _, new = service.pair()
    with service.customers() as traffic:
        release = service.begin(new)
        service.until(release, "shifted(50)")
        stopped = service.controller()
        before = service.rows(release)[-1]
        os.kill(stopped, signal.SIGSTOP)
        second = service.run_controller()
        try:
            eventually(
                lambda: (service.status().pid, service.status().leading) == (second.pid, True), 30, "the second leads"
            )
            os.kill(stopped, signal.SIGCONT)
            status = service.ended(release)
            assert status.pid == second.pid
            eventually(lambda: psutil.pid_exists(stopped), 1, "the stale one lives on and waits")
        finally:
            service.end_controller(second)
        time.sleep(1)
    assert (status.outcome, status.position) == ("completed", "retired")
    assert list(traffic.ledger.failures) == []
    assert service.lost_writes(traffic.ledger) == []
    rows = service.rows(release)
    assert walked_once(rows) == ALL_ACTS
    later = [row for row in rows if row.seq > before.seq]
    assert {row.epoch for row in later} == {status.epoch}, "after the stop only the second wrote"
    assert status.epoch > before.epoch
    eventually(lambda: service.status().pid == stopped and service.status().leading, 15, "then the first leads again")


def test_of_two_controllers_one_leads_and_the_other_says_who(service) -> None:
    pid = service.controller()
    told = service.crossfade("controller", "--no-wait")
    assert told.code == 5
    assert told.err.startswith("error[lease-held]: service 'shop' has been led by another walker since 2")
    assert f", pid {pid} on " in told.err
    assert "hint: crossfade status --watch" in told.err
    waiting = service.run_controller()
    try:
        time.sleep(2)
        assert service.status().pid == pid, "who waits leaves the leader's status alone"
        assert waiting.poll() is None
    finally:
        assert service.end_controller(waiting) == 0
