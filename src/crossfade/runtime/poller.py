"""Which descriptors supervisord waits for, asked anew in every round.

Rule: nothing outlives a round. supervisord names in each round what it wants to read and to write; supervisor's own
poller keeps what was named before, too. Where a closed descriptor's number is given again to the stdin of a process
that has closed its end (PostgreSQL does), that one is in error for ever, and supervisord turns without a pause: half
a core (measured with supervisor 4.3.0).
"""

from __future__ import annotations

import select

_READ = select.POLLIN | select.POLLPRI | select.POLLHUP
_WRITE = select.POLLOUT


class RoundPoller:
    """Has the methods of `supervisor.poller.BasePoller`."""

    def __init__(self) -> None:
        self._wanted: dict[int, int] = {}

    def register_readable(self, fd: int) -> None:
        """Wait for it to be readable, in this round."""
        self._wanted[fd] = self._wanted.get(fd, 0) | _READ

    def register_writable(self, fd: int) -> None:
        """Wait for it to be writable, in this round."""
        self._wanted[fd] = self._wanted.get(fd, 0) | _WRITE

    def unregister_readable(self, fd: int) -> None:
        """The round is over; there is nothing to take back."""

    def unregister_writable(self, fd: int) -> None:
        """The round is over; there is nothing to take back."""

    def poll(self, timeout_s: float) -> tuple[list[int], list[int]]:
        """Wait, and say which can be read and which can be written; an error is found by doing it."""
        wanted, self._wanted = self._wanted, {}
        round_ = select.poll()
        for fd, mask in wanted.items():
            round_.register(fd, mask)
        readable, writable = [], []
        for fd, events in round_.poll(timeout_s * 1000):
            if events & select.POLLNVAL:
                continue  # closed since it was named
            if wanted[fd] & _READ and events & (_READ | select.POLLERR):
                readable.append(fd)
            if wanted[fd] & _WRITE and events & (_WRITE | select.POLLERR):
                writable.append(fd)
        return readable, writable

    def before_daemonize(self) -> None:
        """Nothing is open between rounds."""

    def after_daemonize(self) -> None:
        """Nothing is open between rounds."""

    def close(self) -> None:
        """Nothing is open between rounds."""
