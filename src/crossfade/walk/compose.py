"""The composition root: from a configuration and the journal's word to a walker with real parts.

Rule: this is the one place that knows which class stands behind which port. Nothing here decides anything.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from crossfade.host.files import read_json, write_json
from crossfade.journal.epoch import EpochLock
from crossfade.journal.lease import PostgresLease
from crossfade.journal.postgres import PostgresJournal
from crossfade.journal.spool import Spool
from crossfade.judge.judge import Judge
from crossfade.model.ports import Address, Journal, Proxy, RecordSource, Slot
from crossfade.model.requirement import Config
from crossfade.model.verdict import EndpointLimit
from crossfade.runtime.secrets import resolve
from crossfade.runtime.supervisor import SupervisorRuntime
from crossfade.signals.command import CommandRecords
from crossfade.signals.latency import RollingLatency
from crossfade.signals.ring import RingCollector
from crossfade.traffic.command import CommandProxy
from crossfade.traffic.haproxy import HaproxyProxy
from crossfade.walk.acts import Lanes, Parts, ReleaseActs
from crossfade.walk.addresses import admin_url
from crossfade.walk.asks import Asks
from crossfade.walk.dying import DyingJournal, dying_after
from crossfade.walk.health import ask
from crossfade.walk.lanes import lane_from_json
from crossfade.walk.loop import Release, Walker
from crossfade.walk.observe import LiveObserver
from crossfade.walk.readycheck import ReadyCheck
from crossfade.walk.schema_engine import LatencyMs
from crossfade.walk.schema_side import change_walk_of
from crossfade.walk.site import Site
from crossfade.walk.smoke import SmokeRequest, smoke

LEASE_TTL_S = 6.0


@dataclass
class Memory:
    """The durable side of one process: spool, epoch lock, lease, journal."""

    spool: Spool
    lock: EpochLock
    lease: PostgresLease
    durable: PostgresJournal  # for binding and adopting
    journal: Journal  # for rows
    after_act: Callable[[str], None]  # told of each durable row of the schema's acts

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


def memory(site: Site, die_after_row: int | None = None, die_after_act: int | None = None) -> Memory:
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
        require_own=lambda connection: journal.require_own(connection),
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
    return Memory(spool, lock, lease, journal, rows, dying_after(die_after_act))


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


def parts_of(site: Site, release: Release, lanes: Lanes, held: Memory, proxy: Proxy, latency_ms: LatencyMs) -> Parts:
    """The real parts of one release. `latency_ms` is the service's own, for a backfill to rest."""
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
        change=change_walk_of(site, release, lanes, held.lease, latency_ms, held.after_act, held.durable.require_own),
    )


@dataclass
class Walking:
    """A walker and what the status is read from."""

    walker: Walker
    lanes: Lanes
    observer: LiveObserver
    acts: ReleaseActs


def walking(
    site: Site, release: Release, held: Memory, proxy: Proxy, records: RecordSource, behind: Callable[[], str]
) -> Walking:
    """Everything that walks one release. `behind` says why the database is not the one that was left."""
    lanes = lanes_of(site, release)
    latency = RollingLatency()
    parts = parts_of(site, release, lanes, held, proxy, latency.p99_ms)
    judge = judge_of(site.config)
    events = site.state_dir / "events" / f"{release.id}.jsonl"
    asks = Asks(site.state_dir)
    observer = LiveObserver(site.config, lanes, parts, records, judge, asks, events, behind, latency)
    acts = ReleaseActs(lanes, parts)
    walker = Walker(release, held.journal, held.lease, observer, acts, site.clock)
    return Walking(walker, lanes, observer, acts)
