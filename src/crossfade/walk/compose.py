"""The composition root: from a configuration and the journal's word to a walker with real parts.

Rule: this is the one place that knows which class stands behind which port. Nothing here decides anything.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from crossfade.host.files import read_json, write_json
from crossfade.journal.epoch import EpochLock
from crossfade.journal.lease import PostgresLease
from crossfade.journal.postgres import PostgresJournal
from crossfade.journal.spool import Spool
from crossfade.judge.judge import Judge
from crossfade.model.change import Change
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import Address, Journal, Proxy, RecordSource, Slot
from crossfade.model.requirement import Config, Database
from crossfade.model.verdict import EndpointLimit
from crossfade.runtime.secrets import resolve
from crossfade.runtime.supervisor import SupervisorRuntime
from crossfade.schema.backfill import Filler
from crossfade.schema.catalog import Catalog, read_catalog
from crossfade.schema.census import Census, LaneName, left_over
from crossfade.schema.engine import PostgresSchemaEngine
from crossfade.schema.leaf import row_search_path
from crossfade.schema.rights import lane_rights, require_lane_roles_without_ddl
from crossfade.schema.session import Sessions
from crossfade.signals.command import CommandRecords
from crossfade.signals.ring import RingCollector
from crossfade.traffic.command import CommandProxy
from crossfade.traffic.haproxy import HaproxyProxy
from crossfade.walk.acts import Lanes, Parts, ReleaseActs
from crossfade.walk.asks import Asks
from crossfade.walk.change_walk import ChangeWalk
from crossfade.walk.dying import DyingJournal
from crossfade.walk.health import ask
from crossfade.walk.lanes import lane_from_json
from crossfade.walk.loop import Release, Walker
from crossfade.walk.observe import LiveObserver
from crossfade.walk.readycheck import ReadyCheck
from crossfade.walk.rehearse import Rehearsal
from crossfade.walk.site import Site
from crossfade.walk.smoke import SmokeRequest, smoke

LEASE_TTL_S = 6.0


def admin_url(database: Database, environ: Mapping[str, str] = os.environ) -> str:
    """The admin's URL with its password, for the driver only; never logged."""
    url = resolve(database.admin_url, environ)
    if not database.admin_password:
        return url
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    secret = quote(resolve(database.admin_password, environ), safe="")
    return urlunsplit(parts._replace(netloc=f"{user}:{secret}@{host}"))


def lane_roles(database: Database, environ: Mapping[str, str] = os.environ) -> Sequence[str]:
    """The roles of the two slots, or the one that both connect as; none where that cannot be told here."""
    if database.app_roles:
        return database.app_roles
    try:
        user = urlsplit(resolve(database.app_url, environ)).username
    except (CrossfadeError, ValueError):
        return ()
    return (unquote(user),) if user else ()


@dataclass
class Memory:
    """The durable side of one process: spool, epoch lock, lease, journal."""

    spool: Spool
    lock: EpochLock
    lease: PostgresLease
    durable: PostgresJournal  # for binding and adopting
    journal: Journal  # for rows

    def epoch(self) -> int:
        """The epoch acts are done under: our own, else the last one that acted here (fader to old only)."""
        return self.lease.epoch or self.lock.current()

    def guard(self) -> AbstractContextManager[object]:
        """The epoch lock for an act of the leader."""
        return self.lock.act(self.lease.epoch)

    def guard_to_old(self) -> AbstractContextManager[object]:
        """The epoch lock for the fader to old: under our epoch where we lead, else under the file's."""
        if self.lease.leading():
            return self.lock.act(self.lease.epoch)
        return self.lock.act_fader_to_old()

    def close(self) -> None:
        """Let the lease and the connections go."""
        self.lease.release()
        self.durable.close()
        self.spool.close()
        self.lock.close()


def memory(site: Site, die_after_row: int | None = None) -> Memory:
    """Open the durable side. Touches files only; the database is asked with the first call."""
    config, clock = site.config, site.clock
    service = config.service.name
    url = admin_url(config.database)
    lock = EpochLock(site.state_dir / "epoch.lock", service, clock)
    spool = Spool(site.state_dir / "spool.jsonl", clock)
    lease = PostgresLease(
        url,
        service,
        LEASE_TTL_S,
        clock=clock,
        holder=f"{os.getpid()}-{secrets.token_hex(4)}",
        epoch_floor=lock.current,
        ended=lock.ended,
    )
    journal = PostgresJournal(
        url,
        spool,
        service,
        clock,
        lambda: lease.epoch or lock.current(),
        environment=config.service.environment,
        guard=lock.act,
        leading=lease.leading,
        new_installation=lambda: secrets.token_hex(8),
    )
    rows = journal if die_after_row is None else DyingJournal(journal, die_after_row)
    return Memory(spool, lock, lease, journal, rows)


def pin_of(site: Site, release: str) -> str:
    """The secret that pins smoke requests of one release; from a key that never leaves this machine's files."""
    file = site.state_dir / "pin.json"
    known = read_json(file)
    if known is None:
        write_json(file, {"key": secrets.token_hex(32)}, durable=True)
        known = read_json(file)
    assert known is not None
    return hmac.new(str(known["key"]).encode(), release.encode(), "sha256").hexdigest()[:32]


