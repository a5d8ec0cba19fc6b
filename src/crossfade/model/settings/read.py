"""Turn parsed TOML into the settings dataclasses, and collect everything that is wrong on the way.

Rule: reading never stops at the first problem. A bad value of an optional key is replaced by its default so
that the rest can still be read; a bad or missing required key leaves its table out.

Invariant: if nothing was reported, the value returned satisfies every bound of its description.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from crossfade.model.settings.field import Key, keys_of
from crossfade.model.settings.problem import KeyPath, Problem, did_you_mean
from crossfade.model.settings.toml_text import toml_value

_NEEDS = {
    "text": "text in quotes",
    "flag": "true or false",
    "whole": "a whole number",
    "number": "a number",
    "date": "a date such as 2030-12-31",
    "list": "a list in [ ]",
    "map": "a table of names and texts",
    "table": "a table",
    "named": "tables of their own",
    "tables": "tables in double brackets",
}
_MISSING = object()
# What stands in for a required key that is missing, so that the table's other keys can be looked at too.
_NOTHING: Mapping[str, Any] = {"text": "", "list": (), "map": {}, "whole": 0, "number": 0.0, "date": date.max}

Finding = tuple[KeyPath, str]  # where inside the table, and what is wrong
Rules = Mapping[type, Callable[[Any], Iterable[Finding]]]


class Reader:
    """Reads one document. `rules` are asked of each table read; `home` gives the tables a key is in."""

    def __init__(self, home: Mapping[str, tuple[str, ...]], rules: Rules) -> None:
        self.problems: list[Problem] = []
        self._home = home
        self._rules = rules

    def table(self, cls: type, raw: Any, path: KeyPath, name: str = "") -> Any:
        """Read one table; None where a required key is missing or unusable."""
        if not isinstance(raw, dict):
            self._wrong(path, f"is {_said(raw)}, but {_NEEDS['table']} is needed")
            return None
        known = [key for key in keys_of(cls) if not key.about.from_table_name]
        self._unknown(raw, [key.name for key in known], path)
        values: dict[str, Any] = {}
        complete = True
        for key in keys_of(cls):
            value = self._key(key, raw, path, name)
            if value is _MISSING and key.required:
                complete = False
                value = _NOTHING.get(key.kind)
            values[key.field_name] = key.default if value is _MISSING else value
        table = cls(**values)
        self._hold(table, path)
        return table if complete else None

    def _hold(self, table: Any, path: KeyPath) -> None:
        """Ask the table's own rules; what was found at a key already is not said twice."""
        rule = self._rules.get(type(table))
        before = [problem.path for problem in self.problems]
        for tail, what in rule(table) if rule else ():
            here = (*path, *tail)
            if not any(here[: len(p)] == p or p[: len(here)] == here for p in before):
                self._wrong(here, what)

    def _key(self, key: Key, raw: Mapping[str, Any], path: KeyPath, name: str) -> Any:
        if key.about.from_table_name:
            return name
        here = (*path, key.name)
        if key.name in raw:
            return self._value(key, raw[key.name], here)
        if key.required:
            self._wrong(here, f"is missing; {_example(key)}")
        return _MISSING

    def _unknown(self, raw: Mapping[str, Any], known: list[str], path: KeyPath) -> None:
        for name in raw:
            if name in known:
                continue
            near = did_you_mean(name, known)
            homes = [home for home in self._home.get(name, ()) if home != str(path[0] if path else "")]
            if not near and homes:
                near = f"; it belongs in [{homes[0]}]"
            self._wrong((*path, name), f"is not a key of crossfade.toml here{near}")

    def _value(self, key: Key, raw: Any, path: KeyPath) -> Any:
        match key.kind:
            case "table":
                value = self.table(key.of, raw, path)
                return _MISSING if value is None else value
            case "tables":
                return self._tables(key, raw, path)
            case "named":
                return self._named(key, raw, path)
            case "list":
                return self._list(key, raw, path)
            case "map":
                return self._map(key, raw, path)
        return self._scalar(key, key.kind, raw, path)

    def _tables(self, key: Key, raw: Any, path: KeyPath) -> Any:
        if not isinstance(raw, list):
            return self._wrong(path, f"is {_said(raw)}; write it as [[{key.name}]], once for each")
        items = [self.table(key.of, item, (*path, number)) for number, item in enumerate(raw)]
        return tuple(item for item in items if item is not None)

    def _named(self, key: Key, raw: Any, path: KeyPath) -> Any:
        if not isinstance(raw, dict):
            return self._wrong(path, f"is {_said(raw)}; write it as [{key.name}.NAME], once for each")
        if not raw:
            return self._wrong(path, f"is empty; {_example(key)}")
        if not any(isinstance(item, dict) for item in raw.values()):
            return self._wrong(path, f"has no name; write it as [{key.name}.{_first(key.about.example)}]")
        items = {name: self.table(key.of, item, (*path, name), name) for name, item in raw.items()}
        kept = {name: item for name, item in items.items() if item is not None}
        return kept if len(kept) == len(items) else _MISSING

    def _list(self, key: Key, raw: Any, path: KeyPath) -> Any:
        if not isinstance(raw, list):
            return self._wrong(path, f"is {_said(raw)}, but {_NEEDS['list']} is needed")
        if not raw and (key.required or key.default):
            return self._wrong(path, f"is empty; {_example(key)}")
        items = [self._scalar(key, key.of, item, (*path, number)) for number, item in enumerate(raw)]
        return _MISSING if any(item is _MISSING for item in items) else tuple(items)

    def _map(self, key: Key, raw: Any, path: KeyPath) -> Any:
        if not isinstance(raw, dict):
            return self._wrong(path, f"is {_said(raw)}, but {_NEEDS['map']} is needed")
        items = {name: self._scalar(key, key.of, item, (*path, name)) for name, item in raw.items()}
        return _MISSING if any(item is _MISSING for item in items.values()) else items

    def _scalar(self, key: Key, kind: str, raw: Any, path: KeyPath) -> Any:
        if not _fits(kind, raw):
            return self._wrong(path, f"is {_said(raw)}, but {_NEEDS[kind]} is needed")
        about = key.about
        if kind in ("whole", "number"):
            outside = _outside(key, raw)
            if outside:
                return self._wrong(path, outside)
            return float(raw) if kind == "number" else raw
        if about.choices and raw not in about.choices and (raw or key.required):
            one_of = ", ".join(f'"{choice}"' for choice in about.choices)
            return self._wrong(path, f'is "{raw}"; one of {one_of} is needed{did_you_mean(raw, about.choices)}')
        if kind == "text" and key.required and not raw.strip():
            return self._wrong(path, f"is empty; {_example(key)}")
        return raw

    def _wrong(self, path: KeyPath, what: str) -> Any:
        self.problems.append(Problem(path, what))
        return _MISSING


