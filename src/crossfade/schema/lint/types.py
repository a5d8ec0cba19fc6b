"""Types as a migration writes them, and whether a column goes from one to another without a rewrite.

Rule: held against the server by a test, which alters a column of each of these types to each other one and asks
whether the table was written anew. What is not known here is said to be unknown, never guessed.
PostgreSQL manual: ALTER TABLE, "Notes"; CREATE CAST, "binary coercible".
"""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.schema.parser import Node, words

_NAMES = {
    "int2": "smallint",
    "int4": "integer",
    "int": "integer",
    "int8": "bigint",
    "bool": "boolean",
    "float4": "real",
    "float8": "double precision",
    "bpchar": "character",
    "decimal": "numeric",
}
SERIAL = {"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"}
_SERIAL_AS = {"serial": "integer", "serial4": "integer", "bigserial": "bigint", "serial8": "bigint"}
_BUILT_IN = {
    *("smallint", "integer", "bigint", "boolean", "real", "double precision", "numeric", "money", "oid"),
    *("character", "varchar", "text", "name", "bytea", "bit", "varbit", "uuid", "json", "jsonb", "xml"),
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval", "inet", "cidr", "macaddr", "tsvector"),
}
_PRECISE = {"time", "timetz", "timestamp", "timestamptz"}
_PRECISION_MAX = 6


@dataclass(frozen=True)
class SqlType:
    """A type's name without its schema, its modifiers, and whether it is an array."""

    name: str
    mods: tuple[int, ...] = ()
    array: bool = False

    def __str__(self) -> str:
        """As SQL writes it."""
        mods = f"({', '.join(map(str, self.mods))})" if self.mods else ""
        return f"{self.name}{mods}{'[]' if self.array else ''}"

    @property
    def built_in(self) -> bool:
        """Whether it is one of PostgreSQL's own that are known here."""
        return self.name in _BUILT_IN


def read_type(type_name: Node) -> SqlType:
    """The type that a tree names; a serial's is the integer it stands for."""
    raw = words(type_name.names)[-1] if type_name.names else ""
    mods = tuple(one.a_const.ival.ival for one in type_name.typmods if one.WhichOneof("node") == "a_const")
    name = _SERIAL_AS.get(raw, "smallint" if raw in SERIAL else _NAMES.get(raw, raw))
    if name == "interval" and len(mods) == 1:  # which fields, not how precise
        mods = (*mods, _PRECISION_MAX)
    return SqlType(name, mods, bool(type_name.array_bounds))


def is_serial(type_name: Node) -> bool:
    """Whether it is the short form for an integer with a sequence of its own."""
    parts = words(type_name.names)
    return len(parts) == 1 and parts[0] in SERIAL


def in_place(old: SqlType | None, new: SqlType, utc: bool = False) -> bool | None:
    """Whether the rows stay as they are; None where the file does not show it. `utc`: the session's time zone."""
    if old is None:
        return None
    if old == new:
        return True
    if old.array or new.array or not (old.built_in and new.built_in):
        return None if not (old.built_in and new.built_in) else old.array == new.array and _text_like(old, new)
    return _text_like(old, new) or _widens(old, new) or (utc and _zoned(old, new))


def _text_like(old: SqlType, new: SqlType) -> bool:
    if old.name not in ("varchar", "text"):
        return old.name == "xml" and new.name in ("text", "varchar") and not new.mods
    if new.name == "text":
        return True
    if new.name != "varchar":
        return False
    return not new.mods or (old.name == "varchar" and bool(old.mods) and new.mods >= old.mods)


def _widens(old: SqlType, new: SqlType) -> bool:
    if (old.name, new.name) in (("cidr", "inet"), ("bit", "varbit")):
        return not new.mods
    if old.name != new.name:
        return False
    if old.name == "varbit":
        return not new.mods or (bool(old.mods) and new.mods >= old.mods)
    if old.name == "numeric":
        if not new.mods:
            return True
        before, after = (*old.mods, 0)[:2], (*new.mods, 0)[:2]
        return bool(old.mods) and before[1] == after[1] and after[0] >= before[0]
    if old.name in _PRECISE:
        return (new.mods or (_PRECISION_MAX,)) >= (old.mods or (_PRECISION_MAX,))
    return old.name == "interval" and not new.mods


def _zoned(old: SqlType, new: SqlType) -> bool:
    if {old.name, new.name} != {"timestamp", "timestamptz"}:
        return False
    return (new.mods or (_PRECISION_MAX,)) >= (old.mods or (_PRECISION_MAX,))
