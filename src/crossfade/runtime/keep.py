"""Standing in for a process that outlived its supervisord.

supervisord can only watch its own children. So for a process that is nobody's child any more, its launcher
stays: it hands on every signal, ends the process when it does not end in time, and leaves when it is gone,
so supervisord then starts a fresh one.
"""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

from crossfade.model.ports import Clock
from crossfade.runtime.procfs import Identity, kill_group, send
from crossfade.runtime.record import MARKER

POLL_S = 0.1
HANDED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)


def keep(kept: Identity, stop_signal: str, stop_wait_s: float, marker: str, clock: Clock) -> NoReturn:
    """Stand in for `kept` until it is gone. Its exit code is unknown, which counts as a failure."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDED_ON)
    sys.stderr.write(f"crossfade: supervisor was restarted; process {kept.pid} is kept\n")
    last_signal = signal.Signals[f"SIG{stop_signal}"]
    kill_at: float | None = None
    while kept.alive():
        received = signal.sigtimedwait(HANDED_ON, POLL_S)
        if received is not None:
            send(kept, received.si_signo)
            if received.si_signo == last_signal and kill_at is None:
                # A little sooner than supervisord would kill its child, which would be this process only.
                kill_at = clock.monotonic_s() + stop_wait_s * 0.95
        if kill_at is not None and clock.monotonic_s() >= kill_at:
            kill_group(kept, (MARKER, marker))
    sys.exit(1)


def end(identity: Identity, stop_signal: str, wait_s: float, clock: Clock) -> None:
    """Ask a process to end, wait, and end it."""
    send(identity, signal.Signals[f"SIG{stop_signal}"])
    deadline = clock.monotonic_s() + wait_s
    while identity.alive():
        if clock.monotonic_s() >= deadline:
            send(identity, signal.SIGKILL)
        clock.sleep(POLL_S / 2)
