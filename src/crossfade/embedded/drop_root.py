"""Becomes another user, then becomes the given program. Run as a file, by its path.

    python -I -S drop_root.py (setuid|userns) UID GID DIRECTORY [PROGRAM ARGUMENT...]

Rule: PROGRAM replaces this process (exec), so it keeps the process id, and every signal a process manager
sends reaches PROGRAM itself. Without PROGRAM it only proves that DIRECTORY can be entered as that user.

`setuid` takes on an existing user. `userns` stays root for the machine and is UID only in a user namespace
of its own: programs that refuse root accept it, files stay root's. It stands alone, with the standard
library only, because it must start when nothing else of crossfade can be read by that user.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
CANNOT_BECOME, CANNOT_ENTER, CANNOT_EXECUTE = 121, 122, 123


def _become(way: str, uid: int, gid: int) -> None:
    if way == "setuid":
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        return
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {outside_uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {outside_gid} 1", encoding="ascii")


def _main(way: str, uid: str, gid: str, directory: str, *argv: str) -> int:
    try:
        _become(way, int(uid), int(gid))
    except OSError as exc:
        sys.stderr.write(f"cannot become uid {uid} by {way}: {exc.strerror}\n")
        return CANNOT_BECOME
    try:
        os.chdir(directory)
    except OSError as exc:
        sys.stderr.write(f"uid {uid} cannot enter {directory}: {exc.strerror}\n")
        return CANNOT_ENTER
    if not argv:
        return 0
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would pass that on
    try:
        os.execv(argv[0], argv)  # noqa: S606 - replacing this process is the purpose
    except OSError as exc:
        sys.stderr.write(f"uid {uid} cannot run {argv[0]}: {exc.strerror}\n")
    return CANNOT_EXECUTE


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
