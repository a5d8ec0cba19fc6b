"""Who stands in the way of a lock, and in which words they are named; no database."""

from __future__ import annotations

from dataclasses import replace

from crossfade.schema.locks import _CONFLICTS, Blocker, Lookout

REPORT = Blocker(7, "3/41", "public.orders", "AccessShareLock", "report", "bi", 12.34, "SELECT *\n  FROM orders")


class Seen:
    """A session in which these hold locks."""

    def __init__(self, *holders: Blocker) -> None:
        self.holders = holders

    def rows(self, name: str, **values: object) -> list[tuple[object, ...]]:
        assert name == "blockers"
        assert values["tables"] == ["public.orders"]
        return [tuple(vars(holder).values()) for holder in self.holders]


LOCKS = (("public.orders", "ACCESS EXCLUSIVE"),)


def words(mode: str) -> str:
    return mode.title().replace(" ", "")


def test_conflicts_are_mutual_as_in_table_13_2_of_the_manual() -> None:
    conflicting = {(words(mode), held) for mode, helds in _CONFLICTS.items() for held in helds}
    assert conflicting == {(held, mode) for mode, held in conflicting}
    assert [len(helds) for helds in _CONFLICTS.values()] == [1, 2, 4, 5, 5, 6, 7, 8]
    assert ("Share", "Share") not in conflicting
    assert ("ShareUpdateExclusive", "RowExclusive") not in conflicting


def test_a_blocker_is_told_with_what_a_person_needs_to_find_it() -> None:
    assert str(REPORT) == (
        "pid 7, report, role bi, open for 12.3 s, has AccessShareLock on public.orders: SELECT * FROM orders"
    )
    hidden = replace(REPORT, application="", age_s=None, query=None)
    assert str(hidden) == (
        "pid 7, no application_name, role bi, open for a time this role may not see,"
        " has AccessShareLock on public.orders"
    )
    prepared = Blocker(None, "3/41", "public.orders", "RowExclusiveLock", None, None, 60.0, None, "batch 9")
    assert str(prepared) == "prepared transaction batch 9, open for 60.0 s, has RowExclusiveLock on public.orders"


def test_only_transactions_older_than_a_requests_patience_are_waited_for() -> None:
    lookout = Lookout(older_than_s=0.1)
    young = replace(REPORT, age_s=0.05)
    assert lookout.look(Seen(REPORT, young), LOCKS, 0.0) == [REPORT]


def test_one_whose_age_is_hidden_is_as_old_as_since_it_was_met() -> None:
    lookout = Lookout(older_than_s=0.1)
    hidden = replace(REPORT, age_s=None)
    assert lookout.look(Seen(hidden), LOCKS, 10.0) == []
    assert lookout.look(Seen(hidden), LOCKS, 10.2) == [hidden]
    assert lookout.look(Seen(), LOCKS, 10.3) == []
    assert lookout.look(Seen(hidden), LOCKS, 10.4) == [], "another one under the same number"


def test_what_gives_way_when_asked_is_not_waited_for() -> None:
    vacuum = replace(REPORT, mode="ShareUpdateExclusiveLock", age_s=500.0)
    assert Lookout(older_than_s=0.1).look(Seen(vacuum), LOCKS, 0.0) == []
