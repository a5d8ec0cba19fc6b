"""The SQL of the journal, read from .sql files: one named block a query.

Rule: a block starts with a line `-- name --`; comment lines after it describe it; the rest, up to the next
such line, is the query. Code names a query and never spells one.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString

_NAME = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)


def parse(text: str) -> dict[str, str]:
    """Split `-- name --` blocks; comments are left out of the queries."""
    parts = _NAME.split(text)
    names, bodies = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        raise ValueError("two queries have the same name")
    queries = {name: _without_comments(body) for name, body in zip(names, bodies, strict=True)}
    empty = [name for name, query in queries.items() if not query]
    if empty or _without_comments(parts[0]):
        raise ValueError(f"a query without a name, or a name without a query: {empty}")
    return queries


def _without_comments(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--")).strip()


@cache
def _queries() -> dict[str, str]:
    return parse(read("queries.sql"))


def query(name: str) -> LiteralString:
    """The query called `name`. Its text is part of the program, never of its input."""
    return _queries()[name]


def read(name: str) -> LiteralString:
    """A file of this package, as text."""
    return files("crossfade.journal").joinpath(name).read_text(encoding="utf-8")


def migrations() -> list[str]:
    """The names of all migrations, in the order they apply."""
    found = files("crossfade.journal").joinpath("migrations").iterdir()
    return sorted(entry.name for entry in found if entry.name.endswith(".sql"))
