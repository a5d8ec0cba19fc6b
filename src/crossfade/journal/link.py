"""One connection to the journal's database that never makes its user wait without bound.

Rule: a call opens the connection where it is not open (2 s at most), then all its statements together have
2 s, counted here on the monotonic clock as well as by the server: a server that is stopped, or a network
that swallows packets, ends a call as surely as an error does. After any failure the connection is thrown
away. Autocommit, so nothing sits idle in a transaction (I9); no session state but what is set on connecting.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from crossfade.host.database_address import read_address, told_address
from crossfade.model.errors import fail
from crossfade.model.ports import Clock

ANSWER_S = 2.0
APPLICATION_NAME = "crossfade walker"
_OPTIONS = (
    "-c statement_timeout=2000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=2000 "
    "-c search_path=pg_catalog -c synchronous_commit=on -c default_transaction_isolation=read\\ committed"
)
RV = TypeVar("RV")


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose statements end by a deadline."""

    left_s: Callable[[], float] | None = None

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """Drive one exchange with the server until it is complete or the deadline has passed."""
        if self.left_s is None:
            return super().wait(gen, *args, **kwargs)
        fd = self.pgconn.socket
        try:
            want = next(gen)
            while True:
                ready = _poll(fd, want, self.left_s())
                if ready is None:
                    raise psycopg.OperationalError(f"no answer within {ANSWER_S:g} s")
                want = gen.send(ready)
        except StopIteration as stop:
            answer: RV = stop.value
            return answer


def _poll(fd: int, want: Wait, left_s: float) -> Ready | None:
    waiter = select.poll()
    waiter.register(fd, (select.POLLIN if want & Wait.R else 0) | (select.POLLOUT if want & Wait.W else 0))
    events = waiter.poll(max(0.0, left_s) * 1000)
    if not events:
        return None
    got = events[0][1]
    broken = got & (select.POLLERR | select.POLLHUP)
    ready = (Ready.R if got & select.POLLIN or broken else 0) | (Ready.W if got & select.POLLOUT else 0)
    return Ready(ready)


class Link:
    """Opens the connection when it is needed and gives it out for one call at a time."""

    def __init__(
        self, admin_url: str, clock: Clock, on_connect: Callable[[BoundedConnection], None] | None = None
    ) -> None:
        self._admin_url = admin_url
        self._clock = clock
        self._on_connect = on_connect
        self._connection: BoundedConnection | None = None
        self._thread = threading.RLock()

    @contextmanager
    def call(self, purpose: str) -> Iterator[BoundedConnection]:
        """Give out a connection that has just answered. Raises `journal-unreachable` for whatever fails."""
        with self._thread:
            try:
                connection = self._ready()
                yield connection
            except psycopg.Error as exc:
                self.close()
                detail = f"{_reason(exc)} (it was asked to {purpose})"
                raise fail("journal-unreachable", database=told_address(self._admin_url), detail=detail) from exc
            except BaseException:
                self.close()  # the exchange may be half done, or this is the wrong database
                raise

    def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ready(self) -> BoundedConnection:
        if self._connection is not None and not self._connection.closed:
            self._set_deadline(self._connection)
            try:
                self._connection.execute("SELECT 1")
                return self._connection
            except psycopg.Error:
                hung = self._connection.left_s is not None and self._connection.left_s() <= 0
                self.close()
                if hung:  # it would not answer a new connection either
                    raise
        self._connection = self._open()
        self._set_deadline(self._connection)
        if self._on_connect is not None:
            self._on_connect(self._connection)
        return self._connection

    def _set_deadline(self, connection: BoundedConnection) -> None:
        deadline_s = self._clock.monotonic_s() + ANSWER_S
        connection.left_s = lambda: deadline_s - self._clock.monotonic_s()

    def _open(self) -> BoundedConnection:
        given = read_address(self._admin_url)
        if given is None:
            raise psycopg.OperationalError("admin_url is not a PostgreSQL address")
        return BoundedConnection.connect(
            self._admin_url,
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=int(ANSWER_S),
            tcp_user_timeout=int(ANSWER_S * 1000),
            application_name=APPLICATION_NAME,
            options=f"{given.get('options') or ''} {_OPTIONS}".strip(),
        )


def _reason(exc: psycopg.Error) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__
