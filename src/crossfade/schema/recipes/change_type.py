"""Changing a column's type: in place at expand where only the catalog changes, else in a second column.

Rule: in place means no row is read or written: nothing but the catalog says how long a value may be. A type that both
versions would need under one name at once has no place in one table. A prepared statement that reads the column fails
once in a session that had it (measured on PostgreSQL 15 and 18: "cached plan must not change result type"), whatever
the columns are called, so somebody has to say that there is none.

The way back narrows the type again where that is exact and quick; else the wider type stays, and the plan says so.
"""

from __future__ import annotations

from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.annotations import Annotation
from crossfade.schema.casts import Shape, shape
from crossfade.schema.catalog import Column
from crossfade.schema.naming import literal, quote
from crossfade.schema.operations import NetChange, RetypedColumn, TableDelta, no_column
from crossfade.schema.parser import (
    Node,
    copied,
    parse_statement,
    print_expression,
    unwrap,
    words,
)
from crossfade.schema.parts import Parts
from crossfade.schema.recipes import add_column, convert_column

SMALL_BYTES = 1024 * 1024  # with its indexes: what the way back may rewrite under a lock
_LENGTH = ("varchar", "varbit")
_PRECISION = ("time", "timetz", "timestamp", "timestamptz")
_FINEST = 6
_STAYS = ("sequence ", "statistics ", "publication ")  # what a type change in place leaves alone


def read(net: NetChange, delta: TableDelta, command: Node, where: str) -> None:
    """Read ALTER COLUMN .. TYPE. Raises `schema-not-found`, `schema-not-staged`."""
    definition = getattr(command, "def").column_def
    if not delta.has(command.name):
        raise no_column(delta, command.name, where)
    if command.name in delta.added:
        _amend(net, delta, command.name, definition, where)
        return
    column = delta.table.column(delta.old_name(command.name))
    assert column is not None
    type, exact = add_column.column_type(net, definition.type_name, column.name, where)
    using = definition.raw_default if definition.HasField("raw_default") else None
    plain = using is None or _only_cast(using, column.name)
    old, new = shape(column.type), shape(type)
    if plain and old == new and not definition.HasField("coll_clause"):
        return
    collation, in_place = "", plain and not definition.HasField("coll_clause") and fits(old, new)
    if definition.HasField("coll_clause"):
        collation = ".".join(quote(part) for part in words(definition.coll_clause.collname))
    if column.name != command.name:
        raise _elsewhere(delta, column, type, None if plain else using, where, "one change gives it another name, too")
    exact = exact and not collation
    delta.retyped[column.name] = RetypedColumn(
        column, type, where, False, exact, collation, using and copied(using), in_place
    )


def annotate(delta: TableDelta, annotation: Annotation) -> bool:
    """Take over what is said of a column with another type; False if it is said of another."""
    retyped = delta.retyped.get(annotation.column)
    if retyped is None or annotation.verb not in ("up", "down", "partial"):
        return False
    if annotation.verb == "up":
        retyped.up = annotation
    elif annotation.verb == "down":
        retyped.down = annotation
    return True


def settle(
    net: NetChange, delta: TableDelta, policies: convert_column.Policies, *, has_lane_roles: bool, has_pooler: bool
) -> None:
    """Tell what changes in place from what is converted in a second column. Raises what either does."""
    for name, retyped in list(delta.retyped.items()):
        if retyped.fits and retyped.unprepared:
            _held(delta, retyped.column, retyped.where)
            continue
        why_not = convert_column.may_not(delta, has_lane_roles=has_lane_roles, has_pooler=has_pooler)
        if not why_not:
            delta.converted[name] = convert_column.convert(net, delta, retyped, policies)
            del delta.retyped[name]
        elif retyped.fits:
            _held(delta, retyped.column, retyped.where)
        else:
            using = None if retyped.using is None or _only_cast(retyped.using, name) else retyped.using
            raise _elsewhere(delta, retyped.column, retyped.type, using, retyped.where, why_not)


def plan(parts: Parts, retyped: RetypedColumn) -> None:
    """Widen a column. Raises `schema-undecided`, `schema-not-staged`."""
    delta, column = parts.delta, retyped.column
    name, says = quote(column.name), f"{delta.says}.{column.name}"
    if column.name in delta.renamed:
        raise _elsewhere(delta, column, retyped.type, None, retyped.where, "one change gives it another name, too")
    if not retyped.unprepared:
        raise fail(
            "schema-undecided",
            where=retyped.where,
            what=f"whether a live version has prepared a statement that reads {says} is not known",
            reason="such a statement fails once in its session when the type changes, whichever columns it names",
            way=f"if none is prepared, or the driver prepares again by itself, say it: -- crossfade: retype"
            f" {delta.table.name}.{column.name}; else {_another_way(delta, column, retyped.type, None)}",
        )
    alter = f"ALTER TABLE {parts.quoted} ALTER COLUMN {name} TYPE"
    back = f"{alter} {column.type}"
    if column.default is not None:
        back += f"; ALTER TABLE {parts.quoted} ALTER COLUMN {name} SET DEFAULT {column.default}"
    old, new = shape(column.type), shape(retyped.type)
    parts.says.append(f"widen {column.name} to {retyped.type}")
    parts.expand.append(f"{alter} {retyped.type}")
    if fits(new, old):
        parts.take_back.append(back)
    else:
        parts.take_back.append(
            "DO $crossfade$ BEGIN IF"
            f" pg_catalog.pg_total_relation_size({literal(parts.quoted)}::pg_catalog.regclass) <= {SMALL_BYTES} AND"
            f" NOT EXISTS (SELECT FROM {parts.quoted} WHERE {_exceeds(name, column.type, retyped.type)})"
            f" THEN {back}; END IF; END $crossfade$"
        )
        parts.notes.append(
            f"{says} becomes {retyped.type} at expand: the old version reads values that it could not write; on the way"
            f" back it stays {retyped.type} where a value does not fit into {column.type}, or the table"
            f" with its indexes is larger than {SMALL_BYTES // 1024} kB"
        )


