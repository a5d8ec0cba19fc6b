"""Lanes under supervisord: the runtime for one machine.

Rule: one file and one group a lane; only that group is ever added, stopped or removed, so nothing that is
done to one lane can be noticed by the other. The order of writing is the way to resume: record, file, group
on the way up; mark, file away, group away, what is left, record on the way down. Whoever is killed between
two of these calls the same method again.

Invariant: a slot whose record is gone has no living process of this runtime.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from crossfade.host import files
from crossfade.model.errors import fail
from crossfade.model.ports import Clock, Instance, LaneFacts, LaneSpec, Slot
from crossfade.runtime import lane_file, procfs, record, secrets, supervisord_conf
from crossfade.runtime.lane_file import LaneFile, Place
from crossfade.runtime.left_over import end_left_over
from crossfade.runtime.log_files import begin_anew, tail
from crossfade.runtime.rpc import ProcessInfo
from crossfade.runtime.supervisord import Supervisord, ensure_supervisord, find_supervisord, real_pid, state_of

LANE_PRIORITY = 500  # lanes are stopped before the parts they depend on


@dataclass(frozen=True)
class Found:
    """A process on this host that carries this service's marker."""

    pid: int
    name: str
    slot: str
    version: str
    digest: str
    started_at: float


def _nothing(_step: str) -> None:
    return


