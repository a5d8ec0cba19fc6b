"""Three releases in a row on one proxy: every request goes where the share says, and nothing is reloaded."""

from __future__ import annotations

import math

from crossfade.model.ports import RowKind

SETTLED_S = 0.1  # between the clocks of journal and customers, and for requests under way at the moment itself
# A run of 99.9 % intervals fails one time in a thousand without a fault; benchmarks/release.py reports that one.
SIGMAS = 4.5


def shares_set(rows):
    """The moments (asked, in force) of each share, by percent."""
    asked = [row.at.timestamp() for row in rows if row.kind is RowKind.INTENT and row.data["act"] == "set share"]
    done = [
        (row.data["share_bp"], row.at.timestamp())
        for row in rows
        if row.kind is RowKind.RESULT and row.data["act"] == "set share"
    ]
    return {share_bp / 100: (since, at) for since, (share_bp, at) in zip(asked, done, strict=True)}


def test_three_releases_in_a_row_without_a_reload(service) -> None:
    before = service.proxy()
    released = []
    with service.customers(100) as traffic:
        for _ in range(3):
            old, new = service.pair()
            release = service.begin(new)
            assert service.ended(release).outcome == "completed"
            released.append((old, new, service.rows(release)))
            traffic.load.mark("ended")
    assert service.proxy().started_at == before.started_at, "the same process, from the first to the last"
    assert list(traffic.ledger.failures) == []
    assert service.lost_writes(traffic.ledger) == []
    guests_new = guests = 0
    since = 0.0
    for old, new, rows in released:
        shares = shares_set(rows)
        at_0 = traffic.ledger.between(since, shares[50][0] - SETTLED_S)
        at_50 = traffic.ledger.between(shares[50][1] + SETTLED_S, shares[100][0] - SETTLED_S)
        ended = rows[-1].at.timestamp()
        at_100 = traffic.ledger.between(shares[100][1] + SETTLED_S, ended)
        assert set(at_0.by_version) == {old}
        assert set(at_100.by_version) == {new}
        for ledger in (at_0, at_100):
            assert {sent.cookie for sent in ledger.requests_sent} == {True, False}, "with and without a cookie"
        drawn = [sent for sent in at_50.requests_sent if not sent.cookie]
        guests += len(drawn)
        guests_new += sum(sent.version == new for sent in drawn)
        since = ended
    half = SIGMAS * math.sqrt(0.25 / guests)
    print(f"share 50 %: measured {guests_new / guests:.2%} of {guests} requests without a cookie")
    assert abs(guests_new / guests - 0.5) <= half
