"""The one supervisord of a service's state directory, and the long-lived parts it runs.

Rule: it belongs to nobody's session, so it outlives crossfade; its children are found again by their
sightings, so they outlive it. Ensuring it is idempotent and safe to kill at any moment: what answers on the
socket is the truth, files are only the way there.

Invariant: no call here touches a group other than the one it names (`update` and `restart` of supervisord
are never used).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from crossfade.host import files
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock
from crossfade.runtime import procfs, record, secrets, supervisord_conf
from crossfade.runtime.left_over import end_left_over
from crossfade.runtime.record import Places, Program
from crossfade.runtime.rpc import ProcessInfo, Rpc

START_WAIT_S = 20.0
POLL_S = 0.05
FAILED_AFTER = 3  # quick deaths in a row
SOCKET_PATH_MAX = 90  # 107 is the kernel's; supervisord binds to the name with its pid appended first
STATES = {
    "STARTING": "starting",
    "BACKOFF": "starting",
    "RUNNING": "running",
    "STOPPING": "stopping",
    "STOPPED": "stopped",
    "EXITED": "stopped",
    "FATAL": "failed",
    "UNKNOWN": "failed",
}
# What supervisord, and so every program, inherits. The rest of the starter's environment may hold secrets.
PASSED_ON = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"}
    | {"LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_RUNTIME_DIR"}
)


class PartState(NamedTuple):
    """One long-lived part: absent, starting, running, stopping, stopped or failed."""

    state: str
    pid: int | None


@dataclass(frozen=True)
class Supervisord:
    """The supervisord that answers on the socket, and the parts in it."""

    places: Places
    clock: Clock
    rpc: Rpc

    def add_part(
        self,
        name: str,
        argv: Sequence[str],
        *,
        autorestart: str = "always",
        directory: Path,
        env: Mapping[str, str],
        user: str | None = None,
        stop_signal: str = "TERM",
        stop_wait_s: float = 10.0,
        log: Path | None = None,
        priority: int = 100,
    ) -> None:
        """Run a part from now on, `autorestart` always or unexpected (any end but exit code 0).

        The same command again changes nothing that runs (a new environment counts from its next start);
        another command replaces the part. `env` replaces nothing but adds to a plain base, and may hold
        references to secrets.
        """
        assert autorestart in ("always", "unexpected"), autorestart
        identity = [list(argv), str(directory), user, stop_signal, autorestart]
        program = Program(
            name=name,
            argv=tuple(argv),
            directory=str(directory),
            env=dict(env),
            log=str(log or self.places.logs / f"{name}.log"),
            fingerprint=record.digest_of(identity),
            stop_signal=stop_signal,
            stop_wait_s=stop_wait_s,
            user=user,
            restart_on_failure_only=autorestart == "unexpected",
        )
        values = secrets.capture(program.env.values())  # before anything is touched
        known = self._part(name)
        if known is not None and known.fingerprint != program.fingerprint:
            self.remove_part(name)
        files.write_private(self.places.parts / f"{name}.secrets", json.dumps(values))
        self._write_part(program, priority, autostart=True)
        if self._info(name) is None:
            self.rpc.reload_config()
            self.rpc.add_group(name)
        else:
            self._start(name)

    def start_part(self, name: str) -> None:
        """Start a part that was stopped; one that runs stays as it is."""
        self._set_autostart(name, autostart=True)
        self._start(name)

    def stop_part(self, name: str) -> None:
        """Stop a part and wait until it is gone; it stays stopped across a restart of supervisord."""
        program = self._part(name)
        if program is None:
            return
        self._set_autostart(name, autostart=False)
        self.stop_group(name)
        end_left_over(self.places, [program], self.clock)
        record.sighting_file(self.places.run, name).unlink(missing_ok=True)  # this end was no death to pause for

    def restart(self, name: str) -> None:
        """Stop the part, then start it."""
        self.stop_part(name)
        self.start_part(name)

    def remove_part(self, name: str) -> None:
        """Stop the part and forget it."""
        self.stop_part(name)
        (self.places.parts / f"{name}.conf").unlink(missing_ok=True)
        self.remove_group(name)
        for kind in ("secrets", "json"):
            (self.places.parts / f"{name}.{kind}").unlink(missing_ok=True)

    def signal_part(self, name: str, signal_name: str) -> None:
        """Send a signal (`HUP`, `USR2` ...) to the part."""
        sighting = record.read_sighting(self.places.run, name)
        if sighting is not None and sighting.identity.alive():
            procfs.send(sighting.identity, signal.Signals[f"SIG{signal_name}"])  # also where a launcher stands in
        else:
            self.rpc.signal(f"{name}:{name}", signal_name)

    def part_state(self, name: str) -> PartState:
        """How the part is, with the pid of the real process."""
        info = self._info(name)
        if info is None:
            return PartState("absent", None)
        return PartState(state_of(self.places, info), real_pid(self.places, info))

    def shutdown(self) -> None:
        """Stop everything, then supervisord; what its files name is started again by the next ensure."""
        identity = procfs.identify(self.rpc.pid())
        self.rpc.shutdown()
        while identity is not None and identity.alive():
            self.clock.sleep(POLL_S)
        for folder in (self.places.lanes, self.places.parts):
            programs = [program for file in folder.glob("*.json") for program in record.read_programs(file)]
            end_left_over(self.places, programs, self.clock)

    def stop_group(self, name: str) -> None:
        """Stop every process of a group, each within its own stop time, all at once."""
        while True:
            infos = [info for info in self.rpc.processes() if info.group == name]
            if all(info.state in ("STOPPED", "EXITED", "FATAL") for info in infos):
                return
            if any(info.state not in ("STOPPED", "EXITED", "FATAL", "STOPPING") for info in infos):
                self.rpc.stop_group(name)
            self.clock.sleep(POLL_S)

    def remove_group(self, name: str) -> None:
        """Stop a group and take it out of what supervisord watches."""
        self.stop_group(name)
        while not self.rpc.remove_group(name):
            self.stop_group(name)
            self.clock.sleep(POLL_S)
        self.rpc.reload_config()

    def _info(self, name: str) -> ProcessInfo | None:
        return next((info for info in self.rpc.processes() if info.group == name), None)

    def _start(self, name: str) -> None:
        info = self._info(name)
        if info is None:
            raise fail("part-unknown", part=name, directory=self.places.parts)
        if info.state in ("STOPPED", "EXITED", "FATAL"):
            self.rpc.start(f"{name}:{name}")

    def _part(self, name: str) -> Program | None:
        file = self.places.parts / f"{name}.json"
        return record.read_program(file, name) if file.exists() else None

    def _write_part(self, program: Program, priority: int, *, autostart: bool) -> None:
        file = self.places.parts / f"{program.name}.json"
        data = {"priority": priority, "programs": {program.name: record.program_to_json(program)}}
        files.write_private(file, json.dumps(data, indent=1))
        text = supervisord_conf.group_conf(
            self.places, program.name, file, [program], autostart=autostart, priority=priority
        )
        files.write_private(file.with_suffix(".conf"), text)

    def _set_autostart(self, name: str, *, autostart: bool) -> None:
        file = self.places.parts / f"{name}.json"
        data = files.read_json(file)
        if data is None:
            raise fail("part-unknown", part=name, directory=self.places.parts)
        program = record.read_program(file, name)
        self._write_part(program, int(str(data["priority"])), autostart=autostart)


def state_of(places: Places, info: ProcessInfo) -> str:
    """The word of this project for how a program is.

    Between two quick deaths supervisord's child is a launcher that waits: that is `starting`, and `failed`
    once it happened several times in a row, although it is tried again all the time.
    """
    state = STATES.get(info.state, "failed")
    sighting = record.read_sighting(places.run, info.name)
    if state != "running" or (sighting is not None and sighting.identity.alive()):
        return state
    return "failed" if sighting is not None and sighting.quick_deaths >= FAILED_AFTER else "starting"


def real_pid(places: Places, info: ProcessInfo) -> int | None:
    """The pid of the program: its last sighting where that lives (it may be kept), else supervisord's child."""
    sighting = record.read_sighting(places.run, info.name)
    if sighting is not None and sighting.identity.alive():
        return sighting.identity.pid
    return info.pid or None


