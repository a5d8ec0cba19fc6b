"""Beginning a release: what must hold before the first row is written, and that row.

Rule: a release begins only on the path that was shown: the plan is made again from the world as it is now,
and another digest than the one asked for is refused. One release at a time; a completed one is settled by
the next one's beginning, which gives up the way back to the version before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path as FilePath

from crossfade.backup.proof import newest_restore_proof
from crossfade.journal.spool import Spool
from crossfade.model.change import Change, Stage
from crossfade.model.errors import fail
from crossfade.model.path import Act, Path
from crossfade.model.ports import LaneSpec, Slot
from crossfade.model.requirement import Config
from crossfade.model.version import Version
from crossfade.model.walker import ENDED, Phase
from crossfade.plan.release import NO_SCHEMA, Named, SchemaPart, plan_release
from crossfade.runtime.versions import DirectorySource, GitSource, ImageSource, VersionSource, resolve_version
from crossfade.walk.change_plan import roles_of, schema_part, wanted_by
from crossfade.walk.lanes import lane_from_json, lane_spec, lane_to_json
from crossfade.walk.loop import read_release
from crossfade.walk.maintain import Maintenance, Proven, chosen, refuse_purge
from crossfade.walk.maintain import plan as plan_move
from crossfade.walk.schema_side import live_catalog, require_lanes_without_ddl, schema_engine
from crossfade.walk.site import Site


@dataclass(frozen=True)
class Current:
    """What serves now, as the journal knows it: its slot and lane, and how long it took to start."""

    slot: Slot
    lane: LaneSpec | None
    boot_ms: int | None
    before: str = ""  # the version that a rollback would still bring back; the next release gives that up


@dataclass(frozen=True)
class Plan:
    """A path with what is needed to walk it."""

    path: Path
    current: Current
    new: LaneSpec
    change: Change | None = None  # what it walks, or what stands open while it goes out
    roles: Mapping[str, str] = field(default_factory=dict)  # which shape each lane's role writes

    @property
    def data(self) -> dict[str, object]:
        """For the PLANNED row."""
        return {
            "change": self.change.to_json() if self.change else None,
            "change_version": self.new.version,
            "roles": dict(self.roles),
            "old_slot": str(self.current.slot),
            "old_lane": lane_to_json(self.current.lane) if self.current.lane else None,
            "new_lane": lane_to_json(self.new),
            "old_boot_ms": self.current.boot_ms,
        }


def config_digest(config: Config) -> str:
    """What binds a plan to the configuration it was made from."""
    text = json.dumps(asdict(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def current(spool: Spool) -> Current:
    """What serves now: the last release's new lane where it completed, else the lane it came from."""
    rows = list(spool.rows())
    release = read_release(rows)
    if release is None:
        return Current(Slot.LEFT, None, None)
    old_slot = Slot(str(release.data["old_slot"]))
    if release.state.phase is Phase.COMPLETED and not release.path.maintenance:
        lane = lane_from_json(release.data["new_lane"])  # type: ignore[arg-type]
        boot_ms = _boot_ms([row.data for row in rows if row.release == release.id])
        return Current(old_slot.other, lane, boot_ms, release.path.old_version)
    lane = lane_from_json(release.data["old_lane"])  # type: ignore[arg-type]
    known_ms = release.data.get("old_boot_ms")
    return Current(old_slot, lane, None if known_ms is None else int(str(known_ms)))


def _boot_ms(results: list[Mapping[str, object]]) -> int | None:
    """How long the new lane took to start, as the journal has it."""
    measured = [data["boot_ms"] for data in results if data.get("act") == "start new" and "boot_ms" in data]
    return int(str(measured[-1])) if measured else None


def refuse_while_walking(spool: Spool) -> None:
    """Raise `release-in-progress` while a release is under way."""
    release = read_release(list(spool.rows()))
    if release is not None and release.state.phase not in ENDED:
        raise fail(
            "release-in-progress",
            release=release.id,
            old=release.path.old_version or "nothing",
            new=release.path.new_version or release.path.change_name,
            phase=release.state.phase,
        )


def make_plan(site: Site, spool: Spool, name: str) -> Plan:
    """Plan the release of version `name` over what serves now. Raises the errors of versions and plan."""
    config = site.config
    now = current(spool)
    version = resolve(site, name)
    if now.lane is not None and now.lane.digest == version.digest:
        raise fail("release-changes-nothing", version=name, digest=version.short_digest)
    old = Named(now.lane.version, now.lane.digest) if now.lane else None
    part, known = _schema(site, version)
    path = plan_release(config, old, Named(version.name, version.digest), config_digest(config), part)
    return Plan(path, now, lane_spec(config, now.slot.other, version), known, roles_of(config, part, now.slot))


def _schema(site: Site, version: Version) -> tuple[SchemaPart, Change | None]:
    """What the release has to do with the schema, and the change that its triggers belong to."""
    config = site.config
    if not config.schema.change:
        return NO_SCHEMA, None
    wanted = wanted_by(config, version.name, FilePath(version.directory))
    facts = schema_engine(site).facts()
    part = schema_part(config, version.name, wanted, facts, lambda: live_catalog(site))
    if part.change is not None and part.stage is Stage.BASE:
        require_lanes_without_ddl(site, part.tables)
    return part, part.change or (facts.open.change if facts.open else None)


def make_maintenance(site: Site, spool: Spool, act: Act, name: str | None) -> Maintenance:
    """Plan a purge or an undo of the change that is meant. Raises why it may not begin."""
    refuse_while_walking(spool)
    now = current(spool)
    if now.lane is None:
        raise fail("nothing-to-move", what=act.value.split()[0], found="no version of this service was ever released")
    facts = schema_engine(site).facts()
    standing = chosen(facts, act, name)
    if act is Act.PURGE:
        proof = newest_restore_proof(site.state_dir)
        proven = Proven(proof.verdict, proof.at) if proof else None
        refuse_purge(site.config, standing, proven, site.clock.now())
    return plan_move(site.config, config_digest(site.config), now.lane, now.boot_ms, standing, act)


def resolve(site: Site, name: str) -> Version:
    """The version people call `name`, with its own directory."""
    return resolve_version(name, _source(site, name), site.state_dir)


def _source(site: Site, name: str) -> VersionSource:
    """Where the configuration says that versions come from."""
    versions, here = site.config.versions, site.config_file.parent
    match versions.source:
        case "directory":
            return DirectorySource({known: here / path for known, path in versions.directories.items()})
        case "image":
            return ImageSource({name: versions.image.replace("{version}", name)})
        case _:
            return GitSource((here / versions.repository).resolve())


def begin(site: Site, spool: Spool, name: str, digest: str) -> Plan:
    """Plan again, and refuse what is not the plan that was shown."""
    refuse_while_walking(spool)
    plan = make_plan(site, spool, name)
    if plan.path.digest != digest:
        raise fail("plan-changed", version=name, shown=digest, found=plan.path.digest)
    return plan
