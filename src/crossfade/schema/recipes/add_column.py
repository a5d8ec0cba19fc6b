"""Adding a column: read from ALTER TABLE, and put in the cheapest safe form.

Rule: a value that is the same for all rows costs nothing (PostgreSQL keeps it in the catalog, manual section 5.6.1);
one that differs from row to row is filled after the old version's INSERTs get it, too. NOT NULL binds at once where
every INSERT of the old version gets a value from the default, else at detach.
"""

from __future__ import annotations

from crossfade.model.change import Policy, ShapeMapping
from crossfade.model.errors import fail
from crossfade.schema.expressions import Expression, Reader, apart
from crossfade.schema.mapping import Derived
from crossfade.schema.naming import quote
from crossfade.schema.operations import AddedColumn, NetChange, TableDelta
from crossfade.schema.parser import Node, copied, enum_name, parse_expression, print_statement, print_type, words
from crossfade.schema.parts import Fill, Parts
from crossfade.schema.recipes import add_constraint, add_sequence

_EXACT = ("bool", "int2", "int4", "int8", "text", "varchar", "bytea", "uuid", "date", "timestamp", "timestamptz")
_VIRTUAL_SINCE = 180000
_INLINE = {
    "CONSTR_PRIMARY": "a primary key",
}


def read(net: NetChange, delta: TableDelta, command: Node, where: str) -> None:
    """Read ADD COLUMN. Raises `schema-not-staged`, `schema-expression`."""
    column = getattr(command, "def").column_def
    if command.missing_ok and delta.has(column.colname):
        return
    name_is_free(delta, column.colname, where)
    names = words(column.type_name.names)
    counted = add_sequence.SERIAL.get(names[0], "") if len(names) == 1 else ""
    base, exact = (counted, True) if counted else column_type(net, column.type_name, column.colname, where)
    added = AddedColumn(column.colname, base, exact, where)
    if column.HasField("coll_clause"):
        added.collation = ".".join(quote(part) for part in words(column.coll_clause.collname))
        added.exact = False
    if column.storage_name or column.compression:
        raise _not_staged(where, f"a storage setting on the new column {added.name}", "ALTER COLUMN .. SET STORAGE")
    constraints: list[Node] = []
    for wrapped in column.constraints:
        constraint = wrapped.constraint
        kind = enum_name(constraint, "contype")
        if kind == "CONSTR_NOTNULL":
            added.not_null = True
        elif kind == "CONSTR_DEFAULT":
            added.default = added.existing = default_of(net, delta, constraint.raw_expr, where)
        elif kind == "CONSTR_IDENTITY":
            add_sequence.identity(added, constraint)
        elif kind == "CONSTR_GENERATED":
            added.computed = _computed(net, delta, added, constraint)
        elif kind in ("CONSTR_CHECK", "CONSTR_UNIQUE", "CONSTR_FOREIGN"):
            constraints.append(copied(constraint))
        elif constraints and kind.startswith("CONSTR_ATTR_"):
            constraints[-1].deferrable |= kind in ("CONSTR_ATTR_DEFERRABLE", "CONSTR_ATTR_DEFERRED")
            constraints[-1].initdeferred |= kind == "CONSTR_ATTR_DEFERRED"
        elif kind != "CONSTR_NULL":
            what = f"{_INLINE.get(kind, kind)} on the new column {added.name}"
            raise _not_staged(where, what, "ADD CONSTRAINT .. NOT VALID, then VALIDATE CONSTRAINT; or a unique index")
    if counted:
        add_sequence.serial(net, delta, added)
    delta.added[added.name] = added
    for one in constraints:
        add_constraint.read(net, delta, one, where, added.name)


def amend(net: NetChange, delta: TableDelta, command: Node, where: str) -> None:
    """Read SET or DROP DEFAULT and NOT NULL on a column that this change adds."""
    added = delta.added[command.name]
    subtype = enum_name(command, "subtype")
    if subtype == "AT_ColumnDefault":
        raw = getattr(command, "def")
        added.default = default_of(net, delta, raw, where) if raw.WhichOneof("node") else None
    else:
        added.not_null = subtype == "AT_SetNotNull"


