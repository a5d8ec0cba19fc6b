"""Columns in two shapes, kept in step: what a rename and a replacement have in common.

Rule: the new columns are added empty with the default they will have, so that what an INSERT gave can be told from
what it left out; rows from before are filled; NOT NULL binds at detach.
"""

from __future__ import annotations

from crossfade.model.change import ShapeMapping
from crossfade.schema.mapping import TwoWay
from crossfade.schema.naming import hidden, quote
from crossfade.schema.operations import AddedColumn
from crossfade.schema.parts import Fill, Parts
from crossfade.schema.triggers import Pair


def plan(parts: Parts, group: TwoWay, pair: Pair, added: dict[str, AddedColumn]) -> None:
    """Add the new columns of a group, fill them, and hide the old ones."""
    unfilled = f"({pair.out_of_step(group, '')})"
    back = f"({pair.out_of_step_down(group, '')})"
    # A value without counterpart stands beside what it was carried down to: that says the same, too.
    apart = unfilled
    differs = f"({unfilled} OR {back})" if not group.policy else f"({unfilled} AND {back})"
    if group.policy:
        empty = " AND ".join(f"{quote(side.name)} IS NULL" for side in group.new)
        unfilled = f"({unfilled} AND (({empty}) OR {back}))"
    for side in group.new:
        column = quote(side.name)
        parts.add(added[side.name])
        if side.default is not None:
            default = f"SET DEFAULT {side.default.render()}"
            parts.expand.append(f"ALTER TABLE {parts.quoted} ALTER COLUMN {column} {default}")
        value = group.ups[side.name].render()
        if group.policy:
            value = f"CASE WHEN {unfilled} THEN {value} ELSE {column} END"
        parts.fills.append(Fill(column, value, unfilled, differs))
        if side.not_null:
            parts.late_not_null.append(side.name)
        parts.only_new(side.name, apart)
    for side in group.old:
        parts.hide_column(side.name, hidden(parts.change, side.name))
    parts.old_only.append((tuple(side.name for side in group.old), "down"))
    unsteady = [one for one in (*group.ups.values(), *group.downs.values()) if one.volatility == "s"]
    if unsteady:
        text = ", ".join(one.render() for one in unsteady)
        parts.notes.append(
            f"{parts.delta.says}: depends on session settings, which must be alike in both versions: {text}"
        )
    old, new = (tuple(side.label for side in sides) for sides in (group.old, group.new))
    parts.mappings.append(ShapeMapping(parts.delta.says, old, new, group.policy, group.says))
    names = ", ".join(side.name for side in group.new)
    parts.says.append(f"add {names}; keep {', '.join(old)} and {names} in step")
