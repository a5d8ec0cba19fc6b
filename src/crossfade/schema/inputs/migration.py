"""A migration: a name, and the SQL texts that make it, each with the place it came from.

Rule: a text keeps the lines of its original, so that a line of it is a line of the file. What is not to be read
(another section, a command of psql) is blanked, never cut out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One SQL text: a file, standard input, or what a tool printed."""

    name: str  # as people find it again: "migrations/7.sql", "<stdin>", "alembic 3f2a:5b6c"
    text: str


@dataclass(frozen=True)
class Migration:
    """One change of a history: what its tool applies at once."""

    name: str
    sources: Sequence[Source]


def blanked(text: str) -> str:
    """As many lines as the text, with nothing on them."""
    return re.sub(r"[^\n]", " ", text)


def all_sources(migrations: Sequence[Migration]) -> list[Source]:
    """The texts of several migrations in order, to be read as one net change."""
    return [source for migration in migrations for source in migration.sources]
