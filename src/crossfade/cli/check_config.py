"""`crossfade check` without paths: is the requirement well formed, and can it hold?

Rule: reads one file and nothing else, so it runs on every pull request. Where there is no file yet it says
what the requirement will ask for, so that the first day's decisions are made with it in sight.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from crossfade.cli.config_file import given_config, read_config_file, shown
from crossfade.model.contradictions import BUDGET_DAYS
from crossfade.model.demands import Demand, demands
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.requirement import Config, Requirement, Traffic
from crossfade.model.settings.parse import Reading, invalid, read_config
from crossfade.model.settings.problem import Problem, dotted
from crossfade.walk.clock import SystemClock


def stated_only(config: Config) -> list[str]:
    """Tables that state a promise which this version reads, but does not hold a release to."""
    tables = {
        "[[workflow]]": config.workflows,
        "[[queue]]": config.queues,
        "[[readers]]": config.readers,
    }
    return [name for name, rows in tables.items() if rows]


def report_lines(config: Config, file: str, today: date) -> Iterator[str]:
    """What `check` says of a file without problems."""
    requirement, traffic = config.requirement, config.traffic
    failing_min = (1 - requirement.availability) * BUDGET_DAYS * 24 * 60
    shares = ", ".join(f"{share:g}" for share in traffic.shares)
    critical = ", ".join(endpoint.name for endpoint in config.critical_endpoints)
    yield f"{file}: the requirement of {config.service.name} ({config.service.environment}) holds together"
    yield (
        f"  availability   {requirement.availability * 100:.6g} %, at most {failing_min:.3g} minutes of failure"
        f" in {BUDGET_DAYS} days"
    )
    yield f"  critical       {critical}"
    warm_s = requirement.keep_warm_s
    yield f"  traffic back   within {requirement.traffic_back_s:g} s, the old version warm for {warm_s:g} s"
    yield f"  shares         {shares} %, each for {traffic.step_min_s:g} to {traffic.step_cap_s:g} s"
    for waiver in config.waivers:
        state = "until" if today <= waiver.expires else "ENDED"
        yield f"  waived         {waiver.what} ({waiver.name}, {state} {waiver.expires}): {waiver.reason}"
    for table in stated_only(config):
        yield f"  not held yet   {table} is read, but this version of crossfade does not test it"
    yield "next: crossfade doctor"


def demand_lines(found: Sequence[Demand], directory: Path) -> Iterator[str]:
    """What `check` says where there is no file yet."""
    yield f"No crossfade.toml in {directory} yet. With the usual numbers it will ask:"
    area = ""
    for demand in found:
        if demand.area != area:
            area = demand.area
            yield ""
            yield f"of the {area}" if area != "people" else "of people"
        yield f"  - {demand.what}"
    yield ""


def problem_json(problem: Problem, file: str) -> dict[str, Any]:
    """One problem as plain data."""
    return {"file": file, "line": problem.line, "key": dotted(problem.path), "problem": problem.what}


def result_json(reading: Reading, file: str) -> dict[str, Any]:
    """The whole answer as plain data."""
    problems = [problem_json(problem, file) for problem in reading.problems]
    answer: dict[str, Any] = {"file": file, "holds": not problems, "problems": problems}
    if reading.config is not None and not problems:
        config = reading.config
        answer["service"] = config.service.name
        answer["not_held_yet"] = stated_only(config)
        answer["waivers"] = [
            {"what": w.what, "name": w.name, "reason": w.reason, "expires": str(w.expires)} for w in config.waivers
        ]
    return answer


def check_config(own: Path | None, output: str) -> None:
    """Check crossfade.toml and print what it says, or what is wrong; ends the command. Raises `config-invalid`."""
    start = Path.cwd()
    try:
        path, text = read_config_file(given_config(own), start)
    except CrossfadeError as exc:
        if exc.id == "config-missing":
            _print_demands(exc, start, output)
        raise
    file = shown(path, start)
    today = SystemClock().now().date()
    reading = read_config(text, today)
    if output == "json":
        click.echo(json.dumps(result_json(reading, file)))
        click.get_current_context().exit(int(Exit.CONFIG) if reading.problems else int(Exit.DONE))
    if reading.config is None or reading.problems:
        raise invalid(file, reading.problems)
    for line in report_lines(reading.config, file, today):
        click.echo(line)


def _print_demands(missing: CrossfadeError, start: Path, output: str) -> None:
    found = demands(Requirement(), Traffic())
    if output == "json":
        listed = [{"area": demand.area, "demand": demand.what} for demand in found]
        click.echo(json.dumps({"file": None, "holds": False, "error": missing.id, "demands": listed}))
        click.get_current_context().exit(int(missing.exit))
    for line in demand_lines(found, start):
        click.echo(line)
