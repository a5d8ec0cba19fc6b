"""How findings are printed: for people, as JSON, as SARIF 2.1.0, as annotations of a GitHub workflow.

Rule: each form says the same of a finding: the place, the rule, the severity, what happens, why, and the staged form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from crossfade.schema.lint.findings import PAGES, Finding, Report
from crossfade.schema.lint.rule import Severity
from crossfade.schema.lint.rules import RULES


def text_lines(report: Report) -> Iterator[str]:
    """For people."""
    for one in report.findings:
        number = str(one.line)
        yield f"{one.file}:{one.line}:{one.column}: {one.severity}[{one.rule.id}]: {one.problem}"
        yield f"  {number} | {one.source}"
        yield f"  {' ' * len(number)} | {' ' * (one.column - 1)}^"
        yield f"  why:       {one.why}"
        for index, line in enumerate(one.staged.splitlines()):
            yield f"  {'staged:' if not index else '       '}    {line}"
        yield f"  crossfade: {one.engine.removeprefix('crossfade ')}"
        yield f"  more:      {one.page_path}"
        yield ""
    yield summary(report)


def summary(report: Report) -> str:
    """One line of what was found."""
    errors, warnings = report.count(Severity.ERROR), report.count(Severity.WARNING)
    within = len({one.file for one in report.findings})
    found = f"{_many(errors, 'error')}, {_many(warnings, 'warning')} in {_many(within, 'file')}"
    allowed = f"; {report.allowed} allowed by comments" if report.allowed else ""
    return f"{_many(report.files, 'file')} checked: {found if report.findings else 'nothing found'}{allowed}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def finding_json(one: Finding) -> dict[str, Any]:
    """One finding as plain data."""
    return {
        "file": one.file,
        "line": one.line,
        "column": one.column,
        "rule": one.rule.id,
        "severity": str(one.severity),
        "problem": one.problem,
        "why": one.why,
        "staged": one.staged,
        "crossfade": one.engine,
        "page": one.page_path,
    }


def json_lines(report: Report) -> Iterator[str]:
    """As one JSON object."""
    yield json.dumps(
        {
            "files": report.files,
            "errors": report.count(Severity.ERROR),
            "warnings": report.count(Severity.WARNING),
            "allowed": report.allowed,
            "findings": [finding_json(one) for one in report.findings],
        }
    )


def sarif_lines(report: Report) -> Iterator[str]:
    """As SARIF 2.1.0, which code scanning reads."""
    from importlib.metadata import metadata, version  # only this form needs to know

    home = _home(metadata("crossfade").get_all("Project-URL") or ())
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.id.replace("-", " ")},
            "help": {"text": f"{PAGES}/{rule.page}.md"},
            **({"helpUri": f"{home}/{PAGES}/{rule.page}.md"} if home else {}),
            "defaultConfiguration": {"level": str(rule.severity)},
        }
        for rule in RULES.values()
    ]
    order = {rule: index for index, rule in enumerate(RULES)}
    results = [
        {
            "ruleId": one.rule.id,
            "ruleIndex": order[one.rule.id],
            "level": str(one.severity),
            "message": {"text": f"{one.problem}\n{one.why}\nStaged form:\n{one.staged}\ncrossfade: {one.engine}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": one.file.replace("\\", "/")},
                        "region": {"startLine": one.line, "startColumn": one.column},
                    }
                }
            ],
        }
        for one in report.findings
    ]
    driver = {"name": "crossfade", "version": version("crossfade"), "rules": rules}
    yield json.dumps(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
        }
    )


def _home(addresses: Sequence[str]) -> str:
    """Where the documentation stands, if the installed package says so: SARIF takes absolute addresses only."""
    for one in addresses:
        label, _, address = str(one).partition(", ")
        if label == "Documentation":
            return address.rstrip("/")
    return ""


def github_lines(report: Report) -> Iterator[str]:
    """As workflow commands, which GitHub shows beside the lines of a pull request."""
    for one in report.findings:
        text = f"{one.problem}\n{one.why}\nStaged form:\n{one.staged}"
        place = f"file={_property(one.file)},line={one.line},col={one.column},title={_property(one.rule.id)}"
        yield f"::{one.severity} {place}::{_escaped(text)}"
    yield summary(report)


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


OUTPUTS: dict[str, Callable[[Report], Iterator[str]]] = {
    "text": text_lines,
    "json": json_lines,
    "sarif": sarif_lines,
    "github": github_lines,
}
