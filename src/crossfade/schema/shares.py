"""The page ranges of one table, shared out among those who fill it.

Rule: whoever works on a range owns it until its end or until it is given back. Where somebody has nothing to do, an
owner parts with the second half of what it has left; so there are as many ranges as workers need, and one when there
is one worker. The first failure ends them all and is the one that is told.

Invariant: a range is waiting or is held by one, never both; all are done when neither is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from crossfade.schema.pages import Cursor


@dataclass
class Part:
    """A range of pages: where it began, which names it, and how far it is. 0 is the table's own."""

    first: int
    cursor: Cursor


class Shares:
    """Hands out ranges. Every method may be called by any thread."""

    def __init__(self, cursors: Mapping[int, Cursor], pages: int) -> None:
        self._lock = Lock()
        self.pages = pages
        parts = [Part(first, cursor) for first, cursor in sorted(cursors.items())]
        self._waiting = deque(part for part in parts if not part.cursor.over)
        self._held: list[Part] = []
        self._workers = 0
        self.failure: tuple[BaseException, str] | None = None

    def join(self) -> None:
        """One more works on it."""
        with self._lock:
            self._workers += 1

    def leave(self) -> None:
        """One less."""
        with self._lock:
            self._workers -= 1

    @property
    def workers(self) -> int:
        """How many work on it."""
        return self._workers

    @property
    def over(self) -> bool:
        """Whether nothing is left to do, or it has failed."""
        with self._lock:
            return self.failure is not None or not (self._waiting or self._held)

    @property
    def hungry(self) -> bool:
        """Whether somebody has nothing to do."""
        with self._lock:
            return not self._waiting and self._workers > len(self._held)

    def take(self) -> Part | None:
        """A range that nobody works on."""
        with self._lock:
            if self.failure is not None or not self._waiting:
                return None
            part = self._waiting.popleft()
            self._held.append(part)
            return part

    def add(self, first: int, cursor: Cursor) -> None:
        """A range that was split off."""
        with self._lock:
            self._waiting.append(Part(first, cursor))

    def give_back(self, part: Part) -> None:
        """Leave a range where it is; one that is at its end is done."""
        with self._lock:
            self._held.remove(part)
            if not part.cursor.over:
                self._waiting.append(part)

    def fail(self, exc: BaseException, where: str) -> None:
        """End them all."""
        with self._lock:
            self.failure = self.failure or (exc, where)

    def done_pages(self, passes: int) -> float:
        """How many pages' worth of work is done."""
        with self._lock:
            cursors = [part.cursor for part in (*self._waiting, *self._held)]
        return self.pages - sum(cursor.pages - cursor.done_pages(passes) for cursor in cursors)