class SupervisorRuntime:
    """`Runtime` over the supervisord of one state directory.

    `after_step` is called after each durable step of start and stop; tests kill the process there.
    With `revive`, observing a service whose supervisord died starts it again, which keeps what lives.
    """

    def __init__(
        self,
        state_dir: Path,
        clock: Clock,
        *,
        revive: bool = True,
        after_step: Callable[[str], None] = _nothing,
    ) -> None:
        self._state_dir = state_dir
        self._clock = clock
        self._revive = revive
        self._after_step = after_step
        self._places = record.places(state_dir)

    # -- starting ---------------------------------------------------------------------------------

    def start(self, lane: LaneSpec) -> None:
        """Start the lane unless exactly it runs already. Returns before it is ready."""
        known = lane_file.read_lane(self._places, lane.slot)
        if known is not None and known.stopping:
            self.stop(lane.slot)
            known = None
        if known is None:
            # Decided and checked before anything is started, so a wrong template costs nothing.
            known = self._take_slot(lane)
        lane_file.check_same(lane, known)
        supervisord = ensure_supervisord(self._state_dir, self._clock)
        self._after_step("supervisord")
        conf = supervisord_conf.group_conf(
            self._places,
            lane.slot,
            lane_file.lane_path(self._places, lane.slot),
            [place.program for place in known.places],
            priority=LANE_PRIORITY,
        )
        files.write_private(self._conf_path(lane.slot), conf)
        self._after_step("file")
        self._run_group(supervisord, known)

    def _take_slot(self, lane: LaneSpec) -> LaneFile:
        self._places.make()
        other = lane_file.read_lane(self._places, lane.slot.other)
        taken = [place.port for place in other.places if place.port is not None] if other else []
        laid = lane_file.lay_out(self._places, lane, taken)
        values = secrets.capture(value for place in laid.places for value in place.program.env.values())
        # A group of this name can only be there when somebody removed the record by hand.
        self._clear(laid.slot, find_supervisord(self._state_dir, self._clock))
        for place in laid.places:
            begin_anew(Path(place.program.log))
        if values:
            files.write_private(self._secrets_path(lane.slot), json.dumps(values))
        self._after_step("secrets")
        lane_file.write_lane(self._places, laid)
        self._after_step("record")
        return laid

    def _run_group(self, supervisord: Supervisord, lane: LaneFile) -> None:
        infos = _of_group(supervisord, lane.slot)
        if not infos:
            supervisord.rpc.reload_config()
            self._after_step("reload")
            supervisord.rpc.add_group(lane.slot)
            self._after_step("group")
        for info in infos:
            if info.state in ("STOPPED", "EXITED", "FATAL"):
                supervisord.rpc.start(f"{lane.slot}:{info.name}")

    # -- stopping ---------------------------------------------------------------------------------

    def stop(self, slot: Slot) -> None:
        """Ask every process of the lane to end, wait its stop timeout, then end it."""
        known = lane_file.read_lane(self._places, slot)
        if known is None:
            return
        if not known.stopping:
            lane_file.write_lane(self._places, replace(known, stopping=True))
        self._after_step("mark")
        self._conf_path(slot).unlink(missing_ok=True)  # a supervisord that starts now does not start it again
        self._after_step("file away")
        self._clear(slot, find_supervisord(self._state_dir, self._clock))
        self._after_step("group away")
        end_left_over(self._places, [place.program for place in known.places], self._clock)
        self._secrets_path(slot).unlink(missing_ok=True)
        for cut_short in self._places.lanes.glob(f".{slot}.*"):
            cut_short.unlink()
        for place in known.places:
            record.sighting_file(self._places.run, place.program.name).unlink(missing_ok=True)
        self._after_step("sightings away")
        lane_file.lane_path(self._places, slot).unlink(missing_ok=True)
        self._after_step("record away")

    def _clear(self, slot: Slot, supervisord: Supervisord | None) -> None:
        if supervisord is not None and _of_group(supervisord, slot):
            supervisord.remove_group(slot)

    # -- looking ----------------------------------------------------------------------------------

    def observe(self) -> Mapping[Slot, LaneFacts]:
        """Read what runs. Raises CrossfadeError `runtime-unreachable`.

        A lane whose start was cut short has a version and no instances: start it again.
        """
        lanes = {slot: lane_file.read_lane(self._places, slot) for slot in Slot}
        if all(lane is None for lane in lanes.values()):
            return {slot: LaneFacts(slot, None, None) for slot in Slot}
        infos = {info.name: info for info in self._supervisord().rpc.processes()}
        return {slot: self._facts(slot, lane, infos) for slot, lane in lanes.items()}

    def _supervisord(self) -> Supervisord:
        if self._revive:
            return ensure_supervisord(self._state_dir, self._clock)
        found = find_supervisord(self._state_dir, self._clock)
        if found is None:
            raise fail(
                "runtime-unreachable", runtime="supervisord", where=self._state_dir, reason="nothing answers there"
            )
        return found

    def _facts(self, slot: Slot, lane: LaneFile | None, infos: Mapping[str, ProcessInfo]) -> LaneFacts:
        if lane is None:
            return LaneFacts(slot, None, None)
        there = [place for place in lane.places if place.program.name in infos]
        instances = [self._instance(place, infos[place.program.name], lane.stopping) for place in there]
        return LaneFacts(slot, lane.version, lane.digest, tuple(instances))

    def _instance(self, place: Place, info: ProcessInfo, stopping: bool) -> Instance:
        pid = real_pid(self._places, info)
        identity = None if pid is None else procfs.identify(pid)
        started_at = None if identity is None else procfs.started_at(identity)
        state = "stopping" if stopping else state_of(self._places, info)
        return Instance(info.name, place.role, place.address, state, pid, started_at)

    def log_tail(self, slot: Slot, lines: int) -> str:
        """The last lines the lane wrote, for the error that quotes them; a few of each instance."""
        lane = lane_file.read_lane(self._places, slot)
        if lane is None or not lane.places:
            return ""
        each = max(1, lines // len(lane.places))
        return "\n".join(
            f"{place.program.name}: {line}" if len(lane.places) > 1 else line
            for place in lane.places
            for line in tail(Path(place.program.log), each)
        )

    def found_instances(self) -> list[Found]:
        """Processes of this service on this host whose version is in no slot: a third version alive (I2)."""
        known = {(lane.slot, lane.digest) for slot in Slot if (lane := lane_file.read_lane(self._places, slot))}
        prefix = self._places.marker("")
        found = []
        for identity in procfs.processes():
            env = procfs.environment(identity.pid)
            marker, slot = env.get(record.MARKER, ""), env.get("CROSSFADE_SLOT")
            digest = env.get("CROSSFADE_DIGEST")
            if not marker.startswith(prefix) or slot is None or digest is None or (slot, digest) in known:
                continue
            version, name = env.get("CROSSFADE_VERSION", ""), marker.removeprefix(prefix)
            found.append(Found(identity.pid, name, slot, version, digest, procfs.started_at(identity)))
        return found

    def _conf_path(self, slot: Slot) -> Path:
        return self._places.lanes / f"{slot}.conf"

    def _secrets_path(self, slot: Slot) -> Path:
        return self._places.lanes / f"{slot}.secrets"


def _of_group(supervisord: Supervisord, slot: Slot) -> list[ProcessInfo]:
    return [info for info in supervisord.rpc.processes() if info.group == slot]
