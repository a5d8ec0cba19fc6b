"""PostgreSQL is replaced by an asynchronous standby, or dies, while a release walks its schema change.

Given customers, a standby that may lack the last transactions, and one address for both servers, when the primary is
killed and the standby takes over, then the release holds still until the new database is accepted, looks at the schema
again, walks again what is missing, and ends. An acknowledged order that the standby never got was lost by the
failover; the old primary's files show which ones. Any other one would be lost by us, and there is none.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from shaped import unrehearsed

from crossfade.demo.ledger import Ledger
from crossfade.demo.shapes import SHAPES
from crossfade.demo.stage import POSTGRES, SETTINGS
from crossfade.embedded.cluster import Cluster
from crossfade.embedded.postmaster import postmaster_pid, server_processes
from crossfade.host.files import write_private
from crossfade.host.ports import free_port
from crossfade.walk.relay import Relay
from crossfade.walk.site import CONTROLLER

RATE_PER_S = 20.0
ORDERS = 30_000
DURABLE = {**SETTINGS, "synchronous_commit": "on", "wal_keep_size": "256MB"}
ON_ANOTHER_TIMELINE = "another timeline: a failover or a restore"
FILLED = "SELECT coalesce(sum(filled), 0) FROM crossfade.backfill"
STAGE = "SELECT coalesce((SELECT stage FROM crossfade.change), 'base')"
LAST_OF_THE_SCHEMA = f"SELECT ARRAY[({FILLED})::text, ({STAGE}), (SELECT max(id)::text FROM crossfade.schema_act)]"


class Switch(Relay):
    """The fixed address of whichever server is the primary."""

    def point(self, port: int) -> None:
        """Everybody's connection ends; new ones lead there."""
        self.cut()
        self._target = ("127.0.0.1", port)
        self.mend()


