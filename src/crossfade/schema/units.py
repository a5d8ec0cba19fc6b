"""One table's units, from the parts that the recipes put together.

Rule: each unit takes its locks first and does its work in one short transaction; what reads the whole table does so
under a lock that stops nobody. Undo runs backwards. Triggers go first when columns go, because a write between the two
would fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from crossfade.model.change import Backfill, Kept, Unit
from crossfade.schema.catalog import Constraint
from crossfade.schema.fronting import front_of
from crossfade.schema.naming import attic, literal, meanwhile, quote, quote_table
from crossfade.schema.parts import Parts
from crossfade.schema.triggers import Pair

_BLOCKS = "ACCESS EXCLUSIVE"


@dataclass(frozen=True)
class TableUnits:
    """What one table adds to each stage."""

    expand: Sequence[Unit] = ()
    backfill: Sequence[Backfill] = ()
    settle: Sequence[Unit] = ()
    strict: Sequence[Unit] = ()  # checks that bind at detach, before anything is hidden
    unique: Sequence[Unit] = ()
    late: Sequence[Unit] = ()  # foreign keys, which may point at what has just become unique
    hide: Sequence[Unit] = ()
    purge: Sequence[Unit] = ()
    purge_keeps: Sequence[Kept] = field(default=())
    undo_keeps: Sequence[Kept] = field(default=())


def table_units(parts: Parts, pair: Pair, pair_hidden: Pair) -> TableUnits:
    """Put one table's units together."""
    return TableUnits(
        _expand(parts, pair),
        _backfill(parts),
        tuple(parts.settle),
        _strict(parts),
        tuple(parts.unique),
        tuple(parts.late),
        _hide(parts, pair, pair_hidden),
        _purge(parts, pair),
        _purge_keeps(parts, pair_hidden),
        _undo_keeps(parts),
    )


def _expand(parts: Parts, pair: Pair) -> Sequence[Unit]:
    front = front_of(parts)
    if not parts.expand and not pair.needed and not front.old:
        return _light(parts)
    made = [*pair.functions(), *pair.triggers()] if pair.needed else []
    dropped = list(pair.drop()) if pair.needed else []
    check = [_not_null_check(parts, column) for column in parts.loosened]
    left = [  # by a way back that met a NULL
        f"ALTER TABLE {parts.quoted} DROP CONSTRAINT IF EXISTS {quote(_not_null_name(parts, column))}"
        for column in parts.loosened
    ]
    main = Unit(
        key=f"expand:{parts.delta.says}",
        says="; ".join([*parts.says, *front.says]),
        do=(*left, *parts.expand, *parts.light, *made, *front.old),
        undo=(*front.away, *dropped, *reversed(parts.light_back), *reversed(parts.take_back), *check),
        locks=tuple((table, _BLOCKS) for table in sorted({parts.quoted, *parts.pointed})),
    )
    if parts.delta.added or parts.delta.renamed or parts.delta.retyped or parts.delta.converted:
        main = _retypes(parts, main)
    return (*_way_back(parts), main, *front.for_new_lane)


def _light(parts: Parts) -> Sequence[Unit]:
    """Comments and grants alone, which hold up nobody."""
    if not parts.light:
        return ()
    undo = tuple(reversed(parts.light_back))
    key, locks = f"expand:{parts.delta.says}", ((parts.quoted, "SHARE UPDATE EXCLUSIVE"),)
    return (Unit(key=key, says="comments and rights", do=tuple(parts.light), undo=undo, locks=locks),)


def _way_back(parts: Parts) -> Sequence[Unit]:
    """What the way back proves again, without a lock while it reads, and leaves off where rows say otherwise."""
    units = []
    if parts.loosened:
        units.append(
            Unit(
                key=f"tighten:{parts.delta.says}",
                says=f"on the way back: {', '.join(parts.loosened)} NOT NULL again, where no row says otherwise",
                do=("SELECT true",),
                undo=tuple(_tighten(parts, column) for column in parts.loosened),
                locks=((parts.quoted, _BLOCKS),),
            )
        )
    if parts.loosened or parts.proofs:
        looks = [f"look for NULL in {', '.join(parts.loosened)}"] if parts.loosened else []
        looks += [f"check the rows that are there against {', '.join(parts.proofs)}"] if parts.proofs else []
        names = [*(_not_null_name(parts, column) for column in parts.loosened), *parts.proofs]
        units.append(
            Unit(
                key=f"prove:{parts.delta.says}",
                says=f"on the way back: {'; '.join(looks)}",
                do=("SELECT true",),
                undo=tuple(prove(parts.quoted, name) for name in names),
                scans=True,
            )
        )
    return units


def _retypes(parts: Parts, unit: Unit) -> Unit:
    """Say what becomes of SELECT * where a unit changes the table's columns."""
    if parts.delta.behind:
        return replace(unit, steadies=(parts.quoted,))
    return replace(unit, retypes=(parts.quoted,))


