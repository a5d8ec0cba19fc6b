"""What the driver raises, in the catalogue's words; no database."""

from __future__ import annotations

import psycopg
import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.schema.attic import _free_name
from crossfade.schema.session import Sessions
from crossfade.testing.clock import FakeClock


def test_an_address_that_is_none_is_not_quoted() -> None:
    """A password with an unquoted slash is read as something else, which an error would then show."""
    sessions = Sessions("postgresql://shop:sec/ret@127.0.0.1/shop", FakeClock())
    with pytest.raises(CrossfadeError) as caught, sessions.open("reading"):
        raise AssertionError("it is not opened")
    assert caught.value.id == "schema-unreachable"
    assert "sec" not in caught.value.render()
    assert "ret" not in caught.value.render()


@pytest.mark.parametrize(
    ("error", "id"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), "schema-unreachable"),
        (psycopg.errors.AdminShutdown("terminating connection"), "schema-unreachable"),
        (psycopg.errors.CannotConnectNow("the database system is starting up"), "schema-unreachable"),
        (psycopg.errors.TooManyConnections("too many clients"), "schema-unreachable"),
        (psycopg.errors.IdleInTransactionSessionTimeout("idle"), "schema-unreachable"),
        (psycopg.errors.QueryCanceled("canceling statement due to statement timeout"), "schema-refused"),
        (psycopg.errors.InsufficientPrivilege("must be owner of table orders"), "schema-refused"),
        (psycopg.errors.DiskFull("no space left"), "schema-refused"),
    ],
)
def test_a_session_that_is_gone_and_a_statement_that_was_refused_are_told_apart(error, id) -> None:
    told = Sessions("postgresql://shop@127.0.0.1:5432/shop", FakeClock()).told(error, "expand:a of change c1")
    assert told.id == id


class Taken:
    """A session in a database where these tables are."""

    def __init__(self, *tables: str) -> None:
        self.tables = tables

    def one(self, name: str, table: str) -> tuple[bool]:
        assert name == "table_there"
        return (table in self.tables,)


def test_a_second_round_has_a_name_of_its_own_that_postgresql_does_not_cut() -> None:
    name = 'crossfade_attic."' + "x" * 63 + '"'
    second = 'crossfade_attic."' + "x" * 61 + '_2"'
    assert _free_name(Taken(), name) == name
    assert _free_name(Taken(name), name) == second
    assert _free_name(Taken(name, second), name) == second.replace("_2", "_3")
    assert _free_name(Taken("crossfade_attic.plain"), "crossfade_attic.plain") == 'crossfade_attic."plain_2"'
