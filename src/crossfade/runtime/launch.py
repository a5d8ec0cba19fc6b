"""`python -m crossfade.runtime.launch RECORD NAME`: what supervisord runs in place of every program.

It becomes the program: it opens the program's log, resolves references to secrets, sets the marker and calls
exec, so signals reach the program directly and no process stands between. Three rules make a supervisord
replaceable without an interruption:

1. The log is a file the program writes itself. A pipe to supervisord would break with supervisord, and a
   program that cannot write its log fails requests.
2. Before it starts anything it looks for the process this program became last. One that lives is kept (see
   `keep.py`), so a supervisord that was killed and started again finds its processes where they were.
3. A launcher whose own supervisord is gone starts nothing: its successor is the one that decides.
"""

from __future__ import annotations

import os
import pwd
import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from crossfade.host import files
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock
from crossfade.runtime import keep, procfs, record, secrets

QUICK_DEATH_S = 2.0
PAUSE_MAX_S = 15.0


class _Clock:
    """This program is a composition root of its own, so it has the operating system's clock."""

    monotonic_s = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    def now(self) -> datetime:
        """Never needed here."""
        raise NotImplementedError


CLOCK = _Clock()


def main(argv: list[str]) -> int:
    """Become the program; come back only with the exit code of a failure."""
    record_file, name = Path(argv[0]), argv[1]
    if not record_file.exists():
        CLOCK.sleep(QUICK_DEATH_S)  # taken away by hand: there is nothing to start and nobody to tell
        return 1
    program = record.read_program(record_file, name)
    places = record.places(record_file.parents[2])
    _write_to(program.log)
    try:
        _launch(record_file, program, places, CLOCK)
    except CrossfadeError as error:
        sys.stderr.write(error.render() + "\n")
        return int(error.exit)
    return 0


def _launch(record_file: Path, program: record.Program, places: record.Places, clock: Clock) -> None:
    """Keep the process that lives, or become a new one. The lock ends with exec, death or return."""
    with record.locked(places.run / f"{program.name}.lock"):
        if not _is_supervised(places.pid_file):
            return
        last = record.read_sighting(places.run, program.name)
        if last is None or not _lives_on(last, program, places.marker(program.name), clock):
            quick_deaths = _pause(last, clock)
            me = procfs.identify(os.getpid())
            assert me is not None
            # Seen before it is complete, so that a launcher that fails here is paused for as well.
            record.write_sighting(places.run, program.name, record.Sighting(me, program.fingerprint, quick_deaths))
            env = _environment(record_file, program, places)
            if not _is_supervised(places.pid_file):  # it may have been stopped while this one waited
                return
            _become(program, env)
    assert last is not None
    keep.keep(last.identity, program.stop_signal, program.stop_wait_s, places.marker(program.name), clock)


def _write_to(log: str) -> None:
    writing = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(nothing)
    os.close(writing)


def _is_supervised(pid_file: Path) -> bool:
    try:
        return int(pid_file.read_text(encoding="ascii")) == os.getppid()
    except (OSError, ValueError):
        return False


def _lives_on(last: record.Sighting, program: record.Program, marker: str, clock: Clock) -> bool:
    """Whether the process of this program is there to be kept; what is left of any other one is ended."""
    if last.identity.alive():
        if last.fingerprint == program.fingerprint:
            return True
        keep.end(last.identity, program.stop_signal, program.stop_wait_s, clock)
    if procfs.identify(last.identity.pid) is None:  # else the pid, and with it the group, is another's
        procfs.kill_group(last.identity, (record.MARKER, marker))
    return False


def _pause(last: record.Sighting | None, clock: Clock) -> int:
    """Wait a little longer after each quick death, without end, and count them.

    supervisord's own retries give up after a while; a dependency that was away would leave the lane dead.
    """
    if last is None:
        return 0
    paused_s = _pause_s(last.quick_deaths)  # the launcher's own wait is part of its age
    if procfs.age_s(last.identity) > paused_s + QUICK_DEATH_S:
        return 0
    clock.sleep(_pause_s(last.quick_deaths + 1))
    return last.quick_deaths + 1


def _pause_s(quick_deaths: int) -> float:
    return min(0.125 * 2.0 ** min(quick_deaths, 10), PAUSE_MAX_S) if quick_deaths else 0.0


def _environment(record_file: Path, program: record.Program, places: record.Places) -> dict[str, str]:
    """The environment of the program: a plain base, what the record says, and our marker."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SUPERVISOR_", "CROSSFADE_"))}
    captured = files.read_json(record_file.with_suffix(".secrets")) or {}
    known = {**env, **{key: str(value) for key, value in captured.items()}}
    if program.user is not None:
        account = _account(program.user)
        env.update(HOME=account.pw_dir, USER=account.pw_name, LOGNAME=account.pw_name)
    env.update({key: secrets.resolve(value, known) for key, value in program.env.items()})
    env[record.MARKER] = places.marker(program.name)
    return env


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError as exc:
        raise fail("program-not-started", program=user, reason="there is no such user on this host") from exc


def _become(program: record.Program, env: dict[str, str]) -> NoReturn:
    os.umask(0o022)  # supervisord's is tighter, for the logs it opens
    try:
        os.chdir(program.directory)
    except OSError as exc:
        reason = f"{exc.strerror}: {program.directory}"
        raise fail("program-not-started", program=program.argv[0], reason=reason) from exc
    try:
        if program.user is not None and os.geteuid() == 0:
            account = _account(program.user)
            os.initgroups(account.pw_name, account.pw_gid)
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored_by_python, signal.SIG_DFL)
        os.execvpe(program.argv[0], list(program.argv), env)  # noqa: S606 - to start it is the purpose
    except OSError as exc:
        raise fail("program-not-started", program=program.argv[0], reason=exc.strerror) from exc


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
