"""From a turn of the loop to the status people read."""

from __future__ import annotations

import os

from crossfade.model.change import Stage
from crossfade.model.ports import FULL_BP
from crossfade.model.walker import ENDED, Phase
from crossfade.walk.compose import Memory, Walking
from crossfade.walk.loop import Turn
from crossfade.walk.site import Site
from crossfade.walk.status import Status, released_by, wanted_share, way_back

FADER_MS = 250  # what moving the fader is planned with; benchmarks/release.py measures it


def idle_status(site: Site, held: Memory, why: str) -> Status:
    """No release is under way here."""
    return Status(
        at=site.clock.now().isoformat(timespec="seconds"),
        pid=os.getpid(),
        epoch=held.lease.epoch,
        leading=held.lease.leading(),
        service=site.config.service.name,
        why=why or "no release is under way",
    )


def status_of(site: Site, held: Memory, walking: Walking, turn: Turn) -> Status:
    """One look at the release that is being walked."""
    path, state, facts = walking.walker.release.path, turn.state, turn.facts
    proxy = walking.observer.proxy
    new, both = walking.observer.measured_share()
    boot = walking.walker.release.data.get("old_boot_ms")
    back, back_s = way_back(path, state, None if boot is None else int(str(boot)), FADER_MS)
    schema = path.stage(state.index)
    why = turn.look.detail if turn.look is not None and turn.look.detail else turn.decision.reason
    if state.phase in ENDED:
        serves = path.new_version if state.phase is Phase.COMPLETED and path.new_version else path.old_version
        why = f"{serves} serves alone"
        if state.phase is Phase.COMPLETED and facts.schema_behind:
            why += f", but {facts.schema_behind}; crossfade rollback"
    fuse = "-"
    if proxy is not None:
        armed = "armed" if proxy.fader.fuse is not None else "off"
        fuse = "tripped" if proxy.fuse_tripped else armed
    in_force = None if proxy is None else proxy.fader.new_share_bp
    return Status(
        at=site.clock.now().isoformat(timespec="seconds"),
        pid=os.getpid(),
        epoch=held.lease.epoch,
        leading=held.lease.leading(),
        release=walking.walker.release.id,
        service=path.service,
        old_version=path.old_version,
        new_version=path.new_version,
        phase=str(state.phase),
        position=path.positions[state.index].name,
        index=state.index,
        last_index=len(path.steps),
        wanted_share=wanted_share(path, state),
        set_share=None if in_force is None else in_force * 100 / FULL_BP,
        measured_share=100 * new / both if both else None,
        measured_requests=both,
        old_healthy=f"{facts.old.healthy}/{facts.old.wanted}",
        new_healthy=f"{facts.new.healthy}/{facts.new.wanted}",
        fuse=fuse,
        schema=f"{path.change_name or 'an open change'}: {schema}"
        if path.change_id or schema is not Stage.BASE
        else "",
        why=why,
        released_by=released_by(path, state, facts.stood_s, facts.step_min_s, facts.step_cap_s, facts.at_cap),
        cause=state.cause,
        by=state.by,
        way_back=back if state.phase not in (Phase.ROLLED_BACK, Phase.ABANDONED) else "",
        way_back_s=back_s,
        signals=tuple(facts.verdict.lines()) if facts.verdict is not None else (),
        blind=tuple(facts.blind),
        stood_s=round(facts.stood_s, 1),
        journal=turn.journal_down or "reachable",
    )
