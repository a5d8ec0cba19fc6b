"""Comparing the two shapes of a table: how many rows say different things, and which, for example.

Rule: it reads in slices of pages, each under its own short snapshot, so it holds back no vacuum. In one snapshot both
shapes of a row are of one write, so a slice tells the truth about its rows while others write. Pages that come
later hold rows that the triggers saw. It stops when enough rows were found: one is enough to stop the shift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psycopg import errors

from crossfade.model.change import Backfill
from crossfade.model.errors import fail
from crossfade.model.ports import Clock, GoOn, Say
from crossfade.model.settings.staging import Staging
from crossfade.schema.leaf import (
    CONFLICTS,
    STATEMENT_MAX_MS,
    Connection,
    Leaf,
    extent,
    leaves,
    pages_of,
    reason,
    row_search_path,
)
from crossfade.schema.pages import Pace
from crossfade.schema.sql import query

EXAMPLES_MAX = 5
DIFFERING_MAX = 1000
_RETRY_S = 0.1
_SAY_EVERY_S = 2.0


@dataclass(frozen=True)
class Comparison:
    """What was compared. `examples` are primary keys as text; of a table without one, places in it (ctid)."""

    rows: int
    differing: int
    examples: tuple[str, ...] = ()
    whole: bool = True  # False: it stopped early, there may be more

    @property
    def how_many(self) -> str:
        """The number of differing rows, for a person."""
        return str(self.differing) if self.whole else f"at least {self.differing}"


class Comparing:
    """One comparison under way."""

    def __init__(self, clock: Clock, settings: Callable[[], Staging], change: str, task: Backfill) -> None:
        self._clock, self._settings, self._change, self._task = clock, settings, change, task
        self._told_s = clock.monotonic_s()
        self._search_path = ""
        self.where = "before the first page"
        self.database = "of database.admin_url"

    def run(self, connection: Connection, go_on: GoOn, say: Say) -> Comparison:
        """Compare the table, or its partitions one by one."""
        self.database = f"{connection.info.dbname} at {connection.info.host}:{connection.info.port}"
        self._search_path = row_search_path(connection)
        rows, differing, examples = 0, 0, list[str]()
        for leaf in leaves(connection, self._task):
            key = _key(connection, leaf)
            pages, first, pace = extent(connection, leaf).pages, 0, Pace()
            while first < pages:
                if not go_on():
                    done = f"compared {rows} rows, {differing} of them differ"
                    raise fail("schema-stopped", act="the comparison", change=self._change, done=done)
                end, count, found = self._slice(connection, leaf, key, first, pages, pace, go_on)
                first, rows, differing = end, rows + count, differing + len(found)
                examples += found[: EXAMPLES_MAX - len(examples)]
                if differing >= DIFFERING_MAX:
                    return Comparison(rows, differing, tuple(examples), whole=False)
                self._tell(say, leaf, first, pages, differing)
        return Comparison(rows, differing, tuple(examples))

    def _slice(
        self, connection: Connection, leaf: Leaf, key: str, first: int, pages: int, pace: Pace, go_on: GoOn
    ) -> tuple[int, int, list[str]]:
        """Compare some pages: where they end, how many rows they hold, and the keys of those that differ."""
        blocked_s = self._clock.monotonic_s()
        while True:
            settings = self._settings()
            pace.limit_ms = max(pace.limit_ms, min(STATEMENT_MAX_MS, 10 * settings.batch_ms))
            end = min(pages, first + pace.pages)
            self.where = f"pages {first} to {end - 1} of {leaf.name}"
            limits = {"lock_timeout": f"{settings.lock_timeout_ms}ms", "statement_timeout": f"{pace.limit_ms}ms"}
            limits["search_path"] = self._search_path
            differing = f"array_agg({key}) FILTER (WHERE ({self._task.differs}) IS TRUE)"
            table = f"ONLY {leaf.name} AS {leaf.alias} WHERE {pages_of(leaf.alias, first, end)}"
            text = f"SELECT count(*), {differing} FROM {table}"  # noqa: S608 - quoted, planned
            try:
                with connection.transaction():
                    connection.execute(query("slice_limits"), limits)
                    began_s = self._clock.monotonic_s()
                    row = connection.execute(text.encode()).fetchone()
                    took_ms = (self._clock.monotonic_s() - began_s) * 1000
            except errors.QueryCanceled:
                if not pace.took_too_long(STATEMENT_MAX_MS) or not go_on():
                    raise
            except CONFLICTS as exc:
                waited_s = self._clock.monotonic_s() - blocked_s
                if waited_s >= settings.lock_tries_s or not go_on():
                    facts = {"table": leaf.name, "waited_s": f"{waited_s:.0f}", "where": self.where}
                    raise fail("backfill-blocked", **facts, detail=reason(exc)) from exc
                self._clock.sleep(_RETRY_S)
            else:
                assert row is not None
                pace.ran(took_ms, settings.batch_ms)
                return end, int(row[0]), [str(one) for one in row[1] or ()]

    def _tell(self, say: Say, leaf: Leaf, done: int, pages: int, differing: int) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._told_s >= _SAY_EVERY_S:
            self._told_s = now_s
            say(f"compares {leaf.name}: {done} of {pages} pages, {differing} rows differ")


def _key(connection: Connection, leaf: Leaf) -> str:
    """An expression for what a person finds the row by."""
    columns = [f"{leaf.alias}.{name}::text" for (name,) in connection.execute(query("key_columns"), {"oid": leaf.oid})]
    return f"concat_ws(', ', {', '.join(columns)})" if columns else f"'ctid ' || {leaf.alias}.ctid::text"
