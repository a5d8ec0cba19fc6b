"""Filling and comparing on a real PostgreSQL, as the ordinary role that owns the tables, while others write."""

from __future__ import annotations

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
from crossfade.schema.session import Sessions
from crossfade.testing.clock import FakeClock

ITEMS = "public.items"
TASK = Backfill(
    f"backfill:{ITEMS}",
    ITEMS,
    (("code", "upper(reference)"),),
    "code IS NULL AND reference IS NOT NULL",
    "code IS DISTINCT FROM upper(reference)",
)
SYNC = """
CREATE FUNCTION public.items_sync() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.code := upper(NEW.reference); RETURN NEW; END $$;
CREATE TRIGGER zz_sync BEFORE INSERT OR UPDATE OF reference ON public.items
FOR EACH ROW EXECUTE FUNCTION public.items_sync();
"""


class RealClock(FakeClock):
    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class Fill:
    """A filler on one database, and what it said."""

    home: Any
    settings: Staging = field(default_factory=lambda: Staging(batch_ms=10))
    said: list[str] = field(default_factory=list)
    fence: Callable[[Any], None] = lambda _connection: None

    def filler(self) -> Filler:
        clock = RealClock()
        connect = Sessions(self.home.admin_url, clock).beside
        return Filler(connect, "shop", "c1", lambda: self.settings, clock, self.fence)

    def fill(self, task: Backfill = TASK, go_on: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        return dict(self.filler().fill(task, go_on, self.said.append))

    def progress(self) -> list[tuple[Any, ...]]:
        return self.home.ask(
            "SELECT task, filled, pass, next_page = pages, done_at IS NOT NULL FROM crossfade.backfill ORDER BY task"
        )


def make_items(home: Any, rows: int, *, sync: bool = True, key: bool = True) -> None:
    with psycopg.connect(home.admin_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.items (id bigint, reference text, filler text, code text)")
        connection.execute(
            "INSERT INTO public.items SELECT n, 'r' || n, repeat('x', 100), NULL FROM generate_series(1, %s) AS n",
            (rows,),
        )
        if key:
            connection.execute("ALTER TABLE public.items ADD PRIMARY KEY (id)")
        if sync:
            connection.execute(SYNC)


@pytest.fixture
def fill(home) -> Fill:
    return Fill(home)


def unfilled(home: Any) -> int:
    return home.ask("SELECT count(*) FROM public.items WHERE code IS DISTINCT FROM upper(reference)")[0][0]


# -- filling ------------------------------------------------------------------------------------------


def test_every_row_is_filled_once_and_doing_it_again_writes_nothing(fill, home) -> None:
    make_items(home, 20_000)
    measured = fill.fill()
    assert unfilled(home) == 0
    assert (measured["rows"], measured["checks"]) == (20_000, 1)
    assert measured["wal_bytes_per_row"] > 0
    assert fill.progress() == [("backfill:public.items", 20_000, -1, True, True)]
    places = home.ask("SELECT ctid::text FROM public.items ORDER BY id")
    assert fill.fill()["rows_this_run"] == 0
    home.ask("DELETE FROM crossfade.backfill")
    assert fill.fill()["rows"] == 0
    assert home.ask("SELECT ctid::text FROM public.items ORDER BY id") == places


@pytest.mark.parametrize("rows", [0, 1, 30])
def test_tables_of_no_row_and_of_one_page(fill, home, rows) -> None:
    make_items(home, rows)
    assert fill.fill()["rows"] == rows
    assert unfilled(home) == 0
    assert [row[-1] for row in fill.progress()] == [True]


def test_only_rows_that_are_unfilled_are_written_and_no_key_is_needed(fill, home) -> None:
    make_items(home, 5000, key=False)
    home.ask("UPDATE public.items SET code = upper(reference) WHERE id % 3 = 0")
    home.ask("UPDATE public.items SET reference = NULL, code = NULL WHERE id = 7")
    places = home.ask("SELECT ctid::text FROM public.items WHERE id % 3 = 0 ORDER BY id")
    assert fill.fill()["rows"] == 5000 - 1666 - 1
    assert unfilled(home) == 0
    assert home.ask("SELECT ctid::text FROM public.items WHERE id % 3 = 0 ORDER BY id") == places


def test_while_others_insert_update_and_delete_nothing_is_left_and_nothing_of_theirs_is_lost(fill, home) -> None:
    make_items(home, 30_000)
    stop, wrote, failures = threading.Event(), [0], list[str]()

    def write() -> None:
        with psycopg.connect(home.super_url, autocommit=True) as connection:
            while not stop.is_set():
                n = wrote[0] = wrote[0] + 1
                try:
                    connection.execute("INSERT INTO public.items (id, reference) VALUES (%s, 'new')", (100_000 + n,))
                    connection.execute("UPDATE public.items SET reference = 'u' || id WHERE id = %s", (n * 7 % 30_000,))
                    connection.execute("DELETE FROM public.items WHERE id = %s", (30_001 - n,))
                except psycopg.Error as exc:
                    failures.append(str(exc))

    other = threading.Thread(target=write)
    other.start()
    try:
        fill.fill()
    finally:
        stop.set()
        other.join(timeout=20)
    assert failures == []
    assert wrote[0] > 10
    assert unfilled(home) == 0
    assert home.ask("SELECT count(*) FROM public.items") == [(30_000,)]
    assert fill.filler().compare(TASK, lambda: True, fill.said.append).differing == 0


def test_partitions_are_filled_one_by_one_under_the_names_expressions_use(fill, home) -> None:
    with psycopg.connect(home.admin_url, autocommit=True) as connection:
        connection.execute(
            'CREATE TABLE public."Parts" (id int, reference text, code text) PARTITION BY RANGE (id);'
            'CREATE TABLE public.low PARTITION OF public."Parts" FOR VALUES FROM (0) TO (500);'
            'CREATE TABLE public.high PARTITION OF public."Parts" FOR VALUES FROM (500) TO (2000);'
            "INSERT INTO public.\"Parts\" SELECT n, 'r' || n FROM generate_series(1, 1000) AS n"
        )
    task = Backfill(
        "backfill:parts", 'public."Parts"', (("code", '"Parts".reference'),), '"Parts".code IS NULL', "false"
    )
    assert fill.fill(task)["rows"] == 1000
    assert home.ask('SELECT count(*) FROM public."Parts" WHERE code = reference') == [(1000,)]
    assert [row[:2] for row in fill.progress()] == [
        ("backfill:parts public.high", 501),
        ("backfill:parts public.low", 499),
    ]


def test_triggers_of_the_user_find_the_tables_they_name_without_a_schema(fill, home) -> None:
    make_items(home, 100)
    home.ask(
        "CREATE TABLE public.audit (id bigint); GRANT ALL ON public.audit TO PUBLIC;"
        "CREATE FUNCTION public.items_audit() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NULL; END $$;"
        "CREATE TRIGGER audit AFTER UPDATE ON public.items FOR EACH ROW EXECUTE FUNCTION public.items_audit()"
    )
    fill.fill()
    assert home.ask("SELECT count(*) FROM public.audit") == [(100,)]


def test_the_server_reads_only_the_pages_of_a_batch(fill, home) -> None:
    make_items(home, 20_000)
    with psycopg.connect(home.admin_url, autocommit=True) as connection:
        connection.execute("CREATE INDEX ON public.items (code)")
        plan = connection.execute(
            "EXPLAIN UPDATE ONLY public.items AS items SET code = 'x' WHERE items.ctid >= '(5,0)'::tid"
            " AND items.ctid < '(9,0)'::tid AND (code IS NULL) IS TRUE"
        ).fetchall()
    assert any("Tid Range Scan" in line for (line,) in plan), plan


# -- passes and snapshots -----------------------------------------------------------------------------


def test_several_passes_keep_rows_on_their_pages(fill, home) -> None:
    make_items(home, 20_000)
    home.ask("ALTER TABLE public.items SET (autovacuum_enabled = off)")
    fill.settings = Staging(batch_ms=10, passes=4)
    assert fill.fill()["hot_ratio"] > 0.4


def test_an_old_snapshot_is_waited_for_once_then_it_goes_on_and_says_so(fill, home) -> None:
    make_items(home, 60_000)  # two windows
    fill.settings = Staging(batch_ms=10, pass_wait_s=0.5)
    with home.holding("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1", "SELECT count(*) FROM items"):
        measured = fill.fill()
    assert unfilled(home) == 0
    told = [line for line in fill.said if "goes on without waiting" in line]
    assert len(told) == 1
    assert told[0].startswith("public.items: pid ")
    assert told[0].endswith(
        "still sees rows of 0.5 s ago; goes on without waiting for it, and rows move to other pages"
    )
    assert measured["hot_ratio"] < 0.4


# -- stopping, dying, going on ------------------------------------------------------------------------


def test_told_to_stop_it_stops_soon_and_goes_on_where_it_was(fill, home) -> None:
    make_items(home, 20_000)
    asked = iter([True] * 8)
    with pytest.raises(CrossfadeError) as stopped:
        fill.fill(go_on=lambda: next(asked, False))
    assert stopped.value.exit is Exit.INCONCLUSIVE
    assert stopped.value.render().startswith("error[schema-stopped]: the backfill of change c1 was stopped before its")
    [(_, filled, _, _, done)] = fill.progress()
    assert 0 < filled < 20_000
    assert not done
    measured = fill.fill()
    assert (measured["rows"], measured["rows_this_run"]) == (20_000, 20_000 - filled)
    assert unfilled(home) == 0


CHILD = """
    import os, signal, sys
    from dataclasses import replace
    from crossfade.model.change import Backfill
    from crossfade.model.settings.staging import Staging
    from crossfade.schema.backfill import Filler
    from crossfade.schema.pages import Pace
    from crossfade.schema.session import Sessions
    from crossfade.walk.clock import SystemClock

    url, batches, inside, task = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "inside", eval(sys.argv[4])
    Pace.ran = lambda self, took_ms, target_ms: None  # one page a batch
    seen = 0
    def fence(connection):
        global seen
        seen += 1
        if seen > batches and inside:
            os.kill(os.getpid(), signal.SIGKILL)
    def go_on():
        if seen > batches:
            os.kill(os.getpid(), signal.SIGKILL)
        return True
    clock = SystemClock()
    Filler(Sessions(url, clock).beside, "shop", "c1", Staging, clock, fence).fill(task, go_on, lambda line: None)
"""


def test_killed_after_each_batch_and_inside_batches_it_ends_the_same_and_repeats_nothing(fill, home) -> None:
    make_items(home, 300)  # six pages: eighteen batches and the check
    child = textwrap.dedent(CHILD)
    kills = 0
    for turn in range(200):
        where = "inside" if turn % 3 == 2 else "between"
        arguments = [sys.executable, "-c", child, home.admin_url, str(1 + turn % 2), where, repr(TASK)]
        ended = subprocess.run(arguments, timeout=60, check=False, capture_output=True, text=True)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        kills += 1
    assert kills > 8
    assert unfilled(home) == 0
    assert fill.progress() == [("backfill:public.items", 300, -1, True, True)]
    assert home.ask("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'items'")[0][0] <= 300 + kills * 50


def test_a_rewrite_by_others_in_the_middle_voids_the_cursor(fill, home) -> None:
    make_items(home, 20_000)
    home.ask("DELETE FROM public.items WHERE id <= 5000")
    turns = 0

    def go_on() -> bool:
        nonlocal turns
        turns += 1
        if turns == 20:
            home.ask("VACUUM FULL public.items")
        return True

    measured = fill.fill(go_on=go_on)
    assert "public.items was rewritten by others; its pages are gone over anew, filled rows are passed" in fill.said
    assert measured["rows"] == 15_000
    assert unfilled(home) == 0


def test_a_rewrite_between_two_runs_voids_the_cursor_and_a_restarted_server_is_met_again(fill, home) -> None:
    make_items(home, 5000)
    asked = iter([True] * 6)
    with pytest.raises(CrossfadeError):
        fill.fill(go_on=lambda: next(asked, False))
    home.ask("VACUUM FULL public.items")
    turns = 0

    def go_on() -> bool:
        nonlocal turns
        turns += 1
        if turns == 5:
            home.ask(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'crossfade schema'"
            )
        return True

    assert fill.fill(go_on=go_on)["rows"] == 5000
    assert any(line.startswith("public.items was rewritten by others") for line in fill.said)
    assert any(line.startswith("the database is away (") for line in fill.said)
    assert unfilled(home) == 0


def test_whoever_leads_no_more_fills_nothing_more(fill, home) -> None:
    make_items(home, 5000)

    def lost(_connection: Any) -> None:
        raise RuntimeError("another leads")

    fill.fence = lost
    with pytest.raises(RuntimeError, match="another leads"):
        fill.fill()
    assert home.ask("SELECT count(code) FROM public.items") == [(0,)]


# -- others' locks ------------------------------------------------------------------------------------


def test_rows_others_have_locked_are_passed_over_and_filled_when_they_are_free(fill, home) -> None:
    make_items(home, 20_000)
    fill.settings = Staging(batch_ms=10, pass_wait_s=0.1)
    holder = psycopg.connect(home.super_url)
    holder.execute("SELECT FROM public.items WHERE id IN (10, 9000, 19999) FOR UPDATE")
    timer = threading.Timer(3, holder.rollback)
    timer.start()
    try:
        measured = fill.fill()
    finally:
        timer.join()
        holder.close()
    assert measured["batches_passed_over_locks"] > 0
    assert unfilled(home) == 0


def test_a_lock_that_is_never_let_go_ends_it_with_the_place_and_a_later_run_goes_on(fill, home) -> None:
    make_items(home, 2000)
    fill.settings = Staging(batch_ms=10, lock_tries_s=0.5, lock_timeout_ms=50, pass_wait_s=0.1)
    with home.holding("SELECT FROM public.items WHERE id = 10 FOR UPDATE"), pytest.raises(CrossfadeError) as blocked:
        fill.fill()
    assert home.ask("SELECT count(*) FROM public.items WHERE code IS NULL") == [(1,)]
    assert blocked.value.exit is Exit.INCONCLUSIVE
    assert blocked.value.render() == (
        "error[backfill-blocked]: public.items could not be filled for 1 s: others hold locks in the way\n"
        "  where:  pages 0 to 0 of public.items\n"
        "  server: canceling statement due to lock timeout\n"
        "hint: end the long transactions that pg_stat_activity shows; what is filled stays; to go on: crossfade status"
    )
    assert fill.fill()["rows"] == 2000


def test_the_application_waits_no_longer_than_a_batch_and_is_never_the_one_a_deadlock_ends(fill, home) -> None:
    make_items(home, 30_000)
    stop, failures, longest = threading.Event(), list[str](), [0.0]

    def write() -> None:  # two rows a transaction, in falling order: against the order of the pages
        with psycopg.connect(home.super_url) as connection:
            n = 0
            while not stop.is_set():
                n = (n + 3001) % 29_000
                began = time.monotonic()
                try:
                    for id in (n + 1000, n + 1):
                        connection.execute("UPDATE public.items SET reference = 'u' || id WHERE id = %s", (id,))
                    connection.commit()
                except psycopg.Error as exc:
                    failures.append(str(exc))
                    connection.rollback()
                longest[0] = max(longest[0], time.monotonic() - began)

    other = threading.Thread(target=write)
    other.start()
    try:
        fill.fill()
    finally:
        stop.set()
        other.join(timeout=20)
    assert failures == []
    assert unfilled(home) == 0
    assert longest[0] < 5  # the server's own limit for one batch is far below


# -- what cannot be filled ----------------------------------------------------------------------------


def test_a_value_that_does_not_fit_ends_it_and_names_the_pages(fill, home) -> None:
    make_items(home, 2000, sync=False)
    home.ask("ALTER TABLE public.items ADD CONSTRAINT short CHECK (code <> 'R1999') NOT VALID")
    with pytest.raises(CrossfadeError) as failed:
        fill.fill()
    assert failed.value.exit is Exit.NOT_MET
    first, _, last = failed.value.facts["where"].split(" of ")[0].removeprefix("pages ").partition(" to ")
    assert int(first) <= int(last)
    assert failed.value.render() == (
        'error[backfill-failed]: public.items could not be filled: new row for relation "items" violates check'
        ' constraint "short"\n'
        f"  where: pages {first} to {last} of public.items\n"
        "hint: a value in these rows does not fit the new shape; correct it or the change's expression, then once more"
    )


def test_an_expression_that_leaves_rows_unfilled_is_told_by_the_first_check(fill, home) -> None:
    make_items(home, 500, sync=False)
    task = Backfill("k", ITEMS, (("code", "nullif(upper(reference), 'R7')"),), "code IS NULL", "false")
    with pytest.raises(CrossfadeError) as failed:
        fill.fill(task)
    assert failed.value.exit is Exit.NOT_MET
    assert failed.value.message == ("public.items could not be filled: the change's expression leaves 1 rows unfilled")


def test_where_passes_keep_no_row_on_its_page_there_is_one_pass(fill, home) -> None:
    make_items(home, 70_000, sync=False)  # a window and more
    home.ask("ALTER TABLE public.items SET (autovacuum_enabled = off); CREATE INDEX ON public.items (code)")
    turns: set[tuple[object, ...]] = set()

    with psycopg.connect(home.super_url, autocommit=True) as watcher:

        def go_on() -> bool:
            turns.update(watcher.execute("SELECT pass, next_page / 1024 FROM crossfade.backfill").fetchall())
            return True

        measured = fill.fill(go_on=go_on)
    assert measured["hot_ratio"] < 0.02
    assert {(0, 0), (1, 0), (2, 0)} <= turns
    assert (1, 1) not in turns
    assert unfilled(home) == 0


def test_a_foreign_partition_and_a_missing_table_are_refused(fill, home) -> None:
    home.ask(
        "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER away FOREIGN DATA WRAPPER nowhere;"
        "CREATE TABLE public.parts (id int, code text) PARTITION BY RANGE (id);"
        "CREATE FOREIGN TABLE public.far PARTITION OF public.parts FOR VALUES FROM (0) TO (9) SERVER away"
    )
    with pytest.raises(CrossfadeError) as refused:
        fill.fill(Backfill("k", "public.parts", (("code", "'x'"),), "code IS NULL", "false"))
    assert refused.value.message == ("public.parts cannot be filled page by page: public.far is not an ordinary table")
    with pytest.raises(CrossfadeError) as refused:
        fill.fill(Backfill("k", "public.nothing", (("a", "b"),), "true", "false"))
    assert refused.value.exit is Exit.NOT_MET
    assert refused.value.render() == (
        "error[backfill-not-possible]: public.nothing cannot be filled page by page: there is no such table\n"
        "hint: fill it by another way, or leave this table out of the change"
    )


def test_rows_that_come_unfilled_again_and_again_are_told(fill, home) -> None:
    make_items(home, 100, sync=False)

    def go_on() -> bool:
        home.ask("INSERT INTO public.items SELECT 1000 + count(*), 'late' FROM public.items")
        home.ask("UPDATE public.items SET code = NULL WHERE id = 1")
        return True

    with pytest.raises(CrossfadeError) as unfinished:
        fill.fill(go_on=go_on)
    assert unfinished.value.exit is Exit.NOT_MET
    assert unfinished.value.render() == (
        "error[backfill-unfinished]: public.items gets unfilled rows again and again: 10 checks each found some\n"
        "hint: find writes that skip triggers: logical replication, session_replication_role, a disabled trigger"
    )


# -- comparing ----------------------------------------------------------------------------------------


def test_one_differing_row_of_a_hundred_thousand_is_found_and_named(fill, home) -> None:
    make_items(home, 100_000, sync=False)
    home.ask("UPDATE public.items SET code = upper(reference)")
    compared = fill.filler().compare(TASK, lambda: True, fill.said.append)
    assert (compared.rows, compared.differing, compared.examples) == (100_000, 0, ())
    home.ask("UPDATE public.items SET code = 'other' WHERE id = 77777")
    compared = fill.filler().compare(TASK, lambda: True, fill.said.append)
    assert (compared.differing, compared.examples, compared.how_many) == (1, ("77777",), "1")


def test_many_differing_rows_stop_it_early_and_a_table_without_key_names_places(fill, home) -> None:
    make_items(home, 50_000, sync=False, key=False)
    compared = fill.filler().compare(TASK, lambda: True, fill.said.append)
    assert 1000 <= compared.differing < 50_000
    assert compared.how_many == f"at least {compared.differing}"
    assert compared.examples[0] == "ctid (0,1)"
    assert len(compared.examples) == 5


def test_a_comparison_stops_when_told_to(fill, home) -> None:
    make_items(home, 5000)
    fill.fill()
    with pytest.raises(CrossfadeError) as stopped:
        fill.filler().compare(TASK, lambda: False, fill.said.append)
    assert stopped.value.render().splitlines()[0] == (
        "error[schema-stopped]: the comparison of change c1 was stopped before its end"
    )
