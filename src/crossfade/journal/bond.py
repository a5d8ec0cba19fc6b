"""Read what the database says of itself, and make or renew the bond between it and the spool.

Rule: `binding.judge` decides, this module only asks and writes. The spool's header is written before the
database's binding row: a crash between the two leaves a bound spool and an empty database, which is fresh.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import psycopg

from crossfade.journal.binding import DatabaseFacts, Finding, Outcome, SpoolFacts, judge
from crossfade.journal.identity import Identity
from crossfade.journal.install import install, installed
from crossfade.journal.spool import Spool
from crossfade.journal.sql import query
from crossfade.model.ports import Row

Connection = psycopg.Connection[tuple[Any, ...]]
_HIDDEN = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.UndefinedFunction,
)


class Bond:
    """The bond of one service's spool with the database behind a connection."""

    def __init__(self, spool: Spool, service: str, environment: str, new_installation: Callable[[], str]) -> None:
        self._spool = spool
        self._service = service
        self._environment = environment
        self._new_installation = new_installation

    def settle(self, connection: Connection) -> Finding:
        """Judge; bind where both sides are fresh, apply missing migrations where they are bound."""
        facts = self.ask(connection)
        finding = judge(self.spool_facts(), facts, self._environment)
        if finding.outcome is Outcome.BOUND:
            install(connection)
        if finding.outcome is Outcome.FRESH:
            install(connection)
            first = self._spool.bind_first(self._identity(facts))
            identity = self._identity(facts)
            if first != identity:  # bound before, but its database never came to hold anything
                self._spool.bind(identity, 0)
            self._bind(connection, identity)
            raced = judge(self.spool_facts(), self.ask(connection), self._environment)
            return finding if raced.outcome is Outcome.BOUND else raced
        return finding

    def look(self, connection: Connection) -> Finding:
        """Judge; writes nothing."""
        facts = self.ask(connection)
        return judge(self.spool_facts(), facts, self._environment)

    def adopt(self, connection: Connection, note: Callable[[Finding], Row]) -> Row:
        """Bind anew to a database that is behind; `note` records what was found, before it is done."""
        facts = self.ask(connection)
        finding = judge(self.spool_facts(), facts, self._environment).require_own(self._service)
        install(connection)
        row = note(finding)
        identity = self._identity(facts)
        self._bind(connection, identity)
        self._spool.bind(identity, facts.last_seq)
        return row

    def spool_facts(self) -> SpoolFacts:
        """What the spool says."""
        copied = self._spool.last_copied
        return SpoolFacts(
            identity=self._spool.identity,
            last_seq=self._spool.last_seq,
            last_copied_seq=0 if copied is None else copied.seq,
            last_copied_at=None if copied is None else copied.at,
        )

    def ask(self, connection: Connection) -> DatabaseFacts:
        """What the database says. A standby is refused: it cannot be written."""
        database, in_recovery = _one(connection, "server_facts")
        if in_recovery:
            raise psycopg.OperationalError("it is a standby: read only until it is promoted")
        timeline = _unless_hidden(connection, "timeline")
        system_identifier = _unless_hidden(connection, "system_identifier")
        bound: Identity | None = None
        last_seq, held_at = 0, None
        if installed(connection):
            bound = self._bound(connection)
            last_seq, held_at = _one(
                connection,
                "journal_extent",
                {"service": self._service, "seq": self.spool_facts().last_copied_seq},
            )
        return DatabaseFacts(
            database=database,
            system_identifier=None if system_identifier is None else str(system_identifier),
            timeline=None if timeline is None else int(cast("int", timeline)),
            bound=bound,
            last_seq=last_seq,
            held_at=held_at,
        )

    def _bound(self, connection: Connection) -> Identity | None:
        row = connection.execute(query("binding"), {"service": self._service}).fetchone()
        if row is None:
            return None
        installation, environment, database, system_identifier = row
        return Identity(installation, environment, self._service, database, system_identifier, None)

    def _identity(self, facts: DatabaseFacts) -> Identity:
        own = self._spool.identity
        return Identity(
            installation=self._new_installation() if own is None else own.installation,
            environment=self._environment,
            service=self._service,
            database=facts.database,
            system_identifier=facts.system_identifier,
            timeline=facts.timeline,
        )

    def _bind(self, connection: Connection, identity: Identity) -> None:
        connection.execute(
            query("bind"),
            {
                "service": identity.service,
                "installation": identity.installation,
                "environment": identity.environment,
                "system_identifier": identity.system_identifier,
                "database": identity.database,
            },
        )


def _one(connection: Connection, name: str, values: dict[str, object] | None = None) -> tuple[Any, ...]:
    row = connection.execute(query(name), values).fetchone()
    assert row is not None
    return row


def _unless_hidden(connection: Connection, name: str) -> object | None:
    try:
        return cast("object", _one(connection, name)[0])
    except _HIDDEN:
        return None
