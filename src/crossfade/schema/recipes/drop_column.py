"""Dropping a column: out of sight at detach, gone at purge; until then the old version reads it in every row.

Rule: what the old version reads in a row of the new one is known before it begins: a value computed by `down`, the
column's default, or NULL where the column allows it or the old version is proven to read it.
"""

from __future__ import annotations

from crossfade.model.change import Policy, ShapeMapping
from crossfade.model.errors import fail
from crossfade.schema.mapping import Derived
from crossfade.schema.naming import hidden, quote
from crossfade.schema.operations import DroppedColumn
from crossfade.schema.parts import Parts


def plan(parts: Parts, dropped: DroppedColumn) -> None:
    """Drop a column that nothing is computed for. Raises `schema-undecided`, `schema-not-staged`."""
    delta, column = parts.delta, dropped.column
    name = f"{delta.says}.{column.name}"
    may_go(parts, dropped)
    filled = column.default is not None or column.identity or column.generated
    if column.not_null and not filled:
        if not dropped.reads_null:
            raise fail(
                "schema-undecided",
                where=dropped.where,
                what=f"what the old version reads in {name} of a new row is not known",
                reason=f"{column.name} is NOT NULL without a default, and the new version's INSERTs do not give it",
                way=f"say what it reads: -- crossfade: down {delta.table.name}.{column.name} = EXPRESSION; or, if it is"
                f" proven to read NULL: -- crossfade: reads-null {delta.table.name}.{column.name}",
            )
        parts.loosened.append(column.name)
        parts.expand.append(f"ALTER TABLE {parts.quoted} ALTER COLUMN {quote(column.name)} DROP NOT NULL")
        parts.says.append(f"let {column.name} be NULL")
    reads = f"its default, {column.default}" if column.default is not None else "NULL"
    if column.identity or column.generated:
        reads = "what PostgreSQL generates"
    parts.notes.append(f"{name} goes: in rows of the new version the old one reads {reads}")
    unique = [one.name for one in delta.table.indexes if one.unique and column.name in one.columns]
    if unique and column.default is not None and not column.identity:
        raise fail(
            "schema-not-staged",
            where=dropped.where,
            what=f"dropping {name}, which is unique by {', '.join(unique)} and has a default,",
            reason="the rows of the new version would all get that default, and the second one would fail",
            way="drop the default first; or say `down` with another value for each row",
        )
    parts.hide_column(column.name, hidden(parts.change, column.name))
    parts.old_only.append(((column.name,), "kept"))


def plan_derived(parts: Parts, dropped: DroppedColumn, group: Derived) -> None:
    """Drop a column that is computed for the old version from what stays."""
    delta, column = parts.delta, dropped.column
    may_go(parts, dropped)
    parts.hide_column(column.name, hidden(parts.change, column.name))
    parts.old_only.append(((column.name,), "kept"))
    sources = tuple(sorted(group.value.columns))
    says = f"{column.name} is computed from {', '.join(sources) or 'a constant'} for the old version"
    parts.mappings.append(ShapeMapping(delta.says, (column.name,), sources, Policy.NONE, says))
    parts.says.append(says)
    if sources and not group.lanes:
        parts.notes.append(
            f"{delta.says}: the versions share a role, so {column.name} follows {', '.join(sources)} whoever"
            " changes them, as long as it was what they say"
        )


def may_go(parts: Parts, dropped: DroppedColumn) -> None:
    """Refuse a column that something else holds on to."""
    table, column = parts.delta.table, dropped.column
    held = [one for one in column.dependents if not one.startswith("sequence ")]
    held += [f"foreign key {one.name} of {one.table}" for one in table.referenced_by if column.name in one.columns]
    held += ["the primary key"] if column.name in table.key else []
    held += [one.name for one in table.constraints if one.kind == "x" and column.name in one.columns]
    held += [
        f"replica identity {one.name}" for one in table.indexes if one.replica_identity and column.name in one.columns
    ]
    if held:
        raise fail(
            "schema-not-staged",
            where=dropped.where,
            what=f"dropping {parts.delta.says}.{column.name}",
            reason=f"this hangs on it: {', '.join(held)}",
            way="take these away first, in a release of its own, when no live version uses them",
        )
