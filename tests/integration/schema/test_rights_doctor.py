"""What `crossfade doctor` says of rights: each is taken away alone, is named, and comes back by what it says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest

from crossfade.cli.doctor_probes import Finding, State
from crossfade.cli.doctor_rights import probe_rights
from crossfade.embedded.postgres import Cluster
from crossfade.model.errors import CrossfadeError
from crossfade.model.requirement import Config
from crossfade.model.settings.parse import read_config
from crossfade.schema.rights import lane_rights, require_lane_roles_without_ddl

sys.path.insert(0, str(Path(__file__).parent))
from pgbouncer import needs_pgbouncer
from team import RealClock, Team, team_of

TOML = """\
[service]
name = "shop"
[process.web]
command = ["shop", "{port}"]
[[endpoint]]
name = "start"
match = "GET /"
[endpoint.smoke]
[versions]
source = "directory"
directories = { v1 = "v1" }
[database.main]
app_url = "postgresql://{role}@127.0.0.1:5432/shop"
app_roles = ["shop_left", "shop_right"]
admin_url = "env:CF_ADMIN_URL"
"""
CHANGES = '[schema]\nchange = "migrations/{version}.sql"\n'


def config(text: str = TOML + CHANGES) -> Config:
    reading = read_config(text, date(2026, 1, 1))
    assert reading.config is not None, reading.problems
    return reading.config


@pytest.fixture
def team(cluster: Cluster) -> Iterator[Team]:
    with team_of(cluster, seeing=True) as made:
        yield made


def look(team: Team, given: Config | None = None, **environ: str) -> dict[str, Finding]:
    """Doctor's findings by name."""
    known = {"CF_ADMIN_URL": team.url("shop_admin"), **environ}
    return {one.what: one for one in probe_rights(given or config(), known, RealClock())}


