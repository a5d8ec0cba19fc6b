"""One attempt: its signals and restarts, the events it takes, and the first failure that is proven.

Rule (I6): only events of this attempt count, each with the share in force when it was assigned. A failure,
once proven, stays proven for the attempt.

The budget `alpha` bounds the chance that an innocent version is ever failed in an attempt. Half goes to the
label tests (is the new lane worse than its share?), half to the absolute limits. Within a half the signals
share it by weight: E = sum of v_k E_k over the signals, and the version fails at E >= 2/alpha. The weighted
sum is looked at after each bad event on the new lane, where alone it can rise, so how events are batched
changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log

from crossfade.judge import wording
from crossfade.judge.labels import FULL_BP
from crossfade.judge.restarts import LOG_WEIGHTS, Restarts
from crossfade.judge.signal import Signal
from crossfade.judge.wording import LABEL, LIMIT, Proof
from crossfade.model.verdict import Attribution, EndpointLimit, Event

OLD_BROKEN = 20.0  # the old lane's evidence from which a broken limit is called shared
OLD_EXPECTED = 3.0  # bad events the old lane would have shown by now if it were as bad: 95 % not to show none
ERRORS_PART = 0.5  # of an endpoint's weight; the rest is for slow


@dataclass(frozen=True)
class Rules:
    """What is fixed before the release. `alpha_advance` is 1 - the confidence of the bound for advancing."""

    limits: Sequence[EndpointLimit]
    alpha: float
    alpha_advance: float
    margin: float
    restart_s: float
    critical_weight: float
    other_weight: float
    error_tolerance: float
    slow_tolerance: float

    def check_invariants(self) -> Rules:
        """Assert that the rules can be judged by, and hand them back."""
        assert 0 < self.alpha < 1, self
        assert 0 < self.alpha_advance < 1, self
        assert self.margin >= 0, self
        assert min(self.critical_weight, self.other_weight) > 0, self
        assert len({limit.name for limit in self.limits}) == len(self.limits), "endpoint names must be unique"
        return self

    @property
    def threshold(self) -> float:
        """The weighted evidence of one family of tests at which a failure is proven."""
        return 2 / self.alpha

    def signals(self) -> dict[str, tuple[EndpointLimit, Signal, Signal]]:
        """Fresh signals, errors and slow, by endpoint."""
        weights = {limit.name: self.critical_weight if limit.critical else self.other_weight for limit in self.limits}
        total, some_critical = sum(weights.values()), any(limit.critical for limit in self.limits)
        fresh = {}
        for limit in self.limits:
            binding, weight = limit.critical or not some_critical, weights[limit.name] / total
            errors = Signal(
                "errors", limit.name, limit.error_ratio_max, self.error_tolerance, binding, weight * ERRORS_PART
            )
            slow = Signal(
                "slow", limit.name, limit.slow_ratio_max, self.slow_tolerance, binding, weight * (1 - ERRORS_PART)
            )
            fresh[limit.name] = (limit, errors, slow)
        return fresh


class Attempt:
    """The evidence of one attempt, from its first share on."""

    def __init__(self, rules: Rules, begin_s: float) -> None:
        self.begin_s = begin_s
        self.restarts = Restarts(begin_s, rules.restart_s)
        self.proof: Proof | None = None
        self._threshold = rules.threshold
        self._step_s = begin_s
        self._latest_s, self._latest_share_bp = -inf, 0
        self._endpoints = rules.signals()
        self.signals = [signal for _, *pair in self._endpoints.values() for signal in pair]

    @property
    def alone(self) -> bool:
        """Whether the new lane serves without an old one beside it."""
        return self._latest_share_bp >= FULL_BP

    def step(self, t_s: float) -> None:
        """A new position: the tests start anew beside those that run, and fresh events are asked for."""
        self.restarts.step(t_s)
        self._step_s = t_s
        for signal in self.signals:
            signal.fresh = 0

    def take(self, event: Event) -> None:
        """Count one event, and look whether it proves a failure."""
        found = self._endpoints.get(event.endpoint)
        if found is None or event.t_s < self.begin_s or not event.counts:
            return
        limit, errors, slow = found
        place = self.restarts.place(event.t_s)
        if event.t_s >= self._latest_s:
            self._latest_s, self._latest_share_bp = event.t_s, event.share_bp
        fresh = event.t_s >= self._step_s
        hung = event.hung or event.ms >= limit.hang_ms
        count = len(self.restarts)
        failed = errors.take(event, place, count, bad=event.failed or hung, fresh=fresh)
        slowed = slow.take(event, place, count, bad=hung or event.ms >= limit.slow_ms, fresh=fresh)
        if (failed or slowed) and self.proof is None:
            self._prove()

    def evidence(self, family: str) -> tuple[float, Signal]:
        """The log evidence of all signals together, and the signal that gives most of it."""
        count = len(self.restarts)
        if family == LABEL:
            terms = [(log(s.weight) + s.label_log_e, s) for s in self.signals]
        else:
            terms = [(log(s.weight) + s.limit_new.log_e(count), s) for s in self.signals]
        return _log_sum([term for term, _ in terms]), max(terms, key=lambda pair: pair[0])[1]

    def attribution(self, proof: Proof) -> tuple[Attribution | None, str]:
        """Whose fault it is, and why that can or cannot be said.

        The labels say so by themselves. A limit is shared where both lanes break it, or where the old one is
        beyond it and the labels do not tell them apart. It is the new lane's where the old one had the time to
        show the same and did not. Otherwise nobody knows yet; a later look may.
        """
        if proof.family == LABEL:
            return "new lane", ""
        if self.alone:
            return None, "; no old lane served beside it to compare with"
        count = len(self.restarts)
        signal = next(s for s in self.signals if s.name == proof.signal)
        window = int((LOG_WEIGHTS[:count] + signal.limit_new.rows(count)).argmax())  # since the trouble began
        (n_new, bad_new), (n_old, bad_old) = signal.limit_new.seen(window), signal.limit_old.seen(window)
        expected = n_old * bad_new / n_new  # bad events of the old lane, were it as bad as the new one
        told_apart = signal.label_log_e >= log(OLD_BROKEN)
        alike = bad_old > signal.limit * n_old and not told_apart
        if alike or float(signal.limit_old.rows(count)[window]) >= log(OLD_BROKEN):
            return "shared, unattributed", "; the old lane breaks the same limit, so it is not attributed to either"
        if told_apart or expected >= OLD_EXPECTED:
            return "new lane", ""
        return None, f"; {n_old:,} on the old lane since the trouble began are too few to say whose it is"

    def _prove(self) -> None:
        """Look whether a failure is proven now, the labels first: they can tell whose it is."""
        # What is remembered of the limits can only be too high, so it only ever costs a second look.
        highest = _log_sum([log(s.weight) + s.limit_log_e for s in self.signals])
        for family in (LABEL, LIMIT) if highest >= log(self._threshold) else (LABEL,):
            log_e, signal = self.evidence(family)
            if log_e >= log(self._threshold):
                self.proof = wording.proof(family, signal, log_e, self._threshold)
                return


def _log_sum(terms: Sequence[float]) -> float:
    top = max(terms)
    return top + log(sum(exp(term - top) for term in terms))
