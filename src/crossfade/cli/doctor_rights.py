"""What `crossfade doctor` says of roles and rights in the database, and of the pooler before it.

Rule: as the other probes, it looks and changes nothing. Bad is what a release of this configuration would fail on;
a right that only a schema change needs is bad where `schema.change` says that there are some. What makes crossfade
blind in one place is unknown, told with what is lost and the statement that gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from crossfade.cli.doctor_probes import Finding, State, bad, well
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import Clock
from crossfade.model.requirement import Config, Database
from crossfade.runtime.secrets import resolve
from crossfade.schema.census import Census
from crossfade.schema.paths import may_create_schemas, read_paths
from crossfade.schema.rights import AdminRight, admin_rights, known_roles, lane_rights, user_tables
from crossfade.schema.session import Session, Sessions
from crossfade.walk.addresses import admin_url, lane_roles


def probe_rights(config: Config, environ: Mapping[str, str], clock: Clock) -> Iterator[Finding]:
    """Crossfade's role has the rights it needs, and the lanes' roles have none to change the schema."""
    changes = bool(config.schema.change)
    for name, database in config.databases.items():
        what = f"rights {name}"
        try:
            url = admin_url(database, environ)
        except (CrossfadeError, ValueError):
            continue  # told by the probe of the database
        try:
            with Sessions(url, clock).open("read the rights") as session:
                yield from _rights(session, name, lane_roles(database, environ), changes)
                if config.schema.star_queries == "some":
                    yield from _views(session, name, lane_roles(database, environ), changes)
        except CrossfadeError as exc:
            said = f"could not be asked: {exc.facts['detail']}"
            yield Finding(what, State.UNKNOWN, said, "mend what the reason says")
            continue
        yield from _pooler(name, database, url, environ, clock)


def _rights(connection: Session, name: str, roles: Sequence[str], changes: bool) -> Iterator[Finding]:
    tables = user_tables(connection)
    for right in admin_rights(connection, tables):
        yield _admin_finding(f"rights {name}: {right.what}", right, changes)
    known = known_roles(connection, roles)
    for role in roles:
        what = f"lane role {role}"
        held = lane_rights(connection, [role], tables) if role in known else []
        if role not in known:
            yield bad(what, "does not exist in the database", f"CREATE ROLE {role} LOGIN PASSWORD '...'")
        elif not held:
            yield well(what, "cannot change the schema")
        else:
            said = ", ".join(sorted({one.what for one in held}))
            remedy = "; ".join(sorted({one.remedy for one in held}))
            yield _not_held(what, f"could change the schema: {said}", remedy, needed=changes)
    if len(roles) == 1 and changes:
        said = "both slots connect as one role; the database tells them apart by application_name alone"
        remedy = f"write {{role}} in database.{name}.app_url and app_roles = [...]"
        yield Finding(f"lanes {name}", State.UNKNOWN, f"{said}, which an application may replace; {remedy}", remedy)
    if not roles:
        said = "not known here, so whether it could change the schema is not either"
        yield Finding(f"lane role {name}", State.UNKNOWN, said, f"mend database.{name}.app_url")


def _views(connection: Session, name: str, roles: Sequence[str], changes: bool) -> Iterator[Finding]:
    """What it takes to show each version its own shape by views."""
    what = f"rights {name}: make a schema for each change"
    if may_create_schemas(connection):
        yield well(what, "yes")
    else:
        remedy = f"GRANT CREATE ON DATABASE {connection.info.dbname} TO {connection.info.user}"
        yield _not_held(what, "a new version's views have no place", remedy, needed=changes)
    for one in read_paths(connection, roles):
        what = f"search path of {one.role}"
        if one.may_set:
            yield well(what, "can be set for a new version")
        else:
            said = f"{connection.info.user} cannot set it, so a new version would see the old shape"
            yield _not_held(what, said, one.grant, needed=changes)


def _admin_finding(what: str, right: AdminRight, changes: bool) -> Finding:
    if right.held:
        return well(what, "yes")
    always = right.what == "create crossfade's schemas"
    return _not_held(what, right.lost, right.grant, needed=right.needed and (changes or always))


def _not_held(what: str, said: str, remedy: str, *, needed: bool) -> Finding:
    if needed:
        return bad(what, said, remedy)
    return Finding(what, State.UNKNOWN, f"{said}; to mend it: {remedy}", remedy)


def _pooler(name: str, database: Database, url: str, environ: Mapping[str, str], clock: Clock) -> Iterator[Finding]:
    what = f"pooler {name}"
    if not database.pooler_url:
        apart = _apart(database, url, environ)
        if apart:
            remedy = f"if PgBouncer stands there, name its console: database.{name}.pooler_url"
            yield Finding(what, State.UNKNOWN, f"{apart}; {remedy}", remedy)
        return
    try:
        census = Census(url, resolve(database.pooler_url, environ), clock)
        census.sessions(database.app_roles[0] if database.app_roles else None, "")
        forced = census.forced_roles() if database.app_roles else {}
    except CrossfadeError as exc:
        yield bad(what, f"{exc.message}: {exc.facts['reason']}", f"mend database.{name}.pooler_url")
        return
    for alias, role in forced.items():
        said = f"PgBouncer connects every client of {alias} as {role}, so the lanes' roles are lost"
        yield bad(what, said, f"take user= out of PgBouncer's line for {alias}")
    if not forced:
        yield well(what, "PgBouncer's console answers")


def _apart(database: Database, url: str, environ: Mapping[str, str]) -> str:
    """Where application and crossfade connect to different places: that, in words."""
    try:
        app, admin = urlsplit(resolve(database.app_url, environ)), urlsplit(url)
        places = [(side.hostname, side.port or 5432) for side in (app, admin)]
    except (CrossfadeError, ValueError):
        return ""
    if places[0] == places[1] or not all(host for host, _ in places):
        return ""
    return "app_url leads to {}:{}, admin_url to {}:{}".format(*places[0], *places[1])
