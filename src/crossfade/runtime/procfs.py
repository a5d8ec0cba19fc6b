"""What the kernel says about processes, read from /proc.

Rule: a process is a pid and the tick it started at. A pid alone is reused, so nothing is signalled, adopted
or reported on the strength of a pid. A zombie counts as gone: it holds no port, no file and no memory.

Only the standard library is used here: the launcher reads this module before every start of a process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """One process for its whole life."""

    pid: int
    start_ticks: int

    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        return identify(self.pid) == self


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the name in brackets may hold anything, brackets too


def identify(pid: int) -> Identity | None:
    """The process that has this pid now; None where there is none, or only its zombie."""
    fields = _stat(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return None
    return Identity(pid, int(fields[19]))


def boot_id() -> str:
    """Which boot of the kernel this is."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def started_at(identity: Identity) -> float:
    """When the process started, in seconds since the epoch."""
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith("btime "):
            return int(line.split()[1]) + identity.start_ticks / os.sysconf("SC_CLK_TCK")
    return 0.0


def age_s(identity: Identity) -> float:
    """How long ago the process started; it may be gone by now."""
    up_s = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    return up_s - identity.start_ticks / os.sysconf("SC_CLK_TCK")


def environment(pid: int) -> dict[str, str]:
    """The environment the process was started with; empty where it may not be read."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in raw.split(b"\0") if b"=" in item)
    return {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs}


def command_line(pid: int) -> list[str]:
    """The arguments of the process; empty where it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(item) for item in raw.split(b"\0")[:-1]]


def processes() -> Iterator[Identity]:
    """Every process on this host."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            identity = identify(int(entry.name))
            if identity is not None:
                yield identity


def group_of(leader: int) -> Iterator[Identity]:
    """The living members of the process group that `leader` led."""
    for identity in processes():
        fields = _stat(identity.pid)
        if fields is not None and int(fields[2]) == leader:
            yield identity


def send(identity: Identity, signal_number: int) -> None:
    """Signal exactly this process, or nobody."""
    if identity.alive():
        try:
            os.kill(identity.pid, signal_number)
        except ProcessLookupError:
            return


def kill_group(leader: Identity, marker: tuple[str, str]) -> None:
    """Kill what the leader left in its process group, where it carries the marker; the leader as well."""
    for member in list(group_of(leader.pid)):
        if member == leader or environment(member.pid).get(marker[0]) == marker[1]:
            send(member, signal.SIGKILL)
