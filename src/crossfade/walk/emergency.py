"""Coming back when no controller is alive to do it.

Rule: the fader to the old slot needs neither the database nor the lease, only the local epoch lock and the
spool (I7, I8). So any process of this host may do it. Everything else waits for a controller.
"""

from __future__ import annotations

from dataclasses import replace

from crossfade.model.ports import RowKind
from crossfade.model.walker import GOING_BACK, Event, Phase, Zone, zone_in_flight
from crossfade.walk.compose import lanes_of, memory
from crossfade.walk.loop import read_release
from crossfade.walk.site import CONTROLLER, Site
from crossfade.walk.status import STALE_AFTER_S, read_status


def controller_alive(site: Site) -> bool:
    """Whether a controller wrote its status a moment ago and the process manager says that it runs."""
    supervisord = site.supervisord()
    if supervisord is None or supervisord.part_state(CONTROLLER).state != "running":
        return False
    file = site.state_dir / "status.json"
    age_s = site.clock.now().timestamp() - file.stat().st_mtime if file.exists() else STALE_AFTER_S
    return read_status(site.state_dir) is not None and age_s < STALE_AFTER_S


def fader_to_old(site: Site) -> str:
    """Move the fader of the release under way to the old slot, journaled in the spool; says what was done."""
    held = memory(site)
    try:
        release = read_release(list(held.spool.rows()))
        if release is None:
            return "no release was ever begun here"
        state = release.state
        at = zone_in_flight(release.path, state)
        if at not in (Zone.SHARED, Zone.FULL) or (state.phase in GOING_BACK and state.phase is not Phase.RETURNING):
            return "the fader is left as it is: no customer is on the new version, or the old one must start first"
        lanes = lanes_of(site, release)
        if state.phase is not Phase.RETURNING:
            data: dict[str, object] = {"act": "fader to old", "event": str(Event.ROLLBACK), "without": "controller"}
            returning = replace(state, phase=Phase.RETURNING, cause="asked for by a person", by="person")
            held.journal.append_local(release.id, RowKind.INTENT, returning.to_json(), data)
        with held.lock.act_fader_to_old():
            proxy = site.proxy()
            fader = proxy.observe().fader
            proxy.set_fader(replace(fader, old=lanes.old_slot, new_share_bp=0, fuse=None))
        return f"all new requests go to {release.path.old_version} again, written to the spool"
    finally:
        held.close()
