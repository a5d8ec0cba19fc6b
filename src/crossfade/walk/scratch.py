"""`python -m crossfade.walk.scratch PARENT FD COMMAND...`: run the command, and end all of it with its parent.

Rule: a scratch instance never outlives its proof, also when the prover is killed. The kernel's death signal
reaches one process only and a server may have workers, so this process stays as their guard: it leads their
process group, and when PARENT dies or the command ends, it ends the group, itself included. So its own exit
code says nothing; the command's is written to the file descriptor FD, as text. Whoever minds SIGQUIT gets a moment
to end by itself: PostgreSQL gives its shared memory back then, which a kill would leave behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

PR_SET_PDEATHSIG = 1  # prctl(2)
NICE = 10  # a proof takes the time that the service leaves it
MOMENT_S = 2


def main(argv: list[str]) -> None:
    """Ask the kernel to be told of PARENT's death, run the command, tell its exit code, end the group."""
    parent, code_to, *command = argv
    os.nice(NICE)
    if os.getpgrp() != os.getpid():
        os.setpgrp()  # never end the group of whoever started this by hand
    signal.signal(signal.SIGTERM, _ask_group)
    signal.signal(signal.SIGALRM, _end_group)
    signal.signal(signal.SIGQUIT, _stay)  # a handler, not SIG_IGN, which the command would inherit
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == int(parent):  # else it died before the kernel was asked
        try:
            code = subprocess.run(command, check=False).returncode
            os.write(int(code_to), f"{code}\n".encode())
        except OSError as exc:
            sys.stderr.write(f"{command[0]} could not be started: {exc.strerror}\n")
            sys.stderr.flush()
    _end_group()


def _ask_group(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 (a signal handler)
    signal.alarm(MOMENT_S)
    os.killpg(0, signal.SIGQUIT)


def _stay(signum: int, frame: FrameType | None) -> None:
    pass


def _end_group(signum: int = 0, frame: FrameType | None = None) -> None:  # noqa: ARG001 (a signal handler)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
