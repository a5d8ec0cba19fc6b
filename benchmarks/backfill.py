"""What filling a column of a large table costs: our filler, one plain UPDATE, and batches by primary key.

    .venv/bin/python benchmarks/backfill.py --rows 1000000 --output json

A row has about 220 bytes, a primary key and three other indexes; a text column is filled from another one. Every way
gets an equal copy of the table, made anew, on the same server, after a checkpoint; batches commit without waiting for
the disk in every way that has batches. Then the application's own latency: a bounded load of point reads and
updates on the table that is filled, first alone, then while our filler runs with its throttle on.

Rows a second belong to the machine; read ratios. WAL is the whole server's, and nobody else writes.
"""

from __future__ import annotations

import argparse
import json
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
from crossfade.model.settings.staging import Staging
from crossfade.schema.backfill import Filler
from crossfade.schema.session import Sessions
from crossfade.walk.clock import SystemClock

BATCH_ROWS = 1000
LOAD_PER_S = 100
LATENCY_MAX_MS = 50
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

    def ours(self) -> dict[str, object]:
        """Page ranges in passes; no load, so the throttle is on and finds nothing to rest for."""
        done = self.filler(Staging()).fill(TASK, lambda: True, say)
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

    def beside_an_application(self, idle_s: float) -> dict[str, object]:
        """The application's latency alone, and while the filler runs with the throttle on."""
        self.make_table()
        with load(self.url, self.rows) as alone:
            time.sleep(idle_s)
        with load(self.url, self.rows) as beside:
            settings = Staging(latency_max_ms=LATENCY_MAX_MS)
            done = self.filler(settings, beside.p99_lately).fill(TASK, lambda: True, say)
        return {
            "requests_per_s": LOAD_PER_S,
            "alone_ms": alone.summary(),
            "beside_the_filler_ms": beside.summary(),
            "failed": alone.failed + beside.failed,
            "rows_per_s": done["rows_per_s"],
            "rested_s": done["rested_s"],
            "hot_ratio": done["hot_ratio"],
        }


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


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=1, help="the run of median speed is printed")
    arguments.add_argument("--major", type=int, default=None, help="of PostgreSQL; left out: what is found first")
    arguments.add_argument("--idle-s", type=float, default=15.0, help="how long the load runs alone")
    arguments.add_argument("--output", choices=["text", "json"], default="text")
    options = arguments.parse_args()
    result: dict[str, object] = {"rows": options.rows}
    with bench(options.rows, options.major) as measured:
        result["server"] = measured.ask("SHOW server_version")
        ways = {"filler": measured.ours, "one_update": measured.one_update, "by_key": measured.by_key}
        print(f"{'':12} {'rows/s':>8} {'WAL/row':>8} {'table':>6} {'with indexes':>13} {'took':>8}")
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
        for _ in range(options.rounds):  # in turns: the machine may be busier at one time than at another
            for name, way in ways.items():
                say(name)
                runs[name].append(measured.measured(way))
        for name, each in runs.items():
            one = sorted(each, key=lambda run: float(run["rows_per_s"]))[len(each) // 2]
            result[name] = one | {"all_rows_per_s": [run["rows_per_s"] for run in each]}
            print(
                f"{name:12} {one['rows_per_s']:>8} {one['wal_bytes_per_row']:>8} {one['table_grew_to']:>5}x"
                f" {one['with_indexes_grew_to']:>12}x {one['took_s']:>7}s",
                flush=True,
            )
        say("beside an application")
        beside = measured.beside_an_application(options.idle_s)
        result["application"] = beside
        print(f"application alone: {beside['alone_ms']}\nbeside the filler: {beside['beside_the_filler_ms']}")
    if options.output == "json":
        print(json.dumps(result))


if __name__ == "__main__":
    main()
