"""One instance of a version that no proxy knows, ended with its block and with this process.

Rule: it runs as the lane's own process would, in the version's own directory, with the environment it is given;
customers never reach it. What is asked of it goes to it directly.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from crossfade.host.ports import free_port
from crossfade.model.ports import Address, Clock, LaneSpec, ProcessSpec
from crossfade.runtime.secrets import resolve
from crossfade.runtime.templates import expand
from crossfade.walk.guarded import Child, child, tail
from crossfade.walk.health import ask

POLL_S = 0.1
PATIENCE = 2  # it leaves the processor to the service (walk/scratch.py), so its start may take this times as long


@dataclass(frozen=True)
class ScratchInstance:
    """A running one."""

    address: Address
    log: Path
    running: Child

    def wait_green(self, path: str, within_s: float, clock: Clock) -> str:
        """Wait until the check answers 2xx; empty, or what it answered last."""
        until_s = clock.monotonic_s() + within_s
        while True:
            answer = ask(self.address, path)
            if answer.ok:
                return ""
            said = f"{path} answered {answer.status}" if answer.status else f"{path} gave no answer ({answer.text})"
            if self.running.ended:
                return "it ended by itself"
            if clock.monotonic_s() >= until_s:
                return f"{said} after {within_s:g} s"
            clock.sleep(POLL_S)

    def log_tail(self) -> str:
        """The last lines it wrote."""
        return tail(self.log)


def web_process(lane: LaneSpec) -> ProcessSpec:
    """The process of a lane that can be asked."""
    return next(process for process in lane.processes if process.takes_port)


def environment(process: ProcessSpec) -> dict[str, str]:
    """Its environment with every reference resolved: to be handed to a child, and to nothing else."""
    return {name: resolve(value) for name, value in process.env.items()}


@contextmanager
def scratch_instance(lane: LaneSpec, env: Mapping[str, str], log: Path) -> Iterator[ScratchInstance]:
    """Start one instance of the lane's web process with this (resolved) environment."""
    process, port = web_process(lane), free_port()
    facts = {
        "port": str(port),
        "slot": "scratch",
        "role": process.role,
        "index": "0",
        "version": lane.version,
        "digest": lane.digest,
        "directory": process.directory,
    }
    command = [expand(part, facts, "command") for part in process.command]
    filled = {name: expand(value, facts, f"env.{name}") for name, value in env.items()}
    with child(command, env=filled, log=log, directory=process.directory) as running:
        yield ScratchInstance(Address("127.0.0.1", port), log, running)


def digest_of(*parts: object) -> str:
    """What an answer depends on, as the name it is kept by."""
    plain = [asdict(part) if hasattr(part, "__dataclass_fields__") else part for part in parts]  # type: ignore[call-overload]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:24]
