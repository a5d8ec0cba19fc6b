"""What each statement adds to what is known.

Rule: called after the statement's own findings, so a statement is judged by what was there before it. A statement that
is not handled here teaches nothing; it never makes what is known wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crossfade.schema.lint.known import (
    Column,
    Constraint,
    Index,
    Known,
    Table,
    definition,
    dropped_names,
    joined,
    named,
    not_null_column,
)
from crossfade.schema.lint.types import is_serial, read_type
from crossfade.schema.parser import Node, enum_name, unwrap, words


def learn(kind: str, node: Node, known: Known) -> None:
    """Take in what one statement has changed."""
    how = _LEARNERS.get(kind)
    if how is not None:
        how(node, known)


def constraint_of(node: Node, column: str = "") -> Constraint:
    """The constraint that a tree writes, of a column or of a table."""
    kind = enum_name(node, "contype")
    names = words(node.fk_attrs) if kind == "CONSTR_FOREIGN" else words(node.keys)
    test = not_null_column(node.raw_expr) if kind == "CONSTR_CHECK" else ""
    references = named(node.pktable) if kind == "CONSTR_FOREIGN" else ""
    return Constraint(kind, names or ((column,) if column else ()), not node.skip_validation, test, references)


def column_of(written: Node) -> Column:
    """The column that a definition writes."""
    one = Column(read_type(written.type_name), has_default=is_serial(written.type_name))
    one.not_null = one.has_default
    for each in written.constraints:
        kind = enum_name(each.constraint, "contype")
        one.not_null |= kind in ("CONSTR_NOTNULL", "CONSTR_PRIMARY", "CONSTR_IDENTITY")
        one.has_default |= kind in ("CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED")
        if kind == "CONSTR_CHECK" and not_null_column(each.constraint.raw_expr) == written.colname:
            one.proven = each.constraint.conname or "check"
    return one


def _create_table(node: Node, known: Known) -> None:
    name = named(node.relation)
    if node.if_not_exists and name in known.tables:
        return
    table = Table(name, made_in=known.file, complete=True, partitioned=bool(node.partspec.part_params))
    for parent in node.inh_relations:
        above = known.tables.get(named(parent.range_var))
        table.columns.update(above.columns if above else {})
        table.complete &= above is not None and above.complete
    table.complete &= not node.of_typename.names
    known.tables[name] = table
    for element in node.table_elts:
        kind, one = unwrap(element)
        if kind == "column_def":
            table.columns[one.colname] = column_of(one)
            for each in one.constraints:
                _add_constraint(each.constraint, table, known, one.colname)
        elif kind == "constraint":
            _add_constraint(one, table, known)
        else:  # LIKE another table
            table.complete = False


def _create_as(node: Node, known: Known) -> None:
    name = named(node.into.rel)
    if enum_name(node, "objtype") == "OBJECT_MATVIEW":
        known.made["matview", name] = known.file
    known.tables[name] = Table(name, made_in=known.file)


def _alter_table(node: Node, known: Known) -> None:
    name = named(node.relation)
    table = known.table(name)
    for one in node.cmds:
        command = one.alter_table_cmd
        subtype = enum_name(command, "subtype")
        if subtype == "AT_AddColumn":
            added = definition(command).column_def
            if added.colname not in table.columns or not command.missing_ok:
                table.columns[added.colname] = column_of(added)
                table.columns[added.colname].added_in = known.file if table.made_in != known.file else -1
                if not table.columns[added.colname].has_default:
                    known.unfilled.add((name, added.colname))
            for each in added.constraints:
                _add_constraint(each.constraint, table, known, added.colname)
        elif subtype == "AT_AddConstraint":
            added = definition(command).constraint
            _add_constraint(added, table, known)
            if added.skip_validation:
                known.unproven.add(added.conname)
        elif subtype == "AT_DropColumn":
            table.columns.pop(command.name, None)
        elif subtype == "AT_DropConstraint":
            _drop_constraint(command.name, table)
        elif subtype == "AT_ValidateConstraint":
            _validate(command.name, table)
        elif subtype == "AT_AlterColumnType":
            column = table.columns.setdefault(command.name, Column())
            column.type = read_type(definition(command).column_def.type_name)
        elif subtype in ("AT_SetNotNull", "AT_DropNotNull"):
            table.columns.setdefault(command.name, Column()).not_null = subtype == "AT_SetNotNull"
        elif subtype == "AT_ColumnDefault":
            default = command.HasField("def")
            table.columns.setdefault(command.name, Column()).has_default = default


def _add_constraint(node: Node, table: Table, known: Known, column: str = "") -> None:
    one = constraint_of(node, column)
    if node.indexname and node.indexname in known.indexes:  # USING INDEX
        one.columns = known.indexes[node.indexname].columns
    suffix = {"CONSTR_PRIMARY": "pkey", "CONSTR_UNIQUE": "key", "CONSTR_FOREIGN": "fkey", "CONSTR_CHECK": "check"}
    if one.kind not in suffix and one.kind not in ("CONSTR_EXCLUSION", "CONSTR_NOTNULL"):
        return
    parts = [table.name] if one.kind == "CONSTR_PRIMARY" else [table.name, *one.columns]
    table.constraints[node.conname or "_".join((*parts, suffix.get(one.kind, "not_null")))] = one
    if one.kind == "CONSTR_PRIMARY" or (one.kind == "CONSTR_NOTNULL" and one.valid):
        for name in one.columns:
            table.columns.setdefault(name, Column()).not_null = True
    if one.not_null and one.valid:
        table.columns.setdefault(one.not_null, Column()).proven = node.conname or "check"


def _validate(name: str, table: Table) -> None:
    one = table.constraints.get(name)
    if one is None:
        return
    one.valid = True
    if one.not_null:
        table.columns.setdefault(one.not_null, Column()).proven = name
    if one.kind == "CONSTR_NOTNULL":
        for column in one.columns:
            table.columns.setdefault(column, Column()).not_null = True


def _drop_constraint(name: str, table: Table) -> None:
    table.constraints.pop(name, None)
    for column in table.columns.values():
        if column.proven == name:
            column.proven = ""


def _update(node: Node, known: Known) -> None:
    table = named(node.relation)
    known.unfilled -= {(table, one.res_target.name) for one in node.target_list}


def _rename(node: Node, known: Known) -> None:
    kind = enum_name(node, "rename_type")
    name = named(node.relation)
    if kind == "OBJECT_COLUMN":
        table = known.table(name)
        if node.subname in table.columns:
            table.columns[node.newname] = table.columns.pop(node.subname)
    elif kind == "OBJECT_TABLE" and name in known.tables:
        known.tables[node.newname] = known.tables.pop(name)
        known.tables[node.newname].name = node.newname
    elif kind == "OBJECT_TABCONSTRAINT":
        constraints = known.table(name).constraints
        if node.subname in constraints:
            constraints[node.newname] = constraints.pop(node.subname)
    elif kind == "OBJECT_INDEX" and name in known.indexes:
        known.indexes[node.newname] = known.indexes.pop(name)


def _drop(node: Node, known: Known) -> None:
    kind = enum_name(node, "remove_type")
    for name in dropped_names(node):
        if kind == "OBJECT_TABLE":
            known.tables.pop(name, None)
        elif kind == "OBJECT_INDEX":
            known.indexes.pop(name, None)
        elif kind in ("OBJECT_DOMAIN", "OBJECT_TYPE"):
            known.domains.pop(name, None)


def _create_index(node: Node, known: Known) -> None:
    columns = tuple(one.index_elem.name for one in node.index_params)
    name = node.idxname or "_".join((node.relation.relname, *(one or "expr" for one in columns), "idx"))
    schema = node.relation.schemaname
    prefix = f"{schema}." if schema not in ("", "public") else ""
    known.indexes[prefix + name] = Index(named(node.relation), node.unique, columns)


def _create_function(node: Node, known: Known) -> None:
    said = "volatile"
    for one in node.options:
        if one.def_elem.defname == "volatility":
            said = one.def_elem.arg.string.sval
    name = joined(words(node.funcname))
    known.volatility[name] = said
    known.made.setdefault(("function", name), known.file)


def _create_domain(node: Node, known: Known) -> None:
    name = joined(words(node.domainname))
    known.domains[name] = any(
        enum_name(one.constraint, "contype") in ("CONSTR_CHECK", "CONSTR_NOTNULL") for one in node.constraints
    )
    known.made["type", name] = known.file


def _alter_domain(node: Node, known: Known) -> None:
    if node.subtype in ("C", "O"):
        known.domains[joined(words(node.type_name))] = True


def _alter_enum(node: Node, known: Known) -> None:
    name = joined(words(node.type_name))
    if not node.old_val and not known.new("type", name):
        known.enum_values[node.new_val] = name


def creates(kind: str, node: Node) -> Iterator[tuple[str, str]]:
    """What a statement creates: its kind and name."""
    if kind == "view_stmt":
        yield "view", named(node.view)
    elif kind == "create_table_as_stmt" and enum_name(node, "objtype") == "OBJECT_MATVIEW":
        yield "matview", named(node.into.rel)
    elif kind == "create_function_stmt":
        yield "function", joined(words(node.funcname))
    elif kind == "create_enum_stmt":
        yield "type", joined(words(node.type_name))
    elif kind == "composite_type_stmt":
        yield "type", named(node.typevar)
    elif kind == "create_domain_stmt":
        yield "type", joined(words(node.domainname))
    elif kind == "create_range_stmt":
        yield "type", joined(words(node.type_name))
    elif kind == "create_seq_stmt":
        yield "sequence", named(node.sequence)
    elif kind == "create_schema_stmt":
        yield "schema", node.schemaname


def _made(kind: str) -> Callable[[Node, Known], None]:
    def note(node: Node, known: Known) -> None:
        for one in creates(kind, node):
            known.made.setdefault(one, known.file)

    return note


_LEARNERS: dict[str, Callable[[Node, Known], None]] = {
    "create_stmt": _create_table,
    "create_table_as_stmt": _create_as,
    "alter_table_stmt": _alter_table,
    "rename_stmt": _rename,
    "update_stmt": _update,
    "drop_stmt": _drop,
    "index_stmt": _create_index,
    "create_function_stmt": _create_function,
    "create_domain_stmt": _create_domain,
    "alter_domain_stmt": _alter_domain,
    "alter_enum_stmt": _alter_enum,
    **{
        kind: _made(kind)
        for kind in ("view_stmt", "create_enum_stmt", "composite_type_stmt", "create_range_stmt", "create_seq_stmt")
    },
    "create_schema_stmt": _made("create_schema_stmt"),
}
