"""In which order pages are filled, and how many at once.

Rule: a table is filled window by window. Within a window every pass goes over all its pages before the window after
it begins, so one sweep of the table is enough: a pass updates every n-th row of a page, the room those rows leave
is free once no snapshot sees them, and the rows of the next pass stay on their page (heap-only tuples, manual
73.7). The last pass takes every row that is left.

Then comes a check over all pages there are by now, which finds what was passed over. It repeats until it finds nothing.

Invariant: a cursor is where to go on; everything before it was committed with it. It is two numbers, so that it is
one row in the database, written with each batch.

Everything here is pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

WINDOW_PAGES = 1024  # 8 MB: it stays in memory from pass to pass, and the wait between two passes is rare
PAGES_MAX = 8192
_STEP_PAGES = 4
_JUDGED_BY_ROWS = 1000
_FAR_UNDER = 4  # a batch this many times shorter than it should be says that the pace is not found yet

CHECK = -1  # in the place of a pass: the check, which has found nothing so far
CHECK_FOUND = -2  # the check has found rows, so another one follows


@dataclass(frozen=True)
class Cursor:
    """The next page, and in which pass; `pages` is where the sweep ends."""

    pages: int
    next_page: int = 0
    turn: int = 0  # 0, 1, 2 ... a pass; or CHECK, CHECK_FOUND

    @property
    def checking(self) -> bool:
        """Whether this is the check after the fill."""
        return self.turn < 0

    @property
    def over(self) -> bool:
        """Whether the sweep has no page left."""
        return self.next_page >= self.pages

    @property
    def window(self) -> tuple[int, int]:
        """First page of the window and the page after its last."""
        if self.checking:
            return 0, self.pages
        first = self.next_page - self.next_page % WINDOW_PAGES
        return first, min(first + WINDOW_PAGES, self.pages)

    @property
    def begins_pass(self) -> bool:
        """Whether the next page is the first of a pass over its window."""
        return not self.checking and self.next_page == self.window[0]

    def last_pass(self, passes: int) -> bool:
        """Whether this turn takes every row that is left."""
        return self.checking or self.turn >= passes - 1

    def share(self, passes: int) -> tuple[int, int] | None:
        """Which rows of a page this turn takes: those with offset % n = k, as (n, k); None: all that are left."""
        return None if self.last_pass(passes) else (passes, self.turn)

    def range(self, pages: int) -> tuple[int, int]:
        """The next batch: its first page and the page after its last."""
        return self.next_page, min(self.next_page + pages, self.window[1])

    def after(self, end: int, passes: int, rows: int) -> Cursor:
        """Where it stands when the pages up to `end` were done and `rows` rows of them filled."""
        if self.checking:
            return replace(self, next_page=end, turn=CHECK_FOUND if rows else self.turn)
        first, window_end = self.window
        if end < window_end:
            return replace(self, next_page=end)
        if self.last_pass(passes):
            return replace(self, next_page=window_end, turn=0)
        return replace(self, next_page=first, turn=self.turn + 1)

    def all_at_once(self, passes: int) -> Cursor:
        """The same place in the last pass: for when waiting between passes would gain nothing."""
        return self if self.last_pass(passes) else replace(self, turn=passes - 1)

    def middle(self) -> int | None:
        """Where another worker could begin: a window's first page about half way; None where no whole one is left."""
        _, end = self.window
        first_left = end if end < self.pages else self.pages
        windows = -(-(self.pages - first_left) // WINDOW_PAGES)
        if self.checking or windows < 1:
            return None
        return first_left + windows // 2 * WINDOW_PAGES

    def done_pages(self, passes: int) -> float:
        """How many pages' worth of work is done."""
        if self.checking:
            return float(self.next_page)
        first, end = self.window
        turn = min(self.turn, passes - 1)
        return first + (turn * (end - first) + self.next_page - first) / passes


@dataclass
class Pace:
    """How many pages a batch has, and how long the server may take for it.

    Additive up and multiplicative down, aimed at a duration: what makes a batch slow (a checkpoint, a busy disk, a
    lock) is over soon or not, and either way the next one must not hold its locks as long.
    """

    pages: int = 1
    limit_ms: int = 0

    def ran(self, took_ms: float, target_ms: int) -> None:
        """Learn from a batch that came through. A limit that was raised for a slow moment sinks again."""
        if took_ms * _FAR_UNDER < self.limit_ms:
            self.limit_ms //= 2
        if took_ms > target_ms:
            self.pages = max(1, int(self.pages * max(0.5, target_ms / took_ms)))
        elif took_ms * _FAR_UNDER < target_ms:
            self.pages = min(PAGES_MAX, self.pages * 2)
        else:
            self.pages = min(PAGES_MAX, self.pages + _STEP_PAGES)

    def conflicted(self) -> None:
        """Learn from rows that others had locked: what was done besides is lost, so do less at once."""
        self.pages = max(1, self.pages // 4)

    def took_too_long(self, limit_max_ms: int) -> bool:
        """Learn from a batch that the server ended at the limit; False where nothing smaller can be tried."""
        if self.pages == 1 and self.limit_ms >= limit_max_ms:
            return False
        if self.pages == 1:
            self.limit_ms = min(limit_max_ms, self.limit_ms * 2)
        self.pages = max(1, self.pages // 4)
        return True


@dataclass
class Passes:
    """Whether passes keep rows on their pages at all.

    They do not where a column that is filled, or one that a trigger of the user's own writes, is in an index.
    """

    rows: int = 0
    hot: int = 0

    def ran(self, cursor: Cursor, passes: int, rows: int, hot: int) -> None:
        """Learn from a batch: only later passes find room."""
        if not cursor.checking and 0 < cursor.turn < passes:
            self.rows += rows
            self.hot += hot

    @property
    def in_vain(self) -> bool:
        """Whether enough rows were seen to say that they move all the same."""
        return self.rows >= _JUDGED_BY_ROWS and self.hot * 50 < self.rows