def fill(net: NetChange, delta: TableDelta, name: str, value: Node, only_null: bool, where: str) -> None:
    """Read UPDATE .. SET c = x, for all rows or those where c is NULL."""
    added = delta.added[name]
    if only_null and added.existing is not None:
        return  # no row is NULL there
    renamed = {one.name: old for old, one in delta.renamed.items()}
    reader = delta.reader(net.catalog, *renamed)
    expression = reader.read(value, where, volatile=True)
    if not expression.columns:
        added.existing = expression
        return
    expression = delta.reader(net.catalog).read(_renamed(expression, renamed), where)
    added.up = expression


def computed(added: AddedColumn, up: Expression) -> None:
    """Take over an `up`. One value for all rows of a column that is never NULL is a default until detach, no more."""
    if up.columns or not added.not_null or added.default is not None or added.existing is not None:
        added.up = up
    else:
        added.existing = up


def comment(delta: TableDelta, node: Node) -> str:
    """Print COMMENT ON COLUMN with the table's schema."""
    fresh = copied(node)
    del fresh.object.list.items[:]
    for part in (delta.table.schema, delta.table.name, words(node.object.list.items)[-1]):
        fresh.object.list.items.add().string.sval = part
    return print_statement("comment_stmt", fresh)


def name_is_free(delta: TableDelta, name: str, where: str) -> None:
    """Refuse a name that stands for something else in one of the versions."""
    taken = {*delta.added, *(one.name for one in delta.renamed.values())}
    if delta.table.column(name) is None and name not in taken:
        return
    raise fail(
        "schema-not-staged",
        where=where,
        what=f"the name {name} for something new in {delta.says}",
        reason=f"{name} is a column already, and one name would mean two things while both versions live",
        way="take a name that no version uses yet",
    )


