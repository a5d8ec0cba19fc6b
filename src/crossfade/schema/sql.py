"""The SQL of the schema engine, read from the .sql files beside this module: one named block a query.

Rule: a block starts with a line `-- name --`; comment lines after it describe it; the rest, up to the next such
line, is the query. Code names a query and never spells one. Names are unique over all files.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString

from psycopg import sql

_NAME = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)


def query(name: str) -> LiteralString:
    """The query called `name`. Its text is part of the program, never of its input."""
    return _queries()[name]


def rendered(text: str) -> sql.SQL:
    """A piece of SQL that a plan rendered: its identifiers are quoted already."""
    return sql.SQL(text)


@cache
def _queries() -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in files("crossfade.schema").iterdir():
        if not entry.name.endswith(".sql"):
            continue
        parts = _NAME.split(entry.read_text(encoding="utf-8"))
        for name, body in zip(parts[1::2], parts[2::2], strict=True):
            assert name not in found, f"two queries are called {name}"
            lines = [line for line in body.splitlines() if not line.lstrip().startswith("--")]
            found[name] = "\n".join(lines).strip()
    return found
