"""The error catalogue: every failure a user can meet, and how it is raised and told.

Rule: a user never sees a traceback. Whatever goes wrong on their side or in their world is one row of the
catalogue, raised with `fail(id, **facts)`; line one says what happened, the indented lines give the facts that
were used, `hint:` says what to do next. Anything else is our bug, exit code 70, and asks for a report.

Invariant: ids are stable, unique and named after what happened; each row is reached by a test that
asserts its whole text (tests/unit/test_errors.py finds rows without one).

The rows live in `model/catalogue/`, one file an area. Add yours there, not here.
"""

from __future__ import annotations

from crossfade.model.catalogue import ALL_ROWS
from crossfade.model.catalogue.kind import EXIT_MEANINGS, Exit, Kind

__all__ = ["CATALOGUE", "EXIT_MEANINGS", "CrossfadeError", "Exit", "Kind", "fail"]

CATALOGUE: dict[str, Kind] = {row.id: row for row in ALL_ROWS}
assert len(CATALOGUE) == len(ALL_ROWS), "error ids must be unique"


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


def fail(id: str, **facts: object) -> CrossfadeError:
    """Build the catalogue error `id` with its facts; the caller raises it (`raise fail(...) from exc`)."""
    kind = CATALOGUE[id]
    error = CrossfadeError(kind, facts)
    error.render()  # a missing fact is our bug and shows here, not at three in the morning
    return error
