"""Which rights the roles have: the lanes' roles too many, crossfade's own role too few.

Rule: a lane's role may not be able to change a touched table, so that `migrate && serve` fails instead of running
the raw change (PostgreSQL: "The right to modify or destroy an object is inherent in being the object's owner",
section 5.8). A right counts however it is reached: owned, granted to PUBLIC, inherited, or by SET ROLE.

What crossfade's role lacks is told with what is lost without it and the statement that gives it. `needed` is what a
change cannot do without; the rest makes crossfade blind in one place, and it says in which.

Everything here only reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from crossfade.model.errors import fail
from crossfade.schema.sql import query

_SHOWN = 3  # tables named in one sentence
Connection = psycopg.Connection[Any]

# What a change can be walked without: what it is for, its column in the query, what is lost, what gives it.
_USEFUL: tuple[tuple[str, str, str, LiteralString], ...] = (
    (
        "see what sessions do",
        "read_all_stats",
        "what other roles' sessions do and since when is hidden, and how far standbys are behind: a backfill rests for"
        " no standby, blockers are named without query and age, the census tells who is there and not what they do",
        "GRANT pg_monitor TO {role}",
    ),
    (
        "end a session",
        "signal_backend",
        "a session that blocks a change has to be ended by somebody else",
        "GRANT pg_signal_backend TO {role}",
    ),
    (
        "know the cluster",
        "control_system",
        "a copy of this database on another server is told from it by its rows alone",
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO {role}",
    ),
    (
        "set restore points",
        "restore_point",
        "no restore point is set before data is dropped, so a restore has to aim at a time",
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_create_restore_point(text) TO {role}",
    ),
)


@dataclass(frozen=True)
class Right:
    """Something a lane's role could do and must not. `table` is empty where it is about all of them."""

    what: str
    table: str
    role: str
    remedy: str


@dataclass(frozen=True)
class AdminRight:
    """Something crossfade's role needs, or could use. `lost` and `grant` are said where it is not held."""

    what: str
    held: bool
    needed: bool
    lost: str = ""
    grant: str = ""


def user_tables(connection: Connection) -> list[str]:
    """Every table a change may touch, quoted, with its schema."""
    return [row[0] for row in connection.execute(query("user_tables"))]


def known_roles(connection: Connection, roles: Sequence[str]) -> set[str]:
    """Those of `roles` that exist."""
    return {row[0] for row in connection.execute(query("known_roles"), {"roles": list(roles)})}


def lane_rights(connection: Connection, roles: Sequence[str], tables: Sequence[str]) -> Sequence[Right]:
    """What `roles` could do to `tables` (quoted, with their schema; they need not exist yet) and must not."""
    given = {"roles": list(roles), "tables": list(tables)}
    rows = connection.execute(query("rights_lane"), given).fetchall()
    return [_right(connection, *row) for row in rows]


def require_lane_roles_without_ddl(rights: Sequence[Right]) -> None:
    """A change is not begun while a lane could run it by itself. Raises `lane-role-may-alter`."""
    if rights:
        listing = "\n".join(f"{one.role} {one.what}: {one.remedy}" for one in rights)
        raise fail("lane-role-may-alter", listing=listing)


def admin_rights(connection: Connection, tables: Sequence[str]) -> Sequence[AdminRight]:
    """What the connection's own role has and lacks, for changes of `tables` (quoted, with their schema)."""
    with connection.cursor(row_factory=dict_row) as cursor:
        own = cursor.execute(query("rights_role")).fetchone()
    assert own is not None
    role, database = own["role"], own["database"]
    rows = connection.execute(query("rights_tables"), {"tables": list(tables)}).fetchall()
    grant = _text(connection, "GRANT CREATE ON DATABASE {database} TO {role}", database=database, role=role)
    lost = f"{role} cannot install crossfade, crossfade_sync and crossfade_attic"
    return [
        AdminRight("create crossfade's schemas", own["create_schemas"], True, lost, grant),
        *_owning(connection, role, own["version"], rows),
        *_in_schemas(connection, role, rows),
        *_hidden_rows(connection, role, rows),
        *(
            AdminRight(what, own[held], False, lost, _text(connection, grant, role=role))
            for what, held, lost, grant in _USEFUL
        ),
    ]


