r"""What a text holds besides the SQL that is to run: commands of psql, and sections for the way back.

Rule: what changes nothing is blanked, so that every line keeps its number; what would change which SQL runs is
refused with its line. Looked for only where it counts: not inside quotes, dollar quotes or comments.

Sections: dbmate (`-- migrate:up`), goose (`-- +goose Up`), sql-migrate (`-- +migrate Up`), rambler (`-- rambler up`),
node-pg-migrate (`-- Up Migration`). The way back is crossfade's own and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.inputs.migration import blanked

_SECTION = re.compile(
    r"--\s*(?:(?:migrate:|\+goose\s+|\+migrate\s+|rambler\s+)(up|down)\b|(up|down) migration\b)", re.IGNORECASE
)
_COPY = re.compile(r"^[ \t]*COPY\s[^;]*\bFROM\s+STDIN\b[^;]*;", re.IGNORECASE | re.MULTILINE)
_OUTSIDE = re.compile(
    r"""--[^\n]*
    | /\*
    | (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?<![\w$])\$((?:[^\W\d]\w*)?)\$.*?\$\1\$
    | \\[^\n]*
    """,
    re.DOTALL | re.VERBOSE,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_HARMLESS = re.compile(
    r"unset|q?echo|warn|timing|pset|[xtafCHTpoldz]|conninfo|errverbose|(un)?restrict|print|out|list|s[fv]|d[A-Za-z]*"
)
_REFUSED = {
    "set": ("variables of psql are not filled in", "write the values where they belong"),
    "encoding": ("every text is read as UTF-8", "save the file as UTF-8 and take this out"),
    "i": ("it reads another file", "point at that file, too, in its place among the others"),
    "c": ("it goes to another database", "write what each database gets into a file of its own"),
    "copy": ("it sends rows that are not in this file", "load them by hand, between two releases"),
    "g": ("what it does with the statement is known to psql alone", "end the statement with ;"),
    "if": ("which statements run is known to psql alone", "write a file for each case"),
    "!": ("it runs a program", "run it by hand, before or after"),
    ".": ("the rows below it are for psql", "write them as INSERT .. VALUES, or load them by hand"),
}
_SAME = {
    **dict.fromkeys(("ir", "include", "include_relative"), "i"),
    **dict.fromkeys(("connect",), "c"),
    **dict.fromkeys(("gx", "gset", "gexec", "gdesc", "bind", "parse", "watch", "crosstabview"), "g"),
    **dict.fromkeys(("elif", "else", "endif"), "if"),
}
_UNKNOWN = ("what it does to the statements is not known", "take it out of the file")


def cleaned(name: str, text: str) -> str:
    """The text with all but its SQL blanked. Raises `input-psql` with the line."""
    marked = _SECTION.search(text) is not None
    if "\\" not in text and not marked:
        return text
    if re.search(r"^\\\.\s*$", text, re.MULTILINE) and (copy := _COPY.search(text)):
        raise _refused(name, text, copy.start() + len(copy[0]) - len(copy[0].lstrip()), "COPY .. FROM STDIN", ".")
    pieces: list[str] = []
    read, forward = 0, True
    for start, end in _tokens(text):
        token = text[start:end]
        section = _SECTION.match(token) if marked else None
        if section is None and (not token.startswith("\\") or not forward):
            continue
        kept = text[read:start]
        pieces.append(kept if forward else blanked(kept))
        if section is not None:
            forward = (section[1] or section[2]).lower() == "up"
            pieces.append(token)
        else:
            _harmless(name, text, start, token)
            pieces.append(blanked(token))
        read = end
    pieces.append(text[read:] if forward else blanked(text[read:]))
    return "".join(pieces)


def _tokens(text: str) -> Iterator[tuple[int, int]]:
    """Where comments, quoted texts and commands of psql begin and end."""
    at = 0
    while found := _OUTSIDE.search(text, at):
        end = found.end()
        depth = 1 if found[0] == "/*" else 0
        while depth and (edge := _BLOCK_EDGE.search(text, end)):
            depth += 1 if edge[0] == "/*" else -1
            end = edge.end()
        yield found.start(), end
        at = end


def _harmless(name: str, text: str, at: int, token: str) -> None:
    said = re.match(r"\\([A-Za-z_]+|.)?\+?[ \t]*(\S*)", token)
    command, word = (said[1] or "", said[2]) if said else ("", "")
    if _HARMLESS.fullmatch(command):
        return
    if command == "set" and word == word.upper():  # psql's own: ON_ERROR_STOP, QUIET
        return
    if command == "encoding" and word.strip("'\";").lower().replace("-", "") in ("utf8", "unicode"):
        return
    raise _refused(name, text, at, token.split("\r")[0].strip(), _SAME.get(command, command))


def _refused(name: str, text: str, at: int, told: str, why: str) -> CrossfadeError:
    line = text.count("\n", 0, at) + 1
    reason, way = _REFUSED.get(why, _UNKNOWN)
    return fail("input-psql", where=f"{name}:{line}", command=told, reason=reason, way=way)
