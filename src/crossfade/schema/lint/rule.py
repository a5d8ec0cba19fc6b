"""What one rule of the lint says, and what it claims of the real server.

Rule: a rule makes a claim that a server can confirm. Its `example` is run on PostgreSQL by a test, on tables with rows,
and what `claim` names must be seen there: the lock, the rewrite, the scan, the error, or the statement of the running
version that fails afterwards. Its staged form is run, too, and must show none of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ACCESS_EXCLUSIVE = "AccessExclusiveLock"
SHARE_ROW_EXCLUSIVE = "ShareRowExclusiveLock"
SHARE = "ShareLock"
# What the SQL names them, and what each one keeps others from.
BLOCKS = {
    ACCESS_EXCLUSIVE: "ACCESS EXCLUSIVE, which blocks every read and write",
    SHARE_ROW_EXCLUSIVE: "SHARE ROW EXCLUSIVE, which blocks every write",
    SHARE: "SHARE, which blocks every write",
}


class Severity(StrEnum):
    """How sure the harm is: an error takes the service down or breaks a version, a warning may."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Claim:
    """What the server shows when the example is run on a table with rows."""

    lock: str = ""  # the strongest mode that the example takes on `on`
    on: str = "orders"
    rewrite: bool = False  # the table is written anew under that lock
    scan: bool = False  # the table is read whole, or an index of it is built, under that lock
    error: str = ""  # the SQLSTATE with which the example itself fails
    breaks: str = ""  # a statement of the running version that fails afterwards, and did not before
    broken: str = ""  # with which SQLSTATE; "changed" where it gives another answer, "wait" where it waits


@dataclass(frozen=True)
class Rule:
    """One row of the table. `problem`, `why`, `staged` are `str.format` templates over the finding's facts."""

    id: str
    severity: Severity
    page: str  # of docs/operations
    problem: str
    why: str
    staged: str  # SQL that can be run; empty where there is none
    engine: str  # what crossfade does with it
    example: str  # against the tables of tests/integration/schema/lint_base.sql
    claim: Claim
    since: int = 0  # the first major version of PostgreSQL that has it
    setup: str = ""  # earlier migrations, before the example


@dataclass(frozen=True)
class Hit:
    """A rule met by a statement: the facts for its texts, and where it is."""

    rule: Rule
    facts: dict[str, str]
    action: int = 0  # which action of an ALTER TABLE
    severity: Severity | None = None  # where what is known makes it less than the rule's
