"""The schema's side of the composition: which class stands behind the engine, the census and the catalog.

Rule: this and `compose.py` are the places that know them. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from crossfade.journal.lease import PostgresLease
from crossfade.model.change import Change
from crossfade.model.ports import Clock, Slot
from crossfade.model.requirement import Staging
from crossfade.runtime.secrets import resolve
from crossfade.schema.backfill import Filler
from crossfade.schema.catalog import Catalog, read_catalog
from crossfade.schema.census import Census, LaneName, left_over
from crossfade.schema.engine import PostgresSchemaEngine
from crossfade.schema.leaf import row_search_path
from crossfade.schema.rights import lane_rights, require_lane_roles_without_ddl
from crossfade.schema.session import RequireOwn, Sessions, anybodys
from crossfade.walk.acts import Lanes
from crossfade.walk.addresses import admin_url, lane_roles
from crossfade.walk.change_walk import ChangeWalk
from crossfade.walk.loop import Release
from crossfade.walk.rehearse import Rehearsal
from crossfade.walk.site import Site

LatencyMs = Callable[[], float | None]


def schema_engine(
    site: Site,
    epoch: Callable[[], int] = lambda: 0,
    latency_ms: LatencyMs = lambda: None,
    after_act: Callable[[str], None] = lambda _unit: None,
    require_own: RequireOwn = anybodys,
) -> PostgresSchemaEngine:
    """The engine on the service's own database. Without an epoch it only reads: its acts would be refused."""
    config = site.config
    where = Where(admin_url(config.database), config.service.name, config.schema)
    return engine_at(where, site.clock, epoch, latency_ms, after_act, require_own)


@dataclass(frozen=True)
class Where:
    """One database, whose changes there, and how gently. The address holds a password: for the driver alone."""

    admin_url: str
    service: str
    settings: Staging


def engine_at(
    where: Where,
    clock: Clock,
    epoch: Callable[[], int] = lambda: 0,
    latency_ms: LatencyMs = lambda: None,
    after_act: Callable[[str], None] = lambda _unit: None,
    require_own: RequireOwn = anybodys,
) -> PostgresSchemaEngine:
    """The engine on any database that has crossfade's own tables; with a service or without one."""
    url, service, settings = where.admin_url, where.service, where.settings

    def filler(change: str) -> Filler:
        connect = Sessions(url, clock, require_own=require_own).beside
        return Filler(connect, service, change, lambda: settings, clock, engine.fence, latency_ms)

    engine = PostgresSchemaEngine(
        url,
        service,
        clock,
        settings,
        epoch,
        filler=filler,
        after_row=after_act,
        require_own=require_own,
    )
    return engine


def live_catalog(site: Site) -> Catalog:
    """The schema of the service's database as it is now."""
    return catalog_at(admin_url(site.config.database), site.clock)


def catalog_at(url: str, clock: Clock) -> Catalog:
    """The schema of a database as it is now; names are looked for where the admin's role looks."""
    with Sessions(url, clock).open("reading the catalog") as session:
        session.execute("SELECT set_config('search_path', %s, false)", [row_search_path(session)])
        return read_catalog(session)


def require_lanes_without_ddl(site: Site, tables: Sequence[str]) -> None:
    """Raise `lane-role-may-alter` where a lane's role could run the raw change by itself."""
    roles = lane_roles(site.config.database)
    if roles:
        with Sessions(admin_url(site.config.database), site.clock).open("asking what the lanes may do") as session:
            require_lane_roles_without_ddl(lane_rights(session, roles, tables))


def left_over_of(site: Site, slot: Slot) -> list[str]:
    """Who is connected as the lane of this slot, one sentence each. Raises `census-blind`."""
    config = site.config
    roles = config.database.app_roles
    role = roles[0 if slot is Slot.LEFT else 1] if roles else None
    lane = LaneName(role, f"{config.service.name}-{slot}")
    pooler = config.database.pooler_url
    census = Census(admin_url(config.database), resolve(pooler) if pooler else None, site.clock)
    return left_over(lane, census.sessions(lane.role, lane.application_name))


def change_walk_of(
    site: Site,
    release: Release,
    lanes: Lanes,
    lease: PostgresLease,
    latency_ms: LatencyMs,
    after_act: Callable[[str], None],
    require_own: RequireOwn,
) -> ChangeWalk | None:
    """The schema's side of one release; None where it walks no change and none stands open.

    `require_own` keeps it from a database that a failover or a restore put in place of the one that was left.
    """
    data = release.data
    if not data.get("change"):
        return None
    change = Change.from_json(data["change"])  # type: ignore[arg-type]
    roles = cast("Mapping[str, str]", data.get("roles") or {})

    return ChangeWalk(
        schema_engine(site, lambda: lease.epoch, latency_ms, after_act, require_own),
        change,
        str(data["change_version"]),
        release.path.old_version,
        site.clock,
        roles=roles,
        rehearse=Rehearsal(site, change, lanes.old, lanes.new, admin_url(site.config.database)).prove,
        may_ask=lease.leading,
        left_over=lambda: left_over_of(site, lanes.old_slot),
    )
