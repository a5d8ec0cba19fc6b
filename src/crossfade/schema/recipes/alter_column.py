"""Another default, or another answer to NULL, for a column that stays: both versions write the same cell.

Rule: a default is the new version's, so it binds at detach; it binds at expand only where the old version names the
column in every INSERT and so cannot meet it. NOT NULL is stricter than the old version, so it binds at detach, after
a scan under a weak lock; what stands for its NULL is written by the trigger until then. NULL where the old version
knows none is let in at expand only if that version is proven to read it; else something stands for it until purge.
"""

from __future__ import annotations

from crossfade.model.change import Policy, ShapeMapping
from crossfade.model.errors import fail
from crossfade.schema.annotations import Annotation
from crossfade.schema.expressions import read_text
from crossfade.schema.naming import quote
from crossfade.schema.operations import AlteredColumn, NetChange, TableDelta, no_column
from crossfade.schema.parser import Node, enum_name
from crossfade.schema.parts import Fill, Parts
from crossfade.schema.recipes.add_column import default_of


def read(net: NetChange, delta: TableDelta, command: Node, where: str) -> None:
    """Read SET or DROP DEFAULT and NOT NULL on a column that exists. Raises `schema-not-staged`, `schema-not-found`."""
    name = command.name
    if not delta.has(name):
        raise no_column(delta, name, where)
    not_renamed(delta, delta.old_name(name) != name, name, where)
    column = delta.table.column(name)
    assert column is not None
    altered = delta.altered.setdefault(name, AlteredColumn(column, where))
    altered.where = where
    subtype = enum_name(command, "subtype")
    if subtype != "AT_ColumnDefault":
        altered.not_null = subtype == "AT_SetNotNull"
        _no_key(delta, altered)
        return
    if column.generated or column.identity:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"a default for {delta.says}.{name}, which PostgreSQL generates,",
            reason="PostgreSQL takes no default there",
            way="leave it out",
        )
    raw = getattr(command, "def")
    altered.new_default = True
    altered.default = default_of(net, delta, raw, where) if raw.WhichOneof("node") else None


def fill(net: NetChange, delta: TableDelta, name: str, value: Node, only_null: bool, where: str) -> None:
    """Read UPDATE .. SET c = x WHERE c IS NULL, of a column that this change sets NOT NULL."""
    if not only_null:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"giving {delta.says}.{name} another value in every row",
            reason="it changes rows that a version may be using, and has no undo",
            way=f"fill what is empty alone: UPDATE .. SET {name} = x WHERE {name} IS NULL",
        )
    column = delta.table.column(name)
    assert column is not None
    altered = delta.altered.setdefault(name, AlteredColumn(column, where))
    altered.up, altered.filled_at = delta.reader(net.catalog).read(value, where, volatile=True), where


def annotate(net: NetChange, delta: TableDelta, annotation: Annotation) -> bool:
    """Take over what is said of a column whose NULL changes; False if it is said of another."""
    altered = delta.altered.get(annotation.column)
    if altered is None:
        return False
    if annotation.verb == "up" and altered.sets_not_null:
        altered.up = read_text(annotation.expression, delta.reader(net.catalog), annotation.where, volatile=True)
    elif annotation.verb == "down" and altered.drops_not_null:
        altered.down = read_text(annotation.expression, delta.reader(net.catalog), annotation.where, volatile=True)
    elif annotation.verb == "reads-null" and altered.drops_not_null:
        altered.reads_null = True
    else:
        return False
    return True


def not_renamed(delta: TableDelta, both: bool, name: str, where: str) -> None:
    """Refuse to rename a column and to change its default or NOT NULL in one change."""
    if both:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"changing the default or NOT NULL of {delta.says}.{name} and renaming it",
            reason="the default tells who wrote a row while the two names are kept in step",
            way="rename it in this release, and change the rest in the next one",
        )


