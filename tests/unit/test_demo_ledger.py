"""The ledger counts what it is asked to count, each request once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossfade.demo.ledger import Ledger, Mark, Sent
from crossfade.model.errors import Exit, fail

ONE = Sent("r", 0, 0, "GET /products", "/products", "guest1", False, True, 200, "", "v1", "left", 10, False)


def sent(at: float, **other: object) -> Sent:
    return replace(ONE, request_id=f"r{at}", scheduled_at=at, sent_at=at, **other)


LEDGER = Ledger(
    requests_sent=(
        sent(1.0),
        sent(2.0, version="v2", slot="right", latency_ms=30),
        sent(3.0, version="v2", slot="right", status=500, error="status 500", failed=True, latency_ms=20),
        sent(4.0, version="", slot="", status=0, error="timeout after 8 s", failed=True, latency_ms=8000),
        sent(5.0, endpoint="POST /orders"),
    ),
    marks=(Mark("v2", 2.0), Mark("v3", 4.0), Mark("v2", 4.5)),
)


def test_counts_by_version_slot_and_failure() -> None:
    assert (LEDGER.requests, LEDGER.failed) == (5, 2)
    assert LEDGER.by_version == {"v1": 2, "v2": 2, "": 1}
    assert LEDGER.by_slot == {"left": 2, "right": 2, "": 1}
    assert (LEDGER.failed_on("right"), LEDGER.failed_on("left")) == (1, 0)
    assert [one.request_id for one in LEDGER.failed_without_slot] == ["r4.0"]
    assert len(LEDGER.of(slot="left", endpoint="POST /orders")) == 1


def test_windows_share_nothing_and_leave_nothing_out() -> None:
    assert LEDGER.window(until="v2").requests == 1
    assert [one.sent_at for one in LEDGER.window("v3").requests_sent] == [4.0, 5.0]
    assert [one.sent_at for one in LEDGER.window("v2").requests_sent] == [5.0]  # the last of that name
    parts = [LEDGER.between(*part) for part in ((0, 2), (2, 4), (4, 9))]
    assert sum(part.requests for part in parts) == LEDGER.requests


def test_an_unknown_mark_is_said() -> None:
    with pytest.raises(KeyError, match="no mark 'v9'"):
        LEDGER.window("v9")
    with pytest.raises(KeyError, match="no mark 'v3' after 'v2'"):
        LEDGER.window("v2", "v3")


def test_latency_is_a_value_that_was_measured() -> None:
    assert LEDGER.latency_ms(0.5) == 20
    assert LEDGER.latency_ms(1.0) == 8000
    assert LEDGER.latency_ms(0.5, "POST /orders") == 10
    assert Ledger().latency_ms(0.5) != Ledger().latency_ms(0.5)  # not a number


def test_a_load_that_ended_early_is_said_whole() -> None:
    error = fail("load-ended-early", code=-9, log="/run/load.log", tail="MemoryError")
    assert error.exit == Exit.UNREACHABLE
    assert error.render() == (
        "error[load-ended-early]: the load generator ended by itself with exit code -9\n"
        "  its last lines (/run/load.log):\n"
        "  MemoryError\n"
        "hint: crossfade doctor"
    )
