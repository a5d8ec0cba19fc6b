"""Take a file's lock within a bounded time.

Rule: nothing here waits for ever. A process that was stopped while it held a lock must show as a refusal, so
that somebody can decide what to do about it.
"""

from __future__ import annotations

import fcntl

from crossfade.model.ports import Clock

POLL_S = 0.005


def take(fd: int, wait_s: float, clock: Clock) -> bool:
    """Take the exclusive lock of the open file; False where another holds it for longer than `wait_s`."""
    deadline_s = clock.monotonic_s() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic_s() >= deadline_s:
                return False
            clock.sleep(POLL_S)
        else:
            return True


def let_go(fd: int) -> None:
    """Give the lock back."""
    fcntl.flock(fd, fcntl.LOCK_UN)
