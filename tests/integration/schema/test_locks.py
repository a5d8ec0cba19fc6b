"""Locks on a real database: nobody waits long because of us, and who stands in the way is named (I9)."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from crossfade.model.change import Unit
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.requirement import Staging

IMPATIENT = Staging(lock_timeout_ms=50, lock_tries_s=0.5)
WAITING = """
SELECT a.application_name, l.mode, extract(epoch FROM clock_timestamp() - l.waitstart)::float8 * 1000
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND l.waitstart IS NOT NULL AND l.locktype = 'relation' AND a.datname = current_database()
"""


def end(text: str) -> str:
    """A rendered error with what differs from run to run left out."""
    for pattern in (r"(?<=pid )\d+", r"(?<=open for )[\d.]+(?= s)", r"\d+(?= times)", r"(?<=within )[\d.]+(?= s)"):
        text = re.sub(pattern, "N", text)
    return text


def test_who_holds_the_lock_is_named_and_nothing_is_in_force(walk, home) -> None:
    before = home.catalog()
    with (
        home.holding("SELECT count(*) FROM public.orders", url=home.admin_url),
        pytest.raises(CrossfadeError) as caught,
    ):
        walk.but(settings=IMPATIENT).act("expand")
    assert caught.value.exit is Exit.NOT_MET
    assert end(caught.value.render()) == (
        "error[schema-lock-not-granted]: expand:public.orders of change c1 did not get its locks within N s;"
        " nothing of it is in force\n"
        "  asked:   N times for ACCESS EXCLUSIVE on public.orders\n"
        f"  blocked: pid N, the report, role {home.name}, open for N s, has AccessShareLock on public.orders:"
        " SELECT count(*) FROM public.orders\n"
        "hint: let them end, or end one: SELECT pg_terminate_backend(PID); then the same command goes on from here"
    )
    assert home.catalog() == before
    walk.act("expand")
    assert walk.where() == "both shapes"


def test_of_other_roles_sessions_an_ordinary_role_sees_no_age_and_says_so(walk, home) -> None:
    with home.holding("LOCK TABLE public.orders IN ROW EXCLUSIVE MODE"), pytest.raises(CrossfadeError) as caught:
        walk.but(settings=IMPATIENT).act("expand")
    assert (
        "the report, role postgres, open for a time this role may not see, has RowExclusiveLock on public.orders"
        in caught.value.render()
    )


def test_a_prepared_transaction_is_named(walk, home) -> None:
    with psycopg.connect(home.admin_url, autocommit=True) as connection:
        connection.execute("BEGIN; LOCK TABLE public.orders IN SHARE MODE; PREPARE TRANSACTION 'left behind'")
        with pytest.raises(CrossfadeError) as caught:
            walk.but(settings=IMPATIENT).act("expand")
        print(
            connection.execute(
                "select virtualtransaction, pid from pg_locks where relation='public.orders'::regclass"
            ).fetchall(),
            connection.execute("select * from pg_prepared_xacts").fetchall(),
        )
        connection.execute("ROLLBACK PREPARED 'left behind'")
    assert "blocked: prepared transaction left behind, open for" in caught.value.render()


def test_an_old_transaction_is_waited_for_without_asking(walk, home) -> None:
    """While it is there, no lock is asked for, so nobody queues behind us."""
    settings = Staging(lock_timeout_ms=50, lock_tries_s=60)
    with ThreadPoolExecutor(1) as pool:
        with home.holding("SELECT count(*) FROM public.orders", url=home.admin_url):
            time.sleep(0.1)  # older than the patience of a request now
            walk = walk.but(settings=settings)
            acting = pool.submit(walk.act, "expand")
            asked = []
            while len(walk.said) < 6:
                asked += home.ask(WAITING)
        steps = acting.result(60)["steps"]
    assert asked == []
    assert steps[0]["tries"] == 1
    assert steps[0]["lock_wait_ms"] > steps[0]["held_ms"]
    assert "expand:public.orders waits for its locks: pid" in walk.said[1]


def test_readers_of_every_table_of_a_unit_wait_no_longer_than_the_timeout(walk, home) -> None:
    """Short transactions come and go, too young to be waited for; both tables' locks share one budget."""
    home.ask("CREATE TABLE public.items (id int)")
    home.ask(f"ALTER TABLE public.items OWNER TO {home.name}; GRANT ALL ON public.items TO PUBLIC")
    first, *rest = walk.change.expand
    both = replace(first, locks=(*first.locks, ("public.items", "ACCESS EXCLUSIVE")))
    over = threading.Event()
    longest = {"reader": 0.0}
    timeout_ms, margin_ms = 100, 400  # the margin is the machine's: a server process that was not run in time

    def hold(name: str, table: str, hold_s: float) -> None:
        with psycopg.connect(home.super_url, application_name=name) as connection:
            while not over.is_set():
                connection.execute(f"SELECT count(*) FROM {table}".encode())
                time.sleep(hold_s)
                connection.rollback()

    with ThreadPoolExecutor(6) as pool:
        for table in ("public.orders", "public.items"):
            pool.submit(hold, "reader", table, 0.01)
            pool.submit(hold, "reader", table, 0.15)  # longer than a request's patience: most tries fail
        settings = Staging(lock_timeout_ms=timeout_ms, lock_tries_s=120)
        acting = pool.submit(
            walk.but(change=replace(walk.change, expand=(both, *rest)), settings=settings).act, "expand"
        )
        with psycopg.connect(home.super_url, autocommit=True) as connection:
            while not acting.done():
                for name, _, waited_ms in connection.execute(WAITING).fetchall():
                    longest[name] = max(longest.get(name, 0.0), waited_ms)
        over.set()
        assert acting.result(60)["steps"][0]["tries"] >= 1
    assert longest["reader"] < timeout_ms + margin_ms, longest


