"""`lanes/SLOT.json`: what a slot holds, decided once when the lane is started.

Rule: version, digest, processes and ports are written before supervisor hears of them, and stay until the
last process of the lane is gone. So after any crash this file says what runs, where, and which version it is.
Values of `env:` references are taken from the caller's environment and kept beside it (0600), because
supervisor restarts an instance long after the caller's environment is gone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from crossfade.host import files
from crossfade.host.ports import free_port
from crossfade.model.errors import fail
from crossfade.model.ports import Address, LaneSpec, ProcessSpec, Slot
from crossfade.runtime import record
from crossfade.runtime.record import Places, Program
from crossfade.runtime.templates import expand


@dataclass(frozen=True)
class Place:
    """One instance of a lane: its program and the port it has for life."""

    role: str
    port: int | None
    program: Program

    @property
    def address(self) -> Address | None:
        """Where it listens."""
        return None if self.port is None else Address("127.0.0.1", self.port)


@dataclass(frozen=True)
class LaneFile:
    """A slot that is taken. `stopping` is set before the first process is asked to end."""

    slot: Slot
    version: str
    digest: str
    identity: str  # of the whole LaneSpec: the same lane again is not another one
    places: Sequence[Place]
    stopping: bool = False


def lane_path(places: Places, slot: Slot) -> Path:
    """The file of a slot."""
    return places.lanes / f"{slot}.json"


def identity_of(lane: LaneSpec) -> str:
    """What makes two LaneSpecs the same lane."""
    return record.digest_of([lane.slot, lane.version, lane.digest, [_plain(p) for p in lane.processes]])


def _plain(process: ProcessSpec) -> dict[str, object]:
    return {**asdict(process), "command": list(process.command), "env": dict(process.env)}


def lay_out(places: Places, lane: LaneSpec, taken: Sequence[int]) -> LaneFile:
    """Decide names, ports, commands and environments of a lane."""
    ports = list(taken)
    laid: list[Place] = []
    for process in lane.processes:
        for index in range(1, process.instances + 1):
            name = f"{lane.slot}-{process.role}-{index}"
            port = free_port(ports) if process.takes_port else None
            if port is not None:
                ports.append(port)
            program = _program(places, lane, process, name, index, port)
            laid.append(Place(process.role, port, program))
    return LaneFile(lane.slot, lane.version, lane.digest, identity_of(lane), laid)


def _program(places: Places, lane: LaneSpec, process: ProcessSpec, name: str, index: int, port: int | None) -> Program:
    facts = {
        "slot": str(lane.slot),
        "role": process.role,
        "index": str(index),
        "version": lane.version,
        "digest": lane.digest,
        "directory": process.directory,
    }
    if port is not None:
        facts["port"] = str(port)
    where = f"processes.{process.role}"
    env = {key: expand(value, facts, f"{where}.env.{key}") for key, value in process.env.items()}
    marks = {"CROSSFADE_SLOT": str(lane.slot), "CROSSFADE_VERSION": lane.version, "CROSSFADE_DIGEST": lane.digest}
    argv = tuple(expand(word, facts, f"{where}.command") for word in process.command)
    return Program(
        name=name,
        argv=argv,
        directory=process.directory,
        env={**env, **{key: f"literal:{value}" for key, value in marks.items()}},
        log=str(places.logs / f"{name}.log"),
        fingerprint=record.digest_of([lane.version, lane.digest, argv, process.directory, env]),
        stop_wait_s=process.stop_timeout_s,
    )


def write_lane(places: Places, lane: LaneFile) -> None:
    """Write the slot's file."""
    data = {
        "slot": lane.slot,
        "version": lane.version,
        "digest": lane.digest,
        "identity": lane.identity,
        "stopping": lane.stopping,
        "instances": [{"name": p.program.name, "role": p.role, "port": p.port} for p in lane.places],
        "programs": {p.program.name: record.program_to_json(p.program) for p in lane.places},
    }
    files.write_private(lane_path(places, lane.slot), json.dumps(data, indent=1))


def read_lane(places: Places, slot: Slot) -> LaneFile | None:
    """Read the slot's file; None where the slot is free."""
    data = files.read_json(lane_path(places, slot))
    if data is None:
        return None
    instances, programs = data["instances"], data["programs"]
    assert isinstance(instances, list), data
    assert isinstance(programs, dict), data
    laid = [Place(i["role"], i["port"], record.program_from_json(programs[i["name"]])) for i in instances]
    return LaneFile(
        slot, str(data["version"]), str(data["digest"]), str(data["identity"]), laid, bool(data["stopping"])
    )


def check_same(lane: LaneSpec, known: LaneFile) -> None:
    """Refuse a lane for a slot that another one holds."""
    if known.identity != identity_of(lane):
        same_build = known.digest == lane.digest
        difference = "its processes or their environment differ" if same_build else "it is another build"
        raise fail(
            "slot-occupied",
            slot=lane.slot,
            wanted=f"{lane.version} ({lane.digest[:12]})",
            found=f"{known.version} ({known.digest[:12]})",
            difference=difference,
        )
