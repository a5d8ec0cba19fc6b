"""Promises that cannot hold together, with the arithmetic that shows it.

Rule: a contradiction is reported only where it follows from the numbers in the file alone, whatever the
code does; where a number is unknown nothing is claimed. Every sentence carries its sum and a way out.
What is NOT here: whether one key is well formed (`settings/rules.py`).

Invariant: the settings' defaults contradict nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from crossfade.model.requirement import Config, Endpoint
from crossfade.model.settings.problem import KeyPath

BUDGET_DAYS = 30


@dataclass(frozen=True)
class Contradiction:
    """Keys that cannot all be kept. `path` is the one the sentence stands at; `keys` are all that it used."""

    path: KeyPath
    what: str
    keys: tuple[KeyPath, ...]


def contradictions(config: Config, today: date | None = None) -> list[Contradiction]:
    """Find all of them. `today` decides which waivers still count; without it all do."""
    return [
        *_way_back(config),
        *_overlap(config),
        *_warmth(config),
        *_budget(config),
        *_limits(config),
        *_stopping(config),
        *_shares(config),
        *_evidence(config),
        *_drivers(config),
        *_deep_checks(config),
        *_smokes(config, today),
    ]


def _at(path: KeyPath, what: str, *others: KeyPath) -> Contradiction:
    return Contradiction(path, what, (path, *others))


def _s(seconds: float) -> str:
    return f"{seconds:.6g} s"


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.6g} %"


_BACK: KeyPath = ("requirement", "traffic_back_s")
_DRAIN: KeyPath = ("requirement", "drain_s")


def _way_back(config: Config) -> Iterator[Contradiction]:
    """Traffic back within a second, where the load balancer needs a minute first."""
    commands = config.traffic.command
    if config.traffic.driver != "command" or commands is None:
        return
    promised, needed = config.requirement.traffic_back_s, commands.drain_first_s + commands.apply_s
    if needed > promised:
        yield _at(
            _BACK,
            f"promises traffic back within {_s(promised)}, but the load balancer needs drain_first_s"
            f" {_s(commands.drain_first_s)} + apply_s {_s(commands.apply_s)} = {_s(needed)}; promise {_s(needed)}"
            " or more,"
            " or use one that changes shares without draining first",
            ("traffic", "command", "drain_first_s"),
            ("traffic", "command", "apply_s"),
        )


def _overlap(config: Config) -> Iterator[Contradiction]:
    """One version at a time means stopping the old one first: no canary, no warm way back."""
    if config.requirement.versions_overlap_max >= 2:
        return
    key: KeyPath = ("requirement", "versions_overlap_max")
    start_s = max((process.start_timeout_s for process in config.processes_of("web")), default=0.0)
    drain_s, back_s = config.requirement.drain_s, config.requirement.traffic_back_s
    partial = [share for share in config.traffic.shares if share < 100]
    if partial:
        listed = ", ".join(f"{share:g} %" for share in partial)
        yield _at(
            key,
            f"is 1, but at the shares {listed} the old and the new version serve side by side, which is 2; write 2",
            ("traffic", "shares"),
        )
    if drain_s + start_s > back_s:
        yield _at(
            _BACK,
            f"promises traffic back within {_s(back_s)}, but with versions_overlap_max = 1 the new version is"
            " stopped"
            f" before the old one starts: drain_s {_s(drain_s)} + start_timeout_s {_s(start_s)} ="
            f" {_s(drain_s + start_s)}; write"
            " versions_overlap_max = 2",
            key,
            _DRAIN,
        )


def _warmth(config: Config) -> Iterator[Contradiction]:
    """The old version must still be there when trouble at share 100 can first be seen."""
    key: KeyPath = ("requirement", "keep_warm_s")
    warm_s, step_s = config.requirement.keep_warm_s, config.traffic.step_min_s
    for number, endpoint in enumerate(config.endpoints):
        if endpoint.hang_ms / 1000 > max(warm_s, step_s):
            yield _at(
                key,
                f'is {_s(warm_s)}, but a hang of "{endpoint.name}" is only seen after hang_ms ='
                f" {_s(endpoint.hang_ms / 1000)}, when the old version is gone; write {endpoint.hang_ms / 1000:g}"
                " or more",
                ("endpoint", number, "hang_ms"),
                ("traffic", "step_min_s"),
            )


def _budget(config: Config) -> Iterator[Contradiction]:
    """One way back must not cost more failures than a month may have."""
    allowed = 1 - config.requirement.availability
    budget_s = allowed * BUDGET_DAYS * 86400
    back_s = config.requirement.traffic_back_s
    for number, endpoint in enumerate(config.endpoints):
        hang_s = endpoint.hang_ms / 1000
        if endpoint.critical and hang_s + back_s > budget_s:
            yield _at(
                ("requirement", "availability"),
                f"leaves {BUDGET_DAYS} d x 86400 s x {_percent(allowed)} = {_s(budget_s)} of failure, but one"
                " version that"
                f' hangs at share 100 % costs "{endpoint.name}" at least hang_ms {_s(hang_s)} + traffic_back_s'
                f" {_s(back_s)}"
                f" = {_s(hang_s + back_s)}; lower hang_ms or traffic_back_s, or promise less",
                ("endpoint", number, "hang_ms"),
                _BACK,
            )


def _limits(config: Config) -> Iterator[Contradiction]:
    """Limits of one endpoint against each other, the promise, the proxy and the fuse."""
    allowed = 1 - config.requirement.availability
    timeout_s = config.traffic.answer_timeout_s
    for number, endpoint in enumerate(config.endpoints):
        here: KeyPath = ("endpoint", number)
        hang_s = endpoint.hang_ms / 1000
        if endpoint.critical and endpoint.error_ratio_max > allowed * (1 + 1e-9):
            yield _at(
                (*here, "error_ratio_max"),
                f"keeps a version that fails {_percent(endpoint.error_ratio_max)} of requests, but availability"
                f" {config.requirement.availability:.12g} allows 1 - {config.requirement.availability:.12g} ="
                f" {_percent(allowed)}; write {allowed:.6g} or less, or promise"
                f" {1 - endpoint.error_ratio_max:.12g}",
                ("requirement", "availability"),
            )
        if endpoint.slow_ms >= endpoint.hang_ms:
            yield _at(
                (*here, "slow_ms"),
                f"is {endpoint.slow_ms} ms, but a request hangs from hang_ms {endpoint.hang_ms} ms on, so none"
                " could be"
                " slow; write less than hang_ms",
                (*here, "hang_ms"),
            )
        if config.traffic.driver == "haproxy" and hang_s >= timeout_s:
            yield _at(
                (*here, "hang_ms"),
                f"is {_s(hang_s)}, but the proxy gives up on a request after answer_timeout_s {_s(timeout_s)}, so"
                " no hang"
                " would be seen; write less, or raise traffic.answer_timeout_s",
                ("traffic", "answer_timeout_s"),
            )
        if hang_s > config.requirement.drain_s:
            yield _at(
                (*here, "hang_ms"),
                f"lets a request take {_s(hang_s)}, but an instance is stopped after drain_s"
                f" {_s(config.requirement.drain_s)}, {_s(hang_s - config.requirement.drain_s)} earlier; raise"
                " requirement.drain_s, or lower hang_ms",
                _DRAIN,
            )
    yield from _fuse(config)


def _fuse(config: Config) -> Iterator[Contradiction]:
    """The fuse must not trip on a version that a limit allows."""
    for number, endpoint in enumerate(config.endpoints):
        if config.traffic.driver == "haproxy" and config.traffic.fuse_ratio <= endpoint.error_ratio_max:
            yield _at(
                ("traffic", "fuse_ratio"),
                f"trips the fuse at {_percent(config.traffic.fuse_ratio)} of failures, which"
                f' "{endpoint.name}" may have: error_ratio_max {_percent(endpoint.error_ratio_max)}; write more'
                " than"
                f" {endpoint.error_ratio_max:g}",
                ("endpoint", number, "error_ratio_max"),
            )


def _stopping(config: Config) -> Iterator[Contradiction]:
    """A process must be given the time its requests may take."""
    drain_s = config.requirement.drain_s
    for process in config.processes_of("web"):
        if drain_s > process.stop_timeout_s:
            key: KeyPath = ("process", process.name, "stop_timeout_s")
            yield _at(
                key,
                f"ends the process after {_s(process.stop_timeout_s)}, but a request may take drain_s"
                f" {_s(drain_s)}, so it"
                f" would be cut {_s(drain_s - process.stop_timeout_s)} early; write {drain_s:g} or more",
                _DRAIN,
            )


def _shares(config: Config) -> Iterator[Contradiction]:
    """Times and shares of the steps."""
    traffic = config.traffic
    if traffic.step_min_s > traffic.step_cap_s:
        yield _at(
            ("traffic", "step_min_s"),
            f"is {_s(traffic.step_min_s)}, longer than the longest time at a share, step_cap_s"
            f" {_s(traffic.step_cap_s)};"
            " write less, or raise step_cap_s",
            ("traffic", "step_cap_s"),
        )
    commands = traffic.command
    if traffic.driver != "command" or commands is None:
        return
    for number, share in enumerate(traffic.shares):
        steps = share / commands.share_grain_percent
        if share < 100 and abs(steps - round(steps)) > 1e-6:
            yield _at(
                ("traffic", "shares", number),
                f"is {share:g} %, but the load balancer only makes multiples of share_grain_percent"
                f" {commands.share_grain_percent:g} %: {share:g} / {commands.share_grain_percent:g} = {steps:.6g};"
                " choose one",
                ("traffic", "command", "share_grain_percent"),
            )


def _evidence(config: Config) -> Iterator[Contradiction]:
    """Whether the first share can bring enough requests for a verdict in the time it has."""
    if config.traffic.at_cap == "advance" or config.traffic.shares[0] >= 100:
        return
    for number, endpoint in enumerate(config.endpoints):
        if endpoint.critical and endpoint.requests_per_s > 0:
            yield from _evidence_for(config, number, endpoint)


def _evidence_for(config: Config, number: int, endpoint: Endpoint) -> Iterator[Contradiction]:
    traffic, alpha = config.traffic, config.requirement.false_rollbacks_per_release
    share = traffic.shares[0] / 100
    events = endpoint.requests_per_s * share * traffic.step_cap_s
    limit = min(max(endpoint.error_ratio_max, config.signals.margin_ratio), 0.999999)
    to_advance = math.ceil(math.log(alpha) / math.log1p(-limit))
    # A failing request on the new lane is worth at most log(1/share) against "both fail alike".
    to_blame = math.ceil(math.log(1 / alpha) / math.log(1 / share))
    arithmetic = (
        f'is {_s(traffic.step_cap_s)}: the first share brings "{endpoint.name}" {endpoint.requests_per_s:g}/s x'
        f" {_percent(share)} x {_s(traffic.step_cap_s)} = {events:.6g} requests"
    )
    keys: tuple[KeyPath, ...] = (
        ("traffic", "shares"),
        ("traffic", "at_cap"),
        ("endpoint", number, "requests_per_s"),
        ("endpoint", number, "error_ratio_max"),
        ("requirement", "false_rollbacks_per_release"),
    )
    per_s = endpoint.requests_per_s * share
    if events < to_blame:
        yield _at(
            ("traffic", "step_cap_s"),
            f"{arithmetic}, but even if all fail, {to_blame} failures are needed to blame the new version at"
            f" {alpha:g} false rollbacks per release; write {math.ceil(to_blame / per_s)} or more, or begin with a"
            " larger share",
            *keys,
        )
    elif events < to_advance:
        yield _at(
            ("traffic", "step_cap_s"),
            f"{arithmetic}, but to show that fewer than {_percent(limit)} fail takes at least {to_advance}"
            f" without a failure, so every release would {_at_cap(traffic.at_cap)} there; write"
            f" {math.ceil(to_advance / per_s)} or more,"
            " or begin with a larger share",
            *keys,
        )


def _at_cap(choice: str) -> str:
    return "be rolled back" if choice == "rollback" else "hold"


def _drivers(config: Config) -> Iterator[Contradiction]:
    """Parts that do not fit each other."""
    if config.traffic.driver == "command" and config.signals.driver == "ring":
        yield _at(
            ("signals", "driver"),
            'is "ring", the record of crossfade\'s own HAProxy, but traffic.driver is "command"; write driver ='
            ' "command"'
            " and the program that prints your load balancer's records",
            ("traffic", "driver"),
        )
    if config.versions.source == "image" and config.runtime.driver == "supervisor":
        yield _at(
            ("versions", "source"),
            'is "image", but runtime.driver "supervisor" runs directories; write runtime.driver = "command", or'
            " another"
            " source",
            ("runtime", "driver"),
        )


def _deep_checks(config: Config) -> Iterator[Contradiction]:
    """One path cannot be both the check that ignores the database and the one that asks it."""
    critical = [dependency.name for dependency in config.dependencies if dependency.critical]
    for process in config.processes_of("web"):
        if critical and process.ready == process.alive:
            yield _at(
                ("process", process.name, "ready"),
                f'is "{process.ready}", as is alive: it must turn red when "{critical[0]}" is cut, while alive'
                " must stay"
                " green, or a blip empties both lanes; give each its own path",
                ("process", process.name, "alive"),
            )


def _smokes(config: Config, today: date | None) -> Iterator[Contradiction]:
    """A critical endpoint that nothing tries before customers do."""
    for number, endpoint in enumerate(config.endpoints):
        if not endpoint.critical or endpoint.smoke is not None:
            continue
        waivers = [waiver for waiver in config.waivers if waiver.what == f"smoke:{endpoint.name}"]
        if any(today is None or today <= waiver.expires for waiver in waivers):
            continue
        ended = f"; the waiver by {waivers[-1].name} ended on {waivers[-1].expires}" if waivers else ""
        yield _at(
            ("endpoint", number),
            f'"{endpoint.name}" is critical, but has no smoke request, so customers would be the first to try'
            f" it{ended};"
            f' add [endpoint.smoke], or critical = false, or a waiver for "smoke:{endpoint.name}"',
            ("waiver",),
        )
