"""What a requirement will ask of application, database, queues, capacity and people, before there is any code.

Rule: every sentence follows from the requirement's numbers or from how releases work; it is written so that
it can be done on the first day, when it is cheap. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.model.contradictions import BUDGET_DAYS
from crossfade.model.requirement import Requirement, Traffic

AREAS = ("application", "database", "queues", "capacity", "people")


@dataclass(frozen=True)
class Demand:
    """One thing that will be asked, of one area."""

    area: str
    what: str


def demands(requirement: Requirement, traffic: Traffic) -> list[Demand]:
    """Everything these numbers ask for, by area."""
    failing_min = (1 - requirement.availability) * BUDGET_DAYS * 24 * 60
    drain, back = f"{requirement.drain_s:g} s", f"{requirement.traffic_back_s:g} s"
    warm = f"{requirement.keep_warm_s:g} s"
    restore = f"{requirement.restore_proof_max_age_days} d"
    told = {
        "application": [
            "the old and the new version serve at the same time, so each reads what the other writes:"
            " rows, messages, cache entries, sessions",
            f"it takes SIGTERM as: no new requests, finish those in flight within {drain}, then end",
            "it listens on the port it is given, and keeps no session in its memory or on its disk",
            "it has a shallow check (this process can take requests) and a deep one"
            " (every critical dependency works); they are different paths",
            "every critical endpoint can be tried on the real service without harm:"
            " a test account, a synthetic header, or a request that undoes it",
        ],
        "database": [
            "a change adds first, removes in a later release; the old version runs on both shapes",
            "application and crossfade connect with different roles; the application may not change the schema",
            f"the backup is restored, and served from, at least every {restore}; a step that cannot be undone"
            " waits for that",
        ],
        "queues": [
            "a job may be taken by the old or the new version, so each understands the other's messages",
            f"a job that cannot end within {drain} can be handed back, and done again without doing harm",
            "a scheduled task has one owner at a time, and running late does no harm",
        ],
        "capacity": [
            "there is room for both versions with all their instances, from the first share"
            f" until {warm} after the last",
            "the database takes the connections of both at once: pool size x instances x 2, plus crossfade's own",
            f"the old version can take all traffic again within {back}: it stays up, with its caches warm",
        ],
        "people": [
            f"availability {requirement.availability * 100:.6g} % leaves {failing_min:.3g} minutes of failure in"
            f" {BUDGET_DAYS} days; everybody knows who is told when they are used up",
            f"a release takes at least {len(traffic.shares)} x {traffic.step_min_s:g} s; nobody has to watch it,"
            " and somebody can be reached",
            "what a person does when a release halts is written down and was tried once",
        ],
    }
    return [Demand(area, what) for area in AREAS for what in told[area]]