def home_of_keys(root: type) -> dict[str, tuple[str, ...]]:
    """Which tables each key belongs in, over the whole file."""
    homes: dict[str, tuple[str, ...]] = {}

    def visit(cls: type, header: str) -> None:
        for key in keys_of(cls):
            if header and not key.about.from_table_name:
                homes[key.name] = (*homes.get(key.name, ()), header)
            if key.is_table:
                inner = f"{header}.{key.name}" if header else key.name
                visit(key.of, inner + (".NAME" if key.kind == "named" else ""))

    visit(root, "")
    return homes


def _fits(kind: str, raw: Any) -> bool:
    match kind:
        case "whole":
            return isinstance(raw, int) and not isinstance(raw, bool)
        case "number":
            return isinstance(raw, int | float) and not isinstance(raw, bool)
        case "date":
            return isinstance(raw, date) and not isinstance(raw, datetime)
        case "flag":
            return isinstance(raw, bool)
    return isinstance(raw, str)


def _outside(key: Key, raw: float) -> str:
    about = key.about
    unit = f" {about.unit}" if about.unit else ""
    if not math.isfinite(raw):
        return f"is {raw}; a finite number is needed"
    if about.minimum is not None and raw < about.minimum:
        return f"is {raw:.12g}{unit}; at least {toml_value(about.minimum)} is needed"
    if about.maximum is not None and raw > about.maximum:
        return f"is {raw:.12g}{unit}; at most {toml_value(about.maximum)} is allowed"
    return ""


def _said(raw: Any) -> str:
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, str):
        return f'the text "{raw}"'
    if isinstance(raw, list):
        return "a list"
    if isinstance(raw, dict):
        return "a table"
    return f"{raw}"


def _example(key: Key) -> str:
    about = key.about
    example = about.example if about.example is not None else key.default
    if key.kind == "named":
        return f"for example: [{key.name}.{_first(example)}]"
    if key.kind == "table":
        return f"for example: [{key.name}]"
    return f"for example: {key.name} = {toml_value(example)}"


def _first(names: Iterable[str]) -> str:
    return next(iter(names))