def _not_null_name(parts: Parts, column: str) -> str:
    return meanwhile(parts.change, f"{parts.delta.table.name}_{column}_not_null")


def _not_null_check(parts: Parts, column: str) -> str:
    name = quote(_not_null_name(parts, column))
    return f"ALTER TABLE {parts.quoted} ADD CONSTRAINT {name} CHECK ({quote(column)} IS NOT NULL) NOT VALID"


def prove(table: str, name: str) -> str:
    """Validate a constraint that the way back has added, unless a row breaks it."""
    return (
        f"DO $crossfade$ BEGIN ALTER TABLE {table} VALIDATE CONSTRAINT {quote(name)};"
        " EXCEPTION WHEN check_violation OR foreign_key_violation OR undefined_object THEN NULL; END $crossfade$"
    )


def _tighten(parts: Parts, column: str) -> str:
    name = _not_null_name(parts, column)
    return (
        "DO $crossfade$ BEGIN IF (SELECT convalidated FROM pg_catalog.pg_constraint"
        f" WHERE conrelid = {literal(parts.quoted)}::pg_catalog.regclass AND conname = {literal(name)})"
        f" THEN ALTER TABLE {parts.quoted} ALTER COLUMN {quote(column)} SET NOT NULL;"
        f" ALTER TABLE {parts.quoted} DROP CONSTRAINT {quote(name)}; END IF; END $crossfade$"
    )


def _backfill(parts: Parts) -> Sequence[Backfill]:
    if not parts.fills:
        return ()
    differs = list(dict.fromkeys(fill.differs for fill in parts.fills if fill.differs))
    return (
        Backfill(
            key=f"backfill:{parts.delta.says}",
            table=parts.behind,
            assignments=tuple((fill.column, fill.value) for fill in parts.fills),
            unfilled=" OR ".join(dict.fromkeys(fill.unfilled for fill in parts.fills if fill.unfilled)) or "false",
            differs=" OR ".join(differs) or "false",
        ),
    )


def _strict(parts: Parts) -> Sequence[Unit]:
    checks = [(_not_null_name(parts, name), f"CHECK ({quote(name)} IS NOT NULL)") for name in parts.late_not_null]
    unproven = [(late.meanwhile, late.definition) for late in parts.late_checks if not late.valid]
    proven = [*checks, *((late.meanwhile, late.definition) for late in parts.late_checks if late.valid)]
    checks = [*proven, *unproven]
    if not checks:
        return ()
    table, front = f"ALTER TABLE {parts.quoted}", front_of(parts)
    add = [f"{table} ADD CONSTRAINT {quote(name)} {check} NOT VALID" for name, check in checks]
    bind = (
        Unit(
            key=f"bind:{parts.delta.says}",
            says="bind new rows to what the new version promises",
            do=(*front.away, *add, *front.old),
            undo=(*front.away, *_loose(parts, [name for name, _ in checks]), *front.old),
            locks=((parts.quoted, _BLOCKS),),
        ),
    )
    if not proven:
        return bind
    return (
        *bind,
        Unit(
            key=f"validate:{parts.delta.says}",
            says="check the rows that are there",
            do=tuple(f"ALTER TABLE {parts.behind} VALIDATE CONSTRAINT {quote(name)}" for name, _ in proven),
            undo=("SELECT true",),  # the constraint goes with the unit before
            scans=True,
        ),
    )


def _loose(parts: Parts, names: Sequence[str]) -> Sequence[str]:
    return [f"ALTER TABLE {parts.quoted} DROP CONSTRAINT IF EXISTS {quote(name)}" for name in names]


def _hide(parts: Parts, pair: Pair, pair_hidden: Pair) -> Sequence[Unit]:
    do, undo = list(parts.hide), list(parts.unhide)
    table = f"ALTER TABLE {parts.quoted}"
    for column in parts.late_not_null:
        name = quote(parts.called.get(column, column))
        do.append(f"{table} ALTER COLUMN {name} SET NOT NULL")
        do.append(f"{table} DROP CONSTRAINT IF EXISTS {quote(_not_null_name(parts, column))}")
        undo.append(f"{table} ALTER COLUMN {name} DROP NOT NULL")
    takes = [unit.key for unit in parts.unique if unit.concurrent]  # such an index goes with its constraint
    if parts.late_not_null:  # their checks are gone, so that all of the unit goes that added them
        takes += [unit.key for unit in _strict(parts)]
        undo += reversed(_loose(parts, [late.meanwhile for late in parts.late_checks]))
    do += [one for one, _ in parts.bound]
    undo += [one for _, one in parts.bound]
    front = front_of(parts)
    if not do and not front.away:
        return ()
    undo.reverse()
    if pair_hidden.functions() != pair.functions():
        do += pair_hidden.functions()
        undo += pair.functions()
    says = "bind what the new version promises" if do else "show the new shape"
    says = f"hide {', '.join(parts.hidden)}" if parts.hidden else says
    says += f": {', '.join(parts.binds)}" if parts.binds else ""
    unit = Unit(
        key=f"hide:{parts.delta.says}",
        says=says,
        do=(*front.away, *do, *front.new),
        undo=(*front.away, *undo, *front.old),
        locks=tuple((name, _BLOCKS) for name in sorted({parts.quoted, *parts.hide_pointed})),
        takes=tuple(takes),
    )
    return (_retypes(parts, unit) if parts.hidden or front.away else unit,)


