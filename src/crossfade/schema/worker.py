"""One worker of a fill: batch after batch over the pages it has, on a session of its own.

Rule: a batch is one short transaction. Rows that others have locked are passed over and met again in the check; it
waits for locks for less time than the server takes to look for deadlocks, and takes less at once after each conflict;
between batches it rests with all other workers by `crossfade.schema.gauge`, and says what it waits for.

Invariant: where it stands is in the database with what it did (crossfade.schema.leaf).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import psycopg
from psycopg import errors

from crossfade.model.change import Backfill
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock, GoOn, Say
from crossfade.schema.gauge import Gauge
from crossfade.schema.horizon import Horizon
from crossfade.schema.knobs import Live
from crossfade.schema.leaf import CONFLICTS, STATEMENT_MAX_MS, Batch, Connection, Leaf, Ledger, reason
from crossfade.schema.pages import Cursor, Pace, Passes
from crossfade.schema.shares import Part, Shares
from crossfade.schema.tally import Tally

# Under deadlock_timeout (1 s where nobody changed it): then a deadlock ends by our giving up, not by theirs. Not much
# under it: on a busy machine a batch takes several times what it should, and one that is ended was for nothing.
_LIMIT_MIN_MS = 900
_SAY_EVERY_S = 2.0
_RETRY_S = 0.1
_IDLE_S = 0.05


class Common:
    """What all workers of one fill share: whom they ask, what they count, and what they tell."""

    def __init__(
        self,
        clock: Clock,
        settings: Live,
        latency_ms: Callable[[], float | None],
        go_on: GoOn,
        say: Say,
        task: Backfill,
        change: str,
    ) -> None:
        self.clock, self.settings, self.task, self.change = clock, settings, task, change
        self._go_on, self._say, self._one = go_on, say, Lock()
        self.gauge = Gauge(clock, settings, latency_ms, self.say)
        self.tally = Tally(clock.monotonic_s())
        self._told_s = clock.monotonic_s()
        self.waited_s = 0.0

    def go_on(self) -> bool:
        """Ask whoever may stop it; one at a time."""
        with self._one:
            return self._go_on()

    def say(self, text: str) -> None:
        """Tell a person; one at a time."""
        with self._one:
            self._say(text)

    def count(self, batch: Batch, passed_over: bool) -> None:
        """Count a batch."""
        with self._one:
            self.tally.batch(batch.rows, batch.took_ms, batch.wal_bytes, batch.hot)
            self.tally.passed_over += passed_over

    def measured(self) -> dict[str, object]:
        """For the journal."""
        return self.tally.measured(self.clock.monotonic_s(), self.gauge.rested_s, self.waited_s)

    def tell(self, line: Callable[[], str]) -> None:
        """Tell where it stands, now and then."""
        with self._one:
            now_s = self.clock.monotonic_s()
            if now_s - self._told_s < _SAY_EVERY_S:
                return
            self._told_s = now_s
        self.say(line())


@dataclass
class Worker:
    """Fills or checks pages of one table. Number 0 is the one that stays to the end; `where` is for failures."""

    common: Common
    connection: Connection
    leaf: Leaf
    ledger: Ledger
    pages: int
    number: int = 0
    pace: Pace = field(default_factory=Pace)
    passes: Passes = field(default_factory=Passes)
    where: str = "before the first page"
    shares: Shares | None = None

    def __post_init__(self) -> None:
        """Each waits by itself for the room of its own rows."""
        self._horizon = Horizon(self.common.clock, self.common.say)
        self._own = self.ledger
        self._check: Cursor | None = None

    def work(self, shares: Shares, filenode: int, recruit: Callable[[], None] = lambda: None) -> None:
        """Take ranges until none is left, or fewer workers are wanted. `recruit` is called between batches."""
        self.shares = shares
        while not shares.over:
            recruit()
            if self._retired:
                return
            part = shares.take()
            if part is None:
                self.stop_if_asked()
                self.common.clock.sleep(_IDLE_S)
                continue
            try:
                self._part(part, shares, filenode, recruit)
            finally:
                shares.give_back(part)
                self.ledger = self._own

    def _part(self, part: Part, shares: Shares, filenode: int, recruit: Callable[[], None]) -> None:
        self.ledger = self._own.part_at(part.first)
        while not part.cursor.over and shares.failure is None and not self._retired:
            at = part.cursor.middle() if shares.hungry else None
            if at is not None:
                rest = self.ledger.split(self.connection, filenode, part.cursor, at)
                part.cursor = Cursor(at, part.cursor.next_page, part.cursor.turn)
                shares.add(at, rest)
            part.cursor = self.batch(part.cursor)
            recruit()

    @property
    def _retired(self) -> bool:
        return self.number >= self.common.settings().workers and self.number > 0

    def batch(self, cursor: Cursor) -> Cursor:
        """Rest, wait, and do one batch; where it stands then."""
        common = self.common
        self._check = cursor if cursor.checking else None
        self.stop_if_asked()
        common.gauge.rest(self.connection, self._go_on)
        passes = common.settings().passes
        if cursor.begins_pass and passes > 1:
            cursor = self._wait_for_room(cursor, passes)
        self.stop_if_asked()
        began_s = common.clock.monotonic_s()
        batch, end = self._batch(cursor, passes)
        common.gauge.wrote(batch.wal_bytes, batch.rows, began_s)
        if batch.still_unfilled:
            detail = f"the change's expression leaves {batch.still_unfilled} rows unfilled"
            raise fail("backfill-failed", table=self.leaf.name, detail=detail, where=self.where)
        self.passes.ran(cursor, passes, batch.rows, batch.hot)
        cursor = cursor.after(end, passes, batch.rows)
        common.tell(self._line)
        return cursor

    def _line(self) -> str:
        """Where all workers of this table stand, for a person."""
        tally, now_s = self.common.tally, self.common.clock.monotonic_s()
        if self._check is not None:
            return tally.line(self.leaf.name, self._check.next_page, self._check.pages, now_s, checking=True)
        done = self.shares.done_pages(self.common.settings().passes) if self.shares else 0.0
        workers = self.shares.workers if self.shares else 1
        return tally.line(self.leaf.name, done, self.pages, now_s, workers=workers)

    def _wait_for_room(self, cursor: Cursor, passes: int) -> Cursor:
        common = self.common
        if self.passes.in_vain or self._horizon.held_in_vain(self.connection):
            return cursor.all_at_once(passes)
        if cursor.turn > 0:
            wait_s = common.settings().pass_wait_s
            before_s = self._horizon.waited_s
            holder = self._horizon.wait(self.connection, wait_s, self._go_on)
            common.waited_s += self._horizon.waited_s - before_s
            if holder:
                common.say(
                    f"{self.leaf.name}: {holder} still sees rows of {wait_s:g} s ago; goes on without waiting for it,"
                    " and rows move to other pages"
                )
                return cursor.all_at_once(passes)
        return cursor

    def _batch(self, cursor: Cursor, passes: int) -> tuple[Batch, int]:
        """One batch, tried until it came through; what it did and where it ended."""
        common, clock = self.common, self.common.clock
        blocked_s, pass_over = clock.monotonic_s(), False
        while True:
            settings = common.settings()
            least_ms = min(STATEMENT_MAX_MS, max(_LIMIT_MIN_MS, 4 * settings.batch_ms + settings.lock_timeout_ms))
            self.pace.limit_ms = max(self.pace.limit_ms, least_ms)
            limits_ms = (settings.lock_timeout_ms, self.pace.limit_ms)
            first, end = cursor.range(self.pace.pages)
            self.where = f"pages {first} to {end - 1} of {self.leaf.name}"
            try:
                batch = self.ledger.batch(self.connection, clock, cursor, end, passes, limits_ms, pass_over)
            except errors.QueryCanceled as exc:
                if not self.pace.took_too_long(STATEMENT_MAX_MS):
                    raise self.failed(exc) from exc
            except CONFLICTS as exc:
                self.pace.conflicted()
                if not pass_over and not cursor.checking:
                    pass_over = True  # whoever holds them may take long; the check comes back to these rows
                    continue
                self._wait_for_locks(exc, blocked_s, settings.lock_tries_s)
                pass_over = False
            else:
                self.pace.ran(batch.took_ms, settings.batch_ms)
                common.count(batch, pass_over)
                return batch, end
            self.stop_if_asked()

    def _wait_for_locks(self, exc: psycopg.Error, blocked_s: float, tries_s: float) -> None:
        waited_s = self.common.clock.monotonic_s() - blocked_s
        if waited_s >= tries_s:
            facts = {"table": self.leaf.name, "waited_s": f"{waited_s:.0f}", "where": self.where}
            raise fail("backfill-blocked", **facts, detail=reason(exc)) from exc
        if waited_s > _SAY_EVERY_S:
            self.common.say(f"{self.where}: others hold locks in the way for {waited_s:.0f} s now; tries again")
        self.common.clock.sleep(_RETRY_S)

    @property
    def _failed(self) -> bool:
        return self.shares is not None and self.shares.failure is not None

    def _go_on(self) -> bool:
        return not self._failed and self.common.go_on()

    def failed(self, exc: psycopg.Error) -> CrossfadeError:
        """The catalogue's row for what the database would not do."""
        return fail("backfill-failed", table=self.leaf.name, detail=reason(exc), where=self.where)

    def stop_if_asked(self) -> None:
        """Raise `schema-stopped` when told to stop, and what another worker failed by."""
        if self._failed:
            assert self.shares is not None
            assert self.shares.failure is not None
            raise self.shares.failure[0]
        if not self.common.go_on():
            raise fail("schema-stopped", act="the backfill", change=self.common.change, done=self._line())
