"""Resting for others on a real PostgreSQL: sessions that wait for locks, and a real standby that is behind."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from crossfade.embedded.postgres import Cluster
from crossfade.host.ports import free_port
from crossfade.journal.install import install
from crossfade.model.change import Backfill
from crossfade.model.errors import CrossfadeError
from crossfade.model.settings.staging import Staging
from crossfade.schema.backfill import Filler
from crossfade.schema.session import Sessions
from crossfade.walk.clock import SystemClock

TASK = Backfill("backfill:public.items", "public.items", (("code", "upper(reference)"),), "code IS NULL", "false")


@dataclass
class Fill:
    """A filler whose limits can be changed while it runs."""

    url: str
    settings: Staging = field(default_factory=lambda: Staging(batch_ms=10))
    said: list[str] = field(default_factory=list)
    latency_ms: float | None = None

    def run(self, go_on: Any = lambda: True) -> dict[str, Any]:
        clock = SystemClock()
        filler = Filler(
            Sessions(self.url, clock).beside,
            "shop",
            "c1",
            lambda: self.settings,
            clock,
            lambda _connection: None,
            lambda: self.latency_ms,
        )
        return dict(filler.fill(TASK, go_on, self.said.append))

    @property
    def rests(self) -> list[str]:
        return [line for line in self.said if line.startswith("rests: ")]


def make_items(url: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.items (id bigint PRIMARY KEY, reference text, code text)")
        connection.execute("INSERT INTO public.items SELECT n, 'r' || n FROM generate_series(1, %s) AS n", (rows,))


def test_it_rests_while_more_sessions_wait_for_locks_than_the_limit_and_then_goes_on(home) -> None:
    make_items(home.admin_url, 5000)
    home.ask("CREATE TABLE public.other (id int); INSERT INTO public.other VALUES (1)")
    fill = Fill(home.admin_url, Staging(batch_ms=10, lock_waiters_max=1))

    def wait() -> None:
        with psycopg.connect(home.super_url, autocommit=True) as connection:
            connection.execute("UPDATE public.other SET id = 2")

    waiters = [threading.Thread(target=wait) for _ in range(2)]
    with home.holding("UPDATE public.other SET id = 3") as holder:
        for waiter in waiters:
            waiter.start()
        while home.ask("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted") != [(2,)]:
            time.sleep(0.02)
        timer = threading.Timer(1.0, holder.rollback)
        timer.start()
        measured = fill.run()
        timer.join()
    for waiter in waiters:
        waiter.join(timeout=20)
    assert fill.rests[0] == "rests: 2 sessions wait for locks, the limit is 1"
    assert measured["rested_s"] > 0.3
    assert measured["rows"] == 5000


def test_limits_hold_from_the_moment_they_are_changed(home) -> None:
    make_items(home.admin_url, 5000)
    fill = Fill(home.admin_url, Staging(batch_ms=10, latency_max_ms=50), latency_ms=80.0)
    turns = 0

    def go_on() -> bool:
        nonlocal turns
        turns += 1
        if fill.rests and turns > 6:
            fill.settings = Staging(batch_ms=10, latency_max_ms=100)
        return True

    assert fill.run(go_on)["rows"] == 5000
    assert fill.rests == ["rests: the service's requests take 80 ms at the 99th percentile, the limit is 50"]


def test_a_latency_that_nobody_measures_is_not_rested_for_and_that_is_said_once(home) -> None:
    make_items(home.admin_url, 500)
    fill = Fill(home.admin_url, Staging(latency_max_ms=50))
    assert fill.run()["rows"] == 500
    told = [line for line in fill.said if "latency" in line]
    assert told == ["the service's latency is not known here, so latency_max_ms = 50 is not rested for"]


def test_the_log_it_writes_is_held_to_a_rate(home) -> None:
    make_items(home.admin_url, 5000)
    fill = Fill(home.admin_url, Staging(batch_ms=10, wal_mb_per_s_max=1.0))
    began = time.monotonic()
    measured = fill.run()
    written_mb = measured["rows"] * measured["wal_bytes_per_row"] / 1e6
    assert time.monotonic() - began > 0.8 * (written_mb - 0.2)


@pytest.fixture
def pair(cluster: Cluster) -> Iterator[tuple[Cluster, Cluster]]:
    """A primary of its own, and a standby that replays two seconds late."""
    base = Path(tempfile.mkdtemp(prefix="crossfade-standby-"))
    base.chmod(0o711)
    clock = SystemClock()
    settings = {"fsync": "off"}
    primary = Cluster(base / "primary", free_port(), cluster.programs)
    primary.create(settings, lambda: "primary-password")
    subprocess.run(["cp", "-a", base / "primary", base / "standby"], check=True)
    standby = Cluster(base / "standby", free_port(), cluster.programs)
    conninfo = f"host=127.0.0.1 port={primary.port} user=postgres password=primary-password application_name=late"
    late = {"primary_conninfo": conninfo, "recovery_min_apply_delay": "2s", "hot_standby": "on"}
    standby.create(settings | late, lambda: "never used")
    signal_file = standby.data / "standby.signal"
    signal_file.touch()
    standby.run_as().give(signal_file)
    try:
        primary.start(clock)
        standby.start(clock)
        yield primary, standby
    finally:
        standby.stop()
        primary.stop()
        shutil.rmtree(base)


@pytest.fixture
def with_standby(pair: tuple[Cluster, Cluster]) -> Cluster:
    return pair[0]


def test_it_rests_while_a_real_standby_is_behind_and_an_ordinary_role_is_told_that_it_cannot_see_it(
    with_standby: Cluster,
) -> None:
    url = with_standby.admin_url()
    with psycopg.connect(url, autocommit=True) as connection:
        install(connection)
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        connection.execute("GRANT USAGE ON SCHEMA crossfade TO plain; GRANT ALL ON crossfade.backfill TO plain")
        until = time.monotonic() + 30
        while connection.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").fetchone() != (
            1,
        ):
            assert time.monotonic() < until
            time.sleep(0.05)
    make_items(url, 120_000)  # so many that a fast machine is not done before the lag shows
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE public.items OWNER TO plain")

    fill = Fill(url, Staging(batch_ms=5, replay_lag_max_ms=50))
    with pytest.raises(CrossfadeError):
        fill.run(go_on=lambda: not fill.rests)
    assert fill.rests[0].startswith("rests: standby late is ")
    assert fill.rests[0].endswith(" ms behind, the limit is 50")
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM public.items WHERE code IS NULL").fetchone() == (True,)

    blind = Fill(url.replace("postgres:primary-password", "plain:plain"), fill.settings)
    assert blind.run()["rows"] == 120_000
    assert blind.rests == []
    assert blind.said[0] == (
        "how far standbys are behind cannot be seen by this role, so it is not rested for: GRANT pg_monitor"
    )


def test_replay_that_is_paused_is_rested_for_by_bytes_and_gone_on_from_when_it_is_resumed(
    pair: tuple[Cluster, Cluster],
) -> None:
    primary, standby = pair
    url = primary.admin_url()
    with psycopg.connect(url, autocommit=True) as connection:
        install(connection)
        connection.execute("SELECT pg_create_physical_replication_slot('nobody', true)")
        make_items(url, 120_000)
        password = "primary-password"
        at_standby = f"postgresql://postgres:{password}@127.0.0.1:{standby.port}/postgres"
        with psycopg.connect(at_standby, autocommit=True) as behind:
            behind.execute("ALTER SYSTEM SET recovery_min_apply_delay = 0")
            behind.execute("SELECT pg_reload_conf()")
            end = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
            until = time.monotonic() + 30
            while behind.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", end).fetchone() != (True,):
                assert time.monotonic() < until
                time.sleep(0.05)
            behind.execute("SELECT pg_wal_replay_pause()")
            fill = Fill(url, Staging(batch_ms=5, replay_lag_max_ms=3_600_000, replay_lag_max_mb=2))
            unfilled: list[int] = []

            def go_on() -> bool:
                if fill.rests and not unfilled:
                    found = connection.execute("SELECT count(*) FROM public.items WHERE code IS NULL").fetchone()
                    assert found is not None
                    unfilled.append(int(found[0]))
                    behind.execute("SELECT pg_wal_replay_resume()")
                return True

            measured = fill.run(go_on)
    assert measured["rows"] == 120_000
    assert unfilled[0] > 0, "it rested while rows were left"
    assert fill.rests[0].startswith("rests: standby late is ")
    assert fill.rests[0].endswith(" MB behind, the limit is 2")
    assert "goes on" in fill.said
    assert "replication slot nobody is read by nobody and keeps WAL, so it is not rested for" in fill.said