def _owning(connection: Connection, role: str, version: int, rows: Sequence[Any]) -> list[AdminRight]:
    """The owner's rights on the tables; one finding for each owner whose rights are missing."""
    lacking: dict[tuple[str, bool, bool], list[str]] = defaultdict(list)
    for name, _, owner, owner_super, uses, member, *_ in rows:
        if owner is not None and not uses:
            lacking[(owner, owner_super, member)].append(name)
    what = "own the tables"
    if not lacking:
        return [AdminRight(what, True, True)]
    found = []
    for (owner, owner_super, member), names in lacking.items():
        if member and version < 160000:
            grant = _text(connection, "ALTER ROLE {role} INHERIT", role=role)
        elif member:
            grant = _text(connection, "GRANT {owner} TO {role} WITH INHERIT TRUE", role=role, owner=owner)
        elif owner_super:
            grant = "; ".join(f"ALTER TABLE {name} OWNER TO {_quoted(connection, role)}" for name in names[:_SHOWN])
        else:
            grant = _text(connection, "GRANT {owner} TO {role}", role=role, owner=owner)
        lost = f"{_some(names)} cannot be changed: owned by {owner}"
        found.append(AdminRight(what, False, True, lost, grant))
    return found


def _in_schemas(connection: Connection, role: str, rows: Sequence[Any]) -> list[AdminRight]:
    """USAGE and CREATE on the tables' schemas: without, neither index nor column type nor new name."""
    found, seen = [], set()
    for _, schema, _, _, _, _, usage, create, _ in rows:
        if schema in seen or (usage and create):
            continue
        seen.add(schema)
        grant = _text(connection, "GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}", role=role, schema=schema)
        lost = f"in schema {schema} no index can be built and nothing gets a new name"
        found.append(AdminRight("create in the tables' schema", False, True, lost, grant))
    return found or [AdminRight("create in the tables' schema", True, True)]


def _hidden_rows(connection: Connection, role: str, rows: Sequence[Any]) -> list[AdminRight]:
    """Row-level security that binds even the owner (FORCE): nothing can be filled or compared."""
    names = [row[0] for row in rows if row[8]]
    if not names:
        return [AdminRight("see every row", True, True)]
    lost = f"row-level security hides rows of {_some(names)}: neither a backfill nor a comparison can be done"
    return [AdminRight("see every row", False, True, lost, _text(connection, "ALTER ROLE {role} BYPASSRLS", role=role))]


def _right(
    connection: Connection, kind: str, thing: str, lane: str, through: str, member: str | None, owns: bool
) -> Right:
    """One row of the query in words, with the statement that takes the right away."""
    admin = connection.info.user
    by = "" if through == lane else f" (through {through})"
    name = thing if kind == "table" else _quoted(connection, thing)
    if lane == admin:
        remedy = "give the application a role of its own: crossfade connects as this one"
    elif by and member and (owns or through == admin or kind in ("superuser", "createrole")):
        remedy = _text(connection, "REVOKE {through} FROM {member}", through=through, member=member)
    elif kind in ("superuser", "createrole"):
        remedy = f"ALTER ROLE {_quoted(connection, lane)} NO{kind.upper()}"
    elif owns:
        remedy = f"ALTER {kind.upper()} {name} OWNER TO {_quoted(connection, admin)}"
    else:
        grantee = "PUBLIC" if through == "PUBLIC" else _quoted(connection, through)
        remedy = f"REVOKE CREATE ON {kind.upper()} {name} FROM {grantee}"
    said = {
        "superuser": "is a superuser",
        "createrole": "can join any role, the owner's too",
        "table": f"owns {thing}",
        "schema": f"may create in schema {thing}",
        "database": f"may create in database {thing}",
    }[kind]
    return Right(f"{said}{by}", thing if kind == "table" else "", lane, remedy)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _quoted(connection: Connection, name: str) -> str:
    return sql.Identifier(name).as_string(connection)


def _text(connection: Connection, template: LiteralString, **names: str) -> str:
    return sql.SQL(template).format(**{key: sql.Identifier(name) for key, name in names.items()}).as_string(connection)
