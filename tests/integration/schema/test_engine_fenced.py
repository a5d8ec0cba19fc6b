"""Who may act, and what stops an act: the lease's epoch (I8), `go_on`, the database's own no. Whole texts."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from crossfade.model.change import Unit
from crossfade.model.errors import CrossfadeError, Exit

BUILDING = "SELECT pid FROM pg_stat_progress_create_index WHERE relid = 'public.orders'::regclass"
ACTS = ("expand", "backfill", "record", "detach", "attach", "undo", "purge")


def comes_true(holds, what: str) -> None:
    end_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end_s, f"never happened: {what}"
        time.sleep(0.02)


# -- the lease ----------------------------------------------------------------------------------------


def test_a_walker_that_was_overtaken_acts_on_nothing(walk, home) -> None:
    for before in ((), ("expand", "backfill"), ("detach",)):
        walk.through(*before)
        home.lead(2)
        catalog, acts = home.catalog(), home.acts()
        for act in ACTS:
            with contextlib.suppress(CrossfadeError):  # lease-lost, or the act does not begin here
                walk.act(act)
            assert (home.catalog(), home.acts()) == (catalog, acts), act
        with pytest.raises(CrossfadeError) as caught:
            walk.engine.lanes({"shop_left": "new"})
        assert caught.value.id == "lease-lost"
        home.lead(1)


@pytest.mark.parametrize("unit", ["begin", "expand:check", "settle:orders_code", "settle:check"])
def test_overtaken_in_the_middle_of_a_transaction_it_is_rolled_back(walk, home, unit) -> None:
    def overtake(at: str) -> None:
        if at == unit:
            home.lead(2)

    with pytest.raises(CrossfadeError) as caught:
        walk.but(before_row=overtake).through("expand", "backfill")
    assert caught.value.exit is Exit.HELD_BY_OTHER
    assert caught.value.render() == (
        "error[lease-lost]: this walker no longer leads service 'shop'; it acts on nothing\n"
        "  its epoch: 1\n"
        "  found:     epoch 2 in the database\n"
        "hint: crossfade status --watch"
    )
    assert f"do {unit}" not in home.acts()
    undisturbed = walk.but(epoch=2)
    undisturbed.through("expand", "backfill", "undo")
    assert walk.where() == "none"
    assert home.ask("SELECT to_regclass('public.orders_code')") == [(None,)]


def test_the_lease_can_be_renewed_during_a_long_scan(walk, home) -> None:
    """Its row is locked at the end only; else a walker could not renew its lease while it validates."""
    slow = Unit("settle:slow", "a scan", do=("SELECT pg_sleep(2)",), undo=("SELECT 1",), scans=True)
    walk.change = replace(walk.change, settle=(slow,))
    walk.act("expand")
    scanning = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(2)' AND state = 'active'"
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(walk.act, "backfill")
        comes_true(lambda: home.ask(scanning), "the scan began")
        home.ask("SET lock_timeout = 100; UPDATE crossfade.lease SET expires_at = now() + '1 day'")
        assert home.ask(scanning), "the scan is still under way"
        acting.result(60)


# -- go_on --------------------------------------------------------------------------------------------


def test_stopped_between_units_it_says_how_far_it_came_and_goes_on_later(walk, home) -> None:
    done: list[str] = []
    stopping = walk.but(after_row=done.append, go_on=lambda: "expand:public.orders" not in done)
    with pytest.raises(CrossfadeError) as caught:
        stopping.act("expand")
    assert caught.value.exit is Exit.INCONCLUSIVE
    assert caught.value.render() == (
        "error[schema-stopped]: expand of change c1 was stopped before its end\n"
        "  done so far: 1 of 2 steps\n"
        "hint: what is done is recorded in the database; to go on or to come back: crossfade status"
    )
    assert walk.where() == "base"
    walk.act("expand")
    assert walk.where() == "both shapes"


def test_stopped_while_it_waits_for_a_lock(walk, home) -> None:
    go_on = threading.Event()
    go_on.set()
    with home.holding("SELECT count(*) FROM public.orders"), ThreadPoolExecutor(1) as pool:
        waiting = walk.but(go_on=go_on.is_set)
        acting = pool.submit(waiting.act, "expand")
        comes_true(lambda: any("waits for its locks" in text for text in waiting.said), "it waits")
        go_on.clear()
        with pytest.raises(CrossfadeError) as caught:
            acting.result(60)
    assert caught.value.id == "schema-stopped"
    assert home.acts() == ["do begin"]


@pytest.mark.parametrize("what", ["a concurrent build", "a scan"])
def test_stopped_in_a_long_statement_which_is_cancelled(walk, home, what) -> None:
    running = BUILDING
    if what == "a scan":
        scan = "DO 'BEGIN PERFORM pg_sleep(300) FROM public.waits; END'"
        slow = Unit("settle:slow", "a scan", do=(scan,), undo=("SELECT 1",), scans=True)
        walk.change = replace(walk.change, settle=(slow,))
        home.ask("CREATE TABLE public.waits AS SELECT 1; GRANT SELECT ON public.waits TO PUBLIC")
        running = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'DO %%pg_sleep%%' AND state = 'active'"
    walk.act("expand")
    go_on = threading.Event()
    go_on.set()
    with home.holding("INSERT INTO public.orders VALUES (0, 'r0', 0)"), ThreadPoolExecutor(1) as pool:
        acting = pool.submit(walk.but(go_on=go_on.is_set).act, "backfill")
        comes_true(lambda: home.ask(running), "it runs")
        go_on.clear()
        with pytest.raises(CrossfadeError) as caught:
            acting.result(60)
        assert caught.value.id == "schema-stopped"
        comes_true(lambda: not home.ask(running), "the statement ended")
    if what == "a scan":
        home.ask("DELETE FROM public.waits")
    walk.act("backfill")
    assert walk.where() == "both shapes, equal"


def test_progress_of_a_build_is_said(walk, home) -> None:
    walk.act("expand")
    with home.holding("INSERT INTO public.orders VALUES (0, 'r0', 0)") as holder, ThreadPoolExecutor(1) as pool:
        pid = holder.info.backend_pid
        acting = pool.submit(walk.act, "backfill")
        comes_true(lambda: any("waits for 1 older transactions" in text for text in walk.said), "it says so")
        holder.rollback()
        acting.result(60)
    told = next(text for text in walk.said if "settle:orders_code: waiting for writers before build" in text)
    assert f"(pid {pid}, the report, role postgres" in told


# -- what is refused ----------------------------------------------------------------------------------


def test_a_unique_index_on_duplicates_is_refused_by_the_database_and_leaves_nothing(walk, home) -> None:
    home.ask("UPDATE public.orders SET reference = 'same' WHERE id IN (1, 2)")
    walk.act("expand")
    with pytest.raises(CrossfadeError) as caught:
        walk.act("backfill")
    assert caught.value.exit is Exit.NOT_MET
    assert caught.value.render() == (
        "error[schema-refused]: the database refused settle:orders_code of change c1;"
        " nothing of that step is in force\n"
        '  it said:  could not create unique index "orders_code"; Key (code)=(same) is duplicated.\n'
        "  SQLSTATE: 23505\n"
        "hint: once the cause is mended the same command goes on from here; to come back: crossfade rollback"
    )
    assert home.ask("SELECT to_regclass('public.orders_code')") == [(None,)]
    home.ask("UPDATE public.orders SET reference = 'r2' WHERE id = 2")
    walk.act("backfill")
    assert walk.where() == "both shapes, equal"


def test_an_index_of_somebody_elses_with_that_name_is_left_alone(walk, home) -> None:
    home.ask("CREATE INDEX orders_code ON public.orders (amount)")
    walk.act("expand")
    with pytest.raises(CrossfadeError) as caught:
        walk.act("backfill")
    assert 'relation "orders_code" already exists' in caught.value.render()
    assert home.ask("SELECT to_regclass('public.orders_code') IS NOT NULL") == [(True,)]


def test_a_whole_row_never_stands_in_an_error(walk, home) -> None:
    """The detail of a violated check quotes the row, and a row may hold what nobody should read in a log."""
    walk.act("expand")
    home.ask("ALTER TABLE public.orders DISABLE TRIGGER zz_sync")
    home.ask("ALTER TABLE public.orders DROP CONSTRAINT code_there")
    home.ask("UPDATE public.orders SET code = reference")
    home.ask("UPDATE public.orders SET code = '', reference = '' WHERE id = 5")
    home.ask("ALTER TABLE public.orders ADD CONSTRAINT code_there CHECK (code <> '') NOT VALID")
    with pytest.raises(CrossfadeError) as caught:
        walk.act("backfill")
    assert "settle:check of change c1" in caught.value.render()
    assert "r6" not in caught.value.render()


def test_an_act_that_does_not_begin_where_the_change_stands(walk, home) -> None:
    with pytest.raises(CrossfadeError) as caught:
        walk.act("detach")
    assert caught.value.exit is Exit.CONFIG
    assert caught.value.render() == (
        "error[schema-wrong-stage]: detach of change c1 does not begin where the change stands\n"
        "  found:  base\n"
        '  needed: "both shapes, equal" or "old shape hidden"\n'
        "hint: crossfade status"
    )
    walk.through("expand", "backfill", "detach")
    with pytest.raises(CrossfadeError) as caught:
        walk.act("undo")
    assert caught.value.id == "schema-wrong-stage"


def test_nothing_is_attached_once_its_purge_has_begun(walk, home) -> None:
    walk.through("expand", "backfill", "detach")
    done: list[str] = []
    with pytest.raises(CrossfadeError):
        walk.but(after_row=done.append, go_on=lambda: not done).act("purge")
    with pytest.raises(CrossfadeError) as caught:
        walk.act("attach")
    assert "found:  old shape hidden, and its purge has begun" in caught.value.render()
    walk.act("purge")
    assert walk.where() == "none"


def test_nothing_is_purged_while_it_is_being_attached(walk, home) -> None:
    second = Unit(
        "detach:second",
        "one more",
        do=("ALTER TABLE public.orders ADD COLUMN x int",),
        undo=("ALTER TABLE public.orders DROP COLUMN x",),
    )
    walk = walk.but(change=replace(walk.change, detach=(*walk.change.detach, second)))
    walk.through("expand", "backfill", "detach")
    done: list[str] = []
    with pytest.raises(CrossfadeError):
        walk.but(after_row=done.append, go_on=lambda: not done).act("attach")
    with pytest.raises(CrossfadeError) as caught:
        walk.act("purge")
    assert "found:  old shape hidden, and the way back from it has begun" in caught.value.render()
    walk.through("detach", "purge")
    assert walk.where() == "none"


def test_one_change_is_open_at_a_time(walk, home) -> None:
    walk.act("expand")
    other = walk.but(change=replace(walk.change, id="c2"))
    with pytest.raises(CrossfadeError) as caught:
        other.act("expand")
    assert caught.value.exit is Exit.HELD_BY_OTHER
    assert caught.value.render() == (
        "error[schema-change-open]: change c2 does not begin while change c1 is open\n"
        "  open: 0007.sql for version v7, at stage both shapes\n"
        "hint: finish the release of v7, or come back from it: crossfade abandon"
    )


def test_a_change_is_walked_by_the_plan_it_was_begun_with(walk, home) -> None:
    walk.act("expand")
    other = replace(walk.change, notes=("another plan",))
    with pytest.raises(CrossfadeError) as caught:
        walk.but(change=other).act("expand")
    assert caught.value.exit is Exit.CONFIG
    assert caught.value.render() == (
        "error[schema-plan-differs]: change c1 was begun with another plan than the one given now; nothing was done\n"
        f"  given: {other.digest}\n"
        f"  begun: {walk.change.digest}\n"
        "hint: come back from what was begun, then begin anew: crossfade abandon"
    )


def test_what_somebody_wrote_to_hidden_columns_meanwhile_stops_the_purge(walk, home) -> None:
    walk.through("expand", "backfill", "detach")

    def write(unit: str) -> None:
        if unit.startswith("keep:"):
            home.ask("UPDATE public.orders SET _gone_reference = 'late' WHERE id IN (3, 4)")

    with pytest.raises(CrossfadeError) as caught:
        walk.but(before_row=write).act("purge")
    assert caught.value.exit is Exit.NOT_MET
    assert caught.value.render() == (
        "error[schema-attic-short]: the attic's copy of public.orders lacked 2 rows; nothing was dropped\n"
        "  copy: crossfade_attic.c1_orders, taken back\n"
        "hint: somebody wrote to what is hidden: find out who, then the same command copies anew"
    )
    assert home.ask("SELECT count(*) FROM crossfade.attic") == [(0,)]
    walk.act("purge")
    assert home.ask("SELECT count(*) FROM crossfade_attic.c1_orders WHERE _gone_reference = 'late'") == [(2,)]


# -- half an undo -------------------------------------------------------------------------------------


def test_a_half_undone_change_claims_the_base_and_can_go_forward_again(walk, home) -> None:
    walk.through("expand", "backfill")
    home.ask("UPDATE public.orders SET note = 'one' WHERE id = 1")
    done: list[str] = []
    with pytest.raises(CrossfadeError):
        walk.but(after_row=done.append, go_on=lambda: "expand:check" not in done).act("undo")
    assert walk.where() == "base"
    walk.through("expand", "backfill")
    assert walk.where() == "both shapes, equal"
    home.ask("UPDATE public.orders SET note = 'two' WHERE id = 2")
    measured = walk.act("undo")
    assert measured["kept"][0]["rows"] == 2
    assert walk.where() == "none"


def test_what_a_failed_detach_renamed_has_its_name_back_before_it_is_kept(walk, home) -> None:
    renames = Unit(
        "detach:first",
        "one more",
        do=("ALTER TABLE public.orders RENAME COLUMN note TO note_later",),
        undo=("ALTER TABLE public.orders RENAME COLUMN note_later TO note",),
    )
    walk = walk.but(change=replace(walk.change, detach=(renames, *walk.change.detach)))
    walk.through("expand", "backfill")
    home.ask("UPDATE public.orders SET note = 'one' WHERE id = 1")
    done: list[str] = []
    with pytest.raises(CrossfadeError):
        walk.but(after_row=done.append, go_on=lambda: not done).act("detach")
    assert walk.where() == "both shapes, equal"
    assert walk.act("undo")["kept"][0]["rows"] == 1


def test_two_processes_that_do_one_act_do_each_unit_once(walk, home) -> None:
    with ThreadPoolExecutor(2) as pool:
        for act in ("expand", "backfill", "record", "detach", "attach", "undo"):
            both = [pool.submit(walk.but().act, act) for _ in range(2)]
            for one in both:
                one.result(60)
    acts = [act for act in home.acts() if "try:" not in act and "orders_code" not in act and "begin" not in act]
    assert len(acts) == len(set(acts))
    assert walk.where() == "none"


def test_a_change_that_was_planned_anew_is_undone_by_the_plan_it_was_begun_with(walk, home) -> None:
    before = home.catalog()
    walk.through("expand", "backfill")
    walk.but(change=replace(walk.change, expand=(), settle=(), undo_keeps=())).act("undo")
    assert home.catalog() == before
