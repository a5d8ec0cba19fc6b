"""Views and materialized views: new ones at expand, after the tables; another definition at detach.

Rule: a view that exists serves both versions by one name, so it keeps its columns, and its new definition waits until
the old version has left. A new one is made when both shapes are there, so one that asks for all columns of a table
whose shape changes would hold the old shape's, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.model.errors import fail
from crossfade.schema.beside import Beside, When, taken
from crossfade.schema.naming import quote_table
from crossfade.schema.operations import NetChange
from crossfade.schema.parser import Node, Statement, copied, enum_name, every, kind_of, print_statement, unwrap, words


def read(net: NetChange, statement: Statement) -> None:
    """Read CREATE VIEW. Raises `schema-not-found`, `schema-not-staged`."""
    node, where = copied(statement.node), statement.where
    schema, bare = node.view.schemaname or net.home, node.view.relname
    name, whole = f"{schema}.{bare}", quote_table(schema, bare)
    there = net.catalog.tables.get((schema, bare))
    if name in net.created_names or (there and not (there.kind == "v" and node.replace)):
        raise taken(where, "view", name)
    if node.view.relpersistence != "p":
        raise taken(where, "a temporary view, and not", name)
    node.view.schemaname = schema
    _qualify(net, node.query, where)
    if there is None:
        node.replace = False
        text, drop = print_statement(statement.kind, node), f"DROP VIEW {whole}"
        says, held = f"create view {name}", _held(node.query)
        net.beside.append(Beside("view", name, When.LATE, says, [text], [drop], where, reads=held[0], columns=held[1]))
        return
    if _columns(node) != [one.name for one in there.columns]:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"other columns for the view {name}",
            reason="the old version reads it by the same name, and a prepared SELECT * of it would fail; columns that"
            " were added could not be taken back",
            way="create a view under another name with the columns in full, and drop this one in a later release",
        )
    options = f" WITH ({there.options})" if there.options else ""
    net.beside.append(
        Beside(
            "view",
            name,
            When.DETACH,
            f"replace view {name}",
            [print_statement(statement.kind, node)],
            [f"CREATE OR REPLACE VIEW {whole}{options} AS {there.definition.rstrip().removesuffix(';')}"],
            where,
            notes=(f"view {name} gets its new definition at detach: until then both versions read the earlier one",),
        )
    )


def read_materialized(net: NetChange, statement: Statement) -> bool:
    """Read CREATE MATERIALIZED VIEW; False for CREATE TABLE AS."""
    node, where = copied(statement.node), statement.where
    if enum_name(node, "objtype") != "OBJECT_MATVIEW":
        return False
    relation = node.into.rel
    schema, bare = relation.schemaname or net.home, relation.relname
    name = f"{schema}.{bare}"
    if (schema, bare) in net.catalog.tables or name in net.created_names:
        if node.if_not_exists:
            return True
        raise taken(where, "materialized view", name)
    relation.schemaname, node.if_not_exists = schema, False
    _qualify(net, node.query, where)
    text, drop = print_statement(statement.kind, node), f"DROP MATERIALIZED VIEW {quote_table(schema, bare)}"
    says = f"create materialized view {name}"
    notes = (f"materialized view {name} is filled at expand, in one transaction: REFRESH it when the fill is done",)
    reads, columns = _held(node.query)
    net.beside.append(
        Beside(
            "materialized view",
            name,
            When.LATE,
            says,
            [text],
            [drop],
            where,
            scans=True,
            notes=notes,
            reads=reads,
            columns=columns,
        )
    )
    return True


def _held(query: Node) -> tuple[frozenset[str], frozenset[str]]:
    """The tables that a query reads and the columns it names."""
    messages = list(every(query))
    tables = {f"{one.schemaname}.{one.relname}" for one in messages if kind_of(one) == "RangeVar"}
    columns = {words(one.fields)[-1] for one in messages if kind_of(one) == "ColumnRef"}
    return frozenset(tables), frozenset(columns)


def _qualify(net: NetChange, query: Node, where: str) -> None:
    """Write the schema of each table into the query."""
    named = {one.ctename for one in every(query) if kind_of(one) == "CommonTableExpr"}
    for relation in [one for one in every(query) if kind_of(one) == "RangeVar"]:
        if relation.relname in named and not relation.schemaname:
            continue
        made = net.made(relation)
        table = made or net.catalog.find(relation.schemaname, relation.relname)
        schema = table.schema if table else relation.schemaname or net.home
        if table is None and f"{schema}.{relation.relname}" not in net.created_names:
            known = ", ".join(f"{one.schema}.{one.name}" for one in net.catalog.tables.values()) or "no table"
            what = f"there is no table {relation.relname}"
            raise fail("schema-not-found", where=where, what=what, known=known)
        relation.schemaname = schema


def check(net: NetChange) -> None:
    """Refuse a new view over a table that changes where it would hold on to the old shape."""
    for view in net.beside:
        for delta in net.tables.values():
            changes = {*delta.renamed, *delta.dropped, *delta.added}
            held = view.columns & {"*", *delta.renamed, *delta.dropped}
            if delta.says in view.reads and changes and held:
                raise fail(
                    "schema-not-staged",
                    where=view.where,
                    what=f"{', '.join(sorted(held))} of {delta.says} in {view.kind} {view.name}",
                    reason="while both versions live the table has the columns of both shapes, and the view would hold"
                    " on to the old ones",
                    way="name the columns in the view, as they are called after the change",
                )


def _columns(node: Node) -> Sequence[str]:
    """The names of a view's columns; none where they cannot be told from the text."""
    if node.aliases:
        return words(node.aliases)
    select = node.query.select_stmt
    while select.HasField("larg"):
        select = select.larg
    found = []
    for one in select.target_list:
        kind, inner = unwrap(one.res_target.val)
        while kind == "type_cast" and not one.res_target.name:
            kind, inner = unwrap(inner.arg)
        if one.res_target.name:
            found.append(one.res_target.name)
        elif kind == "column_ref":
            found.append(words(inner.fields)[-1])
        elif kind == "func_call":
            found.append(words(inner.funcname)[-1])
        else:
            return ()
    return found
