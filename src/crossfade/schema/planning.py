"""From SQL text and a catalog to a planned change.

Rule: pure. The same files against the same catalog give the same change, to the letter; its id comes from the net
change alone, so a fixed version with the same change finds what an earlier one had expanded. Locks of several tables
are always asked for in the order of their names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from crossfade.model.change import Change, Unit
from crossfade.model.errors import fail
from crossfade.schema import fronting
from crossfade.schema.annotations import read_annotations
from crossfade.schema.beside import When
from crossfade.schema.catalog import Catalog
from crossfade.schema.inputs.migration import Source
from crossfade.schema.mapping import Grouping, Writer
from crossfade.schema.naming import quote, shapes
from crossfade.schema.operations import NetChange, TableDelta
from crossfade.schema.parser import Script, read_sources, relations
from crossfade.schema.parts import Parts
from crossfade.schema.reading import policies, read_script
from crossfade.schema.recipes import (
    add_column,
    add_constraint,
    alter_column,
    change_type,
    comment_and_grant,
    convert_column,
    create_index,
    create_table,
    drop_column,
    drop_constraint,
    drop_index,
    drop_table,
    rename_column,
    two_way,
    version_rows,
)
from crossfade.schema.triggers import Pair
from crossfade.schema.units import TableUnits, table_units

__all__ = ["PlanOptions", "Source", "change_id", "plan_change", "tables_named"]


@dataclass(frozen=True)
class PlanOptions:
    """What planning needs to know of the service, from its requirement."""

    has_lane_roles: bool  # each lane connects as a role of its own
    both_changed: str = "new"  # which shape wins: "new" or "old"
    star_queries: str = ""  # "", "none" or "some"
    has_pooler: bool = False  # server sessions outlive the version that they were opened for


def change_id(sources: Sequence[Source]) -> str:
    """The id of the change that the files make. Raises `schema-syntax`, `schema-annotation`."""
    return _id(read_sources(sources))


def tables_named(sources: Sequence[Source], catalog: Catalog) -> set[str]:
    """The tables and views of the catalog that the files name, as "schema.name". Raises `schema-syntax`."""
    found = (catalog.find(*named) for one in read_sources(sources).statements for named in relations(one.node))
    return {f"{table.schema}.{table.name}" for table in found if table is not None}


def plan_change(name: str, sources: Sequence[Source], catalog: Catalog, options: PlanOptions) -> Change:
    """Plan a change. Raises what has no safe form yet, with its reason, its line, and how a person would do it."""
    script = read_sources(sources)
    annotations = read_annotations(script.comments)
    id = _id(script)
    net = read_script(script, annotations, catalog, id)
    if net.empty:
        raise fail("schema-empty", name=name, files=", ".join(source.name for source in sources) or "no file")
    grouping = Grouping(net.catalog, options.has_lane_roles, policies(annotations))
    both_changed = Writer(options.both_changed)
    deltas = [net.tables[key] for key in sorted(net.tables)]
    viewed = _put_views(net, name, grouping, options)
    planned = [_plan_table(id, delta, grouping, both_changed) for delta in deltas]
    parts = [one for one, _ in planned]
    units = [one for _, one in planned]
    early, late, unique = _indexes(net)
    created = [net.created[key] for key in net.created]
    gone = [drop_table.plan(net, id, one) for one in net.dropped.values()]
    change = Change(
        id=id,
        name=name,
        base=catalog.fingerprint(),
        tables=tuple(sorted(_touched(net))),
        expand=(
            *_beside(net, When.EARLY),
            *(_named_as_written(create_table.plan(one), net) for one in created),
            *(fronting.enter(id) if viewed else ()),
            *_all(units, "expand"),
            *_beside(net, When.LATE),
            *early,
        ),
        backfill=tuple(fill for one in units for fill in one.backfill),
        settle=(*_all(units, "settle"), *late),
        record=tuple(version_rows.plan(net, row, number) for number, row in enumerate(net.version_rows, 1)),
        detach=(
            *_all(units, "strict"),
            *unique,
            *_all(units, "unique"),
            *_all(units, "hide"),
            *_all(units, "late"),
            *(unit for one in gone for unit in one.detach),
            *_beside(net, When.DETACH),
        ),
        purge=(
            *_last(net, late=False),
            *_all(units, "purge"),
            *(one.purge for one in gone),
            *(fronting.leave(id) if viewed else ()),
            *_last(net, late=True),
        ),
        mappings=tuple(mapping for one in parts for mapping in one.mappings),
        purge_keeps=(*(kept for one in units for kept in one.purge_keeps), *(one.kept for one in gone)),
        undo_keeps=(
            *(kept for one in units for kept in one.undo_keeps),
            *(create_table.kept(one, id) for one in created),
        ),
        notes=(
            *(note for one in parts for note in (*_notes(one), *fronting.notes(one.delta))),
            *(note for one in net.beside for note in one.notes),
            *(note for one in gone for note in one.notes),
        ),
        shapes=shapes(id) if viewed else "",
    ).check_invariants()
    tables = sorted({table for listed in change.retypes().values() for table in listed})
    if tables and options.star_queries != "none":
        raise fail("star-queries-unknown", name=name, tables=", ".join(tables))
    return change


def _put_views(net: NetChange, name: str, grouping: Grouping, options: PlanOptions) -> bool:
    """Give the versions the views that they need to find each its own shape; whether there are any."""
    lanes, pooler = options.has_lane_roles, options.has_pooler
    deltas = [net.tables[key] for key in sorted(net.tables)]
    for delta in deltas:
        change_type.settle(net, delta, grouping.policies, has_lane_roles=lanes, has_pooler=pooler)
    fronted = options.star_queries == "some" and fronting.put_behind(net, name, has_lane_roles=lanes, has_pooler=pooler)
    return fronted or any(delta.converted for delta in deltas)


def _id(script: Script) -> str:
    lines = [statement.text for statement in (*script.statements, *script.version_rows)]
    lines += sorted(annotation.normal for annotation in read_annotations(script.comments))
    return "c" + hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _plan_table(id: str, delta: TableDelta, grouping: Grouping, both_changed: Writer) -> tuple[Parts, TableUnits]:
    drop_constraint.before(delta)
    groups = grouping.groups(delta)
    parts = Parts(id, delta)
    pair = Pair(id, delta.table, groups, both_changed, {})
    beside = {one.name: rename_column.new_column(parts, one) for one in delta.renamed.values()}
    beside |= {one.second: convert_column.new_column(parts, one) for one in delta.converted.values()}
    for retyped in delta.retyped.values():
        change_type.plan(parts, retyped)
    for group in groups.two_way:
        added = {side.name: beside.get(side.name) or delta.added[side.name] for side in group.new}
        for side in group.old:
            if side.name in delta.dropped:
                drop_column.may_go(parts, delta.dropped[side.name])
        for side in group.new:
            added[side.name].default = side.default
        two_way.plan(parts, group, pair, added)
        if group.old[0].name in delta.converted:
            convert_column.take_name(parts, delta.converted[group.old[0].name], group)
    for one in groups.derived:
        if one.dropped:
            drop_column.plan_derived(parts, delta.dropped[one.side.name], one)
        else:
            add_column.plan_derived(parts, delta.added[one.side.name], one)
    for plain in groups.plain:
        add_column.plan(parts, plain)
    for gone in groups.gone:
        drop_column.plan(parts, gone)
    for altered in delta.altered.values():
        alter_column.plan(parts, altered)
    drop_constraint.plan(parts)
    drop_index.plan(parts)
    comment_and_grant.plan(parts)
    for new in delta.constraints.values():
        add_constraint.plan(parts, new)
    for name, one_there in delta.validated.items():
        add_constraint.plan_validation(parts, name, one_there.definition)
    rename_column.carry_over(parts, grouping.catalog)
    after = replace(groups, filled=[one for one in groups.filled if one.drops])
    return parts, table_units(parts, pair, Pair(id, delta.table, after, both_changed, parts.called))


def _indexes(net: NetChange) -> tuple[Sequence[Unit], Sequence[Unit], Sequence[Unit]]:
    """New indexes: those of expand, those that wait for the fill, and unique ones, which bind at detach."""
    early: list[Unit] = []
    late: list[Unit] = []
    unique: list[Unit] = []
    for index in net.indexes:
        delta = net.tables.get((index.table.schema, index.table.name))
        filled = {*delta.added, *(one.name for one in delta.renamed.values()), *delta.converted} if delta else set()
        names = {old: one.second for old, one in delta.converted.items()} if delta else {}
        (unique if index.unique else late if index.columns & filled else early).append(
            create_index.plan(index, delta.behind if delta else "", names)
        )
    return early, late, unique


def _all(units: Sequence[TableUnits], stage: str) -> tuple[Unit, ...]:
    return tuple(unit for one in units for unit in getattr(one, stage))


def _beside(net: NetChange, when: When) -> tuple[Unit, ...]:
    units = []
    for one in net.beside:
        if one.when is when:
            unit = one.unit()
            units.append(unit if one.purge else _named_as_written(unit, net, undo=one.kind == "data"))
    return tuple(units)


def _named_as_written(unit: Unit, net: NetChange, undo: bool = False) -> Unit:
    """Run what may hold names without a schema where they are found as in a session of the author's."""
    path = ", ".join(map(quote, net.catalog.search_path)) or "pg_catalog"
    begin, end = f"SET LOCAL search_path = {path}", "SET LOCAL search_path = pg_catalog"
    taken_back = (begin, *unit.undo, end) if undo and unit.undo != ("SELECT true",) else unit.undo
    return replace(unit, do=(begin, *unit.do, end), undo=taken_back)


