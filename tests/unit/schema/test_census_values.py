"""What the pooler's console says, put together with what PostgreSQL says; and what people are told of it."""

from __future__ import annotations

import pytest

from crossfade.model.errors import CrossfadeError, Exit
from crossfade.schema.census import (
    LaneName,
    Session,
    left_over,
    pooled_pids,
    pooler_clients,
    require_nobody_left,
)
from crossfade.schema.rights import Right, require_lane_roles_without_ddl

OLD = LaneName("shop_left", "shop-left")
SHARED = LaneName(None, "shop-left")


def session(**given: object) -> Session:
    values = {
        "source": "postgresql",
        "pid_or_address": "123",
        "role": "shop_left",
        "application_name": "reports",
        "state": "idle",
        "age_s": 340.2,
    }
    return Session(**{**values, **given})  # type: ignore[arg-type]


def client(**given: object) -> dict[str, object]:
    return {
        "user": "shop_left",
        "database": "shop",
        "state": "active",
        "addr": "10.0.0.7",
        "port": 57786,
        "request_time": "2026-11-25 02:37:38 UTC",
        "link": "",
        "application_name": "shop-left",
        **given,
    }


def test_a_session_is_told_in_a_sentence() -> None:
    told = left_over(
        OLD,
        [
            session(),
            session(source="pgbouncer", pid_or_address="10.0.0.7:5123", application_name="shop-left", age_s=3.0),
            session(state="", age_s=None),
            session(role="shop_right"),
        ],
    )
    assert told == [
        "pid 123, shop_left, 'reports', idle for 340 s",
        "the pooler's client 10.0.0.7:5123, shop_left, 'shop-left', idle for 3 s",
        "pid 123, shop_left, 'reports', what it does is hidden without pg_read_all_stats",
    ]


@pytest.mark.parametrize(
    ("name", "owned"),
    [
        ("shop-left", True),
        ("shop-left - 10.0.0.7:5123", True),  # PgBouncer, application_name_add_host
        ("shop-left/web", True),
        ("shop-left-over", False),
        ("shop-leftmost", False),
        ("shop-right", False),
        ("", False),
    ],
)
def test_lanes_that_share_a_role_are_told_apart_by_name(name: str, owned: bool) -> None:
    assert SHARED.owns(session(application_name=name)) is owned


def test_a_lane_with_a_role_of_its_own_is_known_by_it_whatever_the_application_calls_itself() -> None:
    assert OLD.owns(session(application_name="shop-right"))
    assert not OLD.owns(session(role="shop_right", application_name="shop-left"))


def test_a_name_that_postgresql_cuts_is_still_known() -> None:
    long = "a-service-with-a-name-that-is-longer-than-postgresql-takes-it-left"
    assert LaneName(None, long).owns(session(application_name=long[:63]))


def test_clients_are_known_by_the_real_database_behind_an_alias_and_age_against_the_newest_request() -> None:
    databases = [{"name": "shop_ro", "database": "shop"}, {"name": "other", "database": "other"}]
    clients = [
        client(user="stats", database="pgbouncer", request_time="2026-11-25 02:38:00 UTC"),
        client(database="shop_ro"),
        client(database="other"),
        client(state="active", link="0x55", request_time="2026-11-25 02:38:00 UTC"),
        client(state="waiting"),
    ]
    found = pooler_clients(clients, databases, "shop")
    assert [(one.state, one.age_s) for one in found] == [("idle", 22.0), ("active", 0.0), ("waiting", 22.0)]


def test_server_sessions_of_a_pooler_are_known_by_pid_role_and_real_database() -> None:
    servers = [
        {"remote_pid": 41, "user": "shop_left", "database": "shop_ro"},
        {"remote_pid": 42, "user": "shop_left", "database": "other"},
    ]
    assert pooled_pids(servers, [{"name": "shop_ro", "database": "shop"}], "shop") == {("41", "shop_left")}


def test_nobody_left_is_well_and_whoever_is_left_is_named() -> None:
    require_nobody_left("v1", left_over(OLD, [session(role="shop_right")]))
    with pytest.raises(CrossfadeError) as one:
        require_nobody_left("v1", left_over(OLD, [session()]))
    assert one.value.exit is Exit.NOT_MET
    assert one.value.render() == (
        "error[old-version-still-connected]: v1 still has 1 connection to the database;"
        " its shape of the schema stays\n"
        "  pid 123, shop_left, 'reports', idle for 340 s\n"
        "hint: end what holds them, then: crossfade resume"
    )
    with pytest.raises(CrossfadeError, match="v1 still has 2 connections to the database"):
        require_nobody_left("v1", left_over(OLD, [session(), session()]))


def test_a_lane_role_with_rights_to_the_schema_is_named_with_each_of_them() -> None:
    require_lane_roles_without_ddl([])
    rights = [
        Right("owns public.orders", "public.orders", "shop_left", "ALTER TABLE public.orders OWNER TO admin"),
        Right(
            "may create in schema public (through PUBLIC)",
            "",
            "shop_right",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        ),
    ]
    with pytest.raises(CrossfadeError) as refused:
        require_lane_roles_without_ddl(rights)
    assert refused.value.exit is Exit.NOT_MET
    assert refused.value.render() == (
        "error[lane-role-may-alter]: a role of the application could change the schema by itself\n"
        "  shop_left owns public.orders: ALTER TABLE public.orders OWNER TO admin\n"
        "  shop_right may create in schema public (through PUBLIC): REVOKE CREATE ON SCHEMA public FROM PUBLIC\n"
        "hint: take these rights away with the statements above, then: crossfade doctor"
    )
