"""Read `crossfade.toml`: text in, a checked `Config` out, or every problem of the file at once.

Rule: all problems are found in one pass and are reported in the order of their lines; a document that is
not TOML has one problem. Pure: reading the file from disk is the caller's business.

Invariant: a `Config` leaves this module only where nothing at all was found.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from crossfade.model.contradictions import contradictions
from crossfade.model.errors import fail
from crossfade.model.requirement import Config
from crossfade.model.settings.alone import SchemaFile
from crossfade.model.settings.cross import cross_findings
from crossfade.model.settings.locate import Lines
from crossfade.model.settings.problem import KeyPath, Problem
from crossfade.model.settings.read import Reader, home_of_keys
from crossfade.model.settings.rules import RULES

_RESERVED = {"flags": "is reserved for feature flags, which this version does not have; take it out"}


@dataclass(frozen=True)
class Reading:
    """What reading a file gave: a config, unless a problem left a hole, and all problems."""

    config: Config | None
    problems: Sequence[Problem]


def parse_config(text: str, file: str = "crossfade.toml", today: date | None = None) -> Config:
    """Read and check. Raises `config-invalid` with all problems. `today` decides which waivers still count."""
    reading = read_config(text, today)
    if reading.config is None or reading.problems:
        raise invalid(file, reading.problems)
    return reading.config


def parse_schema_file(text: str, file: str = "crossfade.toml") -> SchemaFile | None:
    """Read a file that tells of no service; None where it describes one. Raises `config-invalid`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise invalid(file, [_syntax(text, str(exc))]) from None
    if {"process", "endpoint"} & raw.keys():
        return None
    reader = Reader(home_of_keys(Config), RULES)
    found: SchemaFile | None = reader.table(SchemaFile, raw, ())
    problems = list(reader.problems)
    if found is not None and len(found.databases) > 1:
        problems.append(Problem(("database",), f"has {len(found.databases)} tables; this version walks one database"))
    if found is None or problems:
        lines = Lines(text)
        raise invalid(file, sorted((replace(p, line=lines.of(p.path)) for p in problems), key=lambda p: p.line))
    return found


def invalid(file: str, problems: Sequence[Problem]) -> Exception:
    """The catalogue error for these problems."""
    listing = "\n".join(problem.render(file) for problem in problems)
    word = "problem" if len(problems) == 1 else "problems"
    return fail("config-invalid", file=file, count=len(problems), problems=word, listing=listing)


def read_config(text: str, today: date | None = None) -> Reading:
    """Read and check without raising, for those who print problems in their own form."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        return Reading(None, [_syntax(text, str(exc))])
    lines = Lines(text)
    reader = Reader(home_of_keys(Config), RULES)
    reserved = [Problem((name,), what) for name, what in _RESERVED.items() if name in raw]
    config: Config | None = reader.table(Config, {k: v for k, v in raw.items() if k not in _RESERVED}, ())
    problems = [*reserved, *reader.problems]
    if config is not None:
        problems += _unsaid(cross_findings(config), problems)
        found = contradictions(config, today)
        problems += [
            Problem(item.path, item.what) for item in found if not any(_touches(key, problems) for key in item.keys)
        ]
    placed = sorted((replace(p, line=lines.of(p.path)) for p in problems), key=lambda p: p.line)
    return Reading(config, placed)


def _unsaid(findings: Iterable[tuple[KeyPath, str]], problems: Sequence[Problem]) -> list[Problem]:
    return [Problem(path, what) for path, what in findings if not _touches(path, problems)]


def _touches(path: KeyPath, problems: Sequence[Problem]) -> bool:
    """Whether something at, in or around the key is wrong already, so that what follows from it is noise."""
    return any(path[: len(p.path)] == p.path or p.path[: len(path)] == path for p in problems)


def _syntax(text: str, said: str) -> Problem:
    found = re.search(r"\s*\(at line (\d+), column (\d+)\)", said)
    if found is None:
        end = max(1, len(text.splitlines()))
        return Problem((), f"is not TOML: {_lower(said.replace(' (at end of document)', ''))} at the end", end)
    reason = _lower(said[: found.start()])
    return Problem((), f"is not TOML: {reason} (column {found.group(2)})", int(found.group(1)))


def _lower(said: str) -> str:
    return said[:1].lower() + said[1:]
