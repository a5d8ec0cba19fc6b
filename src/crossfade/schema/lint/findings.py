"""Files in, findings out: walks an ordered history once, statement by statement.

Rule: a statement is judged by what was known before it, then taught. A finding that a comment allows with a reason is
counted and not shown; a comment that allows nothing is a finding itself. No database is asked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from crossfade.schema.lint import transactions
from crossfade.schema.lint.indexes import concurrently
from crossfade.schema.lint.known import Known, named
from crossfade.schema.lint.learning import creates, learn
from crossfade.schema.lint.rule import Hit, Rule, Severity
from crossfade.schema.lint.rules import ALLOW_UNCLEAR, ALLOW_UNUSED, FAMILIES, RULES, SYNTAX
from crossfade.schema.lint.step import Step
from crossfade.schema.parser import Located, Source, SyntaxFault, is_version_row, line_comments, locate, top_commas

PAGES = "docs/operations"
_ALLOW = re.compile(r"allow\s+(?P<rule>\S+)(?:\s+because\s+(?P<reason>\S.*))?$", re.DOTALL)


class Wrapped(StrEnum):
    """Whether the migration tool runs a file in one transaction."""

    AUTO = "auto"  # yes, unless the file has transactions of its own or does something CONCURRENTLY
    FILE = "file"
    NONE = "none"


@dataclass(frozen=True)
class Finding:
    """One finding, with its texts filled in."""

    rule: Rule
    severity: Severity
    file: str
    line: int
    column: int
    source: str  # the line as it stands
    facts: dict[str, str]

    @property
    def problem(self) -> str:
        """What happens, in one line."""
        return self.rule.problem.format(**self.facts)

    @property
    def why(self) -> str:
        """Which lock, what it blocks, for how long; or what breaks."""
        return self.rule.why.format(**self.facts)

    @property
    def staged(self) -> str:
        """The staged form, as SQL."""
        return self.rule.staged.format(**self.facts)

    @property
    def engine(self) -> str:
        """What crossfade does with it."""
        return self.rule.engine.format(**self.facts)

    @property
    def page(self) -> str:
        """The page of docs/operations that tells of it."""
        return self.facts.get("page", self.rule.page)

    @property
    def page_path(self) -> str:
        """Where that page stands in crossfade's documentation."""
        return f"{PAGES}/{self.page}.md"


@dataclass
class Report:
    """All that was found in some files."""

    files: int = 0
    allowed: int = 0
    findings: list[Finding] = field(default_factory=list)

    def count(self, severity: Severity) -> int:
        """How many findings of that severity."""
        return sum(one.severity is severity for one in self.findings)


@dataclass
class _Allowance:
    rule: str
    at: int
    used: bool = False


@dataclass
class _File:
    """One file while it is walked."""

    source: Source
    data: bytes
    report: Report
    allowances: list[_Allowance]

    def add(self, hit: Hit, at: int) -> None:
        """Report a finding at a byte of the file."""
        before = self.data[:at]
        start = before.rfind(b"\n") + 1
        line = before.count(b"\n") + 1
        column = len(before[start:].decode(errors="replace")) + 1
        text = self.data[start : self.line_end(at)].decode(errors="replace").rstrip()
        severity = hit.severity or hit.rule.severity
        self.report.findings.append(Finding(hit.rule, severity, self.source.name, line, column, text, hit.facts))

    def line_end(self, at: int) -> int:
        """Where the line of a byte ends."""
        end = self.data.find(b"\n", at)
        return end if end >= 0 else len(self.data)

    def line_of(self, at: int) -> int:
        """The line of a byte, from 1."""
        return self.data[:at].count(b"\n") + 1


def lint(
    sources: Sequence[Source],
    wrapped: Wrapped = Wrapped.AUTO,
    ignored: frozenset[str] = frozenset(),
    known: Known | None = None,
) -> Report:
    """Find what is wrong in files, in the order of the history. Pure; never raises for what a file holds."""
    report = Report()
    known = known or Known()
    for number, source in enumerate(sources, known.file + 1):
        _file(_File(source, source.text.encode(), report, []), number, known, wrapped)
        report.files += 1
    report.findings = [one for one in report.findings if one.rule.id not in ignored]
    return report


