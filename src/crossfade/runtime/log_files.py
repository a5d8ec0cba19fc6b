"""Logs that their programs write themselves: kept small, begun anew, quoted.

Rule: a log is rotated by copying and truncating, because its writers hold it open and append. A line written
in the moment between is lost, which is the price of a log that outlives its supervisord.
"""

from __future__ import annotations

import shutil
from pathlib import Path

LOG_MAX_BYTES = 10 * 1024 * 1024
LOG_KEPT = 2


def rotate(log: Path, max_bytes: int = LOG_MAX_BYTES, kept: int = LOG_KEPT) -> bool:
    """Move what a log holds to `.1` when it has grown too large; older parts move up, the oldest goes."""
    if log.stat().st_size < max_bytes:
        return False
    for number in range(kept, 1, -1):
        older = log.with_name(f"{log.name}.{number - 1}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
    shutil.copy2(log, log.with_name(f"{log.name}.1"))
    with log.open("r+b") as stream:
        stream.truncate(0)  # its writers append, so they go on at the new end
    return True


def begin_anew(log: Path) -> None:
    """Set aside what is in the log, so that an earlier lane's lines are not quoted as a later one's."""
    if log.exists():
        rotate(log, max_bytes=1)


def tail(log: Path, lines: int, read_max_bytes: int = 64 * 1024) -> list[str]:
    """The last lines of a file, however large it is; none where it is absent."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - read_max_bytes))
            return stream.read().decode("utf-8", errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
