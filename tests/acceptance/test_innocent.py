"""A version that is as innocent as the one before it is not blamed, however long it is looked at."""

from __future__ import annotations

import time

import pytest


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_version_with_two_errors_in_a_thousand_is_neither_rolled_back_nor_trips_the_fuse(service) -> None:
    service.configure(edits=service.HARD)
    old = service.serving()
    with service.customers(150) as traffic:
        release = service.begin("v2b")
        service.until(release, "shifted(50)")
        assert service.crossfade("pause").code == 0
        until = time.monotonic() + 60
        while time.monotonic() < until:  # some 900 orders on it, while it is watched all the time
            facts = service.proxy()
            assert (facts.fuse_tripped, facts.fader.new_share_bp) == (False, 5000)
            assert service.status().phase == "paused"
            time.sleep(0.5)
        assert service.crossfade("resume").code == 0
        status = service.ended(release, within_s=240)
        time.sleep(1)
    assert (status.outcome, status.position) == ("completed", "retired")
    print(f"{traffic.ledger.failed} of {traffic.ledger.requests} requests failed")
    assert {(sent.endpoint, sent.version) for sent in traffic.ledger.failures} <= {("POST /orders", "v2b")}
    assert service.lost_writes(traffic.ledger) == []
    assert service.crossfade("rollback").code == 0  # the next test's customers are to see no failure
    service.until(release, "rolled_back", within_s=60)
    assert service.serving() == old
