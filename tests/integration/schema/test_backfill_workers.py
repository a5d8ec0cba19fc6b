"""Several workers on one table, knobs that people turn while it runs, and a kill at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from crossfade.model.change import Backfill
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.settings.staging import Staging
from crossfade.schema.backfill import Filler
from crossfade.schema.knobs import turn
from crossfade.schema.session import Sessions
from crossfade.walk.clock import SystemClock

TASK = Backfill(
    "backfill:public.items",
    "public.items",
    (("code", "upper(reference)"),),
    "code IS NULL",
    "code IS DISTINCT FROM upper(reference)",
)
WINDOWS = 5  # of the pages that one pass goes over at a time


@dataclass
class Fill:
    """A filler whose progress is watched and whose knobs are turned from another session."""

    home: Any
    settings: Staging = field(default_factory=lambda: Staging(batch_ms=5, workers=3))
    said: list[str] = field(default_factory=list)

    def run(self, go_on: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        clock = SystemClock()
        connect = Sessions(self.home.admin_url, clock).beside
        filler = Filler(connect, "shop", "c1", lambda: self.settings, clock, lambda _connection: None)
        return dict(filler.fill(TASK, go_on, self.said.append))

    def say(self, **knobs: float | None) -> None:
        with psycopg.connect(self.home.admin_url, autocommit=True) as connection:
            turn(connection, "shop", "ada", knobs)


@pytest.fixture
def fill(home) -> Fill:
    with psycopg.connect(home.admin_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.items (id bigint, reference text, filler text, code text)")
        connection.execute("ALTER TABLE public.items SET (fillfactor = 10)")  # many pages of few rows
        connection.execute(
            "INSERT INTO public.items SELECT n, 'r' || n, repeat('x', 100), NULL FROM generate_series(1, %s) AS n",
            (WINDOWS * 1024 * 5,),
        )
    return Fill(home)


def unfilled(home: Any) -> int:
    return home.ask("SELECT count(*) FROM public.items WHERE code IS DISTINCT FROM upper(reference)")[0][0]


def parts(home: Any) -> list[str]:
    return [task for (task,) in home.ask("SELECT task FROM crossfade.backfill WHERE task LIKE '%% @%%'")]


def test_workers_share_the_pages_out_and_every_row_is_filled_once(fill, home) -> None:
    with psycopg.connect(home.admin_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.written (id bigint)")
        connection.execute(
            "CREATE FUNCTION public.count_it() RETURNS trigger LANGUAGE plpgsql AS $$"
            "BEGIN INSERT INTO public.written VALUES (NEW.id); RETURN NEW; END $$;"
            "CREATE TRIGGER counts AFTER UPDATE ON public.items FOR EACH ROW EXECUTE FUNCTION public.count_it()"
        )
    measured = fill.run()
    assert unfilled(home) == 0
    rows = WINDOWS * 1024 * 5
    assert (measured["rows"], measured["rows_this_run"], measured["workers"]) == (rows, rows, 3)
    assert home.ask("SELECT count(*), count(DISTINCT id) FROM public.written") == [(rows, rows)]
    progress = home.ask("SELECT task, filled, next_page = pages, done_at IS NOT NULL FROM crossfade.backfill")
    assert progress == [("backfill:public.items", rows, True, True)], "no part is left behind"


def test_workers_with_writers_against_the_order_of_pages_end_no_transaction_of_theirs(fill, home) -> None:
    home.ask("ALTER TABLE public.items ADD PRIMARY KEY (id)")
    stop, failures, rows = threading.Event(), list[str](), WINDOWS * 1024 * 5

    def write() -> None:
        with psycopg.connect(home.super_url) as connection:
            n = 0
            while not stop.is_set():
                n = (n + 3001) % (rows - 2000)
                try:
                    for id in (n + 1000, n + 1):
                        connection.execute("UPDATE public.items SET filler = 'u' WHERE id = %s", (id,))
                    connection.commit()
                except psycopg.Error as exc:
                    failures.append(str(exc))
                    connection.rollback()

    other = threading.Thread(target=write)
    other.start()
    try:
        assert fill.run()["workers"] == 3
    finally:
        stop.set()
        other.join(timeout=20)
    assert failures == []
    assert unfilled(home) == 0


def test_killed_with_several_workers_it_goes_on_with_one_where_each_had_come_to(fill, home) -> None:
    program = textwrap.dedent("""
        import sys
        from crossfade.model.change import Backfill
        from crossfade.model.settings.staging import Staging
        from crossfade.schema.backfill import Filler
        from crossfade.schema.session import Sessions
        from crossfade.walk.clock import SystemClock
        clock = SystemClock()
        assigned = (("code", "upper(reference)"),)
        task = Backfill("backfill:public.items", "public.items", assigned, "code IS NULL", "false")
        settings = Staging(batch_ms=5, workers=3, rows_per_s_max=8000)
        connect = Sessions(sys.argv[1], clock).beside
        filler = Filler(connect, "shop", "c1", lambda: settings, clock, lambda connection: None)
        filler.fill(task, lambda: True, print)
    """)
    process = subprocess.Popen([sys.executable, "-c", program, home.admin_url], env=dict(os.environ))
    try:
        deadline = time.monotonic() + 30
        while len(parts(home)) < 2 or home.ask("SELECT count(*) FROM public.items WHERE code IS NOT NULL")[0][0] < 3000:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = home.ask("SELECT count(*) FROM public.items WHERE code IS NOT NULL")[0][0]
    fill.settings = Staging(batch_ms=20)
    measured = fill.run()
    assert unfilled(home) == 0
    rows = WINDOWS * 1024 * 5
    assert measured["rows"] == rows
    assert rows - done - 1000 <= measured["rows_this_run"] <= rows - 3000, "what was committed is not done again"
    assert parts(home) == []


def test_what_one_worker_cannot_fill_ends_them_all_with_its_pages(fill, home) -> None:
    home.ask("ALTER TABLE public.items ADD CONSTRAINT short CHECK (code <> 'R20000') NOT VALID")
    with pytest.raises(CrossfadeError) as failed:
        fill.run()
    assert failed.value.exit is Exit.NOT_MET
    assert failed.value.id == "backfill-failed"
    assert failed.value.facts["where"].startswith("pages ")
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("crossfade-backfill")] == []


def test_more_workers_are_taken_on_and_let_go_while_it_runs(fill, home) -> None:
    fill.settings = Staging(batch_ms=5, rows_per_s_max=6000)
    at_work, asked = list[int](), list[str]()

    def go_on() -> bool:
        at_work.append(sum(thread.name.startswith("crossfade-backfill") for thread in threading.enumerate()))
        if not asked:
            asked.append("more")
            fill.say(workers=3)
        elif at_work[-1] == 2 and asked == ["more"]:
            asked.append("as before")
            fill.say(workers=None)
        elif at_work[-1] == 0 and asked == ["more", "as before"]:
            asked.append("fast")
            fill.say(rows_per_s_max=0)
        return True

    measured = fill.run(go_on)
    assert unfilled(home) == 0
    assert measured["workers"] == 3
    assert fill.said[0].startswith("throttle: workers = 3 (by ada at 20")
    assert "throttle: workers as configured" in fill.said
    assert asked == ["more", "as before", "fast"]


def test_a_pause_holds_until_it_is_lifted_and_says_whose_it_is(fill, home) -> None:
    fill.settings = Staging(batch_ms=20)
    fill.say(paused=1)
    rested = [0.0]

    def go_on() -> bool:
        if fill.said and not rested[0]:
            assert home.ask("SELECT count(*) FROM public.items WHERE code IS NOT NULL") == [(0,)]
            rested[0] = time.monotonic()
            fill.say(paused=None)
        return True

    assert fill.run(go_on)["rows"] == WINDOWS * 1024 * 5
    assert fill.said[0].startswith("rests: paused by ada at 20")
    assert fill.said[0].endswith(" UTC; to go on: crossfade schema throttle --resume")
    assert fill.said[1] == "goes on"


def test_a_rate_set_while_it_runs_is_kept_from_the_next_batch_on(fill, home) -> None:
    fill.settings = Staging(batch_ms=5, workers=2)
    fill.say(rows_per_s_max=10_000)
    began = time.monotonic()
    with pytest.raises(CrossfadeError) as stopped:
        fill.run(lambda: time.monotonic() - began < 1.5)
    took_s = time.monotonic() - began
    assert stopped.value.id == "schema-stopped"
    filled = home.ask("SELECT count(*) FROM public.items WHERE code IS NOT NULL")[0][0]
    assert 0 < filled < 10_000 * (took_s + 0.5) + 2000
    fill.say(rows_per_s_max=None)
    assert fill.run()["rows"] == WINDOWS * 1024 * 5
    history = home.ask("SELECT knob, value, who FROM crossfade.throttle ORDER BY id")
    assert history == [("rows_per_s_max", 10_000.0, "ada"), ("rows_per_s_max", None, "ada")]


def test_a_database_without_the_table_of_knobs_is_filled_as_configured(fill, home) -> None:
    home.ask("DROP TABLE crossfade.throttle")
    fill.settings = Staging(batch_ms=50)
    assert fill.run()["rows"] == WINDOWS * 1024 * 5