def test_a_reader_does_not_hold_up_what_does_not_block_it(walk, home) -> None:
    """VALIDATE goes on beside a long report and a writer: only what conflicts is a blocker."""
    walk.act("expand")
    home.ask("UPDATE public.orders SET code = reference")
    change = replace(walk.change, backfill=(), settle=[unit for unit in walk.change.settle if unit.scans])
    home.ask("UPDATE crossfade.change SET plan = %s::jsonb", json.dumps(change.to_json()))
    with home.holding("SELECT count(*) FROM public.orders", "UPDATE public.orders SET amount = 1 WHERE id = 1"):
        time.sleep(0.1)
        measured = walk.but(settings=IMPATIENT, change=change).act("backfill")
    assert measured["steps"][0]["tries"] == 1
    assert measured["steps"][0]["held_ms"] == 0.0


def test_a_vacuum_that_the_server_began_gives_way(walk, home) -> None:
    home.ask(
        "ALTER TABLE public.orders SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,"
        " autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)"
    )
    running = "SELECT pid FROM pg_stat_progress_vacuum WHERE relid = 'public.orders'::regclass"
    end_s, again_s = time.monotonic() + 200, 0.0
    while not home.ask(running):
        assert time.monotonic() < end_s, "the server never began a vacuum"
        if time.monotonic() > again_s:  # one may have come and gone between two looks
            home.ask("UPDATE public.orders SET amount = amount + 1")
            again_s = time.monotonic() + 3
        time.sleep(0.05)
    measured = walk.but(settings=Staging(lock_timeout_ms=50, lock_tries_s=30)).act("expand")
    assert measured["steps"][0]["tries"] == 1


def test_all_or_none_a_unit_that_did_not_get_its_second_lock_holds_no_first(walk, home) -> None:
    home.ask("CREATE TABLE public.items (id int)")
    home.ask(f"ALTER TABLE public.items OWNER TO {home.name}")
    unit = Unit(
        "expand:two",
        "two tables",
        do=("ALTER TABLE public.orders ADD COLUMN x int",),
        undo=("ALTER TABLE public.orders DROP COLUMN x",),
        locks=(("public.orders", "ACCESS EXCLUSIVE"), ("public.items", "ACCESS EXCLUSIVE")),
    )
    with home.holding("LOCK TABLE public.items IN ACCESS SHARE MODE"):
        with pytest.raises(CrossfadeError):
            walk.but(settings=IMPATIENT, change=replace(walk.change, expand=(unit,))).act("expand")
        held = home.ask("SELECT count(*) FROM pg_locks WHERE relation = 'public.orders'::regclass")
    assert held == [(0,)]
