"""Whether this spool and this database are one journal (I8).

Rule, in the order it is asked:
- another system identifier, database, environment or installation, or a database with rows that the spool
  lacks: `foreign`. It is a copy, or belongs to somebody else; nothing is acted on.
- nothing on either side: `fresh`; binding them makes them one.
- another timeline (failover, restore), or the database lacks the last row it was known to hold (restored
  from an older backup): `behind`. Only the fader may be moved to the old slot, until a person adopts it.
- else `bound`.

Limits: a copy of database and state directory together, asked before either side has written, cannot be told
from the original; as soon as one of the two writes to a database both reach, the other is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crossfade.journal.identity import Identity, agree
from crossfade.model.errors import fail


class Outcome(StrEnum):
    """The four answers."""

    BOUND = "bound"
    FRESH = "fresh"
    BEHIND = "behind"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class SpoolFacts:
    """What the spool says. `last_copied_at` is when the last row the database was known to hold was written."""

    identity: Identity | None
    last_seq: int
    last_copied_seq: int
    last_copied_at: datetime | None


@dataclass(frozen=True)
class DatabaseFacts:
    """What the database says. `bound` is its binding for this service; `held_at` that of the asked row."""

    database: str
    system_identifier: str | None
    timeline: int | None
    bound: Identity | None
    last_seq: int
    held_at: datetime | None


@dataclass(frozen=True)
class Finding:
    """The answer, and what it rests on."""

    outcome: Outcome
    reason: str
    found: str = ""
    expected: str = ""

    def require_own(self, service: str) -> Finding:
        """Raise `journal-foreign` where this is somebody else's journal."""
        if self.outcome is Outcome.FOREIGN:
            raise fail("journal-foreign", service=service, reason=self.reason, found=self.found, expected=self.expected)
        return self

    def require_bound(self, service: str) -> Finding:
        """Raise `journal-foreign` or `journal-behind` unless rows may be written and acted on."""
        self.require_own(service)
        if self.outcome is Outcome.BEHIND:
            raise fail("journal-behind", service=service, reason=self.reason, found=self.found, expected=self.expected)
        return self


def judge(spool: SpoolFacts, database: DatabaseFacts, environment: str) -> Finding:
    """Decide; pure, no side effects."""
    own = spool.identity
    if own is None:
        return _without_header(database)
    return (
        _other_place(own, database, environment)
        or _other_installation(own, database)
        or _other_rows(spool, database)
        or _older(spool, own, database)
        or Finding(Outcome.BOUND, "the spool and the database agree")
    )


def _without_header(database: DatabaseFacts) -> Finding:
    if database.bound is None and database.last_seq == 0:
        return Finding(Outcome.FRESH, "neither the spool nor the database has a journal")
    owner = "unknown" if database.bound is None else f"installation {database.bound.installation}"
    return Finding(Outcome.FOREIGN, "the database has a journal, the state directory has none", owner, "no journal yet")


def _other_place(own: Identity, database: DatabaseFacts, environment: str) -> Finding | None:
    if own.environment != environment:
        return _differs("environment", environment, own.environment)
    if not agree(own.system_identifier, database.system_identifier):
        return _differs("system identifier", database.system_identifier, own.system_identifier)
    if own.database != database.database:
        return _differs("database", database.database, own.database)
    return None


def _other_installation(own: Identity, database: DatabaseFacts) -> Finding | None:
    bound = database.bound
    if bound is None:
        return None
    if bound.installation != own.installation:
        return _differs("installation", bound.installation, own.installation)
    if bound.environment != own.environment:
        return _differs("environment", bound.environment, own.environment)
    if not agree(bound.system_identifier, own.system_identifier):
        return _differs("system identifier", bound.system_identifier, own.system_identifier)
    if bound.database != own.database:
        return _differs("database", bound.database, own.database)
    return None


def _other_rows(spool: SpoolFacts, database: DatabaseFacts) -> Finding | None:
    if database.last_seq > spool.last_seq:
        return Finding(
            Outcome.FOREIGN,
            "the database holds rows that the spool lacks",
            f"last row {database.last_seq}",
            f"at most {spool.last_seq}",
        )
    return None


def _older(spool: SpoolFacts, own: Identity, database: DatabaseFacts) -> Finding | None:
    copied = spool.last_copied_seq
    if database.bound is None:
        if copied == 0:
            return Finding(Outcome.FRESH, "the database has no journal, and none of the spool's rows was copied")
        return Finding(Outcome.BEHIND, "the database has no journal any more", "no row", f"row {copied}")
    if not agree(own.timeline, database.timeline):
        return Finding(
            Outcome.BEHIND,
            "the database is on another timeline: a failover or a restore",
            f"timeline {database.timeline}",
            f"timeline {own.timeline}",
        )
    if copied and database.held_at != spool.last_copied_at:
        return Finding(
            Outcome.BEHIND,
            "the database lacks the last row it was known to hold",
            f"last row {database.last_seq}",
            f"row {copied}",
        )
    return None


def _differs(what: str, found: object, expected: object) -> Finding:
    return Finding(Outcome.FOREIGN, f"another {what}", f"{what} {found}", f"{what} {expected}")
