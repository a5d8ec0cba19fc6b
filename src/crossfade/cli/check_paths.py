"""`crossfade check PATH…`: the lint of migrations, on files, folders and standard input.

Rule: needs no database and no crossfade.toml, so it runs in an editor, before a commit, and on every pull request.
Findings go to standard output; they are an answer, not a crash, and end with 1.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from crossfade.cli.lint_output import OUTPUTS
from crossfade.schema.lint.findings import Report, Wrapped, lint
from crossfade.schema.lint.rule import Severity
from crossfade.schema.lint.rules import RULES
from crossfade.schema.parser import Source

_DOWN = re.compile(r"(^|[._-])(down|undo|rollback|revert)\.sql$|^U[\d._]+__.*\.sql$", re.IGNORECASE)
_NUMBER = re.compile(r"(\d+)")


def read_paths(paths: Sequence[str]) -> list[Source]:
    """The files to check, in the order of the history: a folder's by the numbers in their names, without ways back."""
    found: list[Source] = []
    for path in paths:
        if path == "-":
            found.append(Source("<stdin>", sys.stdin.read()))
            continue
        place = Path(path)
        files = sorted(place.rglob("*.sql"), key=_order) if place.is_dir() else [place]
        kept = [one for one in files if one == place or not _DOWN.search(one.name)]
        if not kept:
            raise click.UsageError(f"there is no .sql file in {path}")
        found += [Source(str(one), one.read_text(encoding="utf-8-sig", errors="replace")) for one in kept]
    return found


def _order(path: Path) -> list[tuple[int, str]]:
    return [(int(one), "") if one.isdigit() else (-1, one) for one in _NUMBER.split(str(path)) if one]


def unknown_rules(names: Sequence[str]) -> Iterator[str]:
    """Those that are no rules."""
    return (one for one in names if one not in RULES)


def check_paths(paths: Sequence[str], output: str, wrapped: str, ignored: Sequence[str], fail_on: str) -> int:
    """Check migrations, print the findings, and say the exit code."""
    for name in unknown_rules(ignored):
        raise click.UsageError(f"there is no rule {name!r}; the rules are: {', '.join(sorted(RULES))}")
    report = lint(read_paths(paths), Wrapped(wrapped), frozenset(ignored))
    for line in OUTPUTS[output](report):
        click.echo(line)
    return int(fails(report, fail_on))


def fails(report: Report, fail_on: str) -> bool:
    """Whether the findings are reason to fail."""
    if fail_on == "never":
        return False
    return report.count(Severity.ERROR) > 0 or (fail_on == "warning" and bool(report.findings))
