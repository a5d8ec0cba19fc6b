"""Who is still connected as a version: asked of PostgreSQL, and of PgBouncer where one stands before it.

Rule: a lane is known by its role where it has one of its own, else by its application name. PostgreSQL does not see
the idle clients of a pooler, and a pooler keeps server sessions of a role whose clients have left. So with a pooler
its clients count, and its server sessions, known by the process id that SHOW SERVERS gives, do not.

Invariant: never an empty answer from a blind one. Whoever could not be asked raises `census-blind`. What comes
between two questions is counted rather than missed: the pooler's server sessions are asked first, then PostgreSQL,
then the pooler's clients.

Not seen: standbys, a second pooler or process of it (its server sessions are seen in PostgreSQL, and count), the
clients of a pooler that the configuration does not name, and, where the lanes share a role, sessions whose
application sets another name than the one it was started with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row

from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock
from crossfade.schema.session import Sessions

_NAME_BYTES = 63  # PostgreSQL cuts an application name there (NAMEDATALEN)

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Session:
    """One connection. `state` is empty and `age_s`, the seconds it has been in it, None where they are hidden."""

    source: Literal["postgresql", "pgbouncer"]
    pid_or_address: str
    role: str
    application_name: str
    state: str
    age_s: float | None


@dataclass(frozen=True)
class LaneName:
    """What the connections of a lane are known by: the role where it is the lane's own, else the name."""

    role: str | None
    application_name: str

    def owns(self, session: Session) -> bool:
        """Whether it is the lane's. A name may go on after another sign: a pooler may add the client's address."""
        if self.role is not None:
            return session.role == self.role
        wanted = self.application_name.encode()[:_NAME_BYTES].decode(errors="ignore")
        return re.fullmatch(re.escape(wanted) + r"([^\w-].*)?", session.application_name, re.DOTALL) is not None


class Census:
    """Asks who is connected; holds no connection between two questions."""

    def __init__(self, admin_url: str, pooler_url: str | None, clock: Clock) -> None:
        self._admin_url = admin_url
        self._pooler_url = pooler_url
        self._clock = clock

    def sessions(self, role: str | None, application_name: str) -> Sequence[Session]:
        """The lane's connections to this database. Raises `census-blind`."""
        lane = LaneName(role, application_name)
        servers = self._console("SHOW SERVERS", "SHOW DATABASES") if self._pooler_url else [[], []]
        database, seen = self._postgresql()
        pooled = pooled_pids(servers[0], servers[1], database)
        found = [one for one in seen if (one.pid_or_address, one.role) not in pooled]
        if self._pooler_url:
            clients, databases = self._console("SHOW CLIENTS", "SHOW DATABASES")
            if role is None and clients and "application_name" not in clients[0]:
                raise _blind("PgBouncer", "it is older than 1.18 and does not name applications; give each lane a role")
            found += pooler_clients(clients, databases, database)
        return [one for one in found if lane.owns(one)]

    def forced_roles(self) -> Mapping[str, str]:
        """Where the pooler serves this database with a role in the place of the client's: role by alias.

        Raises `census-blind`.
        """
        if not self._pooler_url:
            return {}
        database, _ = self._postgresql()
        (rows,) = self._console("SHOW DATABASES")
        return {row["name"]: row["force_user"] for row in rows if row["force_user"] and row["database"] == database}

    def _postgresql(self) -> tuple[str, list[Session]]:
        try:
            with Sessions(self._admin_url, self._clock).open("see who is connected") as session:
                rows = session.rows("census")
                return session.info.dbname, [Session("postgresql", str(row[0]), *row[1:]) for row in rows]
        except CrossfadeError as exc:
            raise _blind("PostgreSQL", exc.facts["detail"]) from exc

    def _console(self, *commands: str) -> list[Rows]:
        """What PgBouncer's console answers; it knows simple queries only."""
        try:
            with Sessions(self._pooler_url or "", self._clock, console=True).open("see who is connected") as session:
                cursor = psycopg.ClientCursor(session, row_factory=dict_row)
                return [cursor.execute(command.encode()).fetchall() for command in commands]
        except CrossfadeError as exc:
            raise _blind("PgBouncer", exc.facts["detail"]) from exc


def pooled_pids(servers: Rows, databases: Rows, database: str) -> set[tuple[str, str]]:
    """Process id and role of the sessions in PostgreSQL that a pooler holds for whoever comes."""
    real = _real_names(databases)
    return {
        (str(row["remote_pid"]), row["user"])
        for row in servers
        if real.get(row["database"], row["database"]) == database
    }


def pooler_clients(clients: Rows, databases: Rows, database: str) -> list[Session]:
    """The pooler's clients of `database`, under whatever name the pooler serves it.

    A client between two transactions has no server (`link`). Ages are told against the newest request, which is
    the question itself, so neither clock nor time zone of the pooler matters.
    """
    real = _real_names(databases)
    now = max((_time(row["request_time"]) for row in clients), default=None)
    return [
        Session(
            "pgbouncer",
            f"{row['addr']}:{row['port']}",
            row["user"],
            row.get("application_name", ""),
            "idle" if row["state"] == "active" and not row["link"] else row["state"],
            (now - _time(row["request_time"])).total_seconds() if now is not None else None,
        )
        for row in clients
        if real.get(row["database"], row["database"]) == database
    ]


def left_over(old: LaneName, sessions: Sequence[Session]) -> list[str]:
    """Who of the old version is still connected, in a sentence each."""
    return [_told(one) for one in sessions if old.owns(one)]


def require_nobody_left(version: str, left: Sequence[str]) -> None:
    """Before its shape is hidden, the old version must be gone. Raises `old-version-still-connected`."""
    if left:
        connections = "1 connection" if len(left) == 1 else f"{len(left)} connections"
        raise fail("old-version-still-connected", version=version, connections=connections, listing="\n".join(left))


def _told(session: Session) -> str:
    where = "pid" if session.source == "postgresql" else "the pooler's client"
    words = [f"{where} {session.pid_or_address}", session.role, f"'{session.application_name}'"]
    if not session.state:
        words.append("what it does is hidden without pg_read_all_stats")
    elif session.age_s is None:
        words.append(session.state)
    else:
        words.append(f"{session.state} for {session.age_s:.0f} s")
    return ", ".join(words)


def _real_names(databases: Rows) -> dict[str, str]:
    return {row["name"]: row["database"] for row in databases}


def _time(text: str) -> datetime:
    """When it was, in the pooler's own time zone: "2026-11-25 02:37:39 UTC"."""
    return datetime.fromisoformat(text[:19])


def _blind(asked: str, why: object) -> CrossfadeError:
    return fail("census-blind", asked=asked, reason=why)
