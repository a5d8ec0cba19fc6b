"""A schema moved without a service: whose it is, who may act, and how a command that was killed is succeeded."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.model.path import Act
from crossfade.model.requirement import Staging
from crossfade.schema.parser import Source
from crossfade.testing.clock import FakeClock
from crossfade.walk.schema_alone import Place, SchemaAlone
from crossfade.walk.schema_lead import HOLDER

CHANGE = [Source("0042.sql", "ALTER TABLE orders RENAME COLUMN reference TO code;")]


@dataclass
class Commands:
    """What commands do on one database, each in a process of its own."""

    home: object
    clock: object
    service: str = ""
    said: list[str] = field(default_factory=list)

    def alone(self, **place: object) -> SchemaAlone:
        settings = Staging(star_queries="none")
        url = self.home.admin_url  # type: ignore[attr-defined]
        place = {"service": self.service, "settings": settings, **place}
        return SchemaAlone(Place(url, **place), self.clock, "t")  # type: ignore[arg-type]

    def expand(self) -> str:
        return self.alone().expand("0042.sql", CHANGE, None, lambda: True, self.said.append).says

    def move(self, act: Act) -> str:
        return self.alone().move(act, None, lambda: True, self.said.append).says


@pytest.fixture
def commands(home, clock) -> Commands:
    home.ask("DROP SCHEMA crossfade, crossfade_sync, crossfade_attic CASCADE")
    return Commands(home, clock)


def refused(act) -> str:
    with pytest.raises(CrossfadeError) as caught:
        act()
    return f"{int(caught.value.exit)} {caught.value.render()}"


def test_the_first_act_makes_its_own_tables_and_leaves_no_lease(commands, home) -> None:
    assert commands.alone().facts().open is None, "looking makes nothing"
    assert home.ask("SELECT to_regnamespace('crossfade')::text") == [(None,)]
    assert commands.expand() == "0042.sql: both shapes are there and kept in step"
    (row,) = home.ask("SELECT service, expires_at <= clock_timestamp() FROM crossfade.lease")
    assert row == ("schema", True)
    assert commands.alone().facts().open.version == ""


def test_what_the_releases_of_a_service_move_is_theirs(commands, home) -> None:
    commands.expand()
    home.ask(
        "INSERT INTO crossfade.binding (service, installation, environment, database) VALUES ('schema', 'i', 'e', 'd')"
    )
    assert refused(lambda: commands.move(Act.BACKFILL)) == (
        "5 error[schema-of-service]: backfill was not begun: the releases of schema move the schema of this database\n"
        "  they walk the whole change: expand, backfill, detach and the ways back\n"
        "hint: where its crossfade.toml is: crossfade release VERSION, crossfade schema purge or crossfade schema undo"
    )
    assert commands.alone().facts().open is not None, "looking is for everybody"


def test_whose_changes_are_meant_is_asked_where_several_have_some(commands, home) -> None:
    commands.expand()
    other = Commands(home, commands.clock, service="reports")
    new = [Source("0001.sql", "CREATE TABLE reports (id bigint PRIMARY KEY);")]
    other.alone().expand("0001.sql", new, None, lambda: True, other.said.append)
    assert refused(lambda: commands.alone().facts()) == (
        "3 error[schema-services]: it is not said whose schema is meant\n"
        "  this database has changes of: reports, schema\n"
        'hint: name one in crossfade.toml: [service] name = "reports"'
    )
    assert other.alone().facts().open.change.name == "0001.sql"


def test_a_change_that_takes_nothing_away_speaks_of_no_old_shape(commands) -> None:
    new = [Source("0001.sql", "CREATE TABLE reports (id bigint PRIMARY KEY);")]
    commands.alone().expand("0001.sql", new, None, lambda: True, commands.said.append)
    commands.move(Act.BACKFILL)
    assert commands.move(Act.DETACH) == "0001.sql: nothing is hidden by it"
    assert commands.move(Act.PURGE) == "0001.sql: nothing is dropped; the change is at its end"
    assert commands.move(Act.PURGE) == "nothing to purge: no detached change waits for its purge"


def hold(home, holder: str, host: str, pid: int) -> None:
    home.ask(
        "UPDATE crossfade.lease SET holder = %s, host = %s, pid = %s, since = '2026-01-02 03:04:05+00',"
        " expires_at = clock_timestamp() + interval '1 hour'",
        holder,
        host,
        pid,
    )


def test_beside_another_command_it_waits_for_its_lease_and_then_says_who_it_is(commands, home) -> None:
    commands.expand()
    hold(home, HOLDER + "other", "elsewhere", 7)
    waiting = Commands(home, FakeClock(), said=commands.said)
    assert refused(lambda: waiting.move(Act.BACKFILL)) == (
        "5 error[schema-act-running]: another crossfade schema is under way on this database\n"
        "  pid 7 on elsewhere, since 2026-01-02 03:04:05 UTC\n"
        "hint: once it has ended, the same command again"
    )
    assert commands.said[-1] == "waits for another crossfade schema, pid 7 on elsewhere"


def test_a_controller_is_not_waited_for(commands, home) -> None:
    commands.expand()
    hold(home, "77-abc", "elsewhere", 7)
    assert refused(lambda: commands.move(Act.BACKFILL)).startswith("5 error[lease-held]: service 'schema' has been led")


def test_a_command_that_was_killed_on_this_host_is_succeeded_at_once(commands, home) -> None:
    commands.expand()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    hold(home, HOLDER + "killed", socket.gethostname(), gone.pid)
    commands.said.clear()
    assert commands.move(Act.BACKFILL) == "0042.sql: what is from before is filled, both shapes say the same"
    assert not any("waits for another" in line for line in commands.said)


def test_a_role_that_may_not_create_a_schema_is_told_so(commands, home) -> None:
    home.ask(f"ALTER DATABASE {home.name} OWNER TO CURRENT_USER")
    text = refused(commands.expand)
    assert text.startswith("1 error[schema-refused]: the database refused making crossfade's own tables;"), text
