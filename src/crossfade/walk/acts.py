"""The acts of the path, done on the real parts: one method an act, called until it says done.

Rule: a slice is short and idempotent, looks at the world before it touches it, and touches it only under
the epoch lock, so that a walker that was overtaken acts on nothing (I8). What takes seconds runs in the
background while the loop keeps watching.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.path import OF_THE_SCHEMA, Act, Path, Step
from crossfade.model.ports import (
    FULL_BP,
    Address,
    Clock,
    Fader,
    FuseLimit,
    LaneFacts,
    LaneSpec,
    Proxy,
    Runtime,
    Slot,
)
from crossfade.model.walker import Phase, State
from crossfade.walk.background import Background, Working
from crossfade.walk.change_walk import ChangeWalk
from crossfade.walk.health import Answer
from crossfade.walk.loop import Look, Progress

Probe = Callable[[Address, str], Answer]
LOG_LINES = 12
NOT_OURS = ("lease-lost", "journal-behind", "journal-foreign")  # nothing failed: this walker may do nothing now
UNREACHABLE_FOR_S = 30.0  # a tool or proxy that does not answer is asked again for this long; then the act has failed


@dataclass(frozen=True)
class Lanes:
    """Both lanes of one release and how to tell that they are well."""

    release: str
    path: Path
    old_slot: Slot
    old: LaneSpec | None  # None: the service runs for the first time
    new: LaneSpec
    alive_path: str
    ready_path: str
    start_timeout_s: float
    drain_s: float
    salt: str
    pin: str
    fuse: FuseLimit

    @property
    def new_slot(self) -> Slot:
        """Where the new lane goes."""
        return self.old_slot.other

    def mark(self, index: int) -> str:
        """What the proxy stamps on every record while the release stands at `index`."""
        return f"{self.release}:{index}"


@dataclass(frozen=True)
class Parts:
    """The real parts, or the fakes of a simulation."""

    proxy: Proxy
    runtime: Runtime
    clock: Clock
    guard: Callable[[], AbstractContextManager[object]]  # the epoch lock
    guard_to_old: Callable[[], AbstractContextManager[object]]  # the same, for the fader to old: needs no lease
    probe: Probe
    prove_ready_check: Callable[[], str]  # raises when the deep check does not see a cut dependency
    smoke: Callable[[], Sequence[str]]  # the problems found through the pinned new lane
    foreign: Callable[[], Sequence[str]] = tuple  # instances alive that belong to neither lane
    change: ChangeWalk | None = None  # None: no schema change is walked or open


class ReleaseActs:
    """`Acts` over real parts."""

    def __init__(self, lanes: Lanes, parts: Parts) -> None:
        self._lanes = lanes
        self._parts = parts
        self._background = Background()
        self._ready_proof: str | None = None
        self._begun: dict[Act, float] = {}  # when an act was first looked at, monotonic seconds
        self._dark_since: dict[Act, float] = {}  # since when something that the act needs does not answer
        self._changing: Act | None = None  # the schema's act that is wanted; another one stops soon

    def arrived(self, state: State) -> None:
        """Begin the next act's time anew; stamp the records with the position."""
        self._begun.clear()
        self._dark_since.clear()
        self._changing = None
        if state.phase in (Phase.STANDING, Phase.STEPPING):
            try:
                with self._parts.guard():
                    self._parts.proxy.set_mark(self._lanes.mark(state.index))
            except CrossfadeError:
                return  # the observer reports an unreachable proxy; the mark is set with the next share

    def let_go(self) -> None:
        """Begin nothing more, and stop soon what is under way of the schema: another walker goes on."""
        self._changing = None
        self._background.close()

    def slice(self, step: Step, state: State) -> Look:
        """Do, or look at, the act of this state."""
        now_s = self._parts.clock.monotonic_s()
        self._begun.setdefault(step.act, now_s)
        try:
            look = self._look(step, state)
        except CrossfadeError as error:
            if error.id in NOT_OURS:
                raise
            dark_s = now_s - self._dark_since.setdefault(step.act, now_s)
            if error.exit is Exit.UNREACHABLE and dark_s < UNREACHABLE_FOR_S:
                return Look(Progress.WORKING, f"{step.act} is tried again: {error.message}")
            return Look(Progress.FAILED, error.render())
        self._dark_since.pop(step.act, None)
        return look

    def _look(self, step: Step, state: State) -> Look:
        if step.act in OF_THE_SCHEMA:
            return self._change(step.act)
        match step.act:
            case Act.START_NEW:
                return self._start_new()
            case Act.SMOKE:
                return self._smoke()
            case Act.SET_SHARE:
                assert step.share_bp is not None
                return self._set_share(step.share_bp, state.index + 1)
            case Act.START_OLD:
                return self._start_old()
            case Act.FADER_TO_OLD:
                return self._fader_to_old()
            case Act.STOP_NEW:
                return self._end_lane(self._lanes.new_slot, step.act)
            case _:
                return self._end_lane(self._lanes.old_slot, step.act)

    def _change(self, act: Act) -> Look:
        """One act of the schema, in the background; it stops soon once the release wants something else."""
        walk = self._parts.change
        assert walk is not None, "a path with a step of the schema has its change"
        if self._changing is not act:
            walk.said = ""  # what the act before it said last
        self._changing = act
        done = self._background.run(f"{act} the change", lambda: walk.run(act, lambda: self._changing is act))
        if isinstance(done, Working):
            return Look(Progress.WORKING, walk.said or f"{act}: {walk.change.name}")
        return Look(Progress.DONE, done.says, dict(done.data))

    # -- starting ---------------------------------------------------------------------------------

    def _start_new(self) -> Look:
        if self._ready_proof is None:
            proof = self._background.run("prove ready check", self._prove)
            if isinstance(proof, Working):
                return Look(Progress.WORKING, "proving that the ready check sees a cut dependency")
            self._ready_proof = proof
            self._begun[Act.START_NEW] = self._parts.clock.monotonic_s()  # the boot is timed without the proof
        return self._start(self._lanes.new, self._lanes.ready_path, Act.START_NEW, self._ready_proof)

    def _prove(self) -> str:
        if self._parts.change is not None:
            self._parts.change.point_lanes()
        return self._parts.prove_ready_check()

    def _start_old(self) -> Look:
        if self._lanes.old is None:
            return Look(Progress.FAILED, "there is no earlier version to go back to: this release is the first")
        # Alive is enough: the way back must not wait for a dependency that is in trouble for both versions.
        return self._start(self._lanes.old, self._lanes.alive_path, Act.START_OLD, "")

    def _start(self, lane: LaneSpec, check: str, act: Act, proof: str) -> Look:
        facts = self._parts.runtime.observe().get(lane.slot)
        if facts is None or facts.digest != lane.digest or not facts.instances or _ending(facts):
            self._background.run(f"start {lane.slot}", lambda: self._start_lane(lane))
            return Look(Progress.WORKING, f"starting {lane.version}")
        took_s = self._parts.clock.monotonic_s() - self._begun[act]
        waiting = self._not_ready(facts, check)
        if waiting and took_s > self._lanes.start_timeout_s:
            tail = self._parts.runtime.log_tail(lane.slot, LOG_LINES)
            return Look(
                Progress.FAILED,
                f"{lane.version} was not ready within {self._lanes.start_timeout_s:g} s: {waiting}; "
                f"its last lines:\n{tail}",
            )
        if waiting:
            return Look(Progress.WORKING, f"waits for {lane.version}: {waiting}")
        addresses = [i.address for i in facts.instances if i.address is not None]
        with self._parts.guard():
            self._parts.proxy.set_members(lane.slot, addresses)
        members = self._parts.proxy.observe().members.get(lane.slot, ())
        up = sum(member.state == "up" for member in members)
        if up < len(addresses):
            return Look(Progress.WORKING, f"waits for the proxy: {up} of {len(addresses)} instances up")
        data: dict[str, object] = {"boot_ms": round(took_s * 1000), "instances": len(addresses), "proof": proof}
        return Look(Progress.DONE, f"{lane.version} is ready", data)

    def _start_lane(self, lane: LaneSpec) -> None:
        """In the background: a lane whose stopping was interrupted is stopped first, which takes its time.

        The lock is not held meanwhile: the fader to the old slot may need it.
        """
        with self._parts.guard():
            pass  # a walker that was overtaken starts nothing
        self._parts.runtime.start(lane)

    def _not_ready(self, facts: LaneFacts, check: str) -> str:
        """Why the lane is not ready, empty where it is."""
        for instance in facts.instances:
            if instance.state != "running":
                return f"{instance.name} is {instance.state}"
            if instance.address is not None:
                answer = self._parts.probe(instance.address, check)
                if not answer.ok:
                    return f"{instance.name} answers {check} with {answer.status or answer.text}"
        return ""

    # -- traffic ----------------------------------------------------------------------------------

    def _fader(self, share_bp: int, *, fuse: FuseLimit | None = None, pinned: bool = True) -> Fader:
        lanes = self._lanes
        pin = lanes.pin if pinned else ""
        return Fader(lanes.old_slot, share_bp, lanes.salt, fuse, pin).check_invariants()

    def _smoke(self) -> Look:
        with self._parts.guard():
            self._parts.proxy.set_fader(self._fader(0))
        problems = self._background.run("smoke", self._parts.smoke)
        if isinstance(problems, Working):
            return Look(Progress.WORKING, "smoke: each critical endpoint through the pinned new lane")
        if problems:
            return Look(Progress.FAILED, "smoke failed: " + "; ".join(problems))
        return Look(Progress.DONE, "every critical endpoint answered through the new lane")

    def _set_share(self, share_bp: int, index: int) -> Look:
        proxy = self._parts.proxy
        first_version = self._lanes.old is None
        with self._parts.guard():
            proxy.set_mark(self._lanes.mark(index))
            proxy.set_fader(self._fader(share_bp, fuse=None if first_version else self._lanes.fuse))
        in_force = proxy.observe().fader.new_share_bp
        if in_force != share_bp:
            return Look(Progress.WORKING, f"the proxy still has {in_force / 100:g} %")
        return Look(Progress.DONE, f"share {share_bp / 100:g} %", {"share_bp": share_bp})

    def _fader_to_old(self) -> Look:
        """All new requests to the old slot: the share first, then the latch is cleared by disarming."""
        proxy = self._parts.proxy
        with self._parts.guard_to_old():
            proxy.set_fader(self._fader(0))
        in_force = proxy.observe().fader.new_share_bp
        if in_force != 0:
            return Look(Progress.FAILED, f"the proxy still has {in_force / 100:g} %")
        return Look(Progress.DONE, "all new requests go to the old slot", {"share_bp": 0})

    # -- ending -----------------------------------------------------------------------------------

    def _end_lane(self, slot: Slot, act: Act) -> Look:
        """Take the lane out of the proxy, let what it accepted finish, then stop it."""
        proxy, lanes = self._parts.proxy, self._lanes
        facts = proxy.observe()
        if act is Act.STOP_NEW and facts.fader.new_share_bp and facts.fader.old is lanes.old_slot:
            return Look(Progress.FAILED, "the new lane still has a share")  # I5: never stop what serves
        took_s = self._parts.clock.monotonic_s() - self._begun[act]
        flying = sum(request.slot is slot for request in facts.in_flight)
        if flying and took_s < lanes.drain_s:
            left_s = lanes.drain_s - took_s
            return Look(Progress.WORKING, f"{flying} requests in flight, at most {left_s:.0f} s more")
        with self._parts.guard():
            proxy.set_members(slot, [])
            proxy.set_fader(self._fader(FULL_BP if act is Act.RETIRE_OLD else 0, pinned=False))
        stopped = self._background.run(f"stop {slot}", lambda: self._parts.runtime.stop(slot))
        if isinstance(stopped, Working):
            return Look(Progress.WORKING, f"stopping the {slot} slot")
        data: dict[str, object] = {"cut_in_flight": flying, "drain_ms": round(took_s * 1000)}
        return Look(Progress.DONE, f"the {slot} slot is empty", data)


def _ending(facts: LaneFacts) -> bool:
    """Whether the lane is being stopped, or was left half stopped."""
    return any(instance.state in ("stopping", "stopped") for instance in facts.instances)
