"""A clock that moves only when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """`Clock` in simulated seconds."""

    def __init__(self) -> None:
        self._now_s = 1000.0

    def monotonic_s(self) -> float:
        """Simulated seconds."""
        return self._now_s

    def now(self) -> datetime:
        """Simulated wall-clock time."""
        return EPOCH + timedelta(seconds=self._now_s)

    def sleep(self, seconds: float) -> None:
        """Move time forward."""
        self._now_s += seconds
