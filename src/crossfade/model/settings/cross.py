"""What several tables must satisfy together: names that are unique, references that lead somewhere.

Rule: yields the key that must change, with a way out. Arithmetic is in `model/contradictions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crossfade.model.requirement import Config
from crossfade.model.settings.problem import did_you_mean
from crossfade.model.settings.read import Finding
from crossfade.model.settings.template import IN_PROCESS, placeholders


def cross_findings(config: Config) -> Iterator[Finding]:
    """Everything that only several tables together can show."""
    yield from _unique("endpoint", "name", [endpoint.name for endpoint in config.endpoints])
    yield from _unique("endpoint", "match", [endpoint.match for endpoint in config.endpoints])
    yield from _unique("workflow", "name", [workflow.name for workflow in config.workflows])
    yield from _unique("queue", "name", [queue.name for queue in config.queues])
    yield from _unique("dependency", "name", [dependency.name for dependency in config.dependencies])
    for name in list(config.databases)[1:]:
        yield ("database", name), "is a second database; one is supported so far, so leave this one out"
    if not config.critical_endpoints:
        yield (
            ("endpoint",),
            "none is critical, so nothing says whether customers are served; for example: [[endpoint]] name ="
            ' "start"'
            ' match = "GET /"',
        )
    if config.endpoints and not config.processes_of("web"):
        yield ("process",), "no process has the role web, so nothing answers the endpoints"
    yield from _placeholders(config)
    yield from _dependencies(config)


def _unique(table: str, key: str, values: Sequence[str]) -> Iterator[Finding]:
    for number, value in enumerate(values):
        if value in values[:number]:
            yield (table, number, key), f'is "{value}", as in {table}[{values.index(value)}]; each has its own'


def _placeholders(config: Config) -> Iterator[Finding]:
    known = [*IN_PROCESS, *(f"database.{name}" for name in config.databases)]
    for process in config.processes.values():
        places: list[tuple[tuple[str | int, ...], str]] = [
            (("command", number), text) for number, text in enumerate(process.command)
        ]
        places += [(("env", name), text) for name, text in process.env.items()]
        for tail, text in places:
            for name in placeholders(text):
                if name not in known:
                    near = did_you_mean(name, known) or f"; known are {', '.join(known)}"
                    yield ("process", process.name, *tail), f"has {{{name}}}, which nothing fills in{near}"


def _dependencies(config: Config) -> Iterator[Finding]:
    variables = {name for process in config.processes.values() for name in process.env}
    for number, dependency in enumerate(config.dependencies):
        if dependency.env not in variables:
            near = did_you_mean(dependency.env, variables)
            yield (
                ("dependency", number, "env"),
                f'is "{dependency.env}", but no process has it in its env, so it could not be cut{near}',
            )
