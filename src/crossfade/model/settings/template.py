"""Placeholders in commands, environments and URLs: `{port}`, `{database.main}`; `{{` is a brace.

Rule: only a name in braces is a placeholder, so JSON and shell text pass through untouched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([a-z_][a-z0-9_.-]*)\}")

IN_PROCESS = ("port", "host", "directory", "version", "slot", "instance", "service", "environment")


def placeholders(text: str) -> list[str]:
    """The names in braces, in order."""
    return [found.group(1) for found in _PLACEHOLDER.finditer(text) if found.group(1)]


def expand(text: str, values: Mapping[str, str]) -> str:
    """Fill in every placeholder. Raises KeyError with a name that has no value."""

    def one(found: re.Match[str]) -> str:
        name = found.group(1)
        return values[name] if name else found.group()[0]

    return _PLACEHOLDER.sub(one, text)
