"""Filling the new shape of a table's rows, page by page, while everybody goes on working.

Rule: whatever happens, it can be called again and goes on where the last committed batch ended. It takes only rows
that are unfilled, so a row is written once. The triggers that keep the shapes in step are committed before it begins:
rows that come or move later are filled by them, so the pages there are at the beginning are all it has to go over.
A check over all pages follows, until one finds nothing.

It gives way: a batch is one short transaction (crossfade.schema.worker), and it rests by `crossfade.schema.throttle`.
Triggers of the user's own fire for each row; nothing else is written but the assigned columns.

Several workers share a table's pages out among themselves (crossfade.schema.shares), each with a session and a row of
progress of its own. The first one is whoever calls; the others are threads, gone when a table is filled.

Invariant: no page counts as done before the commit of what was done to it (crossfade.schema.leaf).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from threading import Thread

import psycopg

from crossfade.model.change import Backfill
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock, GoOn, Measured, Say
from crossfade.model.settings.staging import Staging
from crossfade.schema.compare import Comparing, Comparison
from crossfade.schema.knobs import Live
from crossfade.schema.leaf import (
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
from crossfade.schema.pages import CHECK, Cursor
from crossfade.schema.shares import Shares
from crossfade.schema.worker import Common, Worker

__all__ = ["Comparison", "Connect", "Filler"]

Connect = Callable[[], Connection]
_CHECKS_MAX = 10
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
        limits = Live(self._settings, self._service)
        common = Common(self._clock, limits, self._latency_ms, go_on, say, task, self._change)
        run = _Run(common, self._open)
        keys = (self._service, self._change)
        away_since_s: float | None = None
        while True:
            batches = common.tally.batches
            try:
                with closing(self._open()) as connection:
                    run.all_leaves(connection, lambda leaf: Ledger(*keys, task, leaf, self._fence))
                return common.measured()
            except psycopg.Error as exc:
                if not gone(exc):
                    raise fail("backfill-failed", table=task.table, detail=reason(exc), where=run.where) from exc
                now_s = self._clock.monotonic_s()
                if away_since_s is None or common.tally.batches > batches:
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
    """One call of `fill`: the loop over tables, and who works on each."""

    def __init__(self, common: Common, connect: Connect) -> None:
        self._common, self._connect = common, connect
        self.where = "before the first page"
        self.database = "of database.admin_url"

    def all_leaves(self, connection: Connection, ledger_of: Callable[[Leaf], Ledger]) -> None:
        """Fill the table, or its partitions one by one; those that came meanwhile, too."""
        self.database = f"{connection.info.dbname} at {connection.info.host}:{connection.info.port}"
        seen: set[int] = set()
        tally = self._common.tally
        tally.before = tally.pages = 0
        already = tally.rows
        while todo := [leaf for leaf in leaves(connection, self._common.task) if leaf.oid not in seen]:
            for leaf in todo:
                self._leaf(connection, leaf, ledger_of(leaf))
                seen.add(leaf.oid)
        tally.before -= already

    def _leaf(self, connection: Connection, leaf: Leaf, ledger: Ledger) -> None:
        tally = self._common.tally
        progress, now = ledger.read(connection), extent(connection, leaf)
        tally.pages += now.pages
        filled = 0 if progress is None else progress.filled
        tally.before += filled
        if progress is not None and progress.done:
            return
        tally.new_table(filled, now.rows)
        cursors: Mapping[int, Cursor] = {}
        if progress is None:
            cursor = _begin(connection, ledger, now)
        elif progress.filenode != now.filenode:
            cursor = self._begin_anew(connection, leaf, ledger, now)
        else:
            cursor, cursors = progress.cursor, progress.parts
        checks = 0
        while True:
            try:
                if not cursor.checking:
                    self._fill(connection, leaf, ledger, now, {0: cursor, **cursors})
                elif self._check(connection, leaf, ledger, cursor):
                    break
                checks += 1
                tally.checks += 1
                if checks > _CHECKS_MAX:
                    raise fail("backfill-unfinished", table=leaf.name, checks=_CHECKS_MAX)
                tally.new_sweep()
                now = extent(connection, leaf)
                cursor, cursors = Cursor(now.pages, 0, CHECK), {}
                ledger.put(connection, now.filenode, cursor)
            except Rewritten:
                now = extent(connection, leaf)
                cursor, cursors = self._begin_anew(connection, leaf, ledger, now), {}
        ledger.done(connection)
        self._common.say(tally.end(leaf.name, self._common.clock.monotonic_s()))

    def _begin_anew(self, connection: Connection, leaf: Leaf, ledger: Ledger, now: Extent) -> Cursor:
        self._common.say(f"{leaf.name} was rewritten by others; its pages are gone over anew, filled rows are passed")
        self._common.tally.new_sweep()
        return _begin(connection, ledger, now)

    def _check(self, connection: Connection, leaf: Leaf, ledger: Ledger, cursor: Cursor) -> bool:
        """Go over all pages once; whether nothing was found."""
        worker = Worker(self._common, connection, leaf, ledger, cursor.pages)
        try:
            while not cursor.over:
                cursor = worker.batch(cursor)
        finally:
            self.where = worker.where
        return cursor.turn == CHECK

    def _fill(
        self, connection: Connection, leaf: Leaf, ledger: Ledger, now: Extent, cursors: Mapping[int, Cursor]
    ) -> None:
        """Go over the pages that are left, with as many workers as are wanted from moment to moment."""
        pages = max(cursor.pages for cursor in cursors.values())
        crew = _Crew(self._common, self._connect, leaf, ledger, Shares(cursors, pages), now.filenode)
        try:
            crew.fill(connection)
        finally:
            self.where = crew.where


class _Crew:
    """The workers of one table. The first is the caller; others come and go as the settings say."""

    def __init__(
        self, common: Common, connect: Connect, leaf: Leaf, ledger: Ledger, shares: Shares, filenode: int
    ) -> None:
        self._common, self._connect, self._leaf, self._ledger = common, connect, leaf, ledger
        self._shares, self._filenode = shares, filenode
        self._threads: dict[int, Thread] = {}
        self._alone = False  # the server has no place for another session
        self.where = "before the first page"

    def fill(self, connection: Connection) -> None:
        """Return when every page was gone over; raises what ended it."""
        shares = self._shares
        first = Worker(self._common, connection, self._leaf, self._ledger, shares.pages)
        shares.join()
        try:
            first.work(shares, self._filenode, self._recruit)
        except BaseException as exc:
            shares.fail(exc, first.where)
            raise
        finally:
            self.where = first.where if shares.failure is None else shares.failure[1]
            for thread in self._threads.values():
                thread.join()  # each ends with its batch, which is bounded
        if shares.failure is not None:
            self.where = shares.failure[1]
            raise shares.failure[0]

    def _recruit(self) -> None:
        if self._alone or self._shares.over:
            return
        for number in range(1, self._common.settings().workers):
            if number not in self._threads or not self._threads[number].is_alive():
                thread = Thread(target=self._help, args=(number,), name=f"crossfade-backfill-{number}", daemon=True)
                self._threads[number] = thread
                self._shares.join()
                self._common.tally.workers = max(self._common.tally.workers, self._shares.workers)
                thread.start()

    def _help(self, number: int) -> None:
        where = "before the first page"
        try:
            try:
                connection = self._connect()
            except (psycopg.Error, CrossfadeError) as exc:
                self._alone = True
                why = reason(exc) if isinstance(exc, psycopg.Error) else exc.message
                self._common.say(f"no further session for {self._leaf.name} ({why}); fewer workers go on")
                return
            with closing(connection):
                worker = Worker(self._common, connection, self._leaf, self._ledger, self._shares.pages, number)
                try:
                    worker.work(self._shares, self._filenode)
                finally:
                    where = worker.where
        except BaseException as exc:  # it is raised by whoever waits for this thread
            self._shares.fail(exc, where)
        finally:
            self._shares.leave()


def _begin(connection: Connection, ledger: Ledger, now: Extent) -> Cursor:
    cursor = Cursor(now.pages)
    ledger.put(connection, now.filenode, cursor)
    return cursor