def _purge(parts: Parts, pair: Pair) -> Sequence[Unit]:
    """First what keeps the shapes in step, with all that a row without the old shape would break; then the columns."""
    table, says = f"ALTER TABLE {parts.quoted}", parts.delta.says
    units, front = [], front_of(parts)
    stop = [*(pair.drop() if pair.needed else ()), *_let_go(parts), *parts.let_go]
    if stop:
        key, locks = f"purge-sync:{says}", ((parts.quoted, _BLOCKS),)
        do = [*front.away, *stop, *front.new]
        units.append(Unit(key=key, says="the old shape is not kept in step any more", do=tuple(do), locks=locks))
    do = [f"{table} DROP COLUMN {quote(name)}" for name in parts.hidden.values()]
    do += parts.purge
    do += [
        f"{table} RENAME CONSTRAINT {quote(late.meanwhile)} TO {quote(late.name)}"
        for late in parts.late_checks
        if late.meanwhile != late.name
    ]
    if do or front.away:
        pointed = {quote_table(*one.references) for one in _old_constraints(parts) if one.references}
        what = f"drop {', '.join(parts.hidden) or 'what only the way there needed'}"
        unit = Unit(
            key=f"purge:{says}",
            says=what if do else "put the table back in its place",
            do=(*front.away, *do),
            locks=tuple((name, _BLOCKS) for name in sorted({parts.quoted, *pointed})),
        )
        units.append(_retypes(parts, unit) if parts.hidden or front.away else unit)
    return [*units, *front.leave_new_lane, *parts.last]


def _let_go(parts: Parts) -> Sequence[str]:
    """Take off the hidden columns what only their trigger, or the old version, could satisfy."""
    table = f"ALTER TABLE {parts.quoted}"
    lines = [f"{table} DROP CONSTRAINT {quote(one.name)}" for one in _old_constraints(parts) if one.kind == "c"]
    for name, called in parts.hidden.items():
        column = parts.delta.table.column(name)
        assert column is not None
        if column.identity or column.generated:
            continue
        if column.default is not None:  # nobody's word, and it would look like the old version's
            lines.append(f"{table} ALTER COLUMN {quote(called)} DROP DEFAULT")
        if column.not_null and name not in parts.loosened:
            lines.append(f"{table} ALTER COLUMN {quote(called)} DROP NOT NULL")
    return lines


def _old_constraints(parts: Parts) -> Sequence[Constraint]:
    return [one for one in parts.delta.table.constraints if set(one.columns) & set(parts.hidden)]


def _purge_keeps(parts: Parts, hidden: Pair) -> Sequence[Kept]:
    table = parts.delta.table
    kept: list[tuple[Sequence[str], str]] = []
    plain: list[str] = []
    for columns, rows in parts.old_only:
        if rows == "down":
            group = next(one for one in hidden.groups.two_way if one.old[0].name == columns[0])
            # NULL where the old version had none was written between the end of sync and the drop.
            given = [f"{quote(parts.hidden[side.name])} IS NOT NULL" for side in group.old if side.not_null]
            kept.append((columns, " AND ".join([f"({hidden.out_of_step_down(group, '')})", *given])))
        else:
            plain += columns
    if plain:
        kept.append((plain, " OR ".join(f"{quote(parts.hidden[name])} IS NOT NULL" for name in plain)))
    return tuple(
        Kept(
            table=parts.behind,
            key=tuple(quote(name) for name in table.key),
            columns=tuple(quote(parts.hidden[name]) for name in columns),
            attic=attic(parts.change, table.schema, table.name, f"purge_{number}" if number else "purge"),
            only_new=rows,
        )
        for number, (columns, rows) in enumerate(kept)
    )


def _undo_keeps(parts: Parts) -> Sequence[Kept]:
    table = parts.delta.table
    columns = [*parts.new_only, *parts.loosened]
    if not columns:
        return ()
    rows = [*dict.fromkeys(parts.new_only.values()), *(f"{quote(name)} IS NULL" for name in parts.loosened)]
    return (
        Kept(
            table=parts.behind,
            key=tuple(quote(name) for name in table.key),
            columns=tuple(quote(name) for name in columns),
            attic=attic(parts.change, table.schema, table.name, "undo"),
            only_new=" OR ".join(rows),
        ),
    )