def plan(parts: Parts, added: AddedColumn) -> None:
    """Add a column that no expression connects with others."""
    if added.identity:
        add_sequence.plan_identity(parts, added)
        return
    if added.computed is not None:
        parts.add(added, f" GENERATED ALWAYS AS ({added.computed.render()}) VIRTUAL")
        parts.says.append(f"add column {added.name}, which PostgreSQL computes")
        return
    table, column = parts.quoted, quote(added.name)
    existing, default = added.existing, added.default
    if added.not_null and existing is None:
        raise fail(
            "schema-undecided",
            where=added.where,
            what=f"what {added.name} holds in rows of the old version is not known",
            reason=f"{added.name} is NOT NULL, and the old version's INSERTs do not give it",
            way=f"give it a DEFAULT, or say: -- crossfade: up {parts.delta.table.name}.{added.name} = EXPRESSION",
        )
    later = default or (existing if added.not_null else None)  # what INSERTs that do not name it get meanwhile
    parts.says.append(f"add column {added.name}")
    if existing is not None and existing.volatility != "v":
        not_null = " NOT NULL" if added.not_null else ""
        parts.add(added, f" DEFAULT {existing.render()}{not_null}")
        if later is None:
            parts.expand.append(f"ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")
        elif later.render() != existing.render():
            parts.expand.append(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {later.render()}")
    else:
        parts.add(added)
        if later is not None:
            parts.expand.append(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {later.render()}")
        if existing is not None:
            empty = f"{column} IS NULL"
            value = f"COALESCE({column}, {existing.render()})"
            parts.fills.append(Fill(column, value, empty, empty if added.not_null else ""))
            if added.not_null:
                parts.late_not_null.append(added.name)
    if default is None and later is not None:
        parts.hide.append(f"ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")
        parts.unhide.append(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {later.render()}")
    same = later is not None and later.volatility != "v"
    parts.only_new(added.name, differs_from(added, later.render()) if later and same else f"{column} IS NOT NULL")


def plan_derived(parts: Parts, added: AddedColumn, group: Derived) -> None:
    """Add a column that is computed from others for the old version."""
    column, up = quote(added.name), group.value.render()
    parts.add(added)
    if added.default is not None:
        default = f"SET DEFAULT {added.default.render()}"
        parts.expand.append(f"ALTER TABLE {parts.quoted} ALTER COLUMN {column} {default}")
    differs = f"{column} IS NULL" if added.not_null else ""
    empty = differs or f"({column} IS NULL AND ({up}) IS NOT NULL)"
    parts.fills.append(Fill(column, f"COALESCE({column}, {up})", empty, differs))
    if added.not_null:
        parts.late_not_null.append(added.name)
    parts.only_new(added.name, differs_from(added, up))
    sources = tuple(sorted(group.value.columns))
    says = f"{added.name} is computed from {', '.join(sources) or 'a constant'} for the old version"
    parts.mappings.append(ShapeMapping(parts.delta.says, sources, (added.name,), Policy.NONE, says))
    parts.says.append(f"add column {added.name}; {says}")
    if sources and not group.lanes:
        parts.notes.append(
            f"{parts.delta.says}: the versions share a role, so {added.name} follows {', '.join(sources)} whoever"
            " changes them, as long as it was what they say"
        )


def differs_from(added: AddedColumn, value: str) -> str:
    """Whether a row holds something else there than an expression says."""
    return apart(quote(added.name), f"CAST({value} AS {added.type})", added.type, added.exact)


def _computed(net: NetChange, delta: TableDelta, added: AddedColumn, constraint: Node) -> Expression:
    """Read a generated column: one that is not stored costs nothing (PostgreSQL 18, manual section 5.4)."""
    stored = constraint.generated_kind != "v"
    if stored or net.catalog.version < _VIRTUAL_SINCE or added.not_null:
        raise fail(
            "schema-not-staged",
            where=added.where,
            what=f"the generated column {added.name} on a table that exists",
            reason="it is computed for every row under a lock that blocks everybody; a column filled beside the writes"
            " would be another kind of column",
            way="compute it in the queries or in a view; or add a plain column and fill it:"
            f" -- crossfade: up {delta.table.name}.{added.name} = EXPRESSION; from PostgreSQL 18 on, VIRTUAL without"
            " NOT NULL costs nothing",
        )
    stays = {one.name for one in delta.table.columns if not one.generated and delta.has(one.name)} & {
        one.name for one in delta.table.columns if one.name not in delta.renamed
    }
    reader = Reader(net.catalog, delta.table.schema, delta.table.name, stays)
    return reader.read(constraint.raw_expr, added.where)


def default_of(net: NetChange, delta: TableDelta, node: Node, where: str) -> Expression | None:
    """Read a default; none for DEFAULT NULL."""
    if node.WhichOneof("node") == "a_const" and node.a_const.isnull:
        return None
    return Reader(net.catalog, delta.table.schema, delta.table.name, ()).read(node, where, volatile=True)


def _renamed(expression: Expression, old_names: dict[str, str]) -> Node:
    """The tree with the names that the old version knows."""
    return parse_expression(expression.render(names=old_names))


def column_type(net: NetChange, type_name: Node, column: str, where: str) -> tuple[str, bool]:
    """Name a type as SQL, and say whether equal values of it are stored alike."""
    names = words(type_name.names)
    fresh = copied(type_name)
    for space in net.catalog.search_path if len(names) == 1 else ():
        if f"{space}.{names[0]}" in net.catalog.types:
            fresh.names.insert(0, fresh.names[0])
            fresh.names[0].string.sval = space
            break
    full = ".".join(words(fresh.names))
    if full in net.catalog.domains:
        what = f"the domain {full}, which has a constraint, for the new column {column}"
        raise _not_staged(where, what, "the domain's base type, and the constraint by itself")
    builtin = full.removeprefix("pg_catalog.")
    return print_type(fresh), builtin in _EXACT and not type_name.array_bounds


def _not_staged(where: str, what: str, instead: str) -> Exception:
    return fail(
        "schema-not-staged",
        where=where,
        what=what,
        reason="it takes a lock that blocks everybody while the table is read or rewritten, or binds the old version",
        way=f"add the plain column now; in a later release, by hand: {instead}",
    )
