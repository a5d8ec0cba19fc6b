"""Reads a script's statements, one kind at a time, into the net change.

Rule: each reader adds to the sum what its statement does, or refuses it. Every kind of statement that is not in
`_READERS` is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crossfade.model.change import Policy
from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.annotations import Annotation, misplaced
from crossfade.schema.catalog import Catalog
from crossfade.schema.expressions import read_text
from crossfade.schema.operations import DroppedColumn, NetChange, RenamedColumn, TableDelta, no_column
from crossfade.schema.parser import Script, Statement, enum_name, unwrap, words
from crossfade.schema.recipes import (
    add_column,
    add_constraint,
    alter_column,
    change_type,
    comment_and_grant,
    create_index,
    create_object,
    create_routine,
    create_table,
    create_view,
    drop_constraint,
    drop_index,
    drop_object,
    drop_table,
    run_data,
)

_FILL = "write it as UPDATE table SET new_column = expression WHERE new_column IS NULL, one column each"
_OWN_RELEASE = "make it by hand in a release of its own, between two versions that both work before and after it"
_NO_FORM = {
    "drop_stmt": (
        "",
        "the old version may still use it",
        "drop it by hand in a later release, when no live version uses it",
    ),
    "delete_stmt": (
        "DELETE",
        "what it removes cannot be brought back, and the old version still reads it",
        run_data.SAY_IT,
    ),
    "insert_stmt": (
        "INSERT",
        "the old version reads the new rows, and which of them to take away again is not said",
        run_data.SAY_IT,
    ),
    "truncate_stmt": ("TRUNCATE", "what it removes cannot be brought back", _OWN_RELEASE),
}


def read_script(script: Script, annotations: Sequence[Annotation], catalog: Catalog, change: str) -> NetChange:
    """Sum up a script. Raises `schema-not-found`, `schema-not-staged`, `schema-expression`, `schema-annotation`."""
    net = NetChange(catalog, version_rows=script.version_rows, change=change)
    known = frozenset({*catalog.schemas, *(schema for schema, _ in catalog.tables)})
    for path in script.paths:
        path.hold(catalog.search_path, known)
    said = run_data.said_of(script.statements, annotations)
    for statement in script.statements:
        if statement.where in said:
            run_data.read(net, statement, said[statement.where])
            continue
        if create_object.extend(net, statement):
            continue
        reader = _READERS.get(statement.kind)
        if reader is None:
            raise _no_form(statement)
        if statement.kind in ("rename_stmt", "drop_stmt"):
            comment_and_grant.come_last(net)
        reader(net, statement)
    for annotation in annotations:
        if annotation.verb not in ("data", "undo"):
            _annotate(net, annotation)
    for delta in net.tables.values():
        for altered in delta.altered.values():
            if altered.filled_at and not altered.sets_not_null:
                raise _no_update(altered.filled_at)
    create_view.check(net)
    return net


def _no_form(statement: Statement) -> CrossfadeError:
    begins = " ".join(statement.text.split()[:2]).upper()
    unknown = ("", "crossfade knows no staged form of it, and no undo", _OWN_RELEASE)
    what, reason, way = _NO_FORM.get(statement.kind, unknown)
    return fail("schema-not-staged", where=statement.where, what=what or begins, reason=reason, way=way)


def _alter_table(net: NetChange, statement: Statement) -> None:
    if create_table.extend(net, statement):
        return
    if enum_name(statement.node, "objtype") != "OBJECT_TABLE":
        raise _no_form(statement)
    delta = net.delta(statement.node.relation, statement.where)
    for wrapped in statement.node.cmds:
        command = wrapped.alter_table_cmd
        subtype = enum_name(command, "subtype")
        if subtype == "AT_AddColumn":
            add_column.read(net, delta, command, statement.where)
        elif subtype == "AT_AlterColumnType":
            change_type.read(net, delta, command, statement.where)
        elif subtype == "AT_DropColumn":
            _drop_column(net, delta, command.name, command.missing_ok, statement.where)
        elif subtype in ("AT_ColumnDefault", "AT_SetNotNull", "AT_DropNotNull"):
            amend = add_column.amend if command.name in delta.added else alter_column.read
            amend(net, delta, command, statement.where)
        elif subtype == "AT_AddConstraint":
            add_constraint.read(net, delta, getattr(command, "def").constraint, statement.where)
        elif subtype == "AT_DropConstraint":
            drop_constraint.read(delta, command, statement.where)
        elif subtype == "AT_ValidateConstraint":
            add_constraint.validate(delta, command.name, statement.where)
        else:
            what, reason = f"ALTER TABLE with {subtype[3:]}", "crossfade knows no staged form of it"
            raise fail("schema-not-staged", where=statement.where, what=what, reason=reason, way=_OWN_RELEASE)


def _drop_column(net: NetChange, delta: TableDelta, name: str, missing_ok: bool, where: str) -> None:
    if not delta.has(name):
        if missing_ok:
            return
        raise no_column(delta, name, where)
    add_constraint.let_go(delta, name)
    if delta.added.pop(name, None) is not None:
        return
    old = delta.old_name(name)
    delta.renamed.pop(old, None)
    delta.retyped.pop(old, None)
    delta.altered.pop(old, None)
    column = delta.table.column(old)
    assert column is not None
    delta.dropped[old] = DroppedColumn(column, where)
    said = f"column {old} of table {delta.says}"
    net.going |= {said, f"default value for {said}"}


def _rename(net: NetChange, statement: Statement) -> None:
    node, where = statement.node, statement.where
    if create_table.extend(net, statement):
        return
    kinds = (enum_name(node, "rename_type"), enum_name(node, "relation_type"))
    if kinds[0] == "OBJECT_TABCONSTRAINT":
        drop_constraint.rename(net.delta(node.relation, where), node.subname, node.newname, where)
        return
    if kinds[0] == "OBJECT_INDEX":
        drop_index.rename(net, statement)
        return
    if kinds != ("OBJECT_COLUMN", "OBJECT_TABLE"):
        what = "renaming this"
        reason = "one of the two versions would not find it"
        way = "keep the name; or add the new one beside it, and drop the old one in a later release"
        raise fail("schema-not-staged", where=where, what=what, reason=reason, way=way)
    delta = net.delta(node.relation, where)
    if not delta.has(node.subname):
        raise no_column(delta, node.subname, where)
    add_constraint.not_renamed(delta, node.subname, where)
    if node.subname in delta.added:
        add_column.name_is_free(delta, node.newname, where)
        added = delta.added.pop(node.subname)
        if added.comments:
            raise fail(
                "schema-not-staged",
                where=where,
                what=f"another name for the new column {node.subname}, whose comment or sequence has the first one,",
                reason="what follows ADD COLUMN is written with the name that it gave",
                way="write the name it ends with in ADD COLUMN",
            )
        added.name = node.newname
        delta.added[added.name] = added
        return
    old = delta.old_name(node.subname)
    delta.renamed.pop(old, None)
    if node.newname == old:
        return
    add_column.name_is_free(delta, node.newname, where)
    alter_column.not_renamed(delta, old in delta.altered, node.newname, where)
    column = delta.table.column(old)
    assert column is not None
    delta.renamed[old] = RenamedColumn(column, node.newname, where)


def _update(net: NetChange, statement: Statement) -> None:
    node, where = statement.node, statement.where
    delta = net.delta(node.relation, where)
    targets = [one.res_target for one in node.target_list]
    plain = not node.from_clause and not node.HasField("returning_clause") and not node.HasField("with_clause")
    if not plain or len(targets) != 1 or targets[0].indirection or not delta.has(targets[0].name):
        raise _no_update(where)
    column = targets[0].name
    only_null = False
    if node.where_clause.WhichOneof("node"):
        kind, test = unwrap(node.where_clause)
        inner_kind, inner = unwrap(test.arg) if kind == "null_test" else ("", test)
        only_null = inner_kind == "column_ref" and words(inner.fields)[-1] == column
        if not only_null or enum_name(test, "nulltesttype") != "IS_NULL":
            raise fail(
                "schema-not-staged",
                where=where,
                what=f"filling {column} in some rows",
                reason="what the old version writes meanwhile is filled by the same rule, and this rule has a WHERE",
                way=f"say it for every row: SET {column} = CASE WHEN .. THEN .. END WHERE {column} IS NULL",
            )
    fill = add_column.fill if column in delta.added else alter_column.fill
    fill(net, delta, column, targets[0].val, only_null, where)


def _no_update(where: str) -> CrossfadeError:
    return fail(
        "schema-not-staged",
        where=where,
        what="this UPDATE",
        reason="it changes rows that a version may be using, and has no undo; one that fills one new column has",
        way="; or ".join((_FILL, run_data.SAY_IT)),
    )


def _comment(net: NetChange, statement: Statement) -> None:
    if create_table.extend(net, statement):
        return
    node = statement.node
    if enum_name(node, "objtype") == "OBJECT_COLUMN":
        parts = words(node.object.list.items)
        table = net.catalog.find(parts[0] if len(parts) == 3 else "", parts[-2] if len(parts) > 1 else "")
        delta = net.tables.get((table.schema, table.name)) if table else None
        if delta is not None and parts[-1] in delta.added:
            delta.added[parts[-1]].comments.append(add_column.comment(delta, node))
            return
    comment_and_grant.comment(net, statement)


def _grant(net: NetChange, statement: Statement) -> None:
    if not create_table.extend(net, statement):
        comment_and_grant.grant(net, statement)


def _on_created(net: NetChange, statement: Statement) -> None:
    if not create_table.extend(net, statement):
        raise _no_form(statement)


def _drop(net: NetChange, statement: Statement) -> None:
    if enum_name(statement.node, "remove_type") == "OBJECT_INDEX":
        drop_index.read(net, statement)
    elif enum_name(statement.node, "remove_type") == "OBJECT_TABLE":
        drop_table.read(net, statement)
    elif not drop_object.read(net, statement):
        raise _no_form(statement)


def _create_as(net: NetChange, statement: Statement) -> None:
    if not create_view.read_materialized(net, statement):
        raise _no_form(statement)


def _annotate(net: NetChange, annotation: Annotation) -> None:
    if annotation.verb == "binds":
        add_constraint.bind_now(net, annotation)
        return
    delta = net.delta_of(annotation.schema, annotation.table, annotation.where)
    column, where = annotation.column, annotation.where
    if alter_column.annotate(net, delta, annotation) or change_type.annotate(delta, annotation):
        return
    if annotation.verb in ("up", "partial"):
        if column not in delta.added:
            hint = f"new columns of {delta.says}: {', '.join(sorted(delta.added)) or 'none'}"
            raise misplaced(annotation, f"{column} is no new column of this change", hint)
        if delta.added[column].identity or delta.added[column].computed:
            raise misplaced(annotation, f"PostgreSQL gives {column} its values", "take the annotation away")
        if annotation.verb == "up":
            up = read_text(annotation.expression, delta.reader(net.catalog), where)
            add_column.computed(delta.added[column], up)
        return
    if annotation.verb == "retype":
        if column not in delta.retyped:
            hint = f"columns of {delta.says} with a new type: {', '.join(sorted(delta.retyped)) or 'none'}"
            raise misplaced(annotation, f"{column} gets no other type in this change", hint)
        delta.retyped[column].unprepared = True
        return
    if column not in delta.dropped:
        hint = f"dropped columns of {delta.says}: {', '.join(sorted(delta.dropped)) or 'none'}"
        raise misplaced(annotation, f"{column} is no column that this change drops", hint)
    if annotation.verb == "reads-null":
        delta.dropped[column].reads_null = True
        return
    stays = [one.name for one in delta.table.columns if delta.has(one.name) and not one.generated]
    reader = delta.reader(net.catalog)
    names = [*stays, *delta.added, *(one.name for one in delta.renamed.values())]
    reader = type(reader)(net.catalog, reader.schema, reader.table, names)
    delta.dropped[column].down = read_text(annotation.expression, reader, where)


def policies(annotations: Sequence[Annotation]) -> dict[tuple[str, str], tuple[Policy, Annotation]]:
    """What was said of values without counterpart, by table and new column."""
    return {(one.table, one.column): (one.policy, one) for one in annotations if one.verb == "partial"}


_Reads = Callable[[NetChange, Statement], None]
_READERS: dict[str, _Reads] = {
    "alter_table_stmt": _alter_table,
    "rename_stmt": _rename,
    "update_stmt": _update,
    "comment_stmt": _comment,
    "create_stmt": create_table.read,
    "index_stmt": create_index.read,
    "insert_stmt": _on_created,
    "grant_stmt": _grant,
    "drop_stmt": _drop,
    "create_enum_stmt": create_object.create_type,
    "composite_type_stmt": create_object.create_type,
    "create_domain_stmt": create_object.create_type,
    "alter_enum_stmt": create_object.add_value,
    "create_seq_stmt": create_object.create_sequence,
    "alter_seq_stmt": create_object.alter_sequence,
    "create_schema_stmt": create_object.create_schema,
    "create_extension_stmt": create_object.create_extension,
    "create_function_stmt": create_routine.create,
    "create_trig_stmt": create_routine.create_trigger,
    "view_stmt": create_view.read,
    "create_table_as_stmt": _create_as,
}