def _file(file: _File, number: int, known: Known, wrapped: Wrapped) -> None:
    try:
        statements = locate(file.source.text)
    except SyntaxFault as exc:
        file.add(Hit(SYNTAX, {"detail": str(exc)}), exc.at)
        return
    known.begin_file(number, {one for each in statements for one in _creates(each)})
    _read_allowances(file)
    held = transactions.Held()
    begun = -1
    end = 0
    for step in steps(statements, wrapped):
        if step.kind == "transaction_stmt":
            begun = _transaction(step, held, known, begun)
        else:
            _statement(file, step, known, held, end)
        end = file.line_end(step.end)
    if begun >= 0:
        file.add(Hit(transactions.NOT_ENDED, {}), begun)
    for one in file.allowances:
        if not one.used:
            file.add(Hit(ALLOW_UNUSED, {"rule": one.rule}), one.at)


def _creates(statement: Located) -> Iterator[tuple[str, str]]:
    yield from creates(statement.kind, statement.node)
    if statement.kind == "create_policy_stmt":
        yield "policy", named(statement.node.table)


def steps(statements: Sequence[Located], wrapped: Wrapped = Wrapped.AUTO) -> Iterator[Step]:
    """The statements, each with whether it shares a transaction with others."""
    controlled = any(one.kind == "transaction_stmt" for one in statements)
    apart = [bool(concurrently(Step(one.kind, one.node, one.start, one.end))) for one in statements]
    whole = wrapped is Wrapped.FILE or (wrapped is Wrapped.AUTO and not controlled and not any(apart))
    open_, utc = False, False
    for one in statements:
        if one.kind == "transaction_stmt":
            open_ = one.node.kind in _BEGINS or (open_ and one.node.kind not in _ENDS)
        step = Step(one.kind, one.node, one.start, one.end, together=open_ or whole, utc=utc)
        zone = transactions.sets_limit(step, "timezone")
        utc = utc if zone is None else zone.upper() in ("UTC", "ETC/UTC", "GMT", "0")
        yield step


_BEGINS = (1, 2)  # BEGIN, START TRANSACTION
_ENDS = (3, 4, 8, 9, 10)  # COMMIT, ROLLBACK, PREPARE, COMMIT PREPARED, ROLLBACK PREPARED


def _transaction(step: Step, held: transactions.Held, known: Known, begun: int) -> int:
    if step.node.kind in _BEGINS:
        return begun if begun >= 0 else step.start
    if step.node.kind in _ENDS:
        held.locks.clear()
        known.end_transaction()
        return -1
    return begun


def _statement(file: _File, step: Step, known: Known, held: transactions.Held, after: int) -> None:
    if is_version_row(step.kind, step.node):
        return
    limit = transactions.sets_limit(step, "lock_timeout")
    if limit is not None:
        held.limited = limit.rstrip("smin ") not in ("0", "")
    hits = [hit for family in FAMILIES for hit in family.check(step, known)]
    hits += transactions.check(step, known, held, file.line_of(step.start))
    near = [one for one in file.allowances if after <= one.at < file.line_end(step.end)]
    starts: Sequence[int] = ()
    for hit in hits:
        allowance = next((one for one in near if one.rule == hit.rule.id), None)
        if allowance is not None:
            allowance.used = True
            file.report.allowed += 1
            continue
        if hit.action and not starts:
            starts = top_commas(file.data[step.start : step.end].decode())
        at = step.start + starts[hit.action - 1] if hit.action and hit.action <= len(starts) else step.start
        file.add(hit, at)
    learn(step.kind, step.node, known)
    if not step.together:
        known.end_transaction()


def _read_allowances(file: _File) -> None:
    if "crossfade" not in file.source.text:
        return
    for at, text in line_comments(file.source.text):
        if text.split(None, 1)[:1] != ["allow"]:
            continue
        match = _ALLOW.match(text)
        rule = match["rule"] if match else ""
        if rule not in RULES:
            near = difflib.get_close_matches(rule, RULES, 1)
            problem = f"there is no rule {rule!r}" + (f"; did you mean {near[0]}?" if near else "")
        elif match and not match["reason"]:
            problem = "it gives no reason"
        else:
            file.allowances.append(_Allowance(rule, at))
            continue
        file.add(Hit(ALLOW_UNCLEAR, {"problem": problem}), at)
