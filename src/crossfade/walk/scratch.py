"""`python -m crossfade.walk.scratch COMMAND...`: become the command, and die with whoever started it.

Rule: a scratch instance never outlives its proof, also when the prover is killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2); kept across exec


def main(argv: list[str]) -> None:
    """Ask the kernel for the death signal, then exec."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.execvp(argv[0], argv)  # noqa: S606 (no shell: a list, as everywhere)


if __name__ == "__main__":
    main(sys.argv[1:])
