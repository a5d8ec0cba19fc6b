"""From the requirement and two versions to the path of a release of code. Pure.

Rule: the plan is what is walked. Everything that depends on the configuration is decided here, once, and is
part of the path's digest; the walker adds nothing to it. Every path has the start and the smoke of the new lane
before its first share (I1).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from crossfade.model.path import Act, Kind, Path, Position, Presence, Step
from crossfade.model.ports import FULL_BP
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


def plan_release(config: Config, old: Named | None, new: Named, config_digest: str) -> Path:
    """The path from `old` to `new`; with no old version, the path of a service's first start."""
    shares = config.traffic.shares_bp if old else (FULL_BP,)
    before = Presence.SERVING if old else Presence.ABSENT
    positions = [
        Position(Kind.STEADY, before, Presence.ABSENT, 0),
        Position(Kind.STANDBY, before, Presence.UP, 0),
        Position(Kind.SMOKED, before, Presence.PINNED, 0),
    ]
    steps = [
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
        positions.append(Position(Kind.SHIFTED, beside if old else Presence.ABSENT, Presence.SERVING, share_bp))
    back = f"start {old.name}, then fader to the old slot" if old else nowhere
    steps.append(Step(Act.RETIRE_OLD, way_back=back, gated=old is not None))
    positions.append(Position(Kind.RETIRED, Presence.ABSENT, Presence.SERVING, FULL_BP))
    return Path(
        config.service.name,
        old.name if old else "",
        old.digest if old else "",
        new.name,
        new.digest,
        config_digest,
        positions,
        steps,
    ).check_invariants()


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
