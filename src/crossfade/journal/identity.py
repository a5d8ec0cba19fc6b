"""Which journal this is: the names a spool and a database must agree on before anything is acted on (I8).

Rule: an unknown fact (None: the role may not read it, or the server does not offer it) compares equal to
everything; a known one compares by value. So a managed server that hides its system identifier is still
held to installation, database, environment and rows.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """What binds a spool to one database and one environment. `timeline` changes at a failover or restore."""

    installation: str
    environment: str
    service: str
    database: str
    system_identifier: str | None
    timeline: int | None


def agree(one: object, other: object) -> bool:
    """Whether two facts do not contradict each other."""
    return one is None or other is None or one == other
