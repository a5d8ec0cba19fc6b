"""The judge: the events of one attempt in, a verdict with its numbers out.

Rule (I6): inconclusive is never pass; a lost signal is inconclusive, but a failure already proven stays one;
nothing from before the first share or from an earlier attempt counts. There is no clock here: times are in
the events, on the same clock as `begin` and `mark_step`.

A failure is proven by evidence (`attempt.py`). A pass needs, for both signals of each critical endpoint, an upper
bound under its target (`bounds.py`), at least one new-lane event since the last step, and no evidence of WARY
to 1 or more against the new lane: a bound over the whole attempt forgets late trouble, the restarted tests
do not. Where no endpoint is critical, all are binding. What nobody uses on the new lane and is not
critical blocks nothing. Where no old lane serves beside the new one the labels say nothing: what remains are
the absolute limits, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log

from crossfade.judge import wording
from crossfade.judge.attempt import Attempt, Rules
from crossfade.judge.wording import LABEL, LIMIT, Proof
from crossfade.model.verdict import EndpointLimit, Event, Outcome, SignalReading, Verdict

WARY = 20.0


class Judge:
    """Judges one attempt at a time; `begin` starts the next one with fresh evidence."""

    def __init__(
        self,
        limits: Sequence[EndpointLimit],
        *,
        alpha: float = 0.001,
        alpha_advance: float = 0.05,
        margin: float = 0.005,
        restart_s: float = 300.0,
        critical_weight: float = 1.0,
        other_weight: float = 0.25,
        error_tolerance: float = 1.0,
        slow_tolerance: float = 1.2,
    ) -> None:
        self._rules = Rules(
            tuple(limits),
            alpha,
            alpha_advance,
            margin,
            restart_s,
            critical_weight,
            other_weight,
            error_tolerance,
            slow_tolerance,
        ).check_invariants()
        self._attempt: Attempt | None = None

    def begin(self, t_s: float) -> None:
        """The first share of an attempt is in force from here; anything from before never counts."""
        self._attempt = Attempt(self._rules, t_s)

    def mark_step(self, t_s: float) -> None:
        """The release stands at a new position: the tests start anew, none of the evidence is lost."""
        if self._attempt is not None:
            self._attempt.step(t_s)

    def feed(self, events: Iterable[Event]) -> None:
        """Count events, in the order in which they became known. Before `begin` there is nothing to count."""
        if self._attempt is not None:
            for event in events:
                self._attempt.take(event)

    def verdict(self, t_s: float, source_complete: bool = True, detail: str = "") -> Verdict:
        """Say what is known now. `source_complete` False: events may be missing, for the reason in `detail`."""
        attempt = self._attempt
        if attempt is None or t_s < attempt.begin_s:
            return self._inconclusive("no share of this attempt is in force yet")
        readings = self._readings(attempt)
        if attempt.proof is not None:
            return self._failed(attempt, attempt.proof, readings)
        if not source_complete:
            return self._inconclusive(f"the signal is lost: {detail or 'events are missing'}", readings)
        return self._advance(attempt, readings)

    def _readings(self, attempt: Attempt) -> tuple[SignalReading, ...]:
        rules = self._rules
        return tuple(
            wording.reading(
                signal,
                len(attempt.restarts),
                alpha_advance=rules.alpha_advance,
                threshold=rules.threshold,
                target=signal.target(rules.margin, rules.alpha_advance, old_lane=not attempt.alone),
            )
            for signal in attempt.signals
        )

    def _failed(self, attempt: Attempt, proof: Proof, readings: Sequence[SignalReading]) -> Verdict:
        blame, note = attempt.attribution(proof)
        return Verdict(Outcome.FAIL, proof.signal, blame, readings, proof.sentence + note, self._rules.alpha)

    def _advance(self, attempt: Attempt, readings: tuple[SignalReading, ...]) -> Verdict:
        binding = [(s, r) for s, r in zip(attempt.signals, readings, strict=True) if s.binding]
        if not binding:
            return self._inconclusive("the requirement names no endpoint to judge by", readings)
        for family in (LABEL, LIMIT):
            log_e, signal = attempt.evidence(family)
            if log_e >= log(WARY):
                reason = wording.mounting(family, signal, log_e, WARY, self._rules.threshold)
                return self._inconclusive(reason, readings, signal.name)
        alone = "; no old lane serves beside it, so these are absolute limits only" if attempt.alone else ""
        signal, read = max(binding, key=lambda pair: pair[1].needs)
        if read.needs:
            reason = wording.missing(signal, read, self._rules.alpha_advance) + alone
            return self._inconclusive(reason, readings, signal.name)
        shown = wording.passing([r for _, r in binding], self._rules.alpha_advance) + alone
        return Verdict(Outcome.PASS, "", None, readings, shown, self._rules.alpha)

    def _inconclusive(self, reason: str, readings: Sequence[SignalReading] = (), cause: str = "") -> Verdict:
        return Verdict(Outcome.INCONCLUSIVE, cause, None, readings, reason, self._rules.alpha)
