"""Sessions of the schema engine: opened for one piece of work, bounded, and never idle in a transaction.

Rule: every exchange with the server ends: by its answer, by `ANSWER_S`, or, inside `watching`, when `go_on` says
no; then a second session cancels the statement. What the driver raises leaves here as a row of the catalogue:
`schema-unreachable` where the session is gone, `schema-refused` where the server said no to a statement.

Two lifetimes: an ordinary session ends soon after its client is gone (client_connection_check_interval, manual
20.3.4), so a killed process holds no lock. One that `outlives` its client goes on to the end of its statement: a
concurrent index that is nearly built is worth more than a quick end.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from crossfade.host.database_address import read_address, told_address
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock, GoOn
from crossfade.schema.sql import query

APPLICATION_NAME = "crossfade schema"
CONNECT_S = 5
ANSWER_S = 10.0
LOOK_EVERY_S = 1.0
_TICK_MS = 50
_OPTIONS = (
    "-c idle_in_transaction_session_timeout=5000 -c search_path=pg_catalog -c client_min_messages=warning "
    "-c synchronous_commit=on -c default_transaction_isolation=read\\ committed"
)
_BOUNDED = "-c statement_timeout=5000 -c lock_timeout=2000 -c client_connection_check_interval=1000"
_OUTLIVES = "-c statement_timeout=0 -c lock_timeout=0 -c client_connection_check_interval=0"
_GONE = ("08", "57P", "53300", "25P03")  # SQLSTATE: connection lost, server stopping, no place left, ended when idle
_NAMES_KEYS = ("23503", "23505")  # their detail names a key, never a whole row
RV = TypeVar("RV")


class Stopped(Exception):
    """`go_on` said no while a statement ran; it was cancelled and its transaction is over."""


class Session(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose exchanges are bounded or watched."""

    clock: Clock
    watch: Callable[[], None] | None = None  # called all the while an exchange is under way; raises to give it up

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """Drive one exchange with the server to its end."""
        del args, kwargs
        until_s = self.clock.monotonic_s() + ANSWER_S
        fd = self.pgconn.socket
        try:
            want = next(gen)
            while True:
                ready = _poll(fd, want)
                if ready is not None:
                    want = gen.send(ready)
                elif self.watch is not None:
                    self.watch()
                elif self.clock.monotonic_s() > until_s:
                    raise psycopg.OperationalError(f"no answer within {ANSWER_S:g} s")
        except StopIteration as stop:
            answer: RV = stop.value
            return answer

    def one(self, name: str, **values: object) -> tuple[Any, ...]:
        """The one row that the query called `name` gives."""
        row = self.execute(query(name), values).fetchone()
        assert row is not None, name
        return row

    def rows(self, name: str, **values: object) -> list[tuple[Any, ...]]:
        """All rows of the query called `name`."""
        return self.execute(query(name), values).fetchall()

    def run(self, statement: str) -> int:
        """Run SQL that a plan rendered; the number of rows it told of."""
        return self.execute(statement.encode()).rowcount


RequireOwn = Callable[[psycopg.Connection[Any]], None]


def anybodys(_connection: psycopg.Connection[Any]) -> None:
    """Every database will do."""


