"""Whose journal this is: each way in which a spool and a database can disagree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crossfade.journal.binding import DatabaseFacts, Outcome, SpoolFacts, judge
from crossfade.journal.identity import Identity
from crossfade.model.errors import CrossfadeError

AT = datetime(2026, 11, 23, tzinfo=UTC)
OWN = Identity("inst-1", "production", "shop", "shop", "7001", 1)
SPOOL = SpoolFacts(OWN, last_seq=5, last_copied_seq=4, last_copied_at=AT)
DATABASE = DatabaseFacts("shop", "7001", 1, replace(OWN, timeline=None), last_seq=4, held_at=AT)
EMPTY = DatabaseFacts("shop", "7001", 1, None, last_seq=0, held_at=None)


def outcome(spool=SPOOL, database=DATABASE, environment="production"):
    return judge(spool, database, environment).outcome


def test_one_journal() -> None:
    assert outcome() is Outcome.BOUND
    assert outcome(database=replace(DATABASE, last_seq=5)) is Outcome.BOUND
    assert outcome(SpoolFacts(OWN, 0, 0, None), replace(DATABASE, last_seq=0, held_at=None)) is Outcome.BOUND


def test_nothing_yet_on_either_side() -> None:
    assert outcome(SpoolFacts(None, 0, 0, None), EMPTY) is Outcome.FRESH
    assert outcome(SpoolFacts(OWN, 0, 0, None), EMPTY) is Outcome.FRESH, "killed between header and binding"


@pytest.mark.parametrize(
    ("spool", "database", "environment"),
    [
        (SPOOL, replace(DATABASE, system_identifier="7002"), "production"),
        (SPOOL, replace(DATABASE, database="copy"), "production"),
        (SPOOL, replace(DATABASE, bound=replace(OWN, installation="inst-2")), "production"),
        (SPOOL, replace(DATABASE, bound=replace(OWN, environment="staging")), "production"),
        (SPOOL, replace(DATABASE, bound=replace(OWN, system_identifier="7002")), "production"),
        (SPOOL, replace(DATABASE, bound=replace(OWN, database="copy")), "production"),
        (SPOOL, DATABASE, "staging"),
        (SPOOL, replace(DATABASE, last_seq=6), "production"),
        (SPOOL, replace(EMPTY, system_identifier="7002"), "production"),
        (SpoolFacts(None, 0, 0, None), DATABASE, "production"),
        (SpoolFacts(None, 0, 0, None), replace(DATABASE, bound=None), "production"),
    ],
)
def test_somebody_elses(spool, database, environment) -> None:
    finding = judge(spool, database, environment)
    assert finding.outcome is Outcome.FOREIGN
    for require in (finding.require_own, finding.require_bound):
        with pytest.raises(CrossfadeError) as caught:
            require("shop")
        assert caught.value.id == "journal-foreign"


@pytest.mark.parametrize(
    "database",
    [
        replace(DATABASE, timeline=2),
        replace(DATABASE, held_at=None, last_seq=3),
        replace(DATABASE, held_at=AT + timedelta(seconds=1)),
        EMPTY,
    ],
)
def test_behind(database) -> None:
    finding = judge(SPOOL, database, "production")
    assert finding.outcome is Outcome.BEHIND
    assert finding.require_own("shop") is finding
    with pytest.raises(CrossfadeError) as caught:
        finding.require_bound("shop")
    assert caught.value.id == "journal-behind"


def test_a_hidden_fact_is_not_held_against_anybody() -> None:
    hidden = replace(DATABASE, system_identifier=None, timeline=None)
    assert outcome(database=hidden) is Outcome.BOUND
    assert outcome(replace(SPOOL, identity=replace(OWN, system_identifier=None, timeline=None))) is Outcome.BOUND
    assert outcome(database=replace(hidden, database="copy")) is Outcome.FOREIGN