def test_the_roles_of_the_page_have_what_is_needed_and_nothing_more(team: Team) -> None:
    found = look(team)
    apart = found.pop("pooler main")
    assert {one.state for one in found.values()} == {State.WELL}, found
    assert found["rights main: own the tables"].said == "yes"
    assert found["lane role shop_left"].said == "cannot change the schema"
    assert apart.state is State.UNKNOWN
    assert apart.said.startswith("app_url leads to 127.0.0.1:5432, admin_url to 127.0.0.1:")
    for role in ("shop_left", "shop_right"):
        with psycopg.connect(team.url(role), autocommit=True) as lane:
            lane.execute("INSERT INTO orders (reference) VALUES ('x')")
            for raw in ("ALTER TABLE orders ADD COLUMN code text", "CREATE TABLE more (id int)", "CREATE SCHEMA more"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    lane.execute(raw.encode())


def test_a_table_that_the_admin_adds_is_open_to_the_lanes(team: Team) -> None:
    with team.admin() as admin:
        admin.execute("CREATE TABLE lines (id bigint GENERATED ALWAYS AS IDENTITY, says text)")
    with psycopg.connect(team.url("shop_right"), autocommit=True) as lane:
        lane.execute("INSERT INTO lines (says) VALUES ('x')")


NEEDED = {
    "create crossfade's schemas": (
        "REVOKE CREATE ON DATABASE shop FROM shop_admin",
        "shop_admin cannot install crossfade, crossfade_sync and crossfade_attic",
        'GRANT CREATE ON DATABASE "shop" TO "shop_admin"',
    ),
    "own the tables": (
        "ALTER TABLE orders OWNER TO shop_before",
        "public.orders cannot be changed: owned by shop_before",
        'GRANT "shop_before" TO "shop_admin"',
    ),
    "own the tables, a superuser does": (
        "ALTER TABLE orders OWNER TO postgres",
        "public.orders cannot be changed: owned by postgres",
        'ALTER TABLE public.orders OWNER TO "shop_admin"',
    ),
    "create in the tables' schema": (
        "REVOKE CREATE ON SCHEMA public FROM shop_admin",
        "in schema public no index can be built and nothing gets a new name",
        'GRANT USAGE, CREATE ON SCHEMA "public" TO "shop_admin"',
    ),
    "see every row": (
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE orders FORCE ROW LEVEL SECURITY",
        "row-level security hides rows of public.orders: neither a backfill nor a comparison can be done",
        'ALTER ROLE "shop_admin" BYPASSRLS',
    ),
}
USEFUL = {
    "see what sessions do": (
        "REVOKE pg_monitor FROM shop_admin",
        "what other roles' sessions do and since when is hidden, and how far standbys are behind: a backfill rests for"
        " no standby, blockers are named without query and age, the census tells who is there and not what they do",
        'GRANT pg_monitor TO "shop_admin"',
    ),
    "end a session": (
        "REVOKE pg_signal_backend FROM shop_admin",
        "a session that blocks a change has to be ended by somebody else",
        'GRANT pg_signal_backend TO "shop_admin"',
    ),
    "know the cluster": (
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
        "a copy of this database on another server is told from it by its rows alone",
        'GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO "shop_admin"',
    ),
    "set restore points": (
        "REVOKE EXECUTE ON FUNCTION pg_create_restore_point(text) FROM shop_admin",
        "no restore point is set before data is dropped, so a restore has to aim at a time",
        'GRANT EXECUTE ON FUNCTION pg_catalog.pg_create_restore_point(text) TO "shop_admin"',
    ),
}


@pytest.mark.parametrize("right", NEEDED)
def test_a_right_that_a_change_needs_is_bad_when_taken_away_and_comes_back_by_the_remedy(
    team: Team, right: str
) -> None:
    take_away, lost, grant = NEEDED[right]
    what = f"rights main: {right.partition(',')[0]}"
    team.ask(take_away)
    found = look(team)
    assert (found[what].state, found[what].said, found[what].remedy) == (State.BAD, lost, grant)
    assert [one.what for one in found.values() if one.state is State.BAD] == [what]
    team.ask(grant)
    assert look(team)[what].state is State.WELL


@pytest.mark.parametrize("right", USEFUL)
def test_a_right_that_lets_crossfade_see_is_unknown_when_taken_away_and_says_what_is_lost(
    team: Team, right: str
) -> None:
    take_away, lost, grant = USEFUL[right]
    what = f"rights main: {right}"
    team.ask(take_away)
    found = look(team)
    assert (found[what].state, found[what].said) == (State.UNKNOWN, f"{lost}; to mend it: {grant}")
    assert [one.what for one in found.values() if one.state is State.BAD] == []
    team.ask(grant)
    assert look(team)[what].state is State.WELL


def test_a_member_of_the_owner_that_does_not_inherit_is_told_how_to(team: Team) -> None:
    before_16 = team.cluster.programs.major < 16
    team.ask("ALTER TABLE orders OWNER TO shop_before")
    team.ask(f"GRANT shop_before TO shop_admin{'' if before_16 else ' WITH INHERIT FALSE'}")
    if before_16:
        team.ask("ALTER ROLE shop_admin NOINHERIT")
    finding = look(team)["rights main: own the tables"]
    assert finding.state is State.BAD
    team.ask(finding.remedy)
    assert look(team)["rights main: own the tables"].state is State.WELL


LANES = {
    "superuser": ("ALTER ROLE shop_left SUPERUSER", "is a superuser"),
    "owner": ("ALTER TABLE orders OWNER TO shop_left", "owns public.orders"),
    "member of the owner": (
        "ALTER TABLE orders OWNER TO shop_before; GRANT shop_before TO shop_left, shop_admin",
        "owns public.orders (through shop_before)",
    ),
    "member of a member of the owner": (
        "ALTER TABLE orders OWNER TO shop_before; GRANT shop_before TO shop_app, shop_admin",
        "owns public.orders (through shop_before)",
    ),
    "schema": ("GRANT CREATE ON SCHEMA public TO shop_left", "may create in schema public"),
    "schema, everybody": ("GRANT CREATE ON SCHEMA public TO PUBLIC", "may create in schema public (through PUBLIC)"),
    "database": ("GRANT CREATE ON DATABASE shop TO shop_app", "may create in database shop (through shop_app)"),
}


def test_what_views_need_is_asked_for_where_versions_ask_for_whole_rows(team: Team) -> None:
    assert not [what for what in look(team) if what.startswith("search path")]
    given = config(TOML + CHANGES + 'star_queries = "some"\n')
    found = look(team, given)
    assert found["rights main: make a schema for each change"].state is State.WELL
    lacking = [found[f"search path of {role}"] for role in ("shop_left", "shop_right")]
    assert {one.state for one in lacking} == {State.BAD}
    assert lacking[0].said == "shop_admin cannot set it, so a new version would see the old shape"
    for one in lacking:
        team.ask(one.remedy)
    found = look(team, given)
    assert {found[f"search path of {role}"].said for role in ("shop_left", "shop_right")} == {
        "can be set for a new version"
    }
    with team.admin() as admin:
        for role in ("shop_left", "shop_right"):
            admin.execute(f"ALTER ROLE {role} IN DATABASE shop SET search_path TO public")
            admin.execute(f"ALTER ROLE {role} IN DATABASE shop RESET search_path")
    assert found["lane role shop_left"].said == "cannot change the schema", "the right is crossfade's alone"
    team.ask("REVOKE CREATE ON DATABASE shop FROM shop_admin")
    gone = look(team, given)["rights main: make a schema for each change"]
    assert gone.state is State.BAD
    assert gone.said == "a new version's views have no place"
    team.ask(gone.remedy)
    assert look(team, given)["rights main: make a schema for each change"].state is State.WELL


@pytest.mark.parametrize("case", LANES)
def test_what_a_lane_could_do_to_the_schema_is_named_and_the_remedy_takes_it_away(team: Team, case: str) -> None:
    give, said = LANES[case]
    team.ask(give)
    finding = look(team)["lane role shop_left"]
    assert (finding.state, finding.said) == (State.BAD, f"could change the schema: {said}")
    with team.admin() as admin:
        rights = lane_rights(admin, ["shop_left"], ["public.orders"])
    assert [(one.what, one.role) for one in rights] == [(said, "shop_left")]
    with pytest.raises(CrossfadeError, match="a role of the application could change the schema by itself"):
        require_lane_roles_without_ddl(rights)
    team.ask(finding.remedy)
    assert look(team)["lane role shop_left"].said == "cannot change the schema"


def test_a_lane_that_is_a_member_of_crossfades_role_leaves_it_and_crossfade_loses_nothing(team: Team) -> None:
    team.ask("GRANT shop_admin TO shop_left")
    finding = look(team)["lane role shop_left"]
    assert finding.remedy == 'REVOKE "shop_admin" FROM "shop_left"'
    team.ask(finding.remedy)
    found = look(team)
    assert {one.state for what, one in found.items() if what != "pooler main"} == {State.WELL}


def test_a_lane_that_owns_the_database_or_the_schema_gives_them_away(team: Team) -> None:
    team.ask("ALTER DATABASE shop OWNER TO shop_left; ALTER SCHEMA public OWNER TO shop_left")
    finding = look(team)["lane role shop_left"]
    assert finding.said == "could change the schema: may create in database shop, may create in schema public"
    team.ask(finding.remedy)
    assert look(team)["lane role shop_left"].state is State.WELL


def test_slots_that_share_a_role_are_held_to_it_and_told_what_that_costs(team: Team) -> None:
    text = (TOML + CHANGES).replace("{role}", "shop_left").replace('app_roles = ["shop_left", "shop_right"]\n', "")
    found = look(team, config(text))
    assert found["lane role shop_left"].state is State.WELL
    assert found["lanes main"].state is State.UNKNOWN
    assert found["lanes main"].said == (
        "both slots connect as one role; the database tells them apart by application_name alone, which an application"
        " may replace; write {role} in database.main.app_url and app_roles = [...]"
    )
    team.ask("ALTER TABLE orders OWNER TO shop_left")
    assert look(team, config(text))["lane role shop_left"].state is State.BAD


def test_one_role_for_all_is_told_to_be_two(team: Team) -> None:
    text = (TOML + CHANGES).replace('"shop_right"', '"shop_admin"')
    finding = look(team, config(text))["lane role shop_admin"]
    assert finding.state is State.BAD
    assert finding.remedy == "give the application a role of its own: crossfade connects as this one"


def test_a_role_that_makes_roles_can_become_the_owner_before_16_only(team: Team) -> None:
    team.ask("ALTER ROLE shop_left CREATEROLE")
    finding = look(team)["lane role shop_left"]
    if team.cluster.programs.major < 16:
        assert finding.said == "could change the schema: can join any role, the owner's too"
        team.ask(finding.remedy)
    assert look(team)["lane role shop_left"].state is State.WELL


def test_a_table_that_is_not_there_yet_counts_by_its_schema(team: Team) -> None:
    team.ask("GRANT CREATE ON SCHEMA public TO shop_left")
    with team.admin() as admin:
        (right,) = lane_rights(admin, ["shop_left", "shop_right"], ["public.lines"])
    assert (right.what, right.role) == ("may create in schema public", "shop_left")


def test_without_schema_changes_rights_to_the_tables_are_no_reason_to_refuse(team: Team) -> None:
    team.ask("ALTER TABLE orders OWNER TO shop_left")
    found = look(team, config(TOML))
    assert [one.what for one in found.values() if one.state is State.BAD] == []
    assert found["lane role shop_left"].said == (
        'could change the schema: owns public.orders; to mend it: ALTER TABLE public.orders OWNER TO "shop_admin"'
    )


def test_a_role_that_is_not_there_and_a_database_that_is_not(team: Team) -> None:
    missing = look(team, config((TOML + CHANGES).replace('"shop_right"', '"shop_wrong"')))["lane role shop_wrong"]
    assert (missing.state, missing.said) == (State.BAD, "does not exist in the database")
    away = look(team, CF_ADMIN_URL="postgresql://shop_admin:hunter2@127.0.0.1:1/shop")
    assert list(away) == ["rights main"]
    assert away["rights main"].state is State.UNKNOWN
    assert "hunter2" not in away["rights main"].said


@needs_pgbouncer
def test_a_pooler_is_asked_and_one_that_puts_one_role_in_the_place_of_all_is_bad(team: Team) -> None:
    given = config(TOML + 'pooler_url = "env:CF_POOLER_URL"\n' + CHANGES)
    with team.pooler() as pooler:
        well = look(team, given, CF_POOLER_URL=pooler.console_url)["pooler main"]
        assert (well.state, well.said) == (State.WELL, "PgBouncer's console answers")
        away = look(team, given, CF_POOLER_URL=pooler.console_url.replace(str(pooler.port), "1"))["pooler main"]
        assert away.state is State.BAD
    with team.pooler(databases={"shop": f"user=shop_left password={team.passwords['shop_left']}"}) as forcing:
        bad = look(team, given, CF_POOLER_URL=forcing.console_url)["pooler main"]
    assert (bad.state, bad.said) == (
        State.BAD,
        "PgBouncer connects every client of shop as shop_left, so the lanes' roles are lost",
    )