class Sessions:
    """Opens sessions to one database, or to a pooler's `console`, which takes no options and knows no parameters."""

    def __init__(
        self, admin_url: str, clock: Clock, *, console: bool = False, require_own: RequireOwn = anybodys
    ) -> None:
        self._admin_url = admin_url
        self._clock = clock
        self._console = console
        self._require_own = require_own  # raises where this is not the database that is walked, or not yet accepted

    @contextmanager
    def open(self, doing: str, *, outlives: bool = False) -> Iterator[Session]:
        """A session, autocommit, closed at the end; `doing` is what a failure says was refused.

        Raises `schema-unreachable` and `schema-refused`.
        """
        try:
            session = self._connect(outlives)
            try:
                yield session
            finally:
                session.close()
        except psycopg.Error as exc:
            raise self.told(exc, doing) from exc

    def told(self, exc: psycopg.Error, doing: str) -> CrossfadeError:
        """The catalogue's row for what the driver raised."""
        if exc.sqlstate is None or exc.sqlstate.startswith(_GONE):
            return fail("schema-unreachable", database=told_address(self._admin_url), detail=_reason(exc))
        return fail("schema-refused", doing=doing, detail=_reason(exc), sqlstate=exc.sqlstate)

    @contextmanager
    def watching(
        self, session: Session, go_on: GoOn, look: Callable[[Session, int], None] | None = None
    ) -> Iterator[None]:
        """Let statements of the block take as long as they need; raises `Stopped` when `go_on` says no.

        `look` is handed a second session and the first one's process id, once a second, to read progress.
        """
        watcher = _Watcher(self, session, go_on, look)
        session.watch = watcher.tick
        try:
            yield
        except psycopg.errors.QueryCanceled as exc:
            if watcher.cancelled_s is None:
                raise
            raise Stopped from exc
        finally:
            session.watch = None
            watcher.close()

    def beside(self) -> Session:
        """A second session, for looking and cancelling; the caller closes it."""
        return self._connect(outlives=False)

    @property
    def clock(self) -> Clock:
        """The clock that bounds them."""
        return self._clock

    def _connect(self, outlives: bool) -> Session:
        given = read_address(self._admin_url)
        if given is None:
            raise psycopg.OperationalError("admin_url is not a PostgreSQL address")
        options = f"{given.get('options') or ''} {_OPTIONS} {_OUTLIVES if outlives else _BOUNDED}".strip()
        session = Session.connect(
            self._admin_url,
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=CONNECT_S,
            tcp_user_timeout=int(ANSWER_S * 1000),
            keepalives_idle=int(ANSWER_S),
            application_name=APPLICATION_NAME,
            options=None if self._console else options,
        )
        session.clock = self._clock
        try:
            self._require_own(session)
        except BaseException:
            session.close()
            raise
        return session


class _Watcher:
    """Looks at a running statement from a second session, and cancels it once when asked to stop."""

    def __init__(
        self, sessions: Sessions, session: Session, go_on: GoOn, look: Callable[[Session, int], None] | None
    ) -> None:
        self._sessions, self._clock = sessions, sessions.clock
        self._pid = session.info.backend_pid
        self._go_on, self._look = go_on, look
        self._beside: Session | None = None
        self._next_look_s = self._clock.monotonic_s() + LOOK_EVERY_S
        self.cancelled_s: float | None = None

    def tick(self) -> None:
        """Look, or cancel, as the time has come."""
        now_s = self._clock.monotonic_s()
        if self.cancelled_s is not None:
            if now_s > self.cancelled_s + ANSWER_S:
                raise psycopg.OperationalError(f"a cancelled statement did not end within {ANSWER_S:g} s")
        elif not self._go_on():
            self._second().one("cancel", pid=self._pid)
            self.cancelled_s = now_s
        elif now_s >= self._next_look_s:
            self._next_look_s = now_s + LOOK_EVERY_S
            second = self._second()  # asked even where nobody looks: a server that hangs shows here
            if self._look is None:
                second.one("alive")
            else:
                self._look(second, self._pid)

    def _second(self) -> Session:
        if self._beside is None:
            self._beside = self._sessions.beside()
        return self._beside

    def close(self) -> None:
        """Let the second session go."""
        if self._beside is not None:
            self._beside.close()


def _poll(fd: int, want: Wait) -> Ready | None:
    waiter = select.poll()
    waiter.register(fd, (select.POLLIN if want & Wait.R else 0) | (select.POLLOUT if want & Wait.W else 0))
    events = waiter.poll(_TICK_MS)
    if not events:
        return None
    got = events[0][1]
    broken = got & (select.POLLERR | select.POLLHUP)
    ready = (Ready.R if got & select.POLLIN or broken else 0) | (Ready.W if got & select.POLLOUT else 0)
    return Ready(ready)


def _reason(exc: psycopg.Error) -> str:
    lines = [line.strip() for line in str(exc.diag.message_primary or exc).splitlines() if line.strip()]
    reason = lines[0] if lines else type(exc).__name__
    detail = exc.diag.message_detail
    return f"{reason}; {detail}" if detail and exc.sqlstate in _NAMES_KEYS else reason
