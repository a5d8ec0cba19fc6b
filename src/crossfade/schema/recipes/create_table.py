"""Creating a table: at expand, whole, with its indexes, constraints and grants, before anybody uses it.

Rule: every statement of the change that touches only tables it creates belongs to this unit. A foreign key to a table
that exists takes SHARE ROW EXCLUSIVE there, which writers wait for, so that lock is taken first.
"""

from __future__ import annotations

from crossfade.model.change import Kept, Unit
from crossfade.model.errors import fail
from crossfade.schema.naming import attic, quote_table
from crossfade.schema.operations import CreatedTable, NetChange
from crossfade.schema.parser import Node, Statement, copied, enum_name, every, kind_of, print_statement


def read(net: NetChange, statement: Statement) -> None:
    """Read CREATE TABLE. Raises `schema-not-staged`."""
    node, where = copied(statement.node), statement.where
    relation = node.relation
    schema = relation.schemaname or (net.catalog.search_path[0] if net.catalog.search_path else "public")
    exists = (schema, relation.relname) in net.catalog.tables or (schema, relation.relname) in net.created
    if exists and node.if_not_exists:
        return
    if exists or relation.relpersistence != "p":
        what = f"creating {schema}.{relation.relname}" if exists else "a temporary or unlogged table"
        reason = "there is one already" if exists else "its rows do not outlive a session or a crash"
        way = "take another name" if exists else "create an ordinary one"
        raise fail("schema-not-staged", where=where, what=what, reason=reason, way=way)
    relation.schemaname = schema
    created = CreatedTable(schema, relation.relname, where)
    net.created[schema, relation.relname] = created
    _add(net, created, statement.kind, node, where)


def extend(net: NetChange, statement: Statement) -> bool:
    """Add a statement that touches only a table of this change to it; False if it touches another."""
    node = copied(statement.node)
    relations = [one for one in every(node) if kind_of(one) == "RangeVar"]
    if statement.kind == "comment_stmt":
        return _extend_comment(net, statement)
    first = relations[0] if relations else None
    created = net.made(first) if first is not None else None
    if created is None:
        return False
    if statement.kind == "index_stmt":
        node.concurrent = False
    if statement.kind == "insert_stmt" and not node.select_stmt.select_stmt.values_lists:
        raise fail(
            "schema-not-staged",
            where=statement.where,
            what=f"filling {created.name} from a query",
            reason="rows that the old version writes later would be missing from it",
            way="insert plain VALUES here; copy rows by hand once the new version writes both places",
        )
    _add(net, created, statement.kind, node, statement.where)
    return True


def plan(created: CreatedTable) -> Unit:
    """The unit that creates it."""
    whole = quote_table(created.schema, created.name)
    held = sorted({*created.references, (created.schema, created.name)})  # dropping a foreign key locks its other table
    return Unit(
        key=f"create:{created.schema}.{created.name}",
        says=f"create table {created.name}",
        do=tuple(created.statements),
        undo=(f"DROP TABLE {whole}",),
        locks=tuple((quote_table(*one), "SHARE ROW EXCLUSIVE") for one in sorted(created.references)),
        undo_locks=tuple((quote_table(*one), "ACCESS EXCLUSIVE") for one in held),
    )


def kept(created: CreatedTable, change: str) -> Kept:
    """What undoing it drops: all its rows."""
    whole = quote_table(created.schema, created.name)
    return Kept(whole, (), (), attic(change, created.schema, created.name, "undo"))


def _add(net: NetChange, created: CreatedTable, kind: str, node: Node, where: str) -> None:
    for message in every(node):
        if kind_of(message) != "RangeVar":
            continue
        made = net.made(message)
        table = net.catalog.find(message.schemaname, message.relname)
        if made is not None:
            message.schemaname = made.schema
        elif table is not None:
            message.schemaname = table.schema
            created.references.add((table.schema, table.name))
        else:
            known = ", ".join(f"{one.schema}.{one.name}" for one in net.catalog.tables.values()) or "no table"
            what = f"there is no table {message.relname}"
            raise fail("schema-not-found", where=where, what=what, known=known)
    if kind == "create_stmt" and any(net.made(one.range_var) is None for one in node.inh_relations):
        raise fail(
            "schema-not-staged",
            where=where,
            what="a partition or child of a table that exists",
            reason="it takes a lock on the parent that blocks everybody",
            way="create it by itself, and ATTACH it by hand, with a CHECK that proves its bounds",
        )
    created.statements.append(print_statement(kind, node))


def _extend_comment(net: NetChange, statement: Statement) -> bool:
    node = statement.node
    kind = enum_name(node, "objtype")
    if kind not in ("OBJECT_TABLE", "OBJECT_COLUMN"):
        return False
    parts = [item.string.sval for item in node.object.list.items]
    table = parts[:-1] if kind == "OBJECT_COLUMN" else parts
    if not table:
        return False
    spaces = [table[0]] if len(table) == 2 else list(net.catalog.search_path)
    for space in spaces:
        created = net.created.get((space, table[-1]))
        if created is not None:
            fresh = copied(node)
            del fresh.object.list.items[:]
            for part in (space, table[-1], *(parts[-1:] if kind == "OBJECT_COLUMN" else ())):
                fresh.object.list.items.add().string.sval = part
            created.statements.append(print_statement("comment_stmt", fresh))
            return True
    return False
