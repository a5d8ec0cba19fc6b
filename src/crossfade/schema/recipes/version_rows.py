"""Rows of a migration tool's own table: written before the new version starts, with their exact undo.

Rule: an undo names every value that the file gives, so it takes back this row and no other.
"""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.model.change import Unit
from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.naming import quote, quote_table
from crossfade.schema.operations import NetChange
from crossfade.schema.parser import Node, Statement, copied, enum_name, print_expression, print_statement, unwrap, words


def plan(net: NetChange, statement: Statement, number: int) -> Unit:
    """The unit that runs one statement. Raises `schema-not-staged`, `schema-not-found`."""
    node = copied(statement.node)
    relation = node.relation
    created = net.made(relation)
    table = net.catalog.find(relation.schemaname, relation.relname)
    if created is None and table is None:
        known = ", ".join(f"{one.schema}.{one.name}" for one in net.catalog.tables.values()) or "no table"
        what = f"there is no table {relation.relname}"
        raise fail("schema-not-found", where=statement.where, what=what, known=known)
    node.ClearField("returning_clause")  # Rails asks for what it has written
    relation.schemaname = created.schema if created else table.schema if table else ""
    whole = quote_table(relation.schemaname, relation.relname)
    names = [column.name for column in table.columns] if table else []
    undo = {"insert_stmt": _undo_insert, "update_stmt": _undo_update, "delete_stmt": _undo_delete}[statement.kind]
    return Unit(
        key=f"record:{number}:{relation.schemaname}.{relation.relname}",
        says=f"note this change in {relation.relname}",
        do=(print_statement(statement.kind, node),),
        undo=undo(statement, node, whole, names),
    )


def _undo_insert(statement: Statement, node: Node, whole: str, names: Sequence[str]) -> Sequence[str]:
    if node.HasField("on_conflict_clause"):
        raise _no_undo(statement)  # whether the row was there before is not in the file
    columns = [one.res_target.name for one in node.cols] or list(names)
    undo = []
    for row in node.select_stmt.select_stmt.values_lists:
        values = zip(columns, row.list.items, strict=False)
        pairs = [(column, print_expression(value)) for column, value in values if _constant(value)]
        if not pairs:
            raise _no_undo(statement)
        undo.append(f"DELETE FROM {whole} WHERE {_match(pairs)}")
    if not undo:
        raise _no_undo(statement)
    return tuple(reversed(undo))


def _undo_update(statement: Statement, node: Node, whole: str, _names: Sequence[str]) -> Sequence[str]:
    before = dict(_pairs(statement, node.where_clause))
    after = {one.res_target.name: one.res_target.val for one in node.target_list}
    if not set(after) <= set(before) or not all(_constant(value) for value in after.values()):
        raise _no_undo(statement)
    given = [(name, print_expression(value)) for name, value in after.items()]
    kept = [(name, value) for name, value in before.items() if name not in after]
    back = ", ".join(f"{quote(name)} = {before[name]}" for name in after)
    return (f"UPDATE {whole} SET {back} WHERE {_match([*given, *kept])}",)


def _undo_delete(statement: Statement, node: Node, whole: str, names: Sequence[str]) -> Sequence[str]:
    pairs = _pairs(statement, node.where_clause)
    if {name for name, _ in pairs} != set(names or [name for name, _ in pairs]):
        raise _no_undo(statement)
    columns = ", ".join(quote(name) for name, _ in pairs)
    return (f"INSERT INTO {whole} ({columns}) VALUES ({', '.join(value for _, value in pairs)})",)


def _pairs(statement: Statement, where: Node) -> list[tuple[str, str]]:
    """What a WHERE of `column = constant AND ..` says."""
    kind, node = unwrap(where)
    if kind == "bool_expr" and enum_name(node, "boolop") == "AND_EXPR":
        return [pair for one in node.args for pair in _pairs(statement, one)]
    if kind == "a_expr" and enum_name(node, "kind") == "AEXPR_OP" and words(node.name) == ("=",):
        left, ref = unwrap(node.lexpr)
        if left == "column_ref" and _constant(node.rexpr):
            return [(words(ref.fields)[-1], print_expression(node.rexpr))]
    raise _no_undo(statement)


def _constant(node: Node) -> bool:
    kind, inner = unwrap(node)
    return (kind == "a_const" and not inner.isnull) or (kind == "type_cast" and _constant(inner.arg))


def _match(pairs: Sequence[tuple[str, str]]) -> str:
    return " AND ".join(f"{quote(name)} = {value}" for name, value in pairs)


def _no_undo(statement: Statement) -> CrossfadeError:
    return fail(
        "schema-not-staged",
        where=statement.where,
        what=f"this statement on {statement.node.relation.relname}",
        reason="what it does cannot be taken back exactly: the file does not say what was there before",
        way="write it with plain values: INSERT .. VALUES, UPDATE .. SET c = 'b' WHERE c = 'a', DELETE by all columns",
    )