def lanes_of(site: Site, release: Release) -> Lanes:
    """Both lanes as they were when the release was planned."""
    config, data = site.config, release.data
    new = lane_from_json(data["new_lane"])  # type: ignore[arg-type]
    assert new is not None
    web = config.processes_of("web")[0]
    return Lanes(
        release=release.id,
        path=release.path,
        old_slot=Slot(str(data["old_slot"])),
        old=lane_from_json(data["old_lane"]),  # type: ignore[arg-type]
        new=new,
        alive_path=web.alive,
        ready_path=web.ready,
        start_timeout_s=web.start_timeout_s,
        drain_s=config.requirement.drain_s,
        salt=str(data["salt"]),
        pin=pin_of(site, release.id),
        fuse=config.traffic.fuse,
    )


def smoke_requests(config: Config) -> list[SmokeRequest]:
    """What is sent through the pinned new lane: one request for each critical endpoint that has a smoke."""
    requests = []
    for endpoint in config.critical_endpoints:
        if endpoint.smoke is None or endpoint.smoke_request is None:
            continue  # the check refuses this unless a waiver says so; the readiness report shows it red
        method, path = endpoint.smoke_request
        headers = {key: resolve(value) for key, value in endpoint.smoke.headers.items()}
        requests.append(
            SmokeRequest(
                endpoint.name,
                method,
                path,
                headers,
                endpoint.smoke.body,
                endpoint.smoke.expect_status,
                endpoint.smoke.undo_request,
            )
        )
    return requests


def judge_of(config: Config) -> Judge:
    """The judge with the limits frozen before the release."""
    limits = [
        EndpointLimit(e.name, e.critical, e.error_ratio_max, float(e.slow_ms), e.slow_ratio_max, float(e.hang_ms))
        for e in config.endpoints
    ]
    return Judge(limits, alpha=config.requirement.false_rollbacks_per_release, margin=config.signals.margin_ratio)


def records_of(site: Site, proxy: Proxy) -> RecordSource:
    """Where the records come from. The ring's collector listens from here on."""
    if site.config.signals.driver == "command":
        assert isinstance(proxy, CommandProxy), "the configuration was checked"
        return CommandRecords(
            site.config.signals.command, site.clock, proxy.in_force, directory=str(site.config_file.parent)
        )
    assert isinstance(proxy, HaproxyProxy), "the configuration was checked"
    return RingCollector("127.0.0.1", site.collector_port(), site.clock, proxy.pid)


def schema_engine(site: Site, epoch: Callable[[], int] = lambda: 0) -> PostgresSchemaEngine:
    """The engine on the service's own database. Without an epoch it only reads: its acts would be refused."""
    config, clock = site.config, site.clock
    url, service = admin_url(config.database), config.service.name

    def filler(change: str) -> Filler:
        return Filler(Sessions(url, clock).beside, service, change, lambda: config.schema, clock, engine.fence)

    engine = PostgresSchemaEngine(url, service, clock, config.schema, epoch, filler=filler)
    return engine


def live_catalog(site: Site) -> Catalog:
    """The schema of the service's database as it is now; names are looked for where the admin's role looks."""
    with Sessions(admin_url(site.config.database), site.clock).open("reading the catalog") as session:
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


def change_walk_of(site: Site, release: Release, lanes: Lanes, held: Memory) -> ChangeWalk | None:
    """The schema's side of one release; None where it walks no change and none stands open."""
    data = release.data
    if not data.get("change"):
        return None
    change = Change.from_json(data["change"])  # type: ignore[arg-type]
    roles = cast("Mapping[str, str]", data.get("roles") or {})

    return ChangeWalk(
        schema_engine(site, lambda: held.lease.epoch),
        change,
        str(data["change_version"]),
        release.path.old_version,
        site.clock,
        roles=roles,
        rehearse=Rehearsal(site, change, lanes.old, lanes.new, admin_url(site.config.database)).prove,
        may_ask=held.lease.leading,
        left_over=lambda: left_over_of(site, lanes.old_slot),
    )


def parts_of(site: Site, release: Release, lanes: Lanes, held: Memory, proxy: Proxy) -> Parts:
    """The real parts of one release."""
    runtime = site.runtime()
    host, port = site.front
    front = Address(host, port)

    def pinned_smoke() -> list[str]:
        requests = smoke_requests(site.config)
        return list(smoke(front, lanes.new_slot, lanes.pin, requests, timeout_s=5.0))

    def foreign() -> list[str]:
        if isinstance(runtime, SupervisorRuntime):
            return [f"{found.name} (pid {found.pid})" for found in runtime.found_instances()]
        return []

    return Parts(
        proxy=proxy,
        runtime=runtime,
        clock=site.clock,
        guard=held.guard,
        guard_to_old=held.guard_to_old,
        probe=ask,
        prove_ready_check=lambda: ReadyCheck(site, lanes.new).prove(),  # where only the schema moves there is no lane
        smoke=pinned_smoke,
        foreign=foreign,
        change=change_walk_of(site, release, lanes, held),
    )


@dataclass
class Walking:
    """A walker and what the status is read from."""

    walker: Walker
    lanes: Lanes
    observer: LiveObserver


def walking(
    site: Site, release: Release, held: Memory, proxy: Proxy, records: RecordSource, behind: Callable[[], str]
) -> Walking:
    """Everything that walks one release. `behind` says why the database is not the one that was left."""
    lanes = lanes_of(site, release)
    parts = parts_of(site, release, lanes, held, proxy)
    judge = judge_of(site.config)
    events = site.state_dir / "events" / f"{release.id}.jsonl"
    observer = LiveObserver(site.config, lanes, parts, records, judge, Asks(site.state_dir), events, behind)
    walker = Walker(release, held.journal, held.lease, observer, ReleaseActs(lanes, parts), site.clock)
    return Walking(walker, lanes, observer)
