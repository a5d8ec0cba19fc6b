"""Make a value fit for the journal: plain JSON that a spool line and a jsonb column both keep unchanged.

Rule: what cannot be stored is made storable where nothing is lost by it (a NUL or a lone surrogate in a
log tail becomes U+FFFD) and refused where it would be (NaN, an object): a row that the database refuses
because of one byte in a quoted log would stop a release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite


def storable(value: object) -> object:
    """Return `value` as plain JSON; raise TypeError or ValueError for what JSON cannot carry."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"a journal row cannot hold {value!r}")
        return value
    if isinstance(value, Mapping):
        return {_text(_key(key)): storable(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [storable(item) for item in value]
    raise TypeError(f"a journal row cannot hold a {type(value).__name__}")


def storable_mapping(value: Mapping[str, object]) -> dict[str, object]:
    """Return a whole mapping as plain JSON."""
    plain = storable(value)
    assert isinstance(plain, dict)
    return plain


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a journal row's keys are strings, not {type(key).__name__}")
    return key


def _text(text: str) -> str:
    clean = str.__str__(text).replace("\0", "\ufffd")
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in clean) if not clean.isascii() else clean
