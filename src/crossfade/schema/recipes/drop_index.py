"""Dropping or renaming an index that exists.

Rule: an index that goes stays until purge, since the old version's queries may need it, and building it again would
make the way back long; until then a unique one still binds. Its name changes at detach,
and with it that of the new index which takes its place.
"""

from __future__ import annotations

from crossfade.model.change import Unit
from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.catalog import Index, Table
from crossfade.schema.naming import hidden, literal, quote, quote_table
from crossfade.schema.operations import NetChange, NewIndex
from crossfade.schema.parser import Statement, words
from crossfade.schema.parts import Parts


def read(net: NetChange, statement: Statement) -> None:
    """Read DROP INDEX. Raises `schema-not-found`, `schema-not-staged`."""
    for wrapped in statement.node.objects:
        parts = words(wrapped.list.items)
        name, schema = parts[-1], parts[-2] if len(parts) > 1 else ""
        new = next((one for one in net.indexes if (one.takes or one.name) == name), None)
        if new is not None:
            net.indexes.remove(new)
            _no_place(net, new)
            continue
        found = _find(net, schema, name)
        if found is None:
            if statement.node.missing_ok:
                continue
            raise _no_index(net, name, statement.where)
        table, index = found
        _may_go(table, index, statement.where)
        delta = net.delta_of(table.schema, table.name, statement.where)
        delta.index_names.pop(name, None)
        delta.gone_indexes[name] = index


def rename(net: NetChange, statement: Statement) -> None:
    """Read ALTER INDEX .. RENAME. Raises `schema-not-found`."""
    node = statement.node
    new = next((one for one in net.indexes if (one.takes or one.name) == node.relation.relname), None)
    if new is not None:
        _no_place(net, new)
        new.name, new.node.idxname, new.takes = node.newname, node.newname, ""
        return
    found = _find(net, node.relation.schemaname, node.relation.relname)
    if found is None:
        raise _no_index(net, node.relation.relname, statement.where)
    table, index = found
    net.delta_of(table.schema, table.name, statement.where).index_names[index.name] = node.newname


def plan(parts: Parts) -> None:
    """Put together what goes, and what gets another name."""
    delta = parts.delta
    for name, new in delta.index_names.items():
        schema = delta.table.schema
        parts.hide.append(f"ALTER INDEX {quote_table(schema, name)} RENAME TO {quote(new)}")
        parts.unhide.append(f"ALTER INDEX {quote_table(schema, new)} RENAME TO {quote(name)}")
        parts.binds.append(f"the name {new}")
    for name, index in delta.gone_indexes.items():
        schema, called = delta.table.schema, name
        if name in delta.replaced:
            called = hidden(parts.change, name)
            for old, new in ((name, called), (delta.replaced[name], name)):
                parts.hide.append(f"ALTER INDEX {quote_table(schema, old)} RENAME TO {quote(new)}")
                parts.unhide.append(f"ALTER INDEX {quote_table(schema, new)} RENAME TO {quote(old)}")
            parts.binds.append(f"the name {name}")
        whole = quote_table(schema, called)
        parts.last.append(
            Unit(
                key=f"drop:{delta.table.schema}.{name}",
                says=f"drop index {name} beside the writes",
                do=(f"DROP INDEX CONCURRENTLY IF EXISTS {whole}",),
                concurrent=True,
                probe=f"SELECT pg_catalog.to_regclass({literal(whole)}) IS NULL",
            )
        )
        held = "; until then the new version is held to it, too" if index.unique else ""
        parts.notes.append(f"{delta.says}: index {name} goes at purge, as the old version's queries may need it{held}")


def _no_place(net: NetChange, new: NewIndex) -> None:
    """Let a new index take nobody's place any more."""
    net.delta_of(new.table.schema, new.table.name, new.where).replaced.pop(new.takes, None)


def _find(net: NetChange, schema: str, name: str) -> tuple[Table, Index] | None:
    for space in [schema] if schema else net.catalog.search_path:
        for table in net.catalog.tables.values():
            found = next((one for one in table.indexes if one.name == name and table.schema == space), None)
            if found is not None:
                return table, found
    return None


def _may_go(table: Table, index: Index, where: str) -> None:
    held = ["a constraint, which is dropped by its own name"] if index.constraint else []
    held += ["the replica identity, or CLUSTER"] if index.replica_identity else []
    held += [
        f"foreign key {one.name} of {one.table}"
        for one in table.referenced_by
        if index.unique and set(one.columns) == set(index.columns)
    ]
    if held:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"dropping the index {index.name}",
            reason=f"this hangs on it: {', '.join(held)}",
            way="take these away first: DROP CONSTRAINT, or ALTER TABLE .. REPLICA IDENTITY",
        )


def _no_index(net: NetChange, name: str, where: str) -> CrossfadeError:
    known = ", ".join(sorted(one.name for table in net.catalog.tables.values() for one in table.indexes)) or "none"
    return fail("schema-not-found", where=where, what=f"there is no index {name}", known=known)
