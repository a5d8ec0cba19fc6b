"""What filling a column of a large table costs: our filler, one plain UPDATE, and batches by primary key.

    .venv/bin/python benchmarks/backfill.py --rows 1000000 --rounds 3 --output json

A row has about 220 bytes, a primary key and three other indexes; a text column is filled from another one. Every way
gets an equal copy of the table, made anew, on the same server, after a checkpoint; batches commit without waiting for
the disk in every way that has batches. Then the application's own latency: a bounded load of point reads and
updates on the table that is filled, five times alone and in between while our filler runs with its throttle on.

Then what the triggers cost that keep two shapes in step: one UPDATE of all rows of a wide and of a narrow table, with
the pair of a renamed column and without it, in turns.

Rows a second belong to the machine; read ratios. WAL is the whole server's, and nobody else writes. How busy the
machine was with other things is printed with the result. `--parts` runs some of it alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from crossfade.embedded.postgres import Cluster, find_postgres
from crossfade.host.ports import free_port
from crossfade.journal.install import install
from crossfade.model.change import Backfill
from crossfade.model.errors import CrossfadeError
from crossfade.model.settings.staging import Staging
from crossfade.schema.backfill import Filler
from crossfade.schema.catalog import read_catalog
from crossfade.schema.parser import Source
from crossfade.schema.planning import PlanOptions, plan_change
from crossfade.schema.session import Sessions
from crossfade.walk.clock import SystemClock

BATCH_ROWS = 1000
LOAD_PER_S = 100
BLOCKS = 5
GENTLE = Staging(batch_ms=10, latency_max_ms=15, rows_per_s_max=5000)
PARTS = ("ways", "load", "triggers")
SERVER = {"shared_buffers": "256MB", "max_wal_size": "4GB", "max_connections": "30"}
TASK = Backfill(
    "backfill:items",
    "public.items",
    (("code", "upper(b)"),),
    "code IS NULL",
    "code IS DISTINCT FROM upper(b)",
)
MAKE = """
DROP TABLE IF EXISTS items;
CREATE TABLE items (id bigint, a integer, b text, at timestamptz, filler text, code text);
INSERT INTO items SELECT n, n * 7919::bigint % {rows}, md5(n::text), now() - n * interval '1 s', repeat('x', 130)
FROM generate_series(1, {rows}) AS n;
ALTER TABLE items ADD PRIMARY KEY (id);
CREATE INDEX ON items (a);
CREATE INDEX ON items (b);
CREATE INDEX ON items (at);
DELETE FROM crossfade.backfill;
"""


def say(text: str) -> None:
    """Progress goes to stderr; the result is on stdout."""
    print(text, file=sys.stderr, flush=True)


class Bench:
    """A server, and the table on it."""

    def __init__(self, cluster: Cluster, rows: int) -> None:
        self.url, self.rows = cluster.admin_url(), rows
        self.connection = psycopg.connect(self.url, autocommit=True)
        self.connection.execute("SET synchronous_commit = off")
        install(self.connection)

    def make_table(self) -> None:
        """The table anew, with statistics, after a checkpoint."""
        self.connection.execute(MAKE.format(rows=self.rows).encode())
        self.connection.execute("VACUUM ANALYZE items")
        self.connection.execute("CHECKPOINT")

    def ask(self, statement: str, *values: object) -> Any:
        """The first column of the one row."""
        row = self.connection.execute(statement.encode(), values or None).fetchone()
        assert row is not None
        return row[0]

    def measured(self, way: Callable[[], dict[str, object]]) -> dict[str, object]:
        """Fill an equal copy in this way."""
        self.make_table()
        pages, log = self.ask("SELECT pg_relation_size('items')"), self.ask("SELECT pg_current_wal_insert_lsn()::text")
        all_bytes = self.ask("SELECT pg_total_relation_size('items')")
        began = time.monotonic()
        more = way()
        took_s = time.monotonic() - began
        wal = self.ask("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)::bigint", log)
        assert self.ask("SELECT count(*) FROM items WHERE code IS DISTINCT FROM upper(b)") == 0
        size, total = self.ask("SELECT pg_relation_size('items')"), self.ask("SELECT pg_total_relation_size('items')")
        return {
            "rows_per_s": round(self.rows / took_s),
            "wal_bytes_per_row": round(wal / self.rows),
            "table_grew_to": round(size / pages, 2),
            "with_indexes_grew_to": round(total / all_bytes, 2),
            "took_s": round(took_s, 1),
            **more,
        }

    def filler(self, settings: Staging, latency_ms: Callable[[], float | None] = lambda: None) -> Filler:
        """Our filler."""
        clock = SystemClock()
        connect = Sessions(self.url, clock).beside
        return Filler(connect, "shop", "c1", lambda: settings, clock, lambda _connection: None, latency_ms)

    def ours(self, workers: int = 1) -> dict[str, object]:
        """Page ranges in passes; no load, so the throttle is on and finds nothing to rest for."""
        done = self.filler(Staging(workers=workers)).fill(TASK, lambda: True, say)
        kept = ("hot_ratio", "busy_s", "rested_s", "waited_for_snapshots_s", "batches")
        return {name: done[name] for name in kept} | {"longest_transaction": "one batch, aimed at 100 ms"}

    def one_update(self) -> dict[str, object]:
        """One statement."""
        self.connection.execute("UPDATE items SET code = upper(b) WHERE code IS NULL")
        return {"longest_transaction": "all of it"}

    def by_key(self) -> dict[str, object]:
        """Batches by ranges of the primary key."""
        last = 0
        while True:
            end = self.ask(
                "SELECT max(id) FROM (SELECT id FROM items WHERE id > %s ORDER BY id LIMIT %s) AS n", last, BATCH_ROWS
            )
            if end is None:
                return {"longest_transaction": f"{BATCH_ROWS} rows"}
            self.connection.execute(
                "UPDATE items SET code = upper(b) WHERE id > %s AND id <= %s AND code IS NULL", (last, end)
            )
            last = end

    def beside_an_application(self, block_s: float) -> dict[str, Any]:
        """The application's latency alone and while the filler runs with the throttle on, in turns, block by block."""
        self.make_table()
        alone: list[Latency] = []
        beside: list[Latency] = []
        rates: list[float] = []
        for turn in range(2 * BLOCKS - 1):
            with load(self.url, self.rows) as block:
                if turn % 2 == 0:
                    alone.append(block)
                    time.sleep(block_s)
                    continue
                beside.append(block)
                rates.append(self._fill_for(block_s, block))
        quiet, busy = merged(alone), merged(beside)
        spread = [one.summary()["p99"] for one in alone]
        return {
            "requests_per_s": LOAD_PER_S,
            "settings": {name: getattr(GENTLE, name) for name in ("batch_ms", "latency_max_ms", "rows_per_s_max")},
            "alone_ms": quiet.summary(),
            "alone_p99_of_each_block": spread,
            "beside_the_filler_ms": busy.summary(),
            "beside_p99_of_each_block": [one.summary()["p99"] for one in beside],
            "p99_ratio": round(busy.summary()["p99"] / quiet.summary()["p99"], 2),
            "p99_inside_the_spread": min(spread) <= busy.summary()["p99"] <= max(spread),
            "failed": quiet.failed + busy.failed,
            "rows_per_s": round(quantile(rates, 0.5)),
        }

    def _fill_for(self, block_s: float, block: Latency) -> float:
        """Fill for a while, from where it was left; the rows a second."""
        began = time.monotonic()
        before = self.ask("SELECT coalesce(sum(filled), 0) FROM crossfade.backfill")
        with contextlib.suppress(CrossfadeError):  # told to stop, which is how a block ends
            self.filler(GENTLE, block.p99_lately).fill(TASK, lambda: time.monotonic() - began < block_s, say)
        took_s = time.monotonic() - began
        time.sleep(max(0.0, block_s - took_s))
        return float(self.ask("SELECT sum(filled) FROM crossfade.backfill") - before) / took_s

    def trigger_cost(self, rows: int, rounds: int) -> dict[str, Any]:
        """What is left of the rate of an UPDATE once the pair of a renamed column is there."""
        self.connection.execute("DROP TABLE IF EXISTS items")
        result: dict[str, object] = {}
        for width, columns in (("wide", 30), ("narrow", 0)):
            self._make_twins(columns, rows)
            for what, column in (("the renamed column", "b"), ("another column", "note")):
                shares, rates = [], []
                for turn in range(rounds):
                    took = {}
                    for table in ("plain", "synced")[:: 1 if turn % 2 else -1]:
                        self.connection.execute(f"VACUUM {table}")
                        self.connection.execute("CHECKPOINT")
                        began = time.monotonic()
                        self.connection.execute(f"UPDATE {table} SET {column} = 'r{turn} ' || id")
                        took[table] = time.monotonic() - began
                    shares.append(round(took["plain"] / took["synced"], 2))
                    rates.append(rows / took["plain"])
                result[f"{width}, {what}"] = {
                    "share_of_the_rate": sorted(shares)[len(shares) // 2],
                    "all": shares,
                    "rows_per_s_without": round(quantile(rates, 0.5)),
                }
        return result

    def _make_twins(self, columns: int, rows: int) -> None:
        """Two equal tables, one of them with both shapes of a renamed column in step."""
        more = "".join(f", c{n} text DEFAULT repeat('x', 20)" for n in range(columns))
        for table in ("plain", "synced"):
            self.connection.execute(f"DROP TABLE IF EXISTS {table}")
            self.connection.execute(
                f"CREATE TABLE {table} (id bigint PRIMARY KEY, a integer, b text, note text, at timestamptz{more})"
            )
            self.connection.execute(f"CREATE INDEX ON {table} (a); CREATE INDEX ON {table} (at)")
            values = f"SELECT n, n, 'r' || n, 'note', now() FROM generate_series(1, {rows}) AS n"
            self.connection.execute(f"INSERT INTO {table} (id, a, b, note, at) {values}")
        self.connection.execute("ALTER TABLE plain ADD COLUMN code text")
        source = Source("rename.sql", "ALTER TABLE synced RENAME COLUMN b TO code;")
        change = plan_change("rename.sql", [source], read_catalog(self.connection), PlanOptions(True, "new", "none"))
        for unit in change.expand:
            for statement in unit.do:
                self.connection.execute(statement.encode())
        for table in ("plain", "synced"):
            self.connection.execute(f"UPDATE {table} SET code = b")


class Latency:
    """Milliseconds of every request, with when it ended."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []
        self.failed = 0

    def p99_lately(self) -> float | None:
        """Over the last second."""
        since = time.monotonic() - 1.0
        lately = [ms for at, ms in self.times[-2 * LOAD_PER_S :] if at >= since]
        return quantile(lately, 0.99) if lately else None

    def summary(self) -> dict[str, float]:
        """What a reader wants to know."""
        values = [ms for _, ms in self.times]
        parts = {"median": 0.5, "p99": 0.99, "max": 1.0}
        return {name: round(quantile(values, part), 2) for name, part in parts.items()} | {"requests": len(values)}


def merged(blocks: list[Latency]) -> Latency:
    """All requests of several blocks."""
    one = Latency()
    for block in blocks:
        one.times += block.times
        one.failed += block.failed
    return one


def quantile(values: list[float], part: float) -> float:
    """The value that this part does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@contextmanager
def load(url: str, rows: int) -> Iterator[Latency]:
    """A bounded load: one session, a read and an update of one row each, at a fixed rate, late ones counted late."""
    latency, stop = Latency(), threading.Event()

    def run() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            began, n = time.monotonic(), 0
            while not stop.is_set():
                due = began + n / LOAD_PER_S
                time.sleep(max(0.0, due - time.monotonic()))
                id = 1 + n * 7_654_321 % rows
                try:
                    if n % 2:
                        connection.execute("UPDATE items SET a = a + 1 WHERE id = %s", (id,))
                    else:
                        connection.execute("SELECT * FROM items WHERE id = %s", (id,)).fetchone()
                except psycopg.Error:
                    latency.failed += 1
                now = time.monotonic()
                latency.times.append((now, (now - due) * 1000))
                n += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield latency
    finally:
        stop.set()
        thread.join()


@contextmanager
def bench(rows: int, major: int | None) -> Iterator[Bench]:
    """A server of one's own with durable settings."""
    directory = Path(tempfile.mkdtemp(prefix="crossfade-bench-"))
    directory.chmod(0o711)
    cluster = Cluster(directory / "postgres", free_port(), find_postgres(None, major))
    cluster.create(SERVER, lambda: secrets.token_hex(8))
    try:
        cluster.start(SystemClock())
        say(f"PostgreSQL {cluster.programs.version}")
        measured = Bench(cluster, rows)
        yield measured
        measured.connection.close()
    finally:
        cluster.stop()
        shutil.rmtree(directory)


def options() -> argparse.Namespace:
    """What is asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=1, help="the run of median speed is printed")
    arguments.add_argument("--major", type=int, default=None, help="of PostgreSQL; left out: what is found first")
    arguments.add_argument("--block-s", type=float, default=10.0, help="how long the load runs alone, and beside")
    arguments.add_argument("--trigger-rows", type=int, default=100_000)
    arguments.add_argument("--workers", type=int, nargs="*", default=[], help="the filler with so many workers, too")
    arguments.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    arguments.add_argument("--output", choices=["text", "json"], default="text")
    return arguments.parse_args()


def compare_ways(bench: Bench, rounds: int, workers: list[int]) -> dict[str, object]:
    """Every way in turns: the machine may be busier at one time than at another."""
    ways = {"filler": bench.ours, "one_update": bench.one_update, "by_key": bench.by_key}
    ways |= {f"{n} workers": lambda n=n: bench.ours(n) for n in workers}  # type: ignore[misc]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            say(name)
            runs[name].append(bench.measured(way))
    result: dict[str, object] = {}
    print(f"{'':12} {'rows/s':>8} {'WAL/row':>8} {'table':>6} {'with indexes':>13} {'took':>8}")
    for name, each in runs.items():
        one = sorted(each, key=lambda run: float(run["rows_per_s"]))[len(each) // 2]
        result[name] = one | {"all_rows_per_s": [run["rows_per_s"] for run in each]}
        print(
            f"{name:12} {one['rows_per_s']:>8} {one['wal_bytes_per_row']:>8} {one['table_grew_to']:>5}x"
            f" {one['with_indexes_grew_to']:>12}x {one['took_s']:>7}s",
            flush=True,
        )
    return result


def main() -> None:
    """Measure and print."""
    asked = options()
    result: dict[str, object] = {"rows": asked.rows, "load_of_the_machine_before": os.getloadavg()}
    with bench(asked.rows, asked.major) as measured:
        result["server"] = measured.ask("SHOW server_version")
        if "ways" in asked.parts:
            result |= compare_ways(measured, asked.rounds, asked.workers)
        if "load" in asked.parts:
            say("beside an application")
            beside = result["application"] = measured.beside_an_application(asked.block_s)
            print(f"application alone: {beside['alone_ms']}\nbeside the filler: {beside['beside_the_filler_ms']}")
            print(f"p99 of the blocks alone: {beside['alone_p99_of_each_block']}; ratio {beside['p99_ratio']}")
        if "triggers" in asked.parts:
            say("what the triggers cost")
            cost = result["triggers"] = measured.trigger_cost(asked.trigger_rows, max(5, asked.rounds))
            for what, told in cost.items():
                print(f"UPDATE with the pair, {what}: {told}")
    result["load_of_the_machine_after"] = os.getloadavg()
    if asked.output == "json":
        print(json.dumps(result))


if __name__ == "__main__":
    main()
