"""Creating an index on a table that exists: always CONCURRENTLY, whatever the file says.

Rule: an attempt that failed leaves an invalid index behind, so the probe asks for a valid one and the wreck is dropped
before the next try (manual, CREATE INDEX, "Building Indexes Concurrently"). A unique index binds what the old version
writes, so it waits for detach; one on a column that is filled waits for the fill. One that
takes the place of an index that goes is built beside it, and they change names at detach.
"""

from __future__ import annotations

from crossfade.model.change import Unit
from crossfade.model.errors import fail
from crossfade.schema.naming import literal, quote_table, second, short
from crossfade.schema.operations import NetChange, NewIndex, no_column
from crossfade.schema.parser import (
    Node,
    Statement,
    column_ref,
    copied,
    every,
    kind_of,
    print_statement,
    unwrap,
    words,
)
from crossfade.schema.recipes import create_table


def read(net: NetChange, statement: Statement) -> None:
    """Read CREATE INDEX. Raises `schema-not-staged`, `schema-not-found`."""
    if create_table.extend(net, statement):
        return
    node, where = copied(statement.node), statement.where
    delta = net.delta(node.relation, where)
    name = node.idxname or _chosen_name(node)
    taken = {
        index.name
        for table in net.catalog.tables.values()
        for index in table.indexes
        if table.schema == delta.table.schema
    }
    gone = name in delta.gone_indexes
    if name in taken and not gone and node.if_not_exists and node.idxname:
        return
    takes = name if gone and name not in delta.replaced else ""
    if (name in taken and not takes) or any(one.name == name for one in net.indexes):
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"an index called {name}",
            reason="there is one of that name already",
            way="give it a name of its own; a new index that takes the place of another is built beside it first",
        )
    columns = frozenset(
        [one.name for one in every(node) if kind_of(one) == "IndexElem" and one.name]
        + [words(one.fields)[-1] for one in every(node) if kind_of(one) == "ColumnRef"]
    )
    for column in sorted(columns):
        if not delta.has(column):
            raise no_column(delta, column, where)
    if takes:
        delta.replaced[takes] = name = second(net.change, takes)
    node.idxname, node.concurrent, node.if_not_exists = name, True, False
    node.relation.schemaname = delta.table.schema
    net.indexes.append(NewIndex(delta.table, name, node, node.unique, columns, where, takes))


def plan(index: NewIndex, behind: str = "", names: dict[str, str] | None = None) -> Unit:
    """The unit that builds it, on the table or on what it is called behind a view, over columns with other `names`."""
    node = copied(index.node)
    rename_columns(node, names or {})
    node.relation.relname = behind or node.relation.relname
    return build(index.table.schema, index.name, print_statement("index_stmt", node))


def build(schema: str, name: str, statement: str) -> Unit:
    """The unit that builds an index with CREATE INDEX CONCURRENTLY."""
    whole = quote_table(schema, name)
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {whole}"
    return Unit(
        key=f"index:{schema}.{name}",
        says=f"build index {name} beside the writes",
        do=(statement,),
        undo=(drop,),
        concurrent=True,
        probe="SELECT EXISTS (SELECT FROM pg_catalog.pg_index"
        f" WHERE indexrelid = pg_catalog.to_regclass({literal(whole)}) AND indisvalid)",
        wreck=(drop,),
    )


def rename_columns(node: Node, names: dict[str, str]) -> None:
    """Let an index be over other columns."""
    for message in list(every(node)):
        kind = message.DESCRIPTOR.name
        if kind == "IndexElem" and message.name in names:
            message.name = names[message.name]
        elif kind == "ColumnRef" and words(message.fields)[-1] in names:
            message.CopyFrom(column_ref(names[words(message.fields)[-1]]).column_ref)


def _chosen_name(node: Node) -> str:
    """The name that PostgreSQL gives an index without one."""
    parts = []
    for wrapped in (*node.index_params, *node.index_including_params):
        element = wrapped.index_elem
        kind, inner = unwrap(element.expr) if not element.name else ("", element)
        parts.append(element.name or (words(inner.funcname)[-1] if kind == "func_call" else "expr"))
    return short(f"{node.relation.relname}_{'_'.join(parts)}_idx")