@dataclass
class Place:
    """A service, its primary, its standby, and the address that leads to one of them."""

    service: Any
    relay: Switch
    primary: Cluster
    standby: Cluster
    had: Any = None  # what the standby had of the schema change when it was promoted

    # -- the servers ------------------------------------------------------------------------------

    def ask(self, statement: str, cluster: Cluster | None = None) -> Any:
        """One value, from the primary unless said otherwise."""
        with psycopg.connect((cluster or self.primary).admin_url(), autocommit=True) as connection:
            row = connection.execute(statement.encode()).fetchone()
            return None if row is None else row[0]

    def do(self, statement: str, cluster: Cluster | None = None) -> None:
        with psycopg.connect((cluster or self.primary).admin_url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def cut_off(self) -> None:
        """From here on the standby gets nothing more."""
        wait_for(lambda: self.caught_up(), "the standby has what there is")
        self.do("ALTER SYSTEM SET primary_conninfo = ''", self.standby)
        self.do("SELECT pg_reload_conf()", self.standby)
        wait_for(lambda: not self.ask("SELECT count(*) FROM pg_stat_wal_receiver", self.standby), "it is cut off")

    def caught_up(self) -> bool:
        at = self.ask("SELECT pg_current_wal_lsn()")
        return bool(self.ask(f"SELECT pg_last_wal_replay_lsn() >= '{at}'", self.standby))

    def fail_over(self) -> None:
        """The primary dies, the standby is promoted, and the address leads there."""
        kill_server(self.primary)
        self.do("SELECT pg_promote(true, 60)", self.standby)
        self.had = self.ask(LAST_OF_THE_SCHEMA, self.standby)
        self.relay.point(self.standby.port)

    # -- orders -----------------------------------------------------------------------------------

    def lost(self, ledger: Ledger) -> list[str]:
        """Acknowledged orders that the failover lost. One that was on neither server, or is changed, fails here.

        The old primary is asked alone, cut off from everybody.
        """
        missing = {one.key: one for one in ledger.lost_writes(self.standby.admin_url())}
        assert [one for one in missing.values() if one.problem != "missing"] == []
        self.primary.start(self.service.stage.clock)
        try:
            self.do("ALTER SYSTEM SET default_transaction_read_only = on")
            there = ledger.wrong_values(self.primary.admin_url(), SHAPES[0])
        finally:
            self.primary.stop()
        assert there is not None, "the old primary has the old shape"
        by_us = [missing[one.key] for one in there.wrong if one.key in missing]
        assert by_us == [], "acknowledged, and on neither server"
        print(f"{len(ledger.acknowledged)} orders acknowledged, {len(missing)} of them lost by the failover")
        return list(missing)


def kill_server(cluster: Cluster) -> None:
    """SIGKILL to the postmaster and to all its children; its files stay."""
    first = postmaster_pid(cluster.data)
    assert first is not None
    for pid in (first, *server_processes(cluster.data)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(server_processes(cluster.data)), "the server is dead")


def wait_for(look: Callable[[], Any], what: str, within_s: float = 90) -> Any:
    until_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < until_s, f"never: {what}"
        time.sleep(0.02)
    return found


def standby_of(primary: Cluster, directory: Path) -> Cluster:
    """A streaming standby, by pg_basebackup."""
    directory.mkdir(mode=0o711)
    run_as = primary.run_as()
    run_as.give(directory)
    password = (primary.directory / "password").read_text()
    write_private(directory / "password", password)
    program = [str(primary.programs.bin_dir / "pg_basebackup"), "-D", str(directory / "data"), "-R", "-c", "fast"]
    to = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres", "-w"]
    subprocess.run(
        run_as.argv(directory, [*program, *to]), check=True, timeout=120, env={**os.environ, "PGPASSWORD": password}
    )
    standby = Cluster(directory, free_port(), primary.programs)
    standby.create(DURABLE, lambda: password)
    return standby


@pytest.fixture
def place(new_service: Any, request: pytest.FixtureRequest) -> Iterator[Place]:
    """The shop at v1 with many orders, before a primary with a standby; crossfade and the shop know one address."""
    base = Path(tempfile.mkdtemp(prefix="crossfade-failover-"))
    base.chmod(0o711)
    service = new_service(base.resolve())
    stage = service.stage
    standby = None
    try:
        stage.set_up((50, 100))
        service.supervisord.stop_part(POSTGRES)  # nobody starts it again when it dies
        primary = stage.cluster
        primary.create(DURABLE, lambda: secrets.token_hex(16))
        primary.start(stage.clock)
        with psycopg.connect(primary.admin_url(), autocommit=True) as connection:
            connection.execute(
                "INSERT INTO orders (idempotency_key, reference, total_cents)"
                " SELECT 'from before ' || n, 'R' || n, n FROM generate_series(1, %s) AS n",
                (ORDERS,),
            )
        standby = standby_of(primary, base.resolve() / "standby")
        standby.start(stage.clock)
        with Switch("127.0.0.1", primary.port) as relay:
            write_private(
                stage.directory / "admin_url", primary.admin_url().replace(f":{primary.port}/", f":{relay.port}/")
            )
            # So slow that there is a middle of it.
            service.edits = {
                f"127.0.0.1:{primary.port}/postgres": f"127.0.0.1:{relay.port}/postgres",
                'star_queries = "none"': 'star_queries = "none"\nbatch_ms = 5\nwal_mb_per_s_max = 0.8',
            }
            service.edits.update(getattr(request, "param", {}))
            service.tail = unrehearsed(stage)
            service.configure()
            told = service.crossfade("release", "v1", timeout_s=120)
            assert told.code == 0, told.err
            yield Place(service, relay, primary, standby)
    finally:
        stage.strike(keep=True)
        for one in (stage.cluster, standby):
            if one is not None and one.data.exists():
                one.stop()
        shutil.rmtree(base, ignore_errors=True)


def begin_and_reach(place: Place, filled: int) -> str:
    """A release of v7, in the middle of its backfill."""
    release = str(place.service.begin("v7"))
    wait_for(lambda: place.ask(STAGE) == "both shapes" and place.ask(FILLED) > filled, "the backfill is under way")
    return release


def held(place: Place, release: str) -> None:
    """It noticed, and holds: it says so, leads nothing, and the schema stands still."""
    service = place.service
    wait_for(lambda: "another timeline" in f"{service.status().journal} {service.status().why}", "it noticed")
    share = service.proxy().fader.new_share_bp
    for _ in range(30):
        time.sleep(0.1)
        assert not service.status().leading
        assert service.proxy().fader.new_share_bp in (share, 0), "only the fader to old may move"
    assert place.ask(LAST_OF_THE_SCHEMA, place.standby) == place.had, "nothing was done to the schema since then"
    assert not service.is_over(release)


def adopt(place: Place) -> None:
    told = place.service.crossfade("resume", "--adopt")
    assert (told.code, told.out) == (0, "the database is this service's journal from here on\n"), told.err


def adopted(place: Place, release: str) -> list[str]:
    notes = [row.data for row in place.service.rows(release) if row.kind == "note"]
    return [f"{note['adopted']['reason']}; by {note['by']}" for note in notes if "adopted" in note]


@pytest.mark.timeout(600)
def test_a_backfill_is_held_and_then_finished_on_the_promoted_standby(place: Place) -> None:
    service = place.service
    with service.customers(RATE_PER_S) as traffic:
        release = begin_and_reach(place, 3000)
        place.cut_off()
        had = place.ask(FILLED, place.standby)
        orders = place.ask("SELECT count(*) FROM orders")
        wait_for(lambda: place.ask(FILLED) > had + 2000, "batches that the standby lacks")
        wait_for(lambda: place.ask("SELECT count(*) FROM orders") > orders, "orders that the standby lacks")
        place.fail_over()
        held(place, release)
        adopt(place)
        assert service.ended(release, within_s=240).outcome == "completed", service.status()
    assert place.ask(STAGE, place.standby) == "old shape hidden"
    assert [one.split(";")[0] for one in adopted(place, release)] == [f"the database is on {ON_ANOTHER_TIMELINE}"]
    assert place.lost(traffic.ledger), "the standby lacked some"


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", [{'name = "shop"': 'name = "shop"\non_failover = "continue"'}], indirect=True)
def test_where_the_file_says_so_it_goes_on_without_a_person(place: Place) -> None:
    service = place.service
    with service.customers(RATE_PER_S) as traffic:
        release = begin_and_reach(place, 3000)
        place.cut_off()
        wait_for(lambda: place.ask(FILLED) > place.ask(FILLED, place.standby) + 2000, "batches that it lacks")
        place.fail_over()
        assert service.ended(release, within_s=240).outcome == "completed", service.status()
    assert adopted(place, release) == [f"the database is on {ON_ANOTHER_TIMELINE}; by on_failover = continue"]
    place.lost(traffic.ledger)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_expansion_that_the_standby_never_got_is_walked_again(place: Place) -> None:
    service = place.service
    with service.customers(RATE_PER_S) as traffic:
        place.cut_off()
        release = begin_and_reach(place, 0)
        told = service.crossfade("pause")  # answered when the act under way has led to a position
        assert told.code == 0 or "it stays asked" in told.err, told.err
        service.until(release, "paused", within_s=180)
        assert not service.status().position.startswith("shifted"), service.status()
        place.fail_over()
        held(place, release)
        assert place.ask(STAGE, place.standby) == "base"
        adopt(place)
        told = service.crossfade("resume")
        assert told.code == 0, told.err
        assert service.ended(release, within_s=240).outcome == "completed", service.status()
    behind = [row.data["reason"] for row in service.rows(release) if row.data.get("event") == "schema behind"]
    assert len(behind) == 1, behind
    assert str(behind[0]).startswith("the database has migrations/v7.sql at 'base', the release stands on '"), behind
    assert str(behind[0]).endswith("': a failover lost it")
    assert place.ask(STAGE, place.standby) == "old shape hidden"
    place.lost(traffic.ledger)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("lacks", ["the expansion", "the last orders"])
def test_at_half_the_traffic_it_comes_back_or_goes_on_and_says_why(place: Place, lacks: str) -> None:
    service = place.service
    with service.customers(RATE_PER_S) as traffic:
        if lacks == "the expansion":
            place.cut_off()
        release = str(service.begin("v7"))
        service.until(release, "shifted(50)", within_s=240)
        if lacks == "the last orders":
            place.cut_off()
            orders = place.ask("SELECT count(*) FROM orders")
            wait_for(lambda: place.ask("SELECT count(*) FROM orders") > orders + 5, "orders that the standby lacks")
        place.fail_over()
        held(place, release)
        adopt(place)
        status = service.ended(release, within_s=240)
    print(f"{status.outcome} by {status.by}: {status.cause}")
    assert status.outcome == "rolled_back" or lacks == "the last orders", status
    assert status.outcome == "completed" or status.cause, status
    assert service.proxy().fader.new_share_bp == (10_000 if status.outcome == "completed" else 0)
    assert place.lost(traffic.ledger)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_completed_release_whose_shape_was_lost_says_so_and_can_be_rolled_back(place: Place) -> None:
    service = place.service
    place.cut_off()
    with service.customers(RATE_PER_S) as traffic:
        release = str(service.begin("v7"))
        assert service.ended(release, within_s=240).outcome == "completed", service.status()
    place.fail_over()
    wait_for(lambda: "another timeline" in f"{service.status().journal} {service.status().why}", "it noticed")
    adopt(place)
    said = "v7 serves alone, but the database has migrations/v7.sql at 'base', the release stands on 'old shape hidden'"
    wait_for(lambda: service.status().why.startswith(said), "it says what is missing")
    assert service.status().why.endswith(": a failover lost it; crossfade rollback")
    told = service.crossfade("rollback")
    assert told.code == 0, told.err
    status = service.until(release, "rolled_back", "stranded", within_s=120)
    assert status.phase == "rolled_back", status
    with service.customers(RATE_PER_S) as after:
        time.sleep(4)
    assert list(after.ledger.failures) == []
    assert place.ask(STAGE, place.standby) == "base"
    assert traffic.ledger.failures == ()


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("comes_back", ["the same server", "its standby"])
def test_the_controller_and_the_server_killed_at_once(place: Place, comes_back: str) -> None:
    service = place.service
    with service.customers(RATE_PER_S) as traffic:
        release = begin_and_reach(place, 3000)
        if comes_back == "its standby":
            place.cut_off()
            wait_for(lambda: place.ask(FILLED) > place.ask(FILLED, place.standby) + 1000, "batches that it lacks")
        controller = service.controller()
        os.kill(controller, signal.SIGKILL)
        if comes_back == "its standby":
            place.fail_over()
        else:
            kill_server(place.primary)
        wait_for(lambda: service.supervisord.part_state(CONTROLLER).pid not in (controller, None), "another controller")
        if comes_back == "its standby":
            held(place, release)
            adopt(place)
        else:
            place.primary.start(service.stage.clock)
        status = service.ended(release, within_s=240)
    assert status.outcome == "completed", status
    if comes_back == "its standby":
        place.lost(traffic.ledger)
    else:
        assert traffic.ledger.lost_writes(place.primary.admin_url()) == []
        assert adopted(place, release) == []
