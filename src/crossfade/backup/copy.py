"""An empty database for a copy, with the roles and settings that its source relies on.

Rule: a copy needs every role that its grants and owners name, and nobody may log in as one of them but the
application. Roles come without their passwords: the application's is given, as a verifier that was computed here.
What cannot be carried over (a setting of an extension that is not loaded, a locale that this machine lacks) is said
and not guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from crossfade.backup.session import CONNECT_S, Connection

NAME = "restored"

_ROLES = """
SELECT rolname, rolinherit, rolbypassrls, rolsuper, rolcreaterole
FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname
"""
_MEMBERS = """
SELECT g.rolname, m.rolname, bool_or(a.admin_option) FROM pg_catalog.pg_auth_members a
JOIN pg_catalog.pg_roles g ON g.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member
GROUP BY 1, 2 ORDER BY 1, 2
"""
_SETTINGS = """
SELECT CASE WHEN s.setdatabase <> 0 THEN true ELSE false END, r.rolname, s.setconfig
FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
WHERE (s.setdatabase = 0 OR d.datname = current_database()) AND (s.setrole = 0 OR r.rolname !~ '^pg_')
"""
_GRANTS = """
SELECT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END, a.privilege_type
FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a WHERE d.datname = current_database() ORDER BY 1, 2
"""
_DATABASE = """
SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, pg_catalog.pg_get_userbyid(datdba),
       pg_catalog.to_jsonb(d)
