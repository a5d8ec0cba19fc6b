"""The SQL of a migration out of a Rails log, which is the only place where Rails shows it.

Rule: lines stay where they are. Reads that Rails makes for itself (SCHEMA, Load, advisory locks) and what is no SQL
are blanked; bound values are written where they belong, because a log shows `$1` and `[["version", "7"]]` apart.

    D, [2024-05-01T10:00:00.000000 #1] DEBUG -- :    (1.3ms)  ALTER TABLE "orders" ADD "note" character varying
"""

from __future__ import annotations

import json
import re

from crossfade.schema.inputs.migration import blanked

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_STAMP = r"(?:[DIWEF], \[[^\]]*\]\s+[A-Z]+ -- : ?)?"
_LOGGED = re.compile(rf"^{_STAMP}\s*(?P<name>\S[^(\n]*?)?\s*\(\d+\.\d+ms\)\s+(?P<sql>\S.*)$")
_OTHER = re.compile(rf"^(?:{_STAMP}\s*(?:↳|==|-- \w+\(|-> |Migrating to|Rolling back)|[DIWEF], \[)")
_OWN_READ = re.compile(r"(SCHEMA|CACHE|.* (Load|Exists\?|Pluck|Count))")
_LOCK = re.compile(r"SELECT pg_(try_)?advisory_(un)?lock", re.IGNORECASE)
_BOUND = re.compile(r"\s*(\[\[.*\]\])\s*$")


def is_rails_log(text: str) -> bool:
    """Whether a text is a Rails log: one line of it is a statement with the time that it took."""
    return "ms)" in text and any(_LOGGED.match(_COLOUR.sub("", line)) for line in text.splitlines())


def sql_of_log(text: str) -> str:
    """The statements of a log, on the lines where they stand."""
    lines: list[str] = []
    last = -1  # the line where the statement that is open ends; -1: none is
    for number, coloured in enumerate(text.split("\n")):
        line = _COLOUR.sub("", coloured).rstrip()
        logged = _LOGGED.match(line)
        if logged or _OTHER.match(line) or (not line and last < 0):
            if last >= 0:
                lines[last] = _ended(lines[last])
            last = -1
            own = logged and (_OWN_READ.fullmatch((logged["name"] or "").strip()) or _LOCK.match(logged["sql"]))
            if not logged or own:
                lines.append("")
                continue
            lines.append(blanked(line[: logged.start("sql")]) + logged["sql"])
            last = number
        elif last >= 0:
            lines.append(line)
            last = number
        else:
            lines.append("")
    if last >= 0:
        lines[last] = _ended(lines[last])
    return "\n".join(lines)


def _ended(line: str) -> str:
    if bound := _BOUND.search(line):
        try:
            values = [value for _, value in json.loads(bound[1])]
        except ValueError:
            values = []
        line = line[: bound.start()] if values else line
        for number, value in reversed(list(enumerate(values, 1))):
            line = _literal(value).join(re.split(rf"\${number}(?!\d)", line))
    return line.rstrip().rstrip(";") + ";"


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    text = str(value).replace("'", "''")
    return f"'{text}'"