def plan(parts: Parts, altered: AlteredColumn) -> None:
    """Put the parts of one column together. Raises `schema-undecided`."""
    if not altered.changes:
        return
    if altered.new_default:
        _default(parts, altered)
    if altered.sets_not_null:
        _set_not_null(parts, altered)
    elif altered.drops_not_null:
        _drop_not_null(parts, altered)


def _default(parts: Parts, altered: AlteredColumn) -> None:
    column, says = altered.column, f"{parts.delta.says}.{altered.column.name}"
    if altered.default is None and column.default is None:
        return
    alter = f"ALTER TABLE {parts.quoted} ALTER COLUMN {quote(column.name)}"
    do = f"{alter} SET DEFAULT {altered.default.render()}" if altered.default else f"{alter} DROP DEFAULT"
    undo = f"{alter} SET DEFAULT {column.default}" if column.default is not None else f"{alter} DROP DEFAULT"
    if column.not_null and column.default is None:  # the old version names it, or its INSERT would have failed
        parts.says.append(f"let {column.name} have a default")
        parts.expand.append(do)
        parts.take_back.append(undo)
        return
    parts.binds.append(f"the default of {column.name}")
    parts.hide.append(do)
    parts.unhide.append(undo)
    parts.notes.append(
        f"{says}: its default changes at detach; until then an INSERT of either version without it gets"
        f" {column.default or 'NULL'}"
    )


def _set_not_null(parts: Parts, altered: AlteredColumn) -> None:
    name = altered.column.name
    column, says = quote(name), f"{parts.delta.says}.{name}"
    empty = f"{column} IS NULL"
    parts.late_not_null.append(name)
    if altered.up is None:
        parts.fills.append(Fill(column, column, "", empty))
        parts.notes.append(
            f"{says} takes no NULL from detach on; a row with NULL there stops the shift before, unless something"
            f" stands for it: UPDATE {parts.delta.table.name} SET {name} = x WHERE {name} IS NULL"
        )
        return
    value = altered.up.render()
    parts.fills.append(Fill(column, f"COALESCE({column}, {value})", empty, empty))
    parts.says.append(f"fill {name} where it is NULL")
    mapping = f"NULL in {name} becomes {value}, in both versions"
    parts.mappings.append(ShapeMapping(parts.delta.says, (name,), (name,), Policy.NONE, mapping))
    parts.notes.append(f"{says}: the old version reads {value} where it wrote NULL, and so it stays on the way back")


def _drop_not_null(parts: Parts, altered: AlteredColumn) -> None:
    delta, name = parts.delta, altered.column.name
    says, target = f"{delta.says}.{name}", f"{delta.table.name}.{name}"
    drop = f"ALTER TABLE {parts.quoted} ALTER COLUMN {quote(name)} DROP NOT NULL"
    if altered.reads_null:
        parts.loosened.append(name)
        parts.expand.append(drop)
        parts.says.append(f"let {name} be NULL")
        parts.notes.append(f"{says} may be NULL from expand on, which the old version is said to read")
    elif altered.down is not None:
        value = altered.down.render()
        parts.let_go.append(drop)
        parts.says.append(f"keep NULL out of {name}")
        mapping = f"NULL in {name} becomes {value}, in both versions, until the purge"
        parts.mappings.append(ShapeMapping(delta.says, (name,), (name,), Policy.RECORD, mapping))
        parts.notes.append(f"{says}: until the purge the new version reads {value} where it wrote NULL")
    else:
        raise fail(
            "schema-undecided",
            where=altered.where,
            what=f"what the old version reads where the new one writes NULL into {says} is not known",
            reason="both versions read the same column, and the old one has met no NULL there",
            way=f"if it is proven to read NULL: -- crossfade: reads-null {target}; else say what stands for NULL until"
            f" the purge: -- crossfade: down {target} = EXPRESSION",
        )


def _no_key(delta: TableDelta, altered: AlteredColumn) -> None:
    if altered.drops_not_null and altered.column.name in delta.table.key:
        raise fail(
            "schema-not-staged",
            where=altered.where,
            what=f"NULL in {delta.says}.{altered.column.name}",
            reason="it belongs to the primary key",
            way="leave it out",
        )
