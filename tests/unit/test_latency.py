"""The service's own latency, as a backfill is told it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossfade.model.ports import Record, Slot
from crossfade.signals.latency import RollingLatency

RECORD = Record(
    100.0, Slot.LEFT, Slot.LEFT, "w0", 0, "", "GET", "/", 200, "--", 5000, 5, 0, False, "r:0", "1"
)  # fmt: skip


def test_the_slowest_of_a_hundred_is_passed_over() -> None:
    latency = RollingLatency()
    latency.feed([replace(RECORD, headers_us=n * 1000) for n in range(1, 101)], 100.0)
    assert latency.p99_ms() == pytest.approx(99.0)


def test_what_is_old_pinned_or_without_an_answer_does_not_count() -> None:
    latency = RollingLatency()
    slow = replace(RECORD, headers_us=900_000)
    latency.feed([replace(slow, at=90.0), replace(slow, pinned=True), replace(slow, headers_us=-1)], 100.0)
    latency.feed([RECORD] * 20, 100.0)
    assert latency.p99_ms() == pytest.approx(5.0)


def test_of_few_requests_nothing_is_said() -> None:
    latency = RollingLatency()
    latency.feed([RECORD] * 19, 100.0)
    assert latency.p99_ms() is None