def socket_file(places: Places) -> Path:
    """Where supervisord listens: in the state directory, or under /tmp where that path is too long."""
    plain = places.supervisor / "supervisord.sock"
    if len(os.fsencode(plain)) <= SOCKET_PATH_MAX:
        return plain
    name = hashlib.sha256(os.fsencode(places.state_dir)).hexdigest()[:16]
    directory = Path("/tmp") / f"crossfade-{os.geteuid()}-{name}"  # noqa: S108 - checked below
    directory.mkdir(mode=0o700, exist_ok=True)
    facts = directory.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise fail("socket-directory-unsafe", directory=directory)
    return directory / "s"


def find_supervisord(state_dir: Path, clock: Clock) -> Supervisord | None:
    """The supervisord of the state directory, None where it is gone; nothing is started."""
    places = record.places(state_dir)
    rpc = Rpc(socket_file(places))
    try:
        rpc.pid()
    except CrossfadeError as error:
        gone = isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError | ConnectionResetError)
        if gone or error.id == "supervisor-refused":
            return None  # it is ending, or gone
        raise  # there but mute: what it watches would come back if it were taken for gone
    return Supervisord(places, clock, rpc)


def ensure_supervisord(state_dir: Path, clock: Clock) -> Supervisord:
    """The supervisord of the state directory, started if it is not there; idempotent.

    What its files name is started with it; a process of an earlier supervisord that still lives is kept.
    """
    places = record.places(state_dir).make()
    path = socket_file(places)
    with record.locked(places.supervisor / "ensure.lock"):
        found = find_supervisord(state_dir, clock)
        if found is not None:
            return found
        _end_mute(places, path, clock)
        files.write_private(places.supervisor / "supervisord.conf", supervisord_conf.main_conf(places, path))
        path.unlink(missing_ok=True)
        _spawn(places)
        deadline_s = clock.monotonic_s() + START_WAIT_S
        while (found := find_supervisord(state_dir, clock)) is None:
            if clock.monotonic_s() > deadline_s:
                raise _did_not_start(places)
            clock.sleep(POLL_S)
        return found


