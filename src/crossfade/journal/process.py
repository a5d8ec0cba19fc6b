"""Name a process so that its name never means another one, and end it.

Rule: a process is its pid and its start time in clock ticks since boot, read from /proc, which no change of
the wall clock moves. It is ended through a pidfd that was opened before the start time was compared, so a
pid that is given to another process in between is not hit.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

_START_TIME_FIELD = 22 - 3  # proc_pid_stat(5) counts from 1; the first two fields are split off


def started_ticks(pid: int) -> int | None:
    """When the process started, in ticks since boot; None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[_START_TIME_FIELD])


def end(pid: int, ticks: int) -> bool:
    """Kill exactly the process that was started at `ticks`; False where it is gone or another has its pid."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if started_ticks(pid) != ticks:
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True
