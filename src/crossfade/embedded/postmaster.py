"""What runs on a data directory, found by looking at the machine.

Rule: postmaster.pid alone proves nothing: after a kill it stays behind, and the number in it may by now
belong to another process. A postmaster works in its data directory, so the process named in the file is
the postmaster only where its working directory is the data directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

PID_FILE = "postmaster.pid"


def postmaster_pid(data: Path) -> int | None:
    """The process id of the server that runs on this data directory, None where none does."""
    named = _named_pid(data)
    return named if named is not None and _works_in(named, data.resolve()) else None


def stale_pid_file(data: Path) -> bool:
    """Whether postmaster.pid names a process that lives but is not this server: PostgreSQL would not start."""
    named = _named_pid(data)
    return named is not None and psutil.pid_exists(named) and not any(server_processes(data))


def server_processes(data: Path) -> Iterator[int]:
    """Every process that works in the data directory, children that outlived their postmaster included."""
    resolved = data.resolve()
    return (pid for pid in psutil.pids() if _works_in(pid, resolved))


def _named_pid(data: Path) -> int | None:
    try:
        return int((data / PID_FILE).read_text(encoding="ascii", errors="replace").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _works_in(pid: int, data: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == data
    except (psutil.Error, OSError):
        return False
