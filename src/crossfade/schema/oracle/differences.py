"""In what two catalogs differ, for people.

Rule: everything that a catalog holds is compared but what no statement of a version can see: the order of columns,
row counts. Two equal lists of differences mean two equal schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from crossfade.schema.catalog import Catalog, Table


def differences(found: Catalog, wanted: Catalog) -> list[str]:
    """Each as one line: what, how it is, how it should be."""
    lines = []
    for schema, name in sorted({*found.tables, *wanted.tables}):
        lines += _table(f"{schema}.{name}", found.tables.get((schema, name)), wanted.tables.get((schema, name)))
    for what in ("domains", "types", "sequences", "schemas", "extensions"):
        one, other = getattr(found, what), getattr(wanted, what)
        lines += [f"{what}: {name} is there, and should not be" for name in sorted(one - other)]
        lines += [f"{what}: {name} is missing" for name in sorted(other - one)]
    return lines + _mapping("routine ", found.routines, wanted.routines)


def _table(name: str, found: Table | None, wanted: Table | None) -> list[str]:
    if found is None or wanted is None:
        return [f"{name} is {'missing' if found is None else 'there, and should not be'}"]
    lines = []
    one, other = asdict(found), asdict(wanted)
    for what in ("columns", "indexes", "constraints", "triggers", "referenced_by"):
        ours, theirs = _by_name(one.pop(what)), _by_name(other.pop(what))
        lines += _mapping(f"{name}: {what} ", ours, theirs)
    del one["rows"], other["rows"]
    return lines + _mapping(f"{name}: ", one, other)


def _by_name(parts: Any) -> dict[str, Any]:
    return {f"{part.get('table', '')} {part['name']}".strip(): part for part in parts}


def _mapping(what: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    lines = []
    for key in sorted({*found, *wanted}):
        if key not in wanted:
            lines.append(f"{what}{key} is there, and should not be")
        elif key not in found:
            lines.append(f"{what}{key} is missing")
        elif found[key] != wanted[key]:
            lines.append(f"{what}{key} is {_short(found[key], wanted[key])}")
    return lines


def _short(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        apart = [key for key in found if found[key] != wanted.get(key)]
        found, wanted = {key: found[key] for key in apart}, {key: wanted.get(key) for key in apart}
    return f"{found!r}, and should be {wanted!r}"
