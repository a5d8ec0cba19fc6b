"""The lease: one walker per service (I8).

Rule: a row in the database, on database time, says who leads until when; every new leader gets a higher epoch.
Locally the lease counts from before the query was sent that got or renewed it, on the monotonic clock, and
ends a safety margin early: the database may call it ended only after this walker has stopped acting. The
monotonic clock goes on while the process is stopped, so a walker that wakes up late finds that it leads no
more. A lease that ended but that nobody took may be renewed under its epoch.

A leader that was killed on this host is succeeded at once: the epoch lock names the process that acted last, by
pid and start time, and that process is gone. Were it not (another pid namespace on the same state directory),
the higher epoch in the lock and in the database still lets it act on nothing.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from crossfade.journal.epoch import Actor
from crossfade.journal.link import BoundedConnection, Link
from crossfade.journal.sql import query
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock

SAFETY_MARGIN = 0.2  # of the time to live


class PostgresLease:
    """One walker's claim to lead a service. Satisfies the port `Lease`.

    `holder` is unique to this run of the walker. `epoch_floor` is the highest epoch known on this host, so that
    a database restored from an older copy cannot give one out twice. `ended` is who acted last on this host, where
    that process is gone. `require_own` is asked of every new connection: the lease's row is copied by a failover as
    well, and renewing it there would be leading on a database that nobody has accepted.
    """

    def __init__(
        self,
        admin_url: str,
        service: str,
        ttl_s: float = 10,
        *,
        clock: Clock,
        holder: str,
        epoch_floor: Callable[[], int] = lambda: 0,
        ended: Callable[[], Actor | None] = lambda: None,
        require_own: Callable[[BoundedConnection], None] = lambda _connection: None,
    ) -> None:
        self._service = service
        self._ttl_s = ttl_s
        self._clock = clock
        self._holder = holder
        self._epoch_floor = epoch_floor
        self._ended = ended
        self._link = Link(admin_url, clock, require_own)
        self._thread = threading.RLock()
        self._epoch = 0
        self._leads_until_s: float | None = None

    @property
    def epoch(self) -> int:
        """The epoch of the last acquired lease; 0 before the first."""
        return self._epoch

    def acquire(self) -> int:
        """Become the leader and return the epoch. Raises `lease-held` and `journal-unreachable`.

        Bind the journal first; also raises what `require_own` does.
        """
        with self._thread:
            with self._link.call("give the lease") as connection:
                sent_s = self._clock.monotonic_s()
                ended = self._ended() or Actor(0, 0, 0)
                values = {**self._values(), "ended_epoch": ended.epoch, "ended_pid": ended.pid}
                won = connection.execute(query("acquire_lease"), values).fetchone()
                held = None if won else connection.execute(query("read_lease"), self._values()).fetchone()
            if won is None:
                raise self._held_by(held)
            self._epoch = int(won[0])
            self._count_from(sent_s)
            return self._epoch

    def leading(self) -> bool:
        """Whether acts may still be done; asks nobody but the monotonic clock."""
        until_s = self._leads_until_s
        return until_s is not None and self._clock.monotonic_s() < until_s

    def renew(self) -> bool:
        """Try to renew; False where the database did not answer, is not the bound one, or another leads."""
        with self._thread:
            if self._leads_until_s is None:
                return False
            try:
                with self._link.call("renew the lease") as connection:
                    sent_s = self._clock.monotonic_s()
                    row = connection.execute(query("renew_lease"), self._values()).fetchone()
            except CrossfadeError as error:
                if error.id != "journal-unreachable":  # a failover, or another's database: nothing may be done there
                    self._leads_until_s = None
                return False
            if row is None:  # another leads, or the database lost the lease: this claim is over
                self._leads_until_s = None
                return False
            self._count_from(sent_s)
            return True

    def release(self) -> None:
        """Give it up, on a clean exit. A database that does not answer lets it end by itself."""
        with self._thread:
            if self._leads_until_s is None:
                return
            self._leads_until_s = None
            try:
                with self._link.call("end the lease") as connection:
                    connection.execute(query("release_lease"), self._values())
            except CrossfadeError:
                pass
            self._link.close()

    def close(self) -> None:
        """Let the connection go; the lease ends by itself."""
        self._link.close()

    def _count_from(self, sent_s: float) -> None:
        self._leads_until_s = sent_s + self._ttl_s * (1 - SAFETY_MARGIN)

    def _values(self) -> dict[str, Any]:
        return {
            "service": self._service,
            "holder": self._holder,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "floor": self._epoch_floor(),
            "ttl_s": self._ttl_s,
            "epoch": self._epoch,
        }

    def _held_by(self, held: tuple[Any, ...] | None) -> CrossfadeError:
        assert held is not None
        holder, host, pid, epoch, since, expires_at = held
        return fail(
            "lease-held",
            service=self._service,
            holder=holder,
            host=host,
            pid=pid,
            epoch=epoch,
            since=_in_words(since),
            expires_at=_in_words(expires_at),
        )


def _in_words(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
