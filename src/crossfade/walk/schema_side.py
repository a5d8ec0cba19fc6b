"""The schema's side of a release's composition: engine, census and catalog of one service.

Rule: this, `schema_engine.py` and `compose.py` are the places that know which class stands behind each. Nothing here
decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from crossfade.journal.lease import PostgresLease
from crossfade.model.change import Change
from crossfade.model.ports import Slot
from crossfade.runtime.secrets import resolve
from crossfade.schema.catalog import Catalog
from crossfade.schema.census import Census, LaneName, left_over
from crossfade.schema.engine import PostgresSchemaEngine
from crossfade.schema.rights import lane_rights, require_lane_roles_without_ddl
from crossfade.schema.session import RequireOwn, Sessions, anybodys
from crossfade.walk.acts import Lanes
from crossfade.walk.addresses import admin_url, lane_roles
from crossfade.walk.change_walk import ChangeWalk
from crossfade.walk.loop import Release
from crossfade.walk.rehearse import Rehearsal
from crossfade.walk.schema_engine import LatencyMs, Where, catalog_at, engine_at
from crossfade.walk.site import Site


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


def live_catalog(site: Site) -> Catalog:
    """The schema of the service's database as it is now."""
    return catalog_at(admin_url(site.config.database), site.clock)


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
