"""Write values as TOML; the standard library only reads it.

Invariant: what is written here, `tomllib` reads back as the same value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def toml_value(value: Any) -> str:
    """A value as TOML, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, float):
        return f"{value:.12f}".rstrip("0").rstrip(".")  # bounds and examples; none needs more places
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    return str(value)


def toml_key(name: str) -> str:
    """A key as TOML, quoted where it must be."""
    return name if name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name) else _quote(name)


def _quote(text: str) -> str:
    plain = "".join(c if c.isprintable() and c not in '"\\' else _escape(c) for c in text)
    return f'"{plain}"'


def _escape(char: str) -> str:
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return short.get(char) or (f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
