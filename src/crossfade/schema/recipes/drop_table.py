"""Dropping a table: out of sight by another name at detach, its rows in the attic and gone at purge.

Rule: until detach the old version has it whole. Foreign keys that point at it, and its own that act on nothing, go with
its name, so that no hidden row holds up the new version; the way back adds them NOT VALID and proves them where the
rows allow it. What PostgreSQL would not drop without CASCADE is refused without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.model.change import Kept, Unit
from crossfade.model.errors import fail
from crossfade.schema.catalog import Constraint, Table
from crossfade.schema.naming import attic, hidden, quote, quote_table
from crossfade.schema.operations import DroppedTable, NetChange
from crossfade.schema.parser import Statement, enum_name, words
from crossfade.schema.recipes.drop_constraint import acts
from crossfade.schema.units import prove

_BLOCKS = "ACCESS EXCLUSIVE"


@dataclass(frozen=True)
class DropUnits:
    """What one dropped table adds to detach, purge, the attic and the notes."""

    detach: Sequence[Unit]
    purge: Unit
    kept: Kept
    notes: Sequence[str]


def read(net: NetChange, statement: Statement) -> None:
    """Read DROP TABLE. Raises `schema-not-found`, `schema-not-staged`."""
    node, where = statement.node, statement.where
    cascade = enum_name(node, "behavior") == "DROP_CASCADE"
    for wrapped in node.objects:
        parts = words(wrapped.list.items)
        schema, name = parts[-2] if len(parts) > 1 else "", parts[-1]
        table = net.catalog.find(schema, name)
        if node.missing_ok and (table is None or (table.schema, table.name) in net.dropped):
            continue
        delta = net.delta_of(schema, name, where)
        table = delta.table
        del net.tables[table.schema, table.name]
        net.indexes = [one for one in net.indexes if one.table != table]
        net.dropped[table.schema, table.name] = DroppedTable(table, where, cascade)


def plan(net: NetChange, change: str, dropped: DroppedTable) -> DropUnits:
    """Put its units together. Raises `schema-not-staged`."""
    table = dropped.table
    says, whole = f"{table.schema}.{table.name}", quote_table(table.schema, table.name)
    called = hidden(change, table.name)
    out_of_sight = quote_table(table.schema, called)
    pointing = _pointing(net, dropped)
    keys = [(whole, one) for one in table.constraints if one.kind == "f" and not acts(one) and not _own(one, table)]
    keys += [(quote_table(other.schema, other.name), one) for other, one in pointing]
    do = [f"ALTER TABLE {name} DROP CONSTRAINT {quote(one.name)}" for name, one in keys]
    do.append(f"ALTER TABLE {whole} RENAME TO {quote(called)}")
    undo = [f"ALTER TABLE {out_of_sight} RENAME TO {quote(table.name)}"]
    undo += [
        f"ALTER TABLE {name} ADD CONSTRAINT {quote(one.name)} {one.definition.removesuffix(' NOT VALID')} NOT VALID"
        for name, one in keys
    ]
    others = {quote_table(*one.references) for _, one in keys if one.references} | {name for name, _ in keys}
    locks = sorted({whole, *others})
    proofs = tuple(prove(name, one.name) for name, one in keys if one.validated)
    units = []
    if proofs:
        back = f"on the way back: check the rows that are there against the foreign keys of {table.name}"
        units.append(Unit(key=f"prove:{says}", says=back, do=("SELECT true",), undo=proofs, scans=True))
    units.append(
        Unit(
            key=f"hide:{says}",
            says=f"hide table {table.name}",
            do=tuple(do),
            undo=tuple(undo),
            locks=tuple((name, _BLOCKS) for name in locks),
            undo_locks=tuple((name, _BLOCKS) for name in sorted({out_of_sight, *locks} - {whole})),
        )
    )
    left = {quote_table(*one.references) for one in table.constraints if one.references and not _own(one, table)}
    purge = Unit(
        key=f"purge:{says}",
        says=f"drop table {table.name}",
        do=(f"DROP TABLE {out_of_sight}",),
        locks=tuple((name, _BLOCKS) for name in sorted({out_of_sight, *left})),
    )
    kept = Kept(out_of_sight, (), (), attic(change, table.schema, table.name, "purge"))
    notes = [f"{says} goes: the old version has it until detach, and finds what it left there on the way back"]
    if table.published:
        notes.append(f"{says} is published: it goes to subscribers until the purge")
    return DropUnits(units, purge, kept, notes)


def _pointing(net: NetChange, dropped: DroppedTable) -> list[tuple[Table, Constraint]]:
    """Foreign keys of tables that stay. Refuses what hangs on the table otherwise."""
    table, found, held = dropped.table, [], []
    for other in net.catalog.tables.values():
        key = (other.schema, other.name)
        if key in net.dropped:
            continue
        delta = net.tables.get(key)
        for one in other.constraints:
            if one.references != (table.schema, table.name):
                continue
            found.append((other, one))
            gone = delta is not None and (one.name in delta.gone or set(one.columns) & set(delta.dropped))
            if gone:
                held.append(f"foreign key {one.name} of {other.schema}.{other.name}, which this change drops itself")
            elif not dropped.cascade:
                held.append(f"foreign key {one.name} of {other.schema}.{other.name}")
    held += [
        one for column in table.columns for one in column.dependents if not one.startswith(("sequence ", "trigger "))
    ]
    held += table.bound
    if held:
        raise fail(
            "schema-not-staged",
            where=dropped.where,
            what=f"dropping table {table.schema}.{table.name}",
            reason=f"this hangs on it: {', '.join(dict.fromkeys(held))}",
            way="take these away in a release before; foreign keys alone go with it: DROP TABLE .. CASCADE",
        )
    return found


def _own(one: Constraint, table: Table) -> bool:
    return one.references == (table.schema, table.name)
