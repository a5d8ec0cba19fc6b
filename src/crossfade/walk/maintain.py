"""Moving only the schema: purging what a change has hidden, and undoing one that is open.

Rule: both are walked like a release, on a path of their own, while one version serves throughout. A purge cannot be
taken back by a step, so it needs all of this (I3): the soak that the requirement names is over, a fresh proof that
the backup can be restored, a restore point or a waiver for it, and nobody of the old version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from crossfade.backup.proof import Verdict
from crossfade.model.errors import fail
from crossfade.model.path import Act, Path
from crossfade.model.ports import LaneSpec, SchemaFacts, Standing
from crossfade.model.requirement import Config, Requirement, Waiver
from crossfade.plan.release import Named, plan_maintenance
from crossfade.walk.lanes import lane_to_json

RESTORE_POINT = "purge:restore-point"
RESTORE_PROOF = "purge:restore-proof"  # only where no service can be drilled


class Proven(NamedTuple):
    """What the newest restore proof says, as a purge needs to know it."""

    verdict: str
    at: datetime


def chosen(facts: SchemaFacts, act: Act, name: str | None) -> Standing:
    """The change that is meant: the named one, else the one that has waited longest. Raises `nothing-to-move`."""
    candidates = list(facts.detached) if act is Act.PURGE else [facts.open] if facts.open else []
    fitting = [one for one in candidates if name is None or name in (one.change.id, one.change.name, one.version)]
    if not fitting:
        waiting = ", ".join(f"{one.change.name} ({one.change.id}) at '{one.stage}'" for one in candidates)
        raise fail("nothing-to-move", what=act.value.split()[0], found=waiting or "no change stands where it could be")
    return fitting[0]


def refuse_purge(config: Config, standing: Standing, proof: Proven | None, now: datetime) -> None:
    """Raise `purge-too-early`, `purge-unproven` or `purge-unarchived` where something is missing."""
    need, name = config.requirement, standing.change.name
    _refuse_early(need, standing, now)
    fresh = proof is not None and (now - proof.at) <= timedelta(days=need.restore_proof_max_age_days)
    if proof is None or proof.verdict != Verdict.RESTORED or not fresh:
        said = "none on record" if proof is None else f"{proof.verdict} on {proof.at:%Y-%m-%d %H:%M} UTC"
        raise fail("purge-unproven", name=name, proof=said, days=need.restore_proof_max_age_days)
    if waiver_line(config.waivers, now.date()) is None:
        raise fail("purge-unarchived", name=name, waiver=RESTORE_POINT)


def refuse_purge_alone(need: Requirement, waivers: Sequence[Waiver], standing: Standing, now: datetime) -> None:
    """The same where no service can be drilled: somebody answers for the restore as well.

    Raises `purge-too-early`, `schema-purge-unproven`.
    """
    _refuse_early(need, standing, now)
    lacking = [what for what in (RESTORE_PROOF, RESTORE_POINT) if waiver_line(waivers, now.date(), what) is None]
    if lacking:
        listed = ", ".join(f"a waiver {what} in force" for what in lacking)
        raise fail("schema-purge-unproven", name=standing.change.name, lacking=listed, first=lacking[0])


def _refuse_early(need: Requirement, standing: Standing, now: datetime) -> None:
    age_s = (now - standing.since).total_seconds()
    if age_s < need.purge_after_s:
        until = standing.since + timedelta(seconds=need.purge_after_s)
        raise fail(
            "purge-too-early",
            name=standing.change.name,
            age=span(age_s),
            wanted=span(need.purge_after_s),
            seconds=f"{need.purge_after_s:g}",
            until=f"{until:%Y-%m-%d %H:%M} UTC",
        )


def waiver_line(waivers: Sequence[Waiver], today: date, what: str = RESTORE_POINT) -> str | None:
    """The waiver in force, for showing it red; None where there is none."""
    for waiver in waivers:
        if waiver.what == what and today <= waiver.expires:
            return f"waived by {waiver.name} until {waiver.expires}: {waiver.reason}"
    return None


@dataclass(frozen=True)
class Maintenance:
    """A path on which only the schema moves, with what the journal needs to walk it."""

    path: Path
    data: Mapping[str, object]
    standing: Standing


def plan(
    config: Config, config_digest: str, lane: LaneSpec, boot_ms: int | None, standing: Standing, act: Act
) -> Maintenance:
    """Plan it for the version that serves."""
    path = plan_maintenance(config, Named(lane.version, lane.digest), config_digest, standing, act)
    nobody = LaneSpec(lane.slot.other, "", "", [])
    data = {
        "old_slot": str(lane.slot),
        "old_lane": lane_to_json(lane),
        "new_lane": lane_to_json(nobody),
        "old_boot_ms": boot_ms,
        "change": standing.change.to_json(),
        "change_version": standing.version,
    }
    return Maintenance(path, data, standing)


def span(seconds: float) -> str:
    """A time as people say it: "7 days"."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
