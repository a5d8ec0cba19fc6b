"""What supervisor is to run, as files: the memory of this runtime across every crash.

Rule: a record is written whole (temporary file, fsync, rename), readable by its owner only, before anything
is told to act on it. The supervisor's own files name a record and a program, nothing else, so neither an
environment nor a secret ever stands in them.

A `Sighting` is the pid and start tick of a program, written by the launcher in the moment before it becomes
that program: it is how a process that outlived its supervisor is found again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from crossfade.host import files
from crossfade.runtime.procfs import Identity, boot_id

MARKER = "CROSSFADE_INSTANCE"


@dataclass(frozen=True)
class Program:
    """One process to run. `env` may hold references; `fingerprint` decides whether a living one is the same."""

    name: str
    argv: tuple[str, ...]
    directory: str
    env: Mapping[str, str]
    log: str
    fingerprint: str
    stop_signal: str = "TERM"
    stop_wait_s: float = 10.0
    user: str | None = None
    restart_on_failure_only: bool = False


@dataclass(frozen=True)
class Sighting:
    """A program that was started: which process it became."""

    identity: Identity
    fingerprint: str
    quick_deaths: int = 0  # in a row, before this start; each makes the pause before the next one longer


@dataclass(frozen=True)
class Places:
    """Where everything of one service's state directory lies."""

    state_dir: Path

    @property
    def supervisor(self) -> Path:
        """Configuration, pid file and log of supervisord."""
        return self.state_dir / "supervisor"

    @property
    def parts(self) -> Path:
        """One file each for the long-lived parts."""
        return self.supervisor / "parts"

    @property
    def lanes(self) -> Path:
        """One file for each lane."""
        return self.supervisor / "lanes"

    @property
    def run(self) -> Path:
        """Sightings and their locks."""
        return self.supervisor / "run"

    @property
    def logs(self) -> Path:
        """What parts and instances wrote."""
        return self.state_dir / "logs"

    @property
    def pid_file(self) -> Path:
        """The pid of the supervisord that runs now."""
        return self.supervisor / "supervisord.pid"

    @property
    def key(self) -> str:
        """A short name of this state directory among all on the host."""
        return hashlib.sha256(os.fsencode(self.state_dir)).hexdigest()[:12]

    def marker(self, program: str) -> str:
        """The value of CROSSFADE_INSTANCE in the environment of a program."""
        return f"{self.key}/{program}"

    def make(self) -> Places:
        """Create the directories; only the owner may enter those that hold records."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        for private in (self.supervisor, self.parts, self.lanes, self.run):
            private.mkdir(mode=0o700, exist_ok=True)
        return self


def places(state_dir: Path) -> Places:
    """The places under a state directory, whatever way it was spelt."""
    return Places(state_dir.resolve())


def digest_of(value: object) -> str:
    """A short digest of anything JSON can say."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def program_to_json(program: Program) -> dict[str, object]:
    """A program as plain data."""
    return asdict(program)


def program_from_json(data: Mapping[str, object]) -> Program:
    """The program that plain data says."""
    argv, env = data["argv"], data["env"]
    assert isinstance(argv, list), data
    assert isinstance(env, dict), data
    user = data["user"]
    return Program(
        name=str(data["name"]),
        argv=tuple(str(item) for item in argv),
        directory=str(data["directory"]),
        env={str(key): str(value) for key, value in env.items()},
        log=str(data["log"]),
        fingerprint=str(data["fingerprint"]),
        stop_signal=str(data["stop_signal"]),
        stop_wait_s=float(str(data["stop_wait_s"])),
        user=None if user is None else str(user),
        restart_on_failure_only=bool(data["restart_on_failure_only"]),
    )


def read_programs(path: Path) -> list[Program]:
    """The programs of a record."""
    programs = (files.read_json(path) or {}).get("programs", {})
    assert isinstance(programs, dict), path
    return [program_from_json(data) for data in programs.values()]


def read_program(path: Path, name: str) -> Program:
    """One program of a record."""
    return next(program for program in read_programs(path) if program.name == name)


def sighting_file(run: Path, name: str) -> Path:
    """Where the sighting of a program is kept."""
    return run / f"{name}.json"


def read_sighting(run: Path, name: str) -> Sighting | None:
    """The process a program last became, alive or not."""
    data = files.read_json(sighting_file(run, name))
    if data is None or data["boot"] != boot_id():
        return None  # pids and ticks of an earlier boot say nothing
    identity = Identity(int(str(data["pid"])), int(str(data["start_ticks"])))
    return Sighting(identity, str(data["fingerprint"]), int(str(data["quick_deaths"])))


def write_sighting(run: Path, name: str, sighting: Sighting) -> None:
    """Remember the process a program becomes."""
    data = {
        "pid": sighting.identity.pid,
        "start_ticks": sighting.identity.start_ticks,
        "fingerprint": sighting.fingerprint,
        "quick_deaths": sighting.quick_deaths,
        "boot": boot_id(),
    }
    files.write_private(sighting_file(run, name), json.dumps(data))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file; the kernel gives it back when the holder dies or becomes another program."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