def fits(old: Shape, new: Shape) -> bool:
    """Whether PostgreSQL takes every value of the old type as it is stored for one of the new type."""
    (kind, mods), (to, limits) = old, new
    if kind == to and mods == limits:
        return True
    if (kind, to) == ("varchar", "text") or (kind, to) == ("cidr", "inet"):
        return not limits
    if (kind, to) == ("text", "varchar"):
        return not limits
    if kind != to:
        return False
    if kind in _LENGTH:
        return not limits or (bool(mods) and limits[0] >= mods[0])
    if kind in _PRECISION:
        return not limits or (bool(mods) and min(limits[0], _FINEST) >= mods[0])
    if kind == "numeric":
        return not limits or (bool(mods) and (*mods, 0)[1] == (*limits, 0)[1] and limits[0] >= mods[0])
    if kind == "interval" and len(mods) > 1:  # fields, precision
        return (limits[:1] == mods[:1] and (len(limits) == 1 or limits[1] >= mods[1])) or not limits
    return False


def _exceeds(name: str, old: str, new: str) -> str:
    kind, mods = shape(old)
    if kind == "numeric":
        digits, scale = (*mods, 0)[:2]
        limit = f"(10::pg_catalog.numeric ^ {digits - scale})"
        return f"{name} <> 'NaN' AND (pg_catalog.scale({name}) > {scale} OR pg_catalog.abs({name}) >= {limit})"
    return f"{name} IS DISTINCT FROM CAST(CAST({name} AS {old}) AS {new})"


def _amend(net: NetChange, delta: TableDelta, name: str, definition: Node, where: str) -> None:
    added = delta.added[name]
    if definition.HasField("raw_default") or definition.HasField("coll_clause"):
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"another type for the new column {name}, with USING or COLLATE,",
            reason="the column is new, so there is nothing to convert",
            way="write the type it ends with in ADD COLUMN",
        )
    added.type, added.exact = add_column.column_type(net, definition.type_name, name, where)


def _only_cast(using: Node, column: str) -> bool:
    kind, node = unwrap(using)
    while kind == "type_cast":
        kind, node = unwrap(node.arg)
    return kind == "column_ref" and words(node.fields)[-1] == column


def _held(delta: TableDelta, column: Column, where: str) -> None:
    """Refuse what PostgreSQL reads or builds anew under its lock, and what it refuses itself."""
    table = delta.table
    held = [one for one in column.dependents if not one.startswith(_STAYS)]
    held += [f"check {one.name}" for one in table.constraints if one.kind == "c" and column.name in one.columns]
    held += [f"foreign key {one.name}" for one in table.constraints if one.kind == "f" and column.name in one.columns]
    held += [f"foreign key {one.name} of {one.table}" for one in table.referenced_by if column.name in one.columns]
    for index in table.indexes:
        if column.name in index.columns:
            node = parse_statement(index.definition)
            if node.HasField("where_clause") or any(not one.index_elem.name for one in node.index_params):
                held.append(f"index {index.name}, which has an expression")
    if held:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"changing the type of {delta.says}.{column.name}",
            reason=f"PostgreSQL refuses it, or reads the table under a lock that blocks everybody, because of"
            f" {', '.join(held)}",
            way="take these away in a release before, and make them anew in the one after: CREATE INDEX CONCURRENTLY;"
            " ADD CONSTRAINT .. NOT VALID, then VALIDATE CONSTRAINT",
        )


def _elsewhere(
    delta: TableDelta, column: Column, type: str, using: Node | None, where: str, why: str
) -> CrossfadeError:
    return fail(
        "schema-not-staged",
        where=where,
        what=f"changing {delta.says}.{column.name} from {column.type} to {type}",
        reason="it rewrites the table under a lock that blocks everybody, and while both versions live one name would"
        f" mean two types; {why}",
        way=_another_way(delta, column, type, using),
    )


def _another_way(delta: TableDelta, column: Column, type: str, using: Node | None) -> str:
    table, name = delta.table.name, column.name
    beside = f"{name}_new"
    up = print_expression(copied(using)) if using is not None else f"{name}::{type}"
    down = f"{beside}::{column.type}" if using is None else "EXPRESSION"
    rest = " NOT NULL" if column.not_null else ""
    return (
        f"take a new name, and the old one again in a later release: ALTER TABLE {table} ADD COLUMN {beside}"
        f" {type}{rest}, DROP COLUMN {name}; with -- crossfade: up {table}.{beside} = {up}"
        f" and -- crossfade: down {table}.{name} = {down}"
    )
