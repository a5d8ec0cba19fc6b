"""The sentences of a verdict. Rule: no claim without the numbers it rests on, and what is missing is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from crossfade.judge.signal import Signal
from crossfade.model.verdict import SignalReading

LABEL, LIMIT = "label", "limit"
BAD_WORDS = {"errors": "failed", "slow": "were slow"}
E_LOG_MAX = 700.0  # beyond it a float is infinite


@dataclass(frozen=True)
class Proof:
    """A failure as it was proven: the counts at that moment, kept for as long as the attempt lasts."""

    family: str  # LABEL or LIMIT
    signal: str
    sentence: str


def percent(ratio: float) -> str:
    """A ratio as people say it."""
    return f"{100 * ratio:.3g} %"


def count(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}"


def e_value(log_e: float) -> float:
    """The evidence itself, kept finite."""
    return exp(min(log_e, E_LOG_MAX))


def lanes(signal: Signal) -> str:
    """Both lanes' counts."""
    word, new, old = BAD_WORDS[signal.kind], signal.new, signal.old
    return (
        f"{count(new.bad)} of {count(new.n)} requests {word} on the new lane ({percent(new.ratio)}), "
        f"{count(old.bad)} of {count(old.n)} on the old ({percent(old.ratio)})"
    )


def proof(family: str, signal: Signal, log_e: float, threshold: float) -> Proof:
    """Say what was proven, with the evidence of all signals of the family together."""
    odds = f"the evidence is {e_value(log_e):,.0f} to 1, {threshold:,.0f} to 1 is asked"
    if family == LABEL:
        what = f"{signal.name} is worse on the new lane: {lanes(signal)}"
    else:
        what = f"{signal.name} breaks its limit of {percent(signal.limit)}: {lanes(signal)}"
    return Proof(family, signal.name, f"{what}; {odds}")


def reading(signal: Signal, restarts: int, *, alpha_advance: float, threshold: float, target: float) -> SignalReading:
    """One signal's numbers. Nothing in the text repeats another line."""
    log_e = signal.label_log_e
    limit_log_e = signal.limit_new.log_e(restarts)
    old_limit_log_e = signal.limit_old.log_e(restarts)
    upper, needs = signal.upper(alpha_advance), signal.needs(target, alpha_advance)
    needed = "shown" if not needs else f"needs {count(needs)} more"
    text = (
        f"{signal.name}: new {count(signal.new.bad)}/{count(signal.new.n)}, "
        f"old {count(signal.old.bad)}/{count(signal.old.n)}; "
        f"under {percent(upper)} with {percent(1 - alpha_advance)} confidence, "
        f"asked {percent(min(target, 1.0))} ({needed}); "
        f"worse than old E={e_value(log_e):.3g}, over limit E={e_value(limit_log_e):.3g}, "
        f"fails at {threshold / signal.weight:,.0f}"
    )
    return SignalReading(
        signal.name,
        signal.new.n,
        signal.new.bad,
        signal.old.n,
        signal.old.bad,
        e_value(log_e),
        log_e,
        threshold / signal.weight,
        upper,
        target,
        needs,
        text,
        limit_log_e,
        old_limit_log_e,
    )


def mounting(family: str, signal: Signal, log_e: float, wary: float, threshold: float) -> str:
    """Why nothing is advanced although the bounds would allow it."""
    said = "worse on the new lane" if family == LABEL else f"over its limit of {percent(signal.limit)}"
    return (
        f"{signal.name} may be {said}: {lanes(signal)}; the evidence is {e_value(log_e):,.0f} to 1, "
        f"an advance waits from {wary:,.0f} and {threshold:,.0f} proves it"
    )


def missing(signal: Signal, read: SignalReading, alpha_advance: float) -> str:
    """What a pass still needs of the signal that is furthest from it."""
    if not read.n_new:
        return f"no events on {signal.endpoint!r} on the new lane: needs ~{count(read.needs)}"
    if not signal.fresh:
        return f"no events on {signal.endpoint!r} on the new lane at this position yet: needs ~{count(read.needs)}"
    return (
        f"{signal.name} is not shown to be under {percent(read.limit)} yet: {read.bad_new:,} of {read.n_new:,} "
        f"requests {BAD_WORDS[signal.kind]} on the new lane, so under {percent(read.upper_bound_new)} "
        f"with {percent(1 - alpha_advance)} confidence; needs ~{count(read.needs)} more good ones"
    )


def passing(binding: Sequence[SignalReading], alpha_advance: float) -> str:
    """What was shown, by the signal whose bound uses up most of its limit."""
    near = max(binding, key=lambda read: read.upper_bound_new / read.limit)
    return (
        f"all {len(binding)} binding signals are shown to be within limits with {percent(1 - alpha_advance)} "
        f"confidence; nearest is {near.name}: {near.bad_new:,} of {near.n_new:,} requests bad on the new lane, "
        f"so under {percent(near.upper_bound_new)} of {percent(near.limit)}"
    )