def _last(net: NetChange, late: bool) -> tuple[Unit, ...]:
    """What else is dropped: types and sequences after the columns that had them."""
    kinds = ("type", "domain", "sequence")
    found = [one for one in net.beside if one.purge and (one.kind in kinds) == late]
    return tuple(
        _named_as_written(one.last_unit(), net) if one.when is When.PURGE else one.last_unit() for one in found
    )


def _touched(net: NetChange) -> set[str]:
    """Every table whose shape changes, and those that new foreign keys point at."""
    keys = {*net.tables, *net.dropped, *net.created, *(key for one in net.created.values() for key in one.references)}
    keys |= {new.references for one in net.tables.values() for new in one.constraints.values() if new.references}
    return {f"{schema}.{name}" for schema, name in keys} | {
        one.name.split("(")[0] for one in net.beside if one.when is not When.PURGE
    }


def _notes(parts: Parts) -> Sequence[str]:
    table, says = parts.delta.table, parts.delta.says
    notes = list(parts.notes)
    fires = [one.name for one in table.triggers if one.row and one.update and one.enabled != "D"]
    if parts.fills and fires:
        notes.append(f"{says}: these triggers fire for each row that is filled: {', '.join(fires)}")
    if parts.hidden and table.triggers:
        names = ", ".join(one.name for one in table.triggers)
        notes.append(f"{says}: look whether the functions of these triggers name {', '.join(parts.hidden)}: {names}")
    kept = {name for mapping in parts.mappings for name in mapping.old} & set(parts.delta.dropped)
    bound = [one.name for one in table.constraints if one.kind in "cfu" and set(one.columns) & kept]
    bound += [one.name for one in table.indexes if one.unique and not one.constraint and set(one.columns) & kept]
    if bound:
        names = ", ".join(bound)
        notes.append(f"{says}: until the purge, what the new version writes is held to the old shape's, too: {names}")
    if not table.key and (parts.mappings or parts.hidden):
        notes.append(f"{says} has no primary key: whole rows are recorded and kept where a key would do")
    if table.published and (parts.hidden or parts.delta.added or parts.delta.renamed):
        notes.append(f"{says} is published: subscribers need the new columns before their rows arrive")
    for mapping in parts.mappings:
        if not mapping.total:
            notes.append(f"{says}: {mapping.says}: values of {', '.join(mapping.new)} without counterpart exist")
    return notes
