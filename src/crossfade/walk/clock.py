"""The one real clock. Everything else is handed a `Clock`."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """`Clock` over the operating system; its monotonic clock counts while the process is stopped (Linux)."""

    def monotonic_s(self) -> float:
        """Seconds that only go forward (CLOCK_BOOTTIME: a suspended machine counts, too)."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> datetime:
        """Wall-clock time in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
