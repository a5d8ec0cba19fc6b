"""`crossfade check PATH…`: the lint of migrations, on files, folders and standard input.

Rule: needs no database and no crossfade.toml, so it runs in an editor, before a commit, and on every pull request.
Findings go to standard output; they are an answer, not a crash, and end with 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from crossfade.cli.lint_output import OUTPUTS
from crossfade.schema.inputs.migration import all_sources
from crossfade.schema.inputs.place import read_place
from crossfade.schema.lint.findings import Report, Wrapped, lint
from crossfade.schema.lint.rule import Severity
from crossfade.schema.lint.rules import RULES


def unknown_rules(names: Sequence[str]) -> Iterator[str]:
    """Those that are no rules."""
    return (one for one in names if one not in RULES)


def check_paths(paths: Sequence[str], output: str, wrapped: str, ignored: Sequence[str], fail_on: str) -> int:
    """Check migrations, print the findings, and say the exit code. Raises `input-nothing` and its like."""
    for name in unknown_rules(ignored):
        raise click.UsageError(f"there is no rule {name!r}; the rules are: {', '.join(sorted(RULES))}")
    report = lint(all_sources(read_place(paths)), Wrapped(wrapped), frozenset(ignored))
    for line in OUTPUTS[output](report):
        click.echo(line)
    return int(fails(report, fail_on))


def fails(report: Report, fail_on: str) -> bool:
    """Whether the findings are reason to fail."""
    if fail_on == "never":
        return False
    return report.count(Severity.ERROR) > 0 or (fail_on == "warning" and bool(report.findings))
