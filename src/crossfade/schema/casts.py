"""Which values of one type have a counterpart in another, and how the cast is said.

Rule: a cast that this table does not know is unknown, and somebody has to say its inverse. `fits` is a condition over
the value, `{c}`, under which its counterpart is exact: back again it is the same value. Where every value fits, it is
empty. A cast `fails` where a value that does not fit makes it raise an error; else such a value is rounded, or
written another way (manual, sections 8 and 10.4).

What no column can hold in practice is left out: a date after the year 294276 has no timestamp.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from crossfade.schema.naming import literal, quote
from crossfade.schema.parser import parse_expression, unwrap, words

Shape = tuple[str, tuple[int, ...]]
Enums = Mapping[str, Sequence[str]]

_RANGES = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
_DIGITS = {"int2": 3, "int4": 8, "int8": 17}  # behind the first: so many surely fit
_UUID = "^[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}$"
_TEXTS = ("text", "varchar", "citext")
_ROUNDED = ("time", "timetz", "timestamp", "timestamptz", "interval")


@dataclass(frozen=True)
class Cast:
    """One direction between two types."""

    fits: str = ""  # over {c}; empty: every value
    fails: bool = True

    @property
    def total(self) -> bool:
        """Whether every value has its exact counterpart."""
        return not self.fits


def _within(kind: str) -> str:
    bound = _RANGES[kind]
    return f"{{c}} BETWEEN {-bound} AND {bound - 1}"


def _digits(kind: str) -> str:
    return f"{{c}} ~ '^(0|-?[1-9][0-9]{{{{0,{_DIGITS[kind]}}}}})$'"


_ALL = Cast()
_CASTS: Mapping[tuple[str, str], Cast] = {
    ("int2", "int4"): _ALL,
    ("int2", "int8"): _ALL,
    ("int4", "int8"): _ALL,
    ("int4", "int2"): Cast(_within("int2")),
    ("int8", "int2"): Cast(_within("int2")),
    ("int8", "int4"): Cast(_within("int4")),
    **{(kind, "numeric"): _ALL for kind in _RANGES},
    **{("numeric", kind): Cast(f"({{c}} = pg_catalog.trunc({{c}}) AND {_within(kind)})") for kind in _RANGES},
    **{(kind, "text"): _ALL for kind in _RANGES},
    **{("text", kind): Cast(_digits(kind)) for kind in _RANGES},
    ("int2", "float8"): _ALL,
    ("int4", "float8"): _ALL,
    ("float4", "float8"): _ALL,
    ("bool", "text"): _ALL,
    ("text", "bool"): Cast("{c} IN ('true', 'false')"),
    ("bool", "int4"): _ALL,
    ("int4", "bool"): Cast("{c} IN (0, 1)", fails=False),
    ("uuid", "text"): _ALL,
    ("text", "uuid"): Cast(f"{{c}} ~ '{_UUID}'"),
    ("date", "timestamp"): _ALL,
    ("timestamp", "date"): Cast("{c} = pg_catalog.date_trunc('day', {c})", fails=False),
    ("json", "jsonb"): Cast("false", fails=False),  # the same value in other letters; \u0000 has none
    ("jsonb", "json"): _ALL,
    ("cidr", "inet"): _ALL,
}


def shape(type: str) -> Shape:
    """A type's name and its limits; one that is an array, or has other limits, is like no other."""
    _, cast = unwrap(parse_expression(f"CAST(NULL AS {type})"))
    name = ".".join(words(cast.type_name.names)).removeprefix("pg_catalog.")
    mods = [unwrap(one) for one in cast.type_name.typmods]
    plain = all(kind == "a_const" and (one.HasField("ival") or one.HasField("fval")) for kind, one in mods)
    if cast.type_name.array_bounds or not plain:
        return type, ()
    return name, tuple(one.ival.ival for _, one in mods)


def cast_of(old: Shape, new: Shape, enums: Enums) -> Cast | None:
    """What is known of the way from one type to another; None: nothing."""
    (kind, mods), (to, limits) = old, new
    if kind == "numeric" and to == "numeric":
        return _numeric(mods, limits)
    if kind in _ROUNDED and kind == to:
        return Cast(f"{{c}} = CAST({{c}} AS {_said(new)})", fails=False) if limits else _ALL
    if kind in enums:
        return _labels(kind, to, enums) if to in enums else _into_text("", to, limits) if _is_text(to) else None
    if _is_text(kind) and to in enums:
        return Cast(f"{{c}} IN ({_listed(enums[to])})")
    if _is_text(to) or to == "bpchar":
        plain = _ALL if _is_text(kind) or kind == "bpchar" else _CASTS.get((kind, "text"))
        return None if plain is None else _into_text(plain.fits, to, limits)
    found = _CASTS.get(("text" if _is_text(kind) else kind, to))
    if found is None or not limits:
        return found
    return None if to != "numeric" or kind not in _RANGES else _numeric((len(str(_RANGES[kind])), 0), limits)


def through(shapes: Sequence[Shape], enums: Enums) -> Cast | None:
    """What is known of a chain of casts."""
    if len(shapes) == 3 and _is_text(shapes[1][0]) and not shapes[1][1] and {shapes[0][0], shapes[2][0]} <= {*enums}:
        return cast_of(shapes[0], shapes[2], enums)
    steps = [cast_of(one, other, enums) for one, other in pairwise(shapes) if one != other]
    known = [step for step in steps if step is not None]
    if len(known) < len(steps):
        return None
    partial = [step for step in known if not step.total]
    if len(known) == 1 or not partial:
        return partial[0] if partial else _ALL
    return None


def _numeric(mods: tuple[int, ...], limits: tuple[int, ...]) -> Cast:
    if not limits:
        return _ALL
    digits, scale = (*limits, 0)[:2]
    if mods:
        had, had_scale = (*mods, 0)[:2]
        whole = digits - scale >= had - had_scale
        if whole and scale >= had_scale:
            return _ALL
        if digits - scale > had - had_scale:  # rounding up may add a digit
            return Cast(f"{{c}} = pg_catalog.round({{c}}, {scale})", fails=False)
    below = f"pg_catalog.abs({{c}}) < 1{'0' * (digits - scale)}" if digits > scale else "pg_catalog.abs({c}) < 1"
    return Cast(f"({{c}} = pg_catalog.round({{c}}, {scale}) AND {below})")


def _into_text(fits: str, to: str, limits: tuple[int, ...]) -> Cast:
    if not limits and to != "bpchar":
        return Cast(fits)
    text = "CAST({c} AS text)"
    rules = [fits] * bool(fits) + [f"pg_catalog.length({text}) <= {(*limits, 1)[0]}"]
    if to == "bpchar":
        rules.append(f"pg_catalog.rtrim({text}, ' ') = {text}")
    return Cast(f"({' AND '.join(rules)})")


def _labels(kind: str, to: str, enums: Enums) -> Cast:
    both = [label for label in enums[kind] if label in enums[to]]
    return _ALL if len(both) == len(enums[kind]) else Cast(f"CAST({{c}} AS text) IN ({_listed(both) or 'NULL'})")


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(literal(label).replace("{", "{{").replace("}", "}}") for label in labels)


def _is_text(kind: str) -> bool:
    return kind.rpartition(".")[2] in _TEXTS


def _said(shape: Shape) -> str:
    kind, limits = shape
    return f"{kind}({', '.join(map(str, limits))})" if limits else kind


def cast_expression(column: str, types: Sequence[str]) -> str:
    """The column, cast to each type in order."""
    text = quote(column)
    for type in types:
        text = f"CAST({text} AS {type})"
    return text
