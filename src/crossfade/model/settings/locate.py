"""Find the line of each key of a TOML document; `tomllib` gives values without lines.

Rule: only text that `tomllib` has accepted is scanned, so this reader checks nothing: it skips values and
notes where keys stand. What is not found (a key that is missing) is answered with the line of the nearest
table around it.

Invariant: for every path of the parsed document there is a line, and it is the line on which the path's
last key is first written (a property test compares it with generated documents).
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left

from crossfade.model.settings.problem import KeyPath

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # up to two quotes may stand before the closing three
    r"|'''(?:.*?)'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]+")


class Lines:
    """Where each key of one document stands."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._ends = [at for at, char in enumerate(self._text) if char == "\n"]
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._counts: dict[KeyPath, int] = {}  # of each array of tables: how many were seen
        self._document()

    def of(self, path: KeyPath) -> int:
        """The line of the key, or of the nearest table around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def known(self) -> dict[KeyPath, int]:
        """Every path with its line."""
        return dict(self._lines)

    def _document(self) -> None:
        table: KeyPath = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        names = self._key()
        path: KeyPath = ()
        for number, name in enumerate(names):
            path = (*path, name)
            if array and number == len(names) - 1:
                self._note(path)
                self._counts[path] = self._counts.get(path, 0) + 1
                path = (*path, self._counts[path] - 1)
            elif path in self._counts:
                path = (*path, self._counts[path] - 1)
            self._note(path)
        self._at = self._text.index("]", self._at) + (2 if array else 1)
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        for name in self._key():
            path = (*path, name)
            self._note(path)
        self._at = self._text.index("=", self._at) + 1
        self._value(path)

    def _key(self) -> list[str]:
        names: list[str] = []
        while True:
            self._skip(_SPACE)
            if self._text[self._at] in "\"'":
                names.append(self._quoted())
            else:
                bare = _BARE.match(self._text, self._at)
                assert bare is not None, self._text[self._at : self._at + 20]
                names.append(bare.group())
                self._at = bare.end()
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _quoted(self) -> str:
        start = self._at
        self._skip(_STRING)
        return str(tomllib.loads("x = " + self._text[start : self._at])["x"])

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        opening = self._text[self._at]
        if opening == "[":
            self._elements(path)
        elif opening == "{":
            self._inline(path)
        elif opening in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _elements(self, path: KeyPath) -> None:
        self._at += 1
        number = 0
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "]":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._note((*path, number))
            self._value((*path, number))
            number += 1

    def _inline(self, path: KeyPath) -> None:
        self._at += 1
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "}":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._pair(path)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()

    def _note(self, path: KeyPath) -> None:
        self._lines.setdefault(path, bisect_left(self._ends, self._at) + 1)
