"""Readiness: what is proven, waived and unknown about the next release, in the order of risk. Pure.

Rule: a line is red until something measured makes it green; unknown is not green. A waiver is shown red,
with its name, reason and end: it lets a release begin, it proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from crossfade.model.requirement import Config, Waiver


class Standing(StrEnum):
    """How a question stands, worst first."""

    REFUSED = "refused"  # a release would not begin, or not pass here
    WAIVED = "waived"
    UNKNOWN = "unknown"
    PROVEN = "proven"


ORDER = list(Standing)


@dataclass(frozen=True)
class Measured:
    """What is known from earlier runs on this machine; None where it was never measured."""

    ready_check: str | None = None  # what the proof of the ready check said
    old_boot_ms: int | None = None
    fader_ms: int | None = None
    last_smoke: str | None = None
    restore_proof_age_days: float | None = None
    restore_verdict: str = ""  # what the newest restore proof says: restored, failed, could not verify
    has_fuse: bool = True
    way_back_walked: str | None = None  # the last release that went back, and how long it took


@dataclass(frozen=True)
class Line:
    """One question of the report. `risk` orders equals: 1 is what hurts customers most."""

    risk: int
    question: str
    standing: Standing
    answer: str
    remedy: str = ""


def report(config: Config, measured: Measured, today: date) -> list[Line]:
    """The answers, worst first, then by risk."""
    lines = [
        *_smokes(config, today),
        _ready_check(config, measured),
        _way_back(config, measured),
        _after_retired(measured),
        _fuse(measured),
        _rehearsed(measured),
        *_untested(config),
        _restore(config, measured),
    ]
    return sorted(lines, key=lambda line: (ORDER.index(line.standing), line.risk))


def _waiver(config: Config, what: str, today: date) -> Waiver | None:
    return next((w for w in config.waivers if w.what == what and today <= w.expires), None)


def _smokes(config: Config, today: date) -> Sequence[Line]:
    lines = []
    for endpoint in config.critical_endpoints:
        question = f'does the new version answer "{endpoint.name}" before customers ask?'
        waiver = _waiver(config, f"smoke:{endpoint.name}", today)
        if endpoint.smoke is not None:
            lines.append(Line(1, question, Standing.PROVEN, "smoked in every release, through the pinned new lane"))
        elif waiver is not None:
            said = f"waived by {waiver.name} until {waiver.expires}: {waiver.reason}"
            lines.append(Line(1, question, Standing.WAIVED, said, "write [endpoint.smoke]"))
        else:
            lines.append(Line(1, question, Standing.REFUSED, "it has no smoke", "write [endpoint.smoke]"))
    return lines


def _ready_check(config: Config, measured: Measured) -> Line:
    question = "does the ready check see a dependency that is cut?"
    if not any(d.critical for d in config.dependencies):
        return Line(2, question, Standing.UNKNOWN, "no critical [[dependency]] is declared", "declare them")
    if measured.ready_check is None:
        return Line(2, question, Standing.UNKNOWN, "not tried on this version yet; the next release tries it first")
    return Line(2, question, Standing.PROVEN, measured.ready_check)


def _way_back(config: Config, measured: Measured) -> Line:
    question = "how fast can traffic go back while the old version is warm?"
    limit_s = config.requirement.traffic_back_s
    if measured.fader_ms is None:
        return Line(3, question, Standing.UNKNOWN, f"required: {limit_s:g} s; no release has come back here yet")
    seconds = measured.fader_ms / 1000
    standing = Standing.PROVEN if seconds <= limit_s else Standing.REFUSED
    return Line(3, question, standing, f"measured {measured.fader_ms} ms, required {limit_s:g} s")


def _after_retired(measured: Measured) -> Line:
    question = "how fast once the old version is stopped?"
    if measured.old_boot_ms is None:
        return Line(4, question, Standing.UNKNOWN, "the start of the serving version was not measured")
    return Line(4, question, Standing.PROVEN, f"its last start took {measured.old_boot_ms / 1000:.1f} s")


def _fuse(measured: Measured) -> Line:
    question = "does traffic come back while crossfade is dead?"
    if measured.has_fuse:
        return Line(5, question, Standing.PROVEN, "the fuse in the proxy is armed from the first share")
    return Line(5, question, Standing.UNKNOWN, "this way in has no fuse: the shares stay as they are")


def _rehearsed(measured: Measured) -> Line:
    question = "was the way back walked?"
    if measured.way_back_walked is None:
        return Line(6, question, Standing.UNKNOWN, "no release has gone back on this machine yet")
    return Line(6, question, Standing.PROVEN, measured.way_back_walked)


def _untested(config: Config) -> Sequence[Line]:
    lines = []
    if config.workflows:
        names = ", ".join(w.name for w in config.workflows)
        lines.append(Line(7, "do the business workflows work across both versions?", Standing.UNKNOWN, names))
    if config.queues or config.processes_of("worker"):
        said = "workers start and stop with their lane; jobs in flight are not followed"
        lines.append(Line(8, "what happens to jobs in flight?", Standing.UNKNOWN, said))
    return lines


def _restore(config: Config, measured: Measured) -> Line:
    question = "was the backup restored?"
    wanted = f"required: not older than {config.requirement.restore_proof_max_age_days} days"
    age = measured.restore_proof_age_days
    if age is None:
        said = f"{wanted}; no restore is on record. A release of code destroys nothing and does not need one"
        return Line(9, question, Standing.UNKNOWN, said, "crossfade drill")
    if measured.restore_verdict not in ("", "restored"):
        standing = Standing.REFUSED if measured.restore_verdict == "failed" else Standing.UNKNOWN
        said = f"the newest restore, {age:.1f} days ago: {measured.restore_verdict}; {wanted}"
        return Line(9, question, standing, said, "crossfade drill")
    standing = Standing.PROVEN if age <= config.requirement.restore_proof_max_age_days else Standing.REFUSED
    return Line(
        9, question, standing, f"{age:.1f} days ago; {wanted}", "" if standing is Standing.PROVEN else "crossfade drill"
    )
