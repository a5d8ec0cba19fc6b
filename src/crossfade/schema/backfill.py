"""Filling the new shape of a table's rows, page by page, while everybody goes on working.

Rule: whatever happens, it can be called again and goes on where the last committed batch ended. It takes only rows
that are unfilled, so a row is written once. The triggers that keep the shapes in step are committed before it begins:
rows that come or move later are filled by them, so the pages there are at the beginning are all it has to go over.
A check over all pages follows, until one finds nothing.

It gives way: a batch is one short transaction; rows that others have locked are passed over and met again in the
check; it waits for locks for less time than the server takes to look for deadlocks; and it rests by
`crossfade.schema.throttle`. Triggers of the user's own fire for each row; nothing else is written but the assigned
columns.

Invariant: no page counts as done before the commit of what was done to it (crossfade.schema.leaf).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg
from psycopg import errors

from crossfade.model.change import Backfill
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock, GoOn, Measured, Say
from crossfade.model.settings.staging import Staging
from crossfade.schema.compare import Comparing, Comparison
from crossfade.schema.gauge import Gauge
from crossfade.schema.horizon import Horizon
from crossfade.schema.leaf import (
    CONFLICTS,
    STATEMENT_MAX_MS,
    Batch,
    Connection,
    Extent,
    Fence,
    Leaf,
    Ledger,
    Rewritten,
    extent,
    gone,
    leaves,
    reason,
)
from crossfade.schema.pages import CHECK, Cursor, Pace, Passes
from crossfade.schema.tally import Tally

__all__ = ["Comparison", "Connect", "Filler"]

Connect = Callable[[], Connection]
_CHECKS_MAX = 10
# Under deadlock_timeout (1 s where nobody changed it): then a deadlock ends by our giving up, not by theirs. Not much
# under it: on a busy machine a batch takes several times what it should, and one that is ended was for nothing.
_LIMIT_MIN_MS = 900
_SAY_EVERY_S = 2.0
_RETRY_S = 0.1
_AWAY_S = 60.0


class Filler:
    """Fills and compares tables of one change. `fence` raises in a transaction of a walker that leads no more.

    `settings` is called again and again, so limits can change while it runs. Needs a role that may update the tables
    and crossfade.backfill; nothing of a superuser.
    """

    def __init__(
        self,
        connect: Connect,
        service: str,
        change: str,
        settings: Callable[[], Staging],
        clock: Clock,
        fence: Fence,
        latency_ms: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._connect, self._service, self._change = connect, service, change
        self._settings, self._clock, self._fence, self._latency_ms = settings, clock, fence, latency_ms

    def fill(self, task: Backfill, go_on: GoOn, say: Say) -> Measured:
        """Fill every row of the task's table; returns what was measured.

        Raises `schema-stopped`, `schema-unreachable`, `backfill-blocked`, `backfill-failed`, `backfill-not-possible`,
        `backfill-unfinished`, and what the fence raises.
        """
        gauge = Gauge(self._clock, self._settings, self._latency_ms, say)
        run = _Run(self._clock, self._settings, go_on, say, task, gauge)
        keys = (self._service, self._change)
        away_since_s: float | None = None
        while True:
            batches = run.tally.batches
            try:
                with closing(self._open()) as connection:
                    run.all_leaves(connection, lambda leaf: Ledger(*keys, task, leaf, self._fence), keys[1])
                return run.tally.measured(self._clock.monotonic_s(), gauge.rested_s, run.horizon.waited_s)
            except psycopg.Error as exc:
                if not gone(exc):
                    raise fail("backfill-failed", table=task.table, detail=reason(exc), where=run.where) from exc
                now_s = self._clock.monotonic_s()
                if away_since_s is None or run.tally.batches > batches:
                    away_since_s = now_s
                if now_s - away_since_s > _AWAY_S or not go_on():
                    raise fail("schema-unreachable", database=run.database, detail=reason(exc)) from exc
                say(f"the database is away ({reason(exc)}); tries again")
                self._clock.sleep(1.0)

    def compare(self, task: Backfill, go_on: GoOn, say: Say) -> Comparison:
        """Count the rows whose two shapes differ, in short slices; stops when many were found.

        Raises `schema-stopped`, `schema-unreachable`, `backfill-blocked`, `backfill-failed`, `backfill-not-possible`.
        """
        comparing = Comparing(self._clock, self._settings, self._change, task)
        try:
            with closing(self._open()) as connection:
                return comparing.run(connection, go_on, say)
        except psycopg.Error as exc:
            if gone(exc):
                raise fail("schema-unreachable", database=comparing.database, detail=reason(exc)) from exc
            raise fail("backfill-failed", table=task.table, detail=reason(exc), where=comparing.where) from exc

    def _open(self) -> Connection:
        connection = self._connect()
        connection.autocommit = True  # nothing sits idle in a transaction
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        connection.prepare_threshold = None
        return connection


class _Run:
    """One call of `fill`: its counts, its pace, and the loop over pages."""

    def __init__(
        self, clock: Clock, settings: Callable[[], Staging], go_on: GoOn, say: Say, task: Backfill, gauge: Gauge
    ) -> None:
        self._clock, self._settings, self._go_on, self._say = clock, settings, go_on, say
        self._task, self._gauge = task, gauge
        self.horizon = Horizon(clock)
        self._pace = Pace()
        self._passes = Passes()
        self._told_s = clock.monotonic_s()
        self._change = ""
        self.tally = Tally(clock.monotonic_s())
        self.where = "before the first page"
        self.database = "of database.admin_url"

    def all_leaves(self, connection: Connection, ledger_of: Callable[[Leaf], Ledger], change: str) -> None:
        """Fill the table, or its partitions one by one; those that came meanwhile, too."""
        self._change = change
        self.database = f"{connection.info.dbname} at {connection.info.host}:{connection.info.port}"
        seen: set[int] = set()
        self.tally.before = self.tally.pages = 0
        already = self.tally.rows
        while todo := [leaf for leaf in leaves(connection, self._task) if leaf.oid not in seen]:
            for leaf in todo:
                self._leaf(connection, leaf, ledger_of(leaf))
                seen.add(leaf.oid)
        self.tally.before -= already

    def _leaf(self, connection: Connection, leaf: Leaf, ledger: Ledger) -> None:
        progress, now = ledger.read(connection), extent(connection, leaf)
        self.tally.pages += now.pages
        if progress is not None:
            self.tally.before += progress.filled
            if progress.done:
                return
        self.tally.new_sweep()
        self._passes = Passes()
        if progress is None:
            cursor = self._begin(connection, ledger, now)
        elif progress.filenode != now.filenode:
            cursor = self._begin_anew(connection, leaf, ledger, now)
        else:
            cursor = progress.cursor
        checks = 0
        while not (cursor.over and cursor.turn == CHECK):
            try:
                if not cursor.over:
                    cursor = self._next(connection, leaf, ledger, cursor)
                    continue
                checks += 1
                self.tally.checks += 1
                if checks > _CHECKS_MAX:
                    raise fail("backfill-unfinished", table=leaf.name, checks=_CHECKS_MAX)
                self.tally.new_sweep()
                self._pace = Pace(limit_ms=self._pace.limit_ms)
                now = extent(connection, leaf)
                cursor = Cursor(now.pages, 0, CHECK)
                ledger.put(connection, now.filenode, cursor)
            except Rewritten:
                cursor = self._begin_anew(connection, leaf, ledger, extent(connection, leaf))
        ledger.done(connection)
        self._say(self.tally.end(leaf.name, self._clock.monotonic_s()))

    def _begin(self, connection: Connection, ledger: Ledger, now: Extent) -> Cursor:
        cursor = Cursor(now.pages)
        ledger.put(connection, now.filenode, cursor)
        return cursor

    def _begin_anew(self, connection: Connection, leaf: Leaf, ledger: Ledger, now: Extent) -> Cursor:
        self._say(f"{leaf.name} was rewritten by others; its pages are gone over anew, filled rows are passed")
        self.tally.new_sweep()
        return self._begin(connection, ledger, now)

    def _next(self, connection: Connection, leaf: Leaf, ledger: Ledger, cursor: Cursor) -> Cursor:
        """Rest, wait, and do one batch; where it stands then."""
        self._stop_if_asked(leaf, cursor)
        self._gauge.rest(connection, self._go_on)
        passes = self._settings().passes
        if cursor.begins_pass and passes > 1:
            cursor = self._wait_for_room(connection, leaf, cursor, passes)
        self._stop_if_asked(leaf, cursor)
        began_s = self._clock.monotonic_s()
        batch, end = self._batch(connection, leaf, ledger, cursor, passes)
        now_s = self._clock.monotonic_s()
        self._gauge.wrote(batch.wal_bytes, began_s)
        if batch.still_unfilled:
            detail = f"the change's expression leaves {batch.still_unfilled} rows unfilled"
            raise fail("backfill-failed", table=leaf.name, detail=detail, where=self.where)
        self._passes.ran(cursor, passes, batch.rows, batch.hot)
        self.tally.batch(batch.rows, batch.took_ms, batch.wal_bytes, batch.hot)
        cursor = cursor.after(end, passes, batch.rows)
        if now_s - self._told_s >= _SAY_EVERY_S:
            self._told_s = now_s
            self._say(self.tally.line(leaf.name, cursor, passes, now_s))
        return cursor

    def _wait_for_room(self, connection: Connection, leaf: Leaf, cursor: Cursor, passes: int) -> Cursor:
        if self._passes.in_vain or self.horizon.held_in_vain(connection):
            return cursor.all_at_once(passes)
        if cursor.turn > 0:
            wait_s = self._settings().pass_wait_s
            holder = self.horizon.wait(connection, wait_s, self._go_on)
            if holder:
                self._say(
                    f"{leaf.name}: {holder} still sees rows of {wait_s:g} s ago; goes on without waiting for it, and"
                    " rows move to other pages"
                )
                return cursor.all_at_once(passes)
        return cursor

    def _batch(
        self, connection: Connection, leaf: Leaf, ledger: Ledger, cursor: Cursor, passes: int
    ) -> tuple[Batch, int]:
        """One batch, tried until it came through; what it did and where it ended."""
        blocked_s, pass_over = self._clock.monotonic_s(), False
        while True:
            settings = self._settings()
            least_ms = min(STATEMENT_MAX_MS, max(_LIMIT_MIN_MS, 4 * settings.batch_ms + settings.lock_timeout_ms))
            self._pace.limit_ms = max(self._pace.limit_ms, least_ms)
            limits_ms = (settings.lock_timeout_ms, self._pace.limit_ms)
            first, end = cursor.range(self._pace.pages)
            self.where = f"pages {first} to {end - 1} of {leaf.name}"
            try:
                batch = ledger.batch(connection, self._clock, cursor, end, passes, limits_ms, pass_over)
            except errors.QueryCanceled as exc:
                if not self._pace.took_too_long(STATEMENT_MAX_MS):
                    raise fail("backfill-failed", table=leaf.name, detail=reason(exc), where=self.where) from exc
            except CONFLICTS as exc:
                self._pace.conflicted()
                if not pass_over and not cursor.checking:
                    pass_over = True  # whoever holds them may take long; the check comes back to these rows
                    continue
                waited_s = self._clock.monotonic_s() - blocked_s
                if waited_s >= settings.lock_tries_s:
                    facts = {"table": leaf.name, "waited_s": f"{waited_s:.0f}", "where": self.where}
                    raise fail("backfill-blocked", **facts, detail=reason(exc)) from exc
                self._clock.sleep(_RETRY_S)
                pass_over = False
            else:
                self._pace.ran(batch.took_ms, settings.batch_ms)
                self.tally.passed_over += pass_over
                return batch, end
            self._stop_if_asked(leaf, cursor)

    def _stop_if_asked(self, leaf: Leaf, cursor: Cursor) -> None:
        if not self._go_on():
            raise self._stopped(leaf, cursor)

    def _stopped(self, leaf: Leaf, cursor: Cursor) -> CrossfadeError:
        done = self.tally.line(leaf.name, cursor, self._settings().passes, self._clock.monotonic_s())
        return fail("schema-stopped", act="the backfill", change=self._change, done=done)
