"""The controller dies in the middle of a release that changes the schema: it ends as if it had not."""

from __future__ import annotations

import signal
import time

import pytest

from crossfade.walk.asks import Asks

FORWARD = ["expand", "backfill", "start new", "smoke", "set share", "set share", "retire old", "detach"]
# A position may be over before it is looked at: what was rehearsed before is not rehearsed again.
SOON = ("backfilled", "standby", "smoked", "shifted(50)")
LATER = {"steady": ("expanded", *SOON), "expanded": SOON, "shifted(100)": ()}
BACK = ["attach", "start old", "fader to old", "stop new"]


def assert_whole(shaped, release: str) -> None:
    """It completed: each act once, in order, and only the new shape is in sight."""
    assert shaped.acts(release) == FORWARD
    assert [change["stage"] for change in shaped.changes()] == ["old shape hidden"]
    assert len({row.epoch for row in shaped.service.rows(release)}) > 1, "more than one controller led"


@pytest.mark.timeout(600)
def test_three_kills_change_nothing_for_customers(shaped, rng) -> None:
    service = shaped.service
    service.tail = ""  # rehearsed
    service.configure()
    with shaped.customers() as story:
        release = story.begin("v7")
        for position, within_s in (("steady", 8.0), ("expanded", 3.0), ("shifted(100)", 4.5)):
            story.to(release, position, *LATER[position])
            time.sleep(rng.uniform(0, within_s))
            print(f"killed at {service.status().phase} {service.status().position}: {service.status().why}")
            service.kill_controller()
        done = story.ended(release)
        time.sleep(1)
    assert (done.outcome, done.position) == ("completed", "detached"), done
    assert_whole(shaped, release)


def die_until(shaped, story, over, eventually) -> int:
    """Controllers that each kill themselves after one row more, of the journal or of the schema's acts."""
    service, deaths = shaped.service, 0
    while not over():
        seq = service.rows()[-1].seq + 1
        doomed = service.run_controller("--die-after-row", str(seq), "--die-after-act", "1")
        try:
            eventually(lambda d=doomed: d.poll() is not None or over(), 180, f"row {seq}")
        finally:
            code = service.end_controller(doomed)
        assert over() or code == -signal.SIGKILL, f"row {seq}: exit code {code}"
        deaths += 1
        story.watch.look(service.status().position)
    return deaths


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_kill_after_every_row_changes_nothing_for_customers(shaped, eventually) -> None:
    """After each row of the journal and each row of the schema's acts, forward, back, and all the way back."""
    service = shaped.service
    with shaped.customers() as story:
        ((before,),) = shaped.ask("SELECT coalesce(max(id), 0) FROM crossfade.schema_act")
        service.supervisord.stop_part("controller")
        release = service.ask_release("v7")
        deaths = die_until(shaped, story, lambda: service.is_over(release), eventually)
        assert_whole(shaped, release)
        for ask, outcome in (("rollback", "rolled_back"), ("abandon", "abandoned")):
            Asks(service.state_dir).put(ask, service.stage.clock.now())
            deaths += die_until(shaped, story, lambda o=outcome: shaped.phase() == o, eventually)
        service.supervisord.start_part("controller")
        service.until(release, "abandoned")
        story.watch.give_up("currency", time.time())
        time.sleep(1)
    print(f"{deaths} controllers died")
    assert shaped.acts(release) == [*FORWARD, *BACK, "undo change"]
    assert deaths > len(FORWARD) + len(BACK)
    units = shaped.ask(f"SELECT way, unit FROM crossfade.schema_act WHERE id > {before} ORDER BY id")
    print(units)
    assert len(units) == len(set(units)), "each unit was done once and undone once"
    assert shaped.fingerprint() == shaped.base
