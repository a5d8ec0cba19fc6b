"""One decision: as whom does a server run that refuses to run as root?

Rule: an ordinary user runs it as themselves. For root, each identity is tried on the real directory and
the real program, in this order: the user nobody; root under another number in a user namespace, which
can use what only root can enter (containers often refuse it); the owner of the place the directory is in.
If none can run the program where it lies, the first that can enter the directory runs a copy inside it.

Invariant: what was decided can be read back from the owner of the files (`decided_earlier`), so nothing
needs to remember it. Every identity keeps the process id: see drop_root.py.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from crossfade.embedded import drop_root
from crossfade.model.errors import fail

_DROP_ROOT = Path(drop_root.__file__)
_PROBE_TIMEOUT_S = 20
_ROOT = 0


class Way(StrEnum):
    """How a process comes to be somebody else."""

    SELF = "self"
    SETUID = "setuid"
    USERNS = "userns"


@dataclass(frozen=True)
class RunAs:
    """The identity a server runs as; `uid` and `gid` are those the server itself sees."""

    way: Way
    uid: int
    gid: int

    def argv(self, directory: Path, argv: Sequence[str]) -> list[str]:
        """The complete command; whoever executes it needs to know nothing else."""
        if self.way is Way.SELF:
            return list(argv)
        wrapper = [sys.executable, "-I", "-S", str(_DROP_ROOT), self.way.value, str(self.uid), str(self.gid)]
        return [*wrapper, str(directory), *argv]

    def give(self, path: Path) -> None:
        """Make a file or directory of the caller's belong to this identity."""
        if self.way is Way.SETUID:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def __str__(self) -> str:
        return {
            Way.SELF: f"uid {self.uid}",
            Way.SETUID: f"uid {self.uid}",
            Way.USERNS: f"uid {self.uid} in a user namespace",
        }[self.way]


@dataclass(frozen=True)
class Decision:
    """Who runs the server, and whether its programs must be copied to where that identity can reach them."""

    run_as: RunAs
    copy_programs: bool


Probe = Callable[[RunAs, Path, Sequence[str]], str]
"""Tries to run a command as somebody in a directory: empty if it ran, else the reason."""


def decide(ways: Sequence[RunAs], directory: Path, program: Path, may_copy: bool, probe: Probe) -> Decision:
    """Choose among the ways by trying them; raises `server-refuses-root` with what each one met."""
    tried = []
    for way in ways:
        reason = probe(way, directory, [str(program), "--version"])
        if not reason:
            return Decision(way, copy_programs=False)
        tried.append(f"{way}: {reason}")
    if may_copy:
        for way in ways:
            if not probe(way, directory, []):
                return Decision(way, copy_programs=True)
    raise fail("server-refuses-root", program=program.name, directory=directory, tried="\n".join(tried))


def ways_here(directory: Path) -> list[RunAs]:
    """The identities worth trying for a server whose files will be in `directory`."""
    me = os.geteuid()
    if me != _ROOT:
        return [RunAs(Way.SELF, me, os.getegid())]
    ways = []
    nobody = _nobody()
    if nobody is not None:
        ways = [RunAs(Way.SETUID, *nobody), RunAs(Way.USERNS, *nobody)]
    place = directory.resolve()
    while place.stat().st_uid == _ROOT and place != place.parent:
        place = place.parent
    owner = place.stat()
    if owner.st_uid != _ROOT and _has_name(owner.st_uid):
        ways.append(RunAs(Way.SETUID, owner.st_uid, owner.st_gid))
    return ways


def decided_earlier(data: Path) -> RunAs:
    """The identity that the files of an existing server belong to."""
    me, owner = os.geteuid(), data.stat()
    if me != _ROOT:
        return RunAs(Way.SELF, me, os.getegid())
    if owner.st_uid != _ROOT:
        return RunAs(Way.SETUID, owner.st_uid, owner.st_gid)
    nobody = _nobody()
    if nobody is None:
        raise fail("server-refuses-root", program="postgres", directory=data.parent, tried="there is no user nobody")
    return RunAs(Way.USERNS, *nobody)


def try_to_run(run_as: RunAs, directory: Path, argv: Sequence[str]) -> str:
    """The real `Probe`."""
    command = run_as.argv(directory, argv)
    if not command:
        return ""
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_TIMEOUT_S,
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {_PROBE_TIMEOUT_S} s"
    except OSError as exc:
        return exc.strerror or str(exc)
    if ran.returncode == 0:
        return ""
    said = (ran.stderr or ran.stdout).strip().splitlines()
    return said[-1] if said else f"exit code {ran.returncode}"


def _nobody() -> tuple[int, int] | None:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False  # PostgreSQL's programs refuse a user without a name
    return True
