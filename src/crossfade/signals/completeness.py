"""How many records are missing: what the proxy counted held against what arrived. Pure.

Rule: a record comes after its request was counted, never before, and within `LAG_S` unless it is lost. So
for each observation of the proxy's total, the number of requests we have no record of is

    at most   total - records seen before the proxy was asked
    at least  total - records seen LAG_S after it had answered

That number only grows. The smallest upper bound so far is where counting starts (a collector that comes
late never sees what earlier ones took); the largest recent lower bound above it is missing for certain.

Invariant: a complete stream never reads as missing, at any load. What can hide is at most the records of
`LAG_S`; on a quiet service the two bounds are equal and one lost record shows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

LAG_S = 0.1
SETTLED_S = 1.0  # after a reconnect the backlog comes first
OBSERVATIONS_KEPT = 10
HISTORY_S = 5.0


@dataclass
class Completeness:
    """The count for one process of the proxy."""

    count: int = 0
    _history: deque[tuple[float, int]] = field(default_factory=deque)  # when the count became what
    _open: deque[tuple[float, int]] = field(default_factory=deque)  # observations younger than LAG_S
    _at_least: deque[int] = field(default_factory=lambda: deque(maxlen=OBSERVATIONS_KEPT))
    _start: int | None = None

    def arrived(self, number: int, now_s: float) -> None:
        """That many counted records came."""
        self.count += number
        self._history.append((now_s, self.count))
        while len(self._history) > 1 and self._history[1][0] < now_s - HISTORY_S:
            self._history.popleft()

    def observed(self, total: int, seen_before: int, settled: bool, now_s: float) -> None:
        """The proxy says it ended `total` requests; `seen_before` is the count read before it was asked."""
        at_most = total - seen_before
        self._start = at_most if self._start is None else min(self._start, at_most)
        if settled:
            self._open.append((now_s, total))

    def missing(self, now_s: float) -> int:
        """Records that are missing for certain."""
        while self._open and now_s - self._open[0][0] >= LAG_S:
            at_s, total = self._open.popleft()
            self._at_least.append(total - self._count_at(at_s + LAG_S))
        if self._start is None or not self._at_least:
            return 0
        return max(0, max(self._at_least) - self._start)

    def _count_at(self, at_s: float) -> int:
        known = [count for when_s, count in self._history if when_s <= at_s]
        return known[-1] if known else 0
