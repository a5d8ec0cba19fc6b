"""One signal of one endpoint: its counts on both lanes, and the tests they feed.

Rule: `errors` are requests that failed or hung; `slow` are those at or over the endpoint's threshold, fixed
before the release. The tests count a unit's bad events once per restart; the plain counts, which the
bound for advancing rests on, count everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crossfade.judge.bounds import events_needed, lower_bound, upper_bound
from crossfade.judge.labels import LabelTest
from crossfade.judge.limits import LimitTest
from crossfade.judge.restarts import UnitLedger
from crossfade.model.verdict import Event


@dataclass
class Counts:
    """Events of one lane, each counted."""

    n: int = 0
    bad: int = 0

    @property
    def ratio(self) -> float:
        """The observed bad ratio; 0 without events."""
        return self.bad / self.n if self.n else 0.0


@dataclass
class Signal:
    """The state of one signal. `weight` is its part of the evidence; the weights of all signals sum to 1."""

    kind: str  # errors, slow
    endpoint: str
    limit: float
    tolerance: float  # how many times worse than the old lane the new one may be
    binding: bool  # whether an advance needs it shown
    weight: float
    new: Counts = field(default_factory=Counts)
    old: Counts = field(default_factory=Counts)
    fresh: int = 0  # new-lane events since the last step
    label_log_e: float = 0.0
    limit_log_e: float = 0.0  # as of the last bad event; good ones have only lowered it since

    def __post_init__(self) -> None:
        self._label = LabelTest(self.tolerance)
        self.limit_new = LimitTest(self.limit)
        self.limit_old = LimitTest(self.limit)
        self._ledger = UnitLedger()

    @property
    def name(self) -> str:
        """The signal as verdicts call it."""
        return f"{self.kind}:{self.endpoint}"

    def take(self, event: Event, place: int, restarts: int, *, bad: bool, fresh: bool) -> bool:
        """Count an event; True where evidence against the new lane may have risen."""
        on_new = event.lane == "new"
        counts, limit = (self.new, self.limit_new) if on_new else (self.old, self.limit_old)
        counts.n += 1
        self.fresh += fresh and on_new
        if not bad:
            limit.add_good(place)
            return False
        counts.bad += 1
        first = self._ledger.first_row(event.unit, place)
        told = self._label.add(first, place, new=on_new, share_bp=event.share_bp)
        if told:
            self.label_log_e = self._label.log_e(restarts)
        broke = limit.add_bad(first, place)
        if broke and on_new:
            self.limit_log_e = limit.log_e(restarts)
        return on_new and (told or broke)

    def target(self, margin: float, alpha: float, *, old_lane: bool) -> float:
        """What the new lane's bound is held to: the limit, or a little over an old lane that is beyond it."""
        if not old_lane or self.old.ratio + margin <= self.limit:
            return self.limit
        return max(self.limit, lower_bound(self.old.n, self.old.bad, self.limit, alpha) + margin)

    def upper(self, alpha: float) -> float:
        """The bound on the new lane's bad ratio."""
        return upper_bound(self.new.n, self.new.bad, self.limit, alpha)

    def needs(self, target: float, alpha: float) -> int:
        """New-lane events missing for a pass if none is bad; at least one must be from this position."""
        missing = events_needed(self.new.n, self.new.bad, target, self.limit, alpha)
        return max(missing, 0 if self.fresh else 1)
