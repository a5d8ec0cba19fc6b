"""How slow the service's own requests are right now, for whoever must not slow them down: a backfill.

Rule: customers' requests of the last seconds, of both lanes, to their headers; smoke does not count. With too few of
them nothing is said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import ceil
from threading import Lock

from crossfade.model.ports import Record

WINDOW_S = 5.0
REQUESTS_MIN = 20


class RollingLatency:
    """The 99th percentile over the last seconds. Fed by the loop, read by another thread."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._seen: deque[tuple[float, float]] = deque()
        self._lock = Lock()

    def feed(self, records: Iterable[Record], now_s: float) -> None:
        """Take in what was answered; forget what is older than the window."""
        with self._lock:
            self._seen.extend((r.at, r.headers_us / 1000) for r in records if not r.pinned and r.headers_us >= 0)
            while self._seen and self._seen[0][0] < now_s - self._window_s:
                self._seen.popleft()

    def p99_ms(self) -> float | None:
        """Milliseconds that 99 of 100 requests did not exceed; None where too few were seen."""
        with self._lock:
            values = sorted(ms for _, ms in self._seen)
        return values[ceil(0.99 * len(values)) - 1] if len(values) >= REQUESTS_MIN else None
