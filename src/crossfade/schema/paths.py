"""Which shape a session of a lane's role finds first: by the role's search path in this database.

Rule: a role that writes the new shape has the change's schema first on its search path, every other role has none of
ours. What stands behind it is left as it was: the role's own setting, or what it has without one. A setting counts for
sessions that begin after it (manual, ALTER ROLE), so nothing that lives moves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from crossfade.model.errors import fail
from crossfade.schema.sql import query

Connection = psycopg.Connection[Any]
_OURS = re.compile(r"crossfade_c[0-9a-f]{12}")
_NAME = re.compile(r'"((?:[^"]|"")*)"|([^",\s]+)')


@dataclass(frozen=True)
class LanePath:
    """One role's search path: what is set for it in this database, and what it has otherwise."""

    role: str
    own: str | None
    otherwise: str
    may_set: bool
    grant: str  # what gives the right to set it


def read_paths(connection: Connection, roles: Sequence[str]) -> Sequence[LanePath]:
    """The search paths of those of `roles` that exist."""
    rows = connection.execute(query("lane_paths"), {"roles": list(roles)}).fetchall()
    return [
        LanePath(role, own, otherwise, may, _grant(connection, role, version, asking))
        for role, own, otherwise, may, version, asking in rows
    ]


def may_create_schemas(connection: Connection) -> bool:
    """Whether the asking role may make a schema for each change."""
    row = connection.execute(query("may_create_schemas")).fetchone()
    return row is not None and bool(row[0])


def require_paths(connection: Connection, roles: Sequence[str]) -> None:
    """Raise `lane-path-not-ours` unless the asking role may set the search path of each of `roles`."""
    closed = [one for one in read_paths(connection, roles) if not one.may_set]
    if closed:
        names = ", ".join(one.role for one in closed)
        grant = "; ".join(dict.fromkeys(one.grant for one in closed))
        raise fail("lane-path-not-ours", roles=names, role=connection.info.user, grant=grant)


def point(connection: Connection, roles: Mapping[str, str], shapes: str) -> None:
    """Let each role find the shape that it writes: `new` means schema `shapes`, where there is one."""
    if shapes:
        require_paths(connection, [role for role, shape in roles.items() if shape == "new"])
    for one in read_paths(connection, list(roles)):
        _set(connection, one, shapes if roles[one.role] == "new" else "")


def leave(connection: Connection, shapes: str) -> None:
    """Take a schema off every role's search path; it is gone."""
    roles = [role for (role,) in connection.execute(query("pointed_roles"), {"schema": shapes})]
    for one in read_paths(connection, roles):
        _set(connection, one, "")


def path_after(own: str | None, otherwise: str, shapes: str) -> Sequence[str] | None:
    """The names on a role's own search path from now on; None: it needs no setting of its own."""
    rest = [name for name in names_of(otherwise if own is None else own) if not _OURS.fullmatch(name)]
    if shapes:
        return [shapes, *rest]
    return None if rest == names_of(otherwise) else rest


def names_of(path: str) -> list[str]:
    """The names on a search path as PostgreSQL prints it."""
    return [
        quoted.replace('""', '"') if quoted or not plain else plain.lower() for quoted, plain in _NAME.findall(path)
    ]


def _set(connection: Connection, one: LanePath, shapes: str) -> None:
    before = None if one.own is None else names_of(one.own)
    ours = any(map(_OURS.fullmatch, before or ()))
    if not (shapes or ours) or not one.may_set:
        return  # what is not ours stays; a name of a schema that is gone harms nobody
    after = path_after(one.own, one.otherwise, shapes)
    if after == before:
        return
    named = {"role": sql.Identifier(one.role), "database": sql.Identifier(connection.info.dbname)}
    if after is None:
        connection.execute(sql.SQL("ALTER ROLE {role} IN DATABASE {database} RESET search_path").format(**named))
        return
    path = sql.SQL(", ").join(map(sql.Literal, after))
    command = sql.SQL("ALTER ROLE {role} IN DATABASE {database} SET search_path TO {path}")
    connection.execute(command.format(path=path, **named))


def _grant(connection: Connection, role: str, version: int, asking: str) -> str:
    names = {"asking": sql.Identifier(asking), "role": sql.Identifier(role)}
    text = sql.SQL("ALTER ROLE {asking} CREATEROLE").format(**names)
    if version >= 160000:
        text += sql.SQL("; GRANT {role} TO {asking} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE").format(**names)
    return text.as_string(connection)
