"""The description of one key of `crossfade.toml`, carried as metadata of a dataclass field.

Invariant: every field of every settings dataclass has a sentence; a field without a default is a required
key; an example satisfies the bounds it is printed next to (tests/unit/test_config_example.py).
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import date
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

_META = "setting"


@dataclass(frozen=True)
class Setting:
    """What is known about a key besides its type."""

    doc: str
    key: str = ""  # the key in the file, where it differs from the field's name
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    example: Any = None  # shown instead of the default; required keys have one
    from_table_name: bool = False  # the value is the last part of the table's header


def setting(doc: str, *, default: Any = MISSING, **more: Any) -> Any:
    """Declare a key: `name: str = setting("What it is.", example="shop")`."""
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={_META: Setting(doc, **more)})
    return field(default=default, metadata={_META: Setting(doc, **more)})


@dataclass(frozen=True)
class Key:
    """One key of a table, with everything the parser and the writers of pages need."""

    field_name: str
    name: str  # as written in the file
    kind: str  # text, flag, whole, number, date, list, map, table, tables, named
    of: Any  # the element kind of a list, or the dataclass of a table
    required: bool
    default: Any
    about: Setting

    @property
    def is_table(self) -> bool:
        """Whether the key is written as a table of its own."""
        return self.kind in ("table", "tables", "named")


@cache
def keys_of(cls: type) -> tuple[Key, ...]:
    """The keys of a settings dataclass, in the order in which they are written."""
    return tuple(_keys(cls))


def _keys(cls: type) -> Iterator[Key]:
    hints = get_type_hints(cls)
    for item in fields(cls):
        about = item.metadata[_META]
        kind, of = _kind(hints[item.name])
        default = _default(item)
        yield Key(
            item.name,
            about.key or item.name,
            kind,
            of,
            default is MISSING,
            None if default is MISSING else default,
            about,
        )


def _default(item: Field[Any]) -> Any:
    return item.default_factory() if item.default_factory is not MISSING else item.default


_SCALARS: Mapping[Any, str] = {str: "text", bool: "flag", int: "whole", float: "number", date: "date"}


def _kind(hint: Any) -> tuple[str, Any]:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(arg for arg in get_args(hint) if arg is not type(None))
    if hint in _SCALARS:
        return _SCALARS[hint], None
    if is_dataclass(hint):
        return "table", hint
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple:
        return ("tables", args[0]) if is_dataclass(args[0]) else ("list", _SCALARS[args[0]])
    assert origin is not None, hint
    assert issubclass(origin, Mapping), hint
    return ("named", args[1]) if is_dataclass(args[1]) else ("map", _SCALARS[args[1]])
