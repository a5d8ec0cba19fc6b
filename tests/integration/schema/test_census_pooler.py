"""Who is connected, asked of a real PostgreSQL and a real PgBouncer in transaction mode before it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from crossfade.embedded.postgres import Cluster
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.schema.census import Census, LaneName, left_over

sys.path.insert(0, str(Path(__file__).parent))
from pgbouncer import PgBouncer, free_port, needs_pgbouncer
from team import RealClock, Team, team_of


@pytest.fixture(params=[False, True], ids=["ordinary", "pg_monitor"])
def team(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Team]:
    with team_of(cluster, seeing=request.param) as made:
        yield made


@pytest.fixture
def pooler(team: Team) -> Iterator[PgBouncer]:
    with team.pooler(databases={"front": "dbname=shop"}) as made:
        yield made


def connect(url: str, name: str = "") -> psycopg.Connection[Any]:
    return psycopg.connect(url, autocommit=True, prepare_threshold=None, application_name=name)


def census(team: Team, pooler: PgBouncer | None = None) -> Census:
    return Census(team.url("shop_admin"), pooler.console_url if pooler else None, RealClock())


def until_gone(ask: Census, role: str) -> None:
    """A session leaves a moment after its client."""
    until_s = time.monotonic() + 10
    while ask.sessions(role, "") and time.monotonic() < until_s:
        time.sleep(0.05)


def test_sessions_are_seen_by_role_and_by_name_and_crossfades_own_are_not(team: Team) -> None:
    ask = census(team)
    with (
        connect(team.url("shop_left"), "reports") as left,
        connect(team.url("shop_right"), "shop-right"),
        connect(team.url("shop_admin"), "crossfade walker"),
        connect(team.super_url, "psql"),
    ):
        (found,) = ask.sessions("shop_left", "shop-left")
        assert (found.source, found.pid_or_address) == ("postgresql", str(left.info.backend_pid))
        assert (found.role, found.application_name) == ("shop_left", "reports")
        assert [one.role for one in ask.sessions(None, "shop-right")] == ["shop_right"]
        assert ask.sessions("shop_admin", "") == []
    until_gone(ask, "shop_left")
    assert ask.sessions("shop_left", "shop-left") == []


def test_what_a_session_does_is_told_or_said_to_be_hidden(team: Team) -> None:
    seeing = bool(team.ask("SELECT pg_has_role('shop_admin', 'pg_read_all_stats', 'USAGE')")[0][0])
    with connect(team.url("shop_left"), "reports") as left:
        left.execute("SELECT 1")
        pid = left.info.backend_pid
        (told,) = left_over(LaneName("shop_left", ""), census(team).sessions("shop_left", ""))
    ending = r"idle for \d+ s" if seeing else "what it does is hidden without pg_read_all_stats"
    assert re.fullmatch(f"pid {pid}, shop_left, 'reports', {ending}", told)


def test_a_walsender_is_nobody(team: Team) -> None:
    team.ask("ALTER ROLE shop_left REPLICATION")
    replication = {"replication": "database", "application_name": "copies"}
    with psycopg.connect(team.url("shop_left"), autocommit=True, **replication):  # type: ignore[arg-type]
        seen = team.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop_left'")
        assert seen == [(1,)]
        assert census(team).sessions("shop_left", "") == []


@needs_pgbouncer
def test_clients_of_a_pooler_are_seen_and_sessions_it_keeps_are_told_apart(team: Team, pooler: PgBouncer) -> None:
    ask = census(team, pooler)
    left = connect(pooler.url("shop_left", "shop"), "shop-left")
    other = connect(pooler.url("shop_left", "front"), "shop-left")  # the same database under another name
    right = connect(pooler.url("shop_right", "shop"), "shop-right")
    try:
        assert {left.execute("SELECT session_user::text").fetchone(), right.execute("SELECT session_user").fetchone()}
        other.execute("SELECT 1")
        lane = ask.sessions("shop_left", "shop-left")
        assert [(one.source, one.role, one.state) for one in lane] == [("pgbouncer", "shop_left", "idle")] * 2
        assert [one.source for one in ask.sessions("shop_right", "")] == ["pgbouncer"]
        assert [one.role for one in ask.sessions(None, "shop-left")] == ["shop_left"] * 2
        with right.transaction():
            right.execute("SELECT 1")
            assert [one.state for one in ask.sessions("shop_right", "")] == ["active"]
        left.close()
        other.close()
        until_gone(ask, "shop_left")
        # The pooler still holds what it opened for them; without its console these would count.
        kept = team.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop_left'")
        assert kept == [(2,)]
        assert len(census(team).sessions("shop_left", "")) == 2
        assert ask.sessions("shop_left", "") == []
        assert len(ask.sessions("shop_right", "")) == 1
    finally:
        for connection in (left, other, right):
            connection.close()


@needs_pgbouncer
def test_a_client_that_never_asked_anything_is_seen_though_postgresql_has_no_session(
    team: Team, pooler: PgBouncer
) -> None:
    with connect(pooler.url("shop_left", "shop"), "shop-left"):
        for row in team.ask("SELECT pid FROM pg_stat_activity WHERE usename = 'shop_left'"):
            team.ask(f"SELECT pg_terminate_backend({row[0]}, 5000)")
        assert census(team).sessions("shop_left", "") == []
        assert [one.source for one in census(team, pooler).sessions("shop_left", "")] == ["pgbouncer"]


@needs_pgbouncer
def test_a_direct_session_beside_the_pooler_is_seen(team: Team, pooler: PgBouncer) -> None:
    with connect(pooler.url("shop_right", "shop")) as right, connect(team.url("shop_left"), "psql"):
        right.execute("SELECT 1")
        assert [(one.source, one.application_name) for one in census(team, pooler).sessions("shop_left", "")] == [
            ("postgresql", "psql")
        ]


@needs_pgbouncer
def test_a_pooler_that_puts_one_role_in_the_place_of_all_is_found(team: Team, pooler: PgBouncer) -> None:
    assert census(team, pooler).forced_roles() == {}
    pooler.stop()
    pooler.databases = {"shop": f"dbname=shop user=shop_left password={team.passwords['shop_left']}"}
    pooler.start()
    assert census(team, pooler).forced_roles() == {"shop": "shop_left"}


def test_a_pooler_that_does_not_answer_leaves_nobody_uncounted(team: Team) -> None:
    port = free_port()
    ask = Census(team.url("shop_admin"), f"postgresql://stats:hunter2@127.0.0.1:{port}/pgbouncer", RealClock())
    with pytest.raises(CrossfadeError) as blind:
        ask.sessions("shop_left", "")
    assert blind.value.exit is Exit.INCONCLUSIVE
    assert blind.value.render() == (
        "error[census-blind]: who is still connected to the database cannot be seen\n"
        "  asked:  PgBouncer\n"
        f'  reason: connection failed: connection to server at "127.0.0.1", port {port} failed: Connection refused\n'
        "hint: crossfade doctor"
    )


def test_a_database_that_does_not_answer_leaves_nobody_uncounted(team: Team) -> None:
    with pytest.raises(CrossfadeError) as blind:
        Census(f"postgresql://shop_admin:hunter2@127.0.0.1:{free_port()}/shop", None, RealClock()).sessions(None, "x")
    assert blind.value.id == "census-blind"
    assert "hunter2" not in blind.value.render()
    with pytest.raises(CrossfadeError) as misread:
        Census("postgresql://shop_admin:hun/ter2@127.0.0.1/shop", None, RealClock()).sessions(None, "x")
    assert "ter2" not in misread.value.render()


def test_a_console_that_is_none_is_said(team: Team) -> None:
    with pytest.raises(CrossfadeError) as blind:
        Census(team.url("shop_admin"), team.url("shop_admin"), RealClock()).sessions("shop_left", "")
    assert blind.value.facts["asked"] == "PgBouncer"