def _end_mute(places: Places, path: Path, clock: Clock) -> None:
    """Wait for a supervisord that is ending; end one that lost its socket (its successor keeps its children)."""
    conf = str(places.supervisor / "supervisord.conf")
    deadline_s = clock.monotonic_s() + START_WAIT_S
    for identity in procfs.processes():
        if conf not in procfs.command_line(identity.pid)[1:]:
            continue
        while identity.alive():
            if not path.exists():
                procfs.send(identity, signal.SIGKILL)
            elif clock.monotonic_s() > deadline_s:
                reason = f"process {identity.pid} is there but does not answer"
                raise fail("runtime-unreachable", runtime="supervisord", where=path, reason=reason)
            clock.sleep(POLL_S)


def _spawn(places: Places) -> None:
    env = {key: value for key, value in os.environ.items() if key in PASSED_ON or key.startswith("LC_")}
    conf = str(places.supervisor / "supervisord.conf")
    with (places.supervisor / "start.log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", conf],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=env,
            cwd="/",
            start_new_session=True,
            check=False,
            timeout=START_WAIT_S,
        )
    if done.returncode != 0:
        raise _did_not_start(places)


def _did_not_start(places: Places) -> CrossfadeError:
    log = places.supervisor / "start.log"
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
    return fail("part-did-not-start", part="supervisord", waited_s=START_WAIT_S, log=log, tail=tail)
