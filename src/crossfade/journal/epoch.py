"""The local lock file of a service: acts outside the database are done under it, one at a time (I8).

Rule: the file holds the epoch, pid and start time of whoever acted last. An act is done while its lock is
held; a walker whose epoch is lower than the file's acts on nothing. A new leader waits 2 s for the lock, then
ends the process named in the file if that has a lower epoch, and goes on. The fader to the old slot needs this
file only: it acts under whatever epoch the file holds, and ends any process that keeps it waiting for 2 s.

Invariant: the epoch in the file never goes down.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from crossfade.journal import flock
from crossfade.journal.process import end, started_ticks
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock

WAIT_S = 2.0
RECORD_BYTES = 256  # one record of fixed size, written in one call: a kill leaves the old one or the new one


@dataclass(frozen=True)
class Actor:
    """Whoever acted last."""

    epoch: int
    pid: int
    started_ticks: int


class EpochLock:
    """The lock file of one service. One instance a process; its threads share the lock.

    It keeps other processes out. What one process does in several threads is that process's own order, and the
    fader to the old slot must not wait for a slow act beside it.
    """

    def __init__(self, path: Path, service: str, clock: Clock, wait_s: float = WAIT_S) -> None:
        self._path = path
        self._service = service
        self._clock = clock
        self._wait_s = wait_s
        self._thread = threading.Lock()
        self._depth = 0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def current(self) -> int:
        """The highest epoch that acted on this host; 0 where none did."""
        actor = self.actor()
        return 0 if actor is None else actor.epoch

    def actor(self) -> Actor | None:
        """Whoever acted last; None where nobody did or the record cannot be read."""
        try:
            return Actor(**json.loads(os.pread(self._fd, RECORD_BYTES, 0)))
        except (ValueError, TypeError):
            return None

    def ended(self) -> Actor | None:
        """Whoever acted last, where that process is gone; None while it lives, stopped or not."""
        actor = self.actor()
        return None if actor is None or started_ticks(actor.pid) == actor.started_ticks else actor

    @contextmanager
    def act(self, epoch: int) -> Iterator[None]:
        """Hold the lock for one act of the leader with this epoch. Raises `lease-lost` or `act-lock-held`."""
        with self._held(lambda actor: actor.epoch < epoch):
            self._claim(epoch)
            yield

    @contextmanager
    def act_fader_to_old(self) -> Iterator[int]:
        """Hold the lock for the fader to the old slot, which needs no lease; gives the epoch it acts under."""
        with self._held(lambda _: True):
            epoch = self.current()
            self._claim(epoch)
            yield epoch

    def close(self) -> None:
        """Let the file go."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @contextmanager
    def _held(self, may_end: Callable[[Actor], bool]) -> Iterator[None]:
        with self._thread:
            if self._depth == 0:
                self._take(may_end)
            self._depth += 1
        try:
            yield
        finally:
            with self._thread:
                self._depth -= 1
                if self._depth == 0:
                    flock.let_go(self._fd)

    def _take(self, may_end: Callable[[Actor], bool]) -> None:
        if flock.take(self._fd, self._wait_s, self._clock):
            return
        actor = self.actor()
        ended = actor is not None and actor.pid != os.getpid() and may_end(actor) and self._end(actor)
        if not (ended and flock.take(self._fd, self._wait_s, self._clock)):
            raise self._stuck()

    def _end(self, actor: Actor) -> bool:
        try:
            return end(actor.pid, actor.started_ticks)
        except PermissionError as exc:
            raise self._stuck() from exc

    def _claim(self, epoch: int) -> None:
        actor = self.actor()
        if actor is not None and actor.epoch > epoch:
            raise fail(
                "lease-lost",
                service=self._service,
                epoch=epoch,
                found=f"epoch {actor.epoch} acted on this host, pid {actor.pid}",
            )
        pid = os.getpid()
        ticks = started_ticks(pid)
        assert ticks is not None
        mine = Actor(epoch, pid, ticks)
        if actor != mine:
            os.pwrite(self._fd, json.dumps(asdict(mine)).encode("ascii").ljust(RECORD_BYTES), 0)

    def _stuck(self) -> CrossfadeError:
        actor = self.actor()
        holder = "unknown" if actor is None else f"pid {actor.pid}, epoch {actor.epoch}"
        return fail("act-lock-held", service=self._service, file=self._path, holder=holder, waited_s=self._wait_s)
