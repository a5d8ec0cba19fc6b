"""Killed at any moment, the walk goes on from where it was, and ends where an undisturbed one ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess

import psycopg
import pytest

from crossfade.model.errors import CrossfadeError, Exit

BUILDING = "SELECT pid FROM pg_stat_progress_create_index WHERE relid = 'public.orders'::regclass"


def die(_unit: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def start(walk, act: str, **hook) -> BaseProcess:
    """A process of its own that does one act."""
    child = multiprocessing.get_context("fork").Process(target=walk.but(**hook).act, args=(act,))
    child.start()
    return child


def run(walk, act: str, moment: str) -> int:
    """One act in a process that dies at the next row; its exit code."""
    child = start(walk, act, **{moment: die})
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode


def comes_true(holds, what: str) -> None:
    end_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end_s, f"never happened: {what}"
        time.sleep(0.02)


@pytest.mark.parametrize("backend", ["goes on", "dies, too"])
def test_a_concurrent_index_killed_in_the_middle_is_found_out_about(walk, home, backend) -> None:
    walk.act("expand")
    with home.holding("INSERT INTO public.orders VALUES (0, 'r0', 0)"):  # the build waits for this one
        child = start(walk, "backfill")
        comes_true(lambda: home.ask(BUILDING), "the build began")
        child.kill()
        child.join()
        if backend == "dies, too":
            home.ask(f"SELECT pg_terminate_backend(pid) FROM ({BUILDING}) AS building")
            comes_true(lambda: not home.ask(BUILDING), "the build ended")
    assert "do settle:orders_code" not in home.acts()
    steps = {step["unit"]: step for step in walk.act("backfill")["steps"]}
    assert steps["settle:orders_code"]["tries"] == (0 if backend == "goes on" else 1)
    assert walk.where() == "both shapes, equal"
    assert home.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'public.orders_code'::regclass") == [(True,)]


def test_an_undo_ends_the_build_that_a_killed_walker_left_running(walk, home) -> None:
    before = home.catalog()
    walk.act("expand")
    with home.holding("INSERT INTO public.orders VALUES (0, 'r0', 0)") as holder:
        child = start(walk, "backfill")
        comes_true(lambda: home.ask(BUILDING), "the build began")
        child.kill()
        child.join()
        home.lead(2)

        class Said(list[str]):
            def append(self, text: str) -> None:
                super().append(text)
                if "earlier attempt" in text:
                    holder.rollback()  # dropping the leftover waits for writers of the table

        undoing = walk.but(epoch=2)
        undoing.said = Said()
        undoing.act("undo")
    assert any("waits for an earlier attempt, which still runs as pid" in text for text in undoing.said)
    assert home.catalog() == before
    assert walk.where() == "none"


def test_the_server_restarted_in_the_middle_is_unreachable_then_the_walk_goes_on(walk, home, cluster, clock) -> None:
    def restart(unit: str) -> None:
        if unit == "expand:check":
            cluster.stop()

    with pytest.raises(CrossfadeError) as caught:
        walk.but(before_row=restart).act("expand")
    port = home.admin_url.rsplit(":", 1)[1].split("/")[0]
    assert caught.value.exit is Exit.UNREACHABLE
    assert caught.value.render() == (
        "error[schema-unreachable]: the database of the schema change cannot be used\n"
        f"  database: {home.name} at 127.0.0.1:{port}\n"
        "  cause:    terminating connection due to administrator command\n"
        "hint: what was under way is found in the database when it answers again: crossfade status"
    )
    with pytest.raises(CrossfadeError) as down:
        walk.engine.facts()
    assert down.value.id == "schema-unreachable"
    cluster.start(clock)
    assert home.acts() == ["do begin", "do expand:public.orders"]
    assert walk.where() == "base"
    walk.through("expand", "backfill")
    assert walk.where() == "both shapes, equal"


def test_a_killed_process_holds_no_lock_for_long(walk, home) -> None:
    """Its session notices within a second or so that nobody is there, in a statement as well."""
    walk.act("expand")
    with home.holding("SELECT 1"), psycopg.connect(home.super_url, autocommit=True) as connection:
        child = start(walk, "undo", before_row=die)
        child.join()
        ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'crossfade schema' AND datname = %s"
        comes_true(lambda: not connection.execute(ours, (home.name,)).fetchall(), "the session ended")