FROM pg_catalog.pg_database d WHERE datname = current_database()
"""


@dataclass(frozen=True)
class Role:
    """A role of the source, without its password."""

    name: str
    inherits: bool
    sees_all_rows: bool
    superuser: bool
    makes_roles: bool = False


@dataclass(frozen=True)
class Setting:
    """A setting of a role, of the database, or of a role in it; `name=value`."""

    in_database: bool
    role: str | None
    text: str


@dataclass(frozen=True)
class Surroundings:
    """What a dump of a database does not hold."""

    encoding: str
    collate: str
    ctype: str
    provider: str  # c: the machine's, i: ICU, b: PostgreSQL's own
    locale: str | None  # of a provider other than the machine
    roles: Sequence[Role]
    members: Sequence[tuple[str, str, bool]]  # group, member, whether it may admit others
    settings: Sequence[Setting]
    owner: str
    grants: Sequence[tuple[str | None, str]]  # on the database: to whom (None: everybody), what; none: PostgreSQL's own


@dataclass(frozen=True)
class Login:
    """Who logs in at the copy."""

    role: str
    password: str


def read_surroundings(connection: Connection) -> Surroundings:
    """Ask the source."""
    row = connection.execute(_DATABASE).fetchone()
    assert row is not None
    facts: dict[str, object] = row[4]  # type: ignore[assignment]
    locale = facts.get("datlocale") or facts.get("daticulocale")  # PostgreSQL 17 gave it a new name
    return Surroundings(
        encoding=str(row[0]),
        collate=str(row[1]),
        ctype=str(row[2]),
        provider=str(facts.get("datlocprovider", "c")),  # since PostgreSQL 15
        locale=None if locale is None else str(locale),
        roles=[Role(str(r[0]), *map(bool, r[1:])) for r in connection.execute(_ROLES).fetchall()],
        members=[(str(r[0]), str(r[1]), bool(r[2])) for r in connection.execute(_MEMBERS).fetchall()],
        settings=[
            Setting(bool(in_database), None if role is None else str(role), text)
            for in_database, role, texts in connection.execute(_SETTINGS).fetchall()
            for text in texts  # type: ignore[attr-defined]
        ],
        owner=str(row[3]),
        grants=[(None if r[0] is None else str(r[0]), str(r[1])) for r in connection.execute(_GRANTS).fetchall()],
    )


def make_copy_database(admin_url: str, around: Surroundings, logins: Sequence[Login]) -> list[str]:
    """Make the roles and the empty database `restored`; what could not be carried over, a sentence each."""
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=CONNECT_S) as connection:
        _make_roles(connection, around, logins)
        notes = _make_database(connection, around)
        _give_rights(connection, around)
    return notes


def apply_settings(admin_url: str, around: Surroundings) -> list[str]:
    """Set what the source sets for the database and its roles. After the restore: one may forbid writing."""
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=CONNECT_S) as connection:
        return [note for setting in around.settings for note in _apply(connection, setting)]


def _make_roles(connection: Connection, around: Surroundings, logins: Sequence[Login]) -> None:
    passwords = {login.role: login.password for login in logins}
    there = {str(row[0]) for row in connection.execute("SELECT rolname FROM pg_catalog.pg_roles").fetchall()}
    for role in around.roles:
        if role.name in there:
            continue  # the copy's own superuser has the name of the source's
        options = ["INHERIT" if role.inherits else "NOINHERIT", "BYPASSRLS" if role.sees_all_rows else "NOBYPASSRLS"]
        if role.name in passwords:
            options += ["LOGIN", "SUPERUSER" if role.superuser else "NOSUPERUSER"]
            options += ["CREATEROLE"] if role.makes_roles else []
        connection.execute(sql.SQL("CREATE ROLE {} ").format(sql.Identifier(role.name)) + sql.SQL(" ".join(options)))
        if role.name in passwords:
            verifier = connection.pgconn.encrypt_password(
                passwords[role.name].encode(), role.name.encode(), b"scram-sha-256"
            )
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role.name), sql.Literal(verifier.decode()))
            )
    for group, member, admits in around.members:
        grant = sql.SQL("GRANT {} TO {} WITH ADMIN OPTION" if admits else "GRANT {} TO {}")
        connection.execute(grant.format(sql.Identifier(group), sql.Identifier(member)))


def _make_database(connection: Connection, around: Surroundings) -> list[str]:
    start = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} ").format(
        sql.Identifier(NAME), sql.Literal(around.encoding)
    )
    same = sql.SQL("LC_COLLATE {} LC_CTYPE {}").format(sql.Literal(around.collate), sql.Literal(around.ctype))
    if around.provider == "i":
        same += sql.SQL(" LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(around.locale))
    elif around.provider == "b":
        same += sql.SQL(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(sql.Literal(around.locale))
    elif connection.info.server_version >= 150000:
        same += sql.SQL(" LOCALE_PROVIDER libc")
    try:
        connection.execute(start + same)
    except psycopg.Error as exc:
        plain = "LOCALE 'C'" + (" LOCALE_PROVIDER libc" if connection.info.server_version >= 150000 else "")
        connection.execute(start + sql.SQL(plain))
        reason = str(exc).splitlines()[0]
        return [f"the copy sorts by locale C, not by {around.locale or around.collate}: {reason}"]
    return []


def _give_rights(connection: Connection, around: Surroundings) -> None:
    name = sql.Identifier(NAME)
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(around.owner)))
    if not around.grants:
        return
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    for grantee, privilege in around.grants:
        whom = sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee)
        what = sql.SQL(privilege)  # a word of PostgreSQL's own
        connection.execute(sql.SQL("GRANT {} ON DATABASE {} TO {}").format(what, name, whom))


def _apply(connection: Connection, setting: Setting) -> list[str]:
    """Through the session, so that a list of names (search_path) stays a list."""
    name, _, value = setting.text.partition("=")
    if name.endswith("_preload_libraries"):
        return [f"the setting {name} was not carried over: a library that is missing would refuse every session"]
    match setting.role, setting.in_database:
        case None, _:
            where = sql.SQL("DATABASE {}").format(sql.Identifier(NAME))
        case role, True:
            where = sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(str(role)), sql.Identifier(NAME))
        case role, _:
            where = sql.SQL("ROLE {}").format(sql.Identifier(str(role)))
    parts = sql.SQL(".").join(sql.Identifier(part) for part in name.split("."))
    try:
        with connection.transaction(force_rollback=False):
            connection.execute("SELECT pg_catalog.set_config(%s, %s, true)", [name, value])
            connection.execute(sql.SQL("ALTER {} SET {} FROM CURRENT").format(where, parts))
    except psycopg.Error as exc:
        return [f"the setting {name} was not carried over: {str(exc).splitlines()[0]}"]
    return []
