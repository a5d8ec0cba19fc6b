"""From the requirement, two versions and a schema change to the path of a release. Pure.

Rule: the plan is what is walked. Everything that depends on the configuration is decided here, once, and is
part of the path's digest; the walker adds nothing to it. Every release has the start and the smoke of the new
lane before its first share (I1), and what the new version needs of the schema before its start. Either half may
be empty: a release without a change of the schema, and a move of the schema without a release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from crossfade.model.change import Change, Stage
from crossfade.model.path import Act, Kind, Path, Position, Presence, Step
from crossfade.model.ports import FULL_BP, Standing
from crossfade.model.requirement import Config
from crossfade.model.walker import Zone, zone


@dataclass(frozen=True)
class Named:
    """A version as the plan needs it: what people call it, and what it is."""

    name: str
    digest: str


@dataclass(frozen=True)
class Dwell:
    """How long a position is stood at: at least, and at most without a verdict."""

    min_s: float
    cap_s: float


@dataclass(frozen=True)
class SchemaPart:
    """What a release has to do with the schema: the change it walks, if it has one, and where that stands now.

    Without a change of its own a release may still go out on a schema that another one has expanded (a hotfix).
    """

    stage: Stage = Stage.BASE
    tables: Sequence[str] = ()
    change: Change | None = None

    def at(self, stage: Stage) -> Mapping[str, Stage]:
        """The tables at this stage; where the change stands farther already, there."""
        return dict.fromkeys(self.tables, max(stage, self.stage, key=lambda one: one.rank))


NO_SCHEMA = SchemaPart()


def plan_release(
    config: Config, old: Named | None, new: Named, config_digest: str, schema: SchemaPart = NO_SCHEMA
) -> Path:
    """The path from `old` to `new`; with no old version, the path of a service's first start."""
    shares = config.traffic.shares_bp if old else (FULL_BP,)
    before = Presence.SERVING if old else Presence.ABSENT
    positions = [Position(Kind.STEADY, before, Presence.ABSENT, 0, schema=schema.at(Stage.BASE))]
    steps: list[Step] = []
    stage = _prepare(schema, before, positions, steps)
    both = schema.at(stage)
    positions += [
        Position(Kind.STANDBY, before, Presence.UP, 0, schema=both),
        Position(Kind.SMOKED, before, Presence.PINNED, 0, schema=both),
    ]
    steps += [
        Step(Act.START_NEW, way_back=f"stop {new.name}"),
        Step(Act.SMOKE, way_back="nothing to undo: only pinned requests reached it"),
    ]
    nowhere = "none: there is no earlier version"
    fader_back = "fader to the old slot, at once" if old else nowhere
    for share_bp in shares:
        gated = positions[-1].exposed
        steps.append(Step(Act.SET_SHARE, share_bp, way_back=fader_back, gated=gated))
        full = share_bp == FULL_BP
        beside = Presence.WARM if full else Presence.SERVING
        presence = beside if old else Presence.ABSENT
        positions.append(Position(Kind.SHIFTED, presence, Presence.SERVING, share_bp, schema=both))
    back = f"start {old.name}, then fader to the old slot" if old else nowhere
    steps.append(Step(Act.RETIRE_OLD, way_back=back, gated=old is not None))
    positions.append(Position(Kind.RETIRED, Presence.ABSENT, Presence.SERVING, FULL_BP, schema=both))
    if schema.change is not None:
        steps.append(Step(Act.DETACH, way_back=f"attach the old shape again, {back}"))
        hidden = schema.at(Stage.HIDDEN)
        positions.append(Position(Kind.DETACHED, Presence.ABSENT, Presence.SERVING, FULL_BP, schema=hidden))
    return _path(config, old, new, config_digest, schema.change, positions, steps)


def _prepare(schema: SchemaPart, before: Presence, positions: list[Position], steps: list[Step]) -> Stage:
    """The positions before the new version starts; gives the stage that it starts on."""
    change = schema.change
    if change is None:
        return schema.stage

    def stand(kind: Kind, stage: Stage, step: Step) -> None:
        steps.append(step)
        positions.append(Position(kind, before, Presence.ABSENT, 0, schema=schema.at(stage)))

    if schema.stage is Stage.BASE:
        stand(Kind.EXPANDED, Stage.BOTH, Step(Act.EXPAND, way_back="drop what was added"))
    stand(Kind.BACKFILLED, Stage.EQUAL, Step(Act.BACKFILL, way_back="stop; what is filled stays, or drop it"))
    if change.record:
        stand(Kind.RECORDED, Stage.EQUAL, Step(Act.RECORD, way_back="take the rows out again"))
    return Stage.EQUAL


def _path(
    config: Config,
    old: Named | None,
    new: Named,
    config_digest: str,
    change: Change | None,
    positions: Sequence[Position],
    steps: Sequence[Step],
) -> Path:
    nobody = Named("", "")
    return Path(
        config.service.name,
        (old or nobody).name,
        (old or nobody).digest,
        new.name,
        new.digest,
        config_digest,
        positions,
        steps,
        change.id if change else "",
        change.name if change else "",
        change.digest if change else "",
    ).check_invariants()


def plan_maintenance(config: Config, serving: Named, config_digest: str, standing: Standing, act: Act) -> Path:
    """The path on which only the schema moves: purging a detached change, or undoing an open one."""
    assert act in (Act.PURGE, Act.UNDO_CHANGE), act
    change, tables = standing.change, standing.change.tables
    here = {Act.PURGE: Kind.DETACHED, Act.UNDO_CHANGE: Kind.BACKFILLED}[act]
    there = {Act.PURGE: (Kind.PURGED, Stage.GONE), Act.UNDO_CHANGE: (Kind.STEADY, Stage.BASE)}[act]
    back = "" if act is Act.PURGE else "release the version again: its change is walked anew"
    positions = [
        Position(here, Presence.SERVING, Presence.ABSENT, 0, schema=dict.fromkeys(tables, standing.stage)),
        Position(there[0], Presence.SERVING, Presence.ABSENT, 0, schema=dict.fromkeys(tables, there[1])),
    ]
    nobody = Named("", "")
    return _path(config, serving, nobody, config_digest, change, positions, [Step(act, way_back=back)])


def dwell(config: Config, path: Path, index: int) -> Dwell:
    """How long the release stands at a position. At share 100 the old version is kept warm first."""
    traffic = config.traffic
    if zone(path, index) is Zone.FULL:
        warm_s = max(traffic.step_min_s, config.requirement.keep_warm_s)
        return Dwell(warm_s, warm_s + traffic.step_cap_s)
    return Dwell(traffic.step_min_s, max(traffic.step_min_s, traffic.step_cap_s))


def needed_requests(config: Config) -> dict[str, int]:
    """New-lane requests a critical endpoint needs, without one failure, before its limit is shown to hold.

    The anytime-valid 95 % bound after n requests without a failure is about 3.6 / n (benchmarks/judge_level.py).
    """
    return {e.name: ceil(3.6 / e.error_ratio_max) for e in config.critical_endpoints}
