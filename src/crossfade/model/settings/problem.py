"""One thing that is wrong with the file: where, and what.

Invariant: a problem names a line that exists, and the key as a person would type it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]


def dotted(path: KeyPath) -> str:
    """The path as people write it: `endpoint[0].smoke.path`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if part.replace("-", "").replace("_", "").isalnum() else f'"{part}"'
            text += f".{name}" if text else name
    return text


@dataclass(frozen=True)
class Problem:
    """What is wrong at one key. `path` is empty where the file as a whole is meant."""

    path: KeyPath
    what: str
    line: int = 1

    def render(self, file: str) -> str:
        """The problem in one line, in the form editors can jump to."""
        where = f" {dotted(self.path)}:" if self.path else ""
        return f"{file}:{self.line}:{where} {self.what}"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?`, or nothing where nothing is near."""
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""
