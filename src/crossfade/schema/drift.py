"""The id of a plan that was shown, and what has moved between it and the plan that is made now.

Rule: a plan is what its statements are, whatever its file is called. Its id has three parts, so that even the id alone
tells what moved: the change that the SQL makes, the schema it was planned against, and the plan that came of the two
(with the settings, and crossfade's own version). With the schema's outline kept beside it, tables and columns are
named.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from crossfade.model.change import Change
from crossfade.schema.catalog import Catalog, Table

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}")
Outline = Mapping[str, Sequence[str]]  # by table: its columns and what else it has, or a digest of them


def plan_id(change: Change) -> str:
    """What binds a shown plan to the one that runs: 26 characters, "1f2e3d4c-5b6a7988-0a1b2c3d"."""
    unnamed = replace(change, name="")
    return f"{change.id[1:9]}-{change.base[:8]}-{unnamed.digest[:8]}"


def is_plan_id(text: str) -> bool:
    """Whether a text has the form of a plan's id."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Shown:
    """A plan as it was shown; without an outline only its id is known."""

    id: str
    outline: Outline | None = None


def outline(catalog: Catalog, tables: Sequence[str]) -> dict[str, list[str]]:
    """Every table with a digest of what it is; those of the change with their columns, indexes and constraints."""
    found = {}
    for table in catalog.tables.values():
        name = f"{table.schema}.{table.name}"
        found[name] = sorted(_parts(table)) if name in tables else [_digest(sorted(_parts(table)))]
    found["types and domains"] = [_digest([*sorted(catalog.types), *sorted(catalog.domains)])]
    return found


def moved(shown: Shown, change: Change, now: Outline) -> list[str]:
    """What differs between a plan that was shown and the one of now, a line each; empty where nothing does."""
    found = plan_id(change)
    if shown.id == found:
        return []
    before, after = shown.id.split("-"), found.split("-")
    lines = []
    if before[0] != after[0]:
        lines.append("moved: the SQL makes another change than the one that was shown")
    if before[1] != after[1]:
        named = list(_differences(shown.outline, now)) if shown.outline is not None else []
        hint = "a neighbour's change, or DDL by hand; a plan that is kept as a file would name it"
        lines += [f"moved: {line}" for line in named or [f"the schema of the database: {hint}"]]
    if not lines:
        lines.append("moved: settings that decide how it is staged, or the version of crossfade")
    return lines


def _differences(before: Outline, after: Outline) -> Iterator[str]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None:
            yield f"{name} is new"
        elif new is None:
            yield f"{name} is gone"
        elif list(old) != list(new):
            listed = [f"+ {one}" for one in new if one not in old] + [f"- {one}" for one in old if one not in new]
            readable = " " in "".join(listed).replace("+ ", "").replace("- ", "")
            yield f"{name}: {'; '.join(listed)}" if readable else f"{name} is another"


def _parts(table: Table) -> Iterator[str]:
    """One line for each part of a table that the fingerprint counts."""
    for column in table.columns:
        facts = asdict(column)
        del facts["grants"], facts["dependents"]
        null = " NOT NULL" if column.not_null else ""
        default = f" DEFAULT {column.default}" if column.default is not None else ""
        shown = {"name", "type", "not_null", "default"}
        other = _digest([f"{key}={value}" for key, value in facts.items() if key not in shown])
        yield f"column {column.name} {column.type}{null}{default} ({other[:4]})"
    yield from (f"index {one.definition}" for one in table.indexes)
    yield from (f"constraint {one.name} {one.definition}" for one in table.constraints)
    yield from (f"trigger {one.definition} {one.enabled}" for one in table.triggers)
    rest = (table.kind, table.inherits, table.row_security, table.published, table.definition, table.options)
    yield f"itself {_digest([str(one) for one in (*rest, table.comment, *table.bound)])[:4]}"


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(lines)).encode()).hexdigest()[:12]
