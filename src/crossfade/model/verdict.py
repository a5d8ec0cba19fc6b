"""What is measured about the two lanes, and what follows from it: events in, a verdict with its numbers out.

Rule: a verdict is `pass`, `fail` or `inconclusive`, and never without the numbers it rests on. Inconclusive is
never pass (I6). What is NOT here: how a verdict is reached (`crossfade.judge`), and what is done about one
(`crossfade.model.decide`).

Invariant: an event carries the share that was in force when its request was assigned, so that no later
change of the fader can change what the event says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Lane = Literal["old", "new"]
Attribution = Literal["new lane", "shared, unattributed"]


class Outcome(StrEnum):
    """The three things a verdict can say."""

    PASS = "pass"  # noqa: S105 - the outcome, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class EndpointLimit:
    """What one endpoint may do at most, fixed before the release. Ratios are parts of its requests."""

    name: str
    critical: bool
    error_ratio_max: float
    slow_ms: float
    slow_ratio_max: float
    hang_ms: float


@dataclass(frozen=True, slots=True)
class Event:
    """One request of this attempt. Assigned to `new` and answered by the old lane: `failed` is True."""

    t_s: float  # when the request was accepted
    lane: Lane  # the lane it was assigned to
    share_bp: int  # of the new lane, in force at assignment
    endpoint: str
    unit: str  # the routing unit; empty: the request is its own unit
    failed: bool
    ms: float
    hung: bool = False
    counts: bool = True  # False for pinned and synthetic requests


@dataclass(frozen=True)
class SignalReading:
    """One signal as it stands: `errors:<endpoint>` or `slow:<endpoint>`."""

    name: str
    n_new: int
    bad_new: int
    n_old: int
    bad_old: int
    e_value: float  # evidence that the new lane's part of the bad events exceeds its share
    log_e: float
    threshold: float  # the e-value at which this signal alone proves a failure
    upper_bound_new: float  # anytime-valid bound on the new lane's bad ratio
    limit: float  # what the bound is held to: max(stated limit, old lane + margin)
    needs: int  # new-lane events that are missing for a pass, if none of them is bad; 0: shown
    text: str
    limit_log_e: float = 0.0  # evidence that the new lane breaks the stated limit
    old_limit_log_e: float = 0.0  # the same for the old lane


@dataclass(frozen=True)
class Verdict:
    """The answer to "go, hold or come back?", with everything it rests on."""

    outcome: Outcome
    cause: str  # the signal that decided, empty where none did
    attribution: Attribution | None
    readings: Sequence[SignalReading] = field(default_factory=tuple)
    reason: str = ""  # one sentence with the numbers
    alpha: float = 0.001

    def lines(self) -> list[str]:
        """The verdict as a person reads it: the sentence first, then each signal's numbers."""
        blame = f" [{self.attribution}]" if self.attribution else ""
        head = f"{self.outcome}{blame}: {self.reason} (at most {self.alpha:g} false failures a release)"
        return [head, *(f"  {reading.text}" for reading in self.readings)]
