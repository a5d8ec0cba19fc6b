"""What one row of the error catalogue says, and the exit codes a row may end a command with.

Rule: the exit codes are a contract with scripts; one is never given another meaning.
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
