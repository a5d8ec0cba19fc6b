"""The error catalogue: every failure a user can meet, in one table.

Rule: a user never sees a traceback. Whatever goes wrong on their side or in their world is one row here,
raised with `fail(id, **facts)`; line one says what happened, the indented lines give the facts that were
used, `hint:` says what to do next. Anything else is our bug, exit code 70, and asks for a report.

Invariant: ids are stable, unique and named after what happened; each row is reached by a test that
asserts its whole text (tests/unit/test_errors.py finds rows without one).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command; a contract, printed by `crossfade --help`."""

    DONE = 0
    NOT_MET = 1
    USAGE = 2
    CONFIG = 3
    INCONCLUSIVE = 4
    HELD_BY_OTHER = 5
    UNREACHABLE = 6
    BUG = 70


EXIT_MEANINGS: dict[Exit, str] = {
    Exit.DONE: "done, or the requirement is met",
    Exit.NOT_MET: "the requirement is not met, or the release was rolled back",
    Exit.USAGE: "the command line was not understood",
    Exit.CONFIG: "crossfade.toml is invalid or contradicts itself",
    Exit.INCONCLUSIVE: "not enough is known to say yes or no; nothing was advanced",
    Exit.HELD_BY_OTHER: "another walker or another release holds the service",
    Exit.UNREACHABLE: "a part of the environment could not be reached",
    Exit.BUG: "a bug in crossfade; please report it",
}


@dataclass(frozen=True)
class Kind:
    """One row of the catalogue. `message`, `facts` and `hint` are `str.format` templates over the facts."""

    id: str
    exit: Exit
    message: str
    facts: str
    hint: str


class CrossfadeError(Exception):
    """A failure from the catalogue, with its facts as attributes of `facts`."""

    def __init__(self, kind: Kind, facts: dict[str, object]) -> None:
        self.kind = kind
        self.facts = facts
        super().__init__(self.message)

    @property
    def id(self) -> str:
        """The catalogue id, stable across versions."""
        return self.kind.id

    @property
    def exit(self) -> Exit:
        """The exit code the command line ends with."""
        return self.kind.exit

    @property
    def message(self) -> str:
        """Line one: what happened."""
        return self.kind.message.format(**self.facts)

    @property
    def hint(self) -> str:
        """What to do next, a command where there is one."""
        return self.kind.hint.format(**self.facts)

    def render(self) -> str:
        """The whole text a person reads: message, indented facts, hint, id."""
        lines = [f"error[{self.id}]: {self.message}"]
        detail = self.kind.facts.format(**self.facts)
        lines += [f"  {line}" for line in detail.splitlines() if line.strip()]
        lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


def _rows(*rows: Kind) -> dict[str, Kind]:
    table = {row.id: row for row in rows}
    assert len(table) == len(rows), "error ids must be unique"
    return table


def fail(id: str, **facts: object) -> CrossfadeError:
    """Build the catalogue error `id` with its facts; the caller raises it (`raise fail(...) from exc`)."""
    kind = CATALOGUE[id]
    error = CrossfadeError(kind, facts)
    error.render()  # a missing fact is our bug and shows here, not at three in the morning
    return error


CATALOGUE: dict[str, Kind] = _rows(
    # -- configuration ------------------------------------------------------------------------------
    Kind(
        "config-missing",
        Exit.CONFIG,
        "no crossfade.toml in {directory}",
        "looked in: {directory} and its parents",
        "crossfade init",
    ),
    Kind(
        "config-invalid",
        Exit.CONFIG,
        "{file} has {count} {problems}",
        "{listing}",
        "mend the lines named above, then: crossfade check",
    ),
    Kind(
        "config-exists",
        Exit.CONFIG,
        "{file} exists already; nothing was written",
        "",
        "edit it, then: crossfade check",
    ),
    # -- parts of the environment -------------------------------------------------------------------
    Kind(
        "part-not-found",
        Exit.UNREACHABLE,
        "{part} was not found",
        "looked for: {looked_for}",
        "{remedy}",
    ),
    Kind(
        "part-did-not-start",
        Exit.UNREACHABLE,
        "{part} did not start within {waited_s} s",
        "its last lines ({log}):\n{tail}",
        "crossfade doctor",
    ),
    # -- the demo -----------------------------------------------------------------------------------
    Kind(
        "load-ended-early",
        Exit.UNREACHABLE,
        "the load generator ended by itself with exit code {code}",
        "its last lines ({log}):\n{tail}",
        "crossfade doctor",
    ),
)
