"""New types, values of an enumeration, sequences, schemas and extensions: at expand, before the tables that use them.

Rule: nobody knows a new thing yet, so it costs nothing. A value that is added to an enumeration is the exception:
PostgreSQL cannot take it away again, so it stays on the way back, which changes nothing as long as no row has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crossfade.model.errors import fail
from crossfade.schema.beside import Beside, When, drop_type, taken
from crossfade.schema.naming import literal, quote, quote_table
from crossfade.schema.operations import NetChange
from crossfade.schema.parser import Node, Statement, copied, enum_name, every, kind_of, print_statement, unwrap, words


def create_type(net: NetChange, statement: Statement) -> None:
    """Read CREATE TYPE and CREATE DOMAIN. Raises `schema-not-staged`."""
    node = copied(statement.node)
    if statement.kind == "composite_type_stmt":
        schema = node.typevar.schemaname or net.home
        bare = node.typevar.relname
        node.typevar.schemaname = schema
    else:
        parts = node.domainname if statement.kind == "create_domain_stmt" else node.type_name
        schema, bare = _qualified(net, parts)
    kind = "domain" if statement.kind == "create_domain_stmt" else "type"
    name = f"{schema}.{bare}"
    if name in net.catalog.types or f"{schema}.{bare}" in net.created_names:
        raise taken(statement.where, kind, name)
    catalog = net.catalog
    domains = catalog.domains | {name} if kind == "domain" and node.constraints else catalog.domains
    enums = catalog.enums
    if statement.kind == "create_enum_stmt":
        enums = {**enums, name: words(node.vals)}
    net.catalog = replace(catalog, types=catalog.types | {name}, domains=domains, enums=enums)
    text = print_statement(statement.kind, node)
    drop = drop_type(kind, schema, bare, f"{net.change}_{schema}_{bare}")
    net.beside.append(Beside(kind, name, When.EARLY, f"create {kind} {name}", [text], [drop], statement.where))


def add_value(net: NetChange, statement: Statement) -> None:
    """Read ALTER TYPE .. ADD VALUE. Raises `schema-not-found`, `schema-not-staged`."""
    node, where = copied(statement.node), statement.where
    schema, bare = _known_type(net, words(node.type_name), where)
    name = f"{schema}.{bare}"
    if node.old_val:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"renaming the value {node.old_val} of {name}",
            reason="the old version still reads and writes it",
            way=f"ALTER TYPE {name} ADD VALUE {literal(node.new_val)}, let the new version write that, and UPDATE the"
            " rows when no live version uses the old one; or CREATE TYPE another with the values that there shall be,"
            f" and for each column: ALTER TABLE t ALTER c TYPE another USING CASE c WHEN {literal(node.old_val)} THEN"
            f" {literal(node.new_val)} ELSE c::text END::another; with -- crossfade: down t.c = CASE c WHEN"
            f" {literal(node.new_val)} THEN {literal(node.old_val)} ELSE c::text END::{name}",
        )
    labels = net.catalog.enums.get(name, ())
    if node.new_val not in labels:
        net.catalog = replace(net.catalog, enums={**net.catalog.enums, name: (*labels, node.new_val)})
    del node.type_name[:]
    for part in (schema, bare):
        node.type_name.add().string.sval = part
    made = next((one for one in net.beside if one.makes and one.name == name), None)
    if made is not None:
        made.do.append(print_statement(statement.kind, node))
        return
    if any(one.kind == "value" and (one.name, one.part) == (name, node.new_val) for one in net.beside):
        if node.skip_if_new_val_exists:
            return
        raise taken(statement.where, "value", f"{node.new_val} of {name}")
    node.skip_if_new_val_exists = True  # it stays on the way back, and the way there may be gone again
    net.beside.append(
        Beside(
            "value",
            name,
            When.EARLY,
            f"add the value {node.new_val} to {name}; it stays on the way back",
            [print_statement(statement.kind, node)],
            ["SELECT true"],  # PostgreSQL has no way to take a value away (manual, ALTER TYPE)
            where,
            part=node.new_val,
            notes=(
                f"{name}: the old version must bear the value {node.new_val}, which the new one may write; on the way"
                " back it stays in the type, and changes nothing where no row has it",
            ),
        )
    )


def create_sequence(net: NetChange, statement: Statement) -> None:
    """Read CREATE SEQUENCE. Raises `schema-not-staged`."""
    node, where = copied(statement.node), statement.where
    schema, bare = node.sequence.schemaname or net.home, node.sequence.relname
    name = f"{schema}.{bare}"
    if name in net.catalog.sequences or name in net.created_names:
        if node.if_not_exists:
            return
        raise taken(where, "sequence", name)
    if node.sequence.relpersistence != "p":
        raise taken(where, "a temporary or unlogged sequence, and not", name)
    owned = [one for one in node.options if one.def_elem.defname == "owned_by"]
    for one in owned:
        node.options.remove(one)
    node.sequence.schemaname, node.if_not_exists = schema, False
    net.catalog = replace(net.catalog, sequences=net.catalog.sequences | {name})
    text, whole = print_statement(statement.kind, node), quote_table(schema, bare)
    net.beside.append(
        Beside("sequence", name, When.EARLY, f"create sequence {name}", [text], [f"DROP SEQUENCE {whole}"], where)
    )
    for one in owned:
        _owned_by(net, schema, bare, one.def_elem, where)


def alter_sequence(net: NetChange, statement: Statement) -> None:
    """Read ALTER SEQUENCE of a new one. Raises `schema-not-staged`."""
    node, where = copied(statement.node), statement.where
    schema, bare = node.sequence.schemaname or net.home, node.sequence.relname
    made = next((one for one in net.beside if one.name == f"{schema}.{bare}" and one.kind == "sequence"), None)
    if made is None:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"changing the sequence {schema}.{bare}, which exists,",
            reason="both versions take its values, and where it stood is not known for the way back",
            way="run it by hand, when no live version minds; ALTER SEQUENCE holds up only who takes a value",
        )
    for one in [one for one in node.options if one.def_elem.defname == "owned_by"]:
        node.options.remove(one)
        _owned_by(net, schema, bare, one.def_elem, where)
    if node.options:
        node.sequence.schemaname = schema
        made.do.append(print_statement(statement.kind, node))


def create_schema(net: NetChange, statement: Statement) -> None:
    """Read CREATE SCHEMA. Raises `schema-not-staged`."""
    node, where = statement.node, statement.where
    if node.schemaname in net.catalog.schemas and node.if_not_exists:
        return
    if node.schemaname in net.catalog.schemas or not node.schemaname or node.schema_elts:
        raise taken(where, "schema", node.schemaname or "without a name")
    text, drop = print_statement(statement.kind, node), f"DROP SCHEMA {quote(node.schemaname)}"
    name = node.schemaname
    net.catalog = replace(net.catalog, schemas=net.catalog.schemas | {name})
    net.beside.append(Beside("schema", name, When.EARLY, f"create schema {name}", [text], [drop], where))


def create_extension(net: NetChange, statement: Statement) -> None:
    """Read CREATE EXTENSION. Raises `schema-not-staged`."""
    node, where = statement.node, statement.where
    name = node.extname
    if name in net.catalog.extensions or any(one.kind == "extension" and one.name == name for one in net.beside):
        if node.if_not_exists:
            return
        raise taken(where, "extension", name)
    fresh = copied(node)
    fresh.if_not_exists = False
    note = (
        f"extension {name}: the admin role needs CREATE on the database, and unless the extension is a trusted one a"
        " superuser's rights; its files must be on every server"
    )
    text, drop = print_statement(statement.kind, fresh), f"DROP EXTENSION {quote(name)}"
    net.beside.append(
        Beside("extension", name, When.EARLY, f"create extension {name}", [text], [drop], where, notes=(note,))
    )


def extend(net: NetChange, statement: Statement) -> bool:
    """Add a comment, a right or an index on a thing that this change makes to its unit; False for anything else."""
    if statement.kind not in ("comment_stmt", "grant_stmt", "index_stmt"):
        return False
    node = copied(statement.node)
    found: list[Beside] = []
    relations = [one for one in every(node) if kind_of(one) == "RangeVar"]
    for relation in relations:
        schema = relation.schemaname or net.home
        found += [one for one in net.beside if one.makes and one.name == f"{schema}.{relation.relname}"]
        relation.schemaname = schema
    if statement.kind == "comment_stmt":
        _, inner = unwrap(node.object)
        parts = words(inner.names) if kind_of(inner) == "TypeName" else _list(node.object)
        word = enum_name(node, "objtype")
        kind = "materialized view" if word == "OBJECT_MATVIEW" else word.removeprefix("OBJECT_").lower()
        name = ".".join(parts) if len(parts) > 1 or kind in ("schema", "extension") else f"{net.home}.{'.'.join(parts)}"
        found = [one for one in net.beside if one.makes and one.kind == kind and one.name == name]
    elif statement.kind == "grant_stmt" and enum_name(node, "objtype") == "OBJECT_SCHEMA":
        names = {one.string.sval for one in node.objects}
        found = [one for one in net.beside if one.makes and one.kind == "schema" and one.name in names]
    if not found:
        return False
    if statement.kind == "index_stmt":
        node.concurrent = False
    found[0].do.append(print_statement(statement.kind, node))
    return True


def _list(node: Node) -> Sequence[str]:
    kind, inner = unwrap(node)
    return words(inner.items) if kind == "list" else (inner.sval,) if kind == "string" else ()


def _owned_by(net: NetChange, schema: str, bare: str, option: Node, where: str) -> None:
    parts = words(option.arg.list.items)
    if len(parts) < 2:
        return  # NONE
    table = net.catalog.find(parts[0] if len(parts) == 3 else "", parts[-2])
    space = parts[0] if len(parts) == 3 else table.schema if table else net.home
    sequence, column = quote_table(schema, bare), f"{quote_table(space, parts[-2])}.{quote(parts[-1])}"
    net.beside.append(
        Beside(
            "owner",
            f"{schema}.{bare}",
            When.LATE,
            f"sequence {schema}.{bare} goes with {'.'.join(parts)}",
            [f"ALTER SEQUENCE {sequence} OWNED BY {column}"],
            [f"ALTER SEQUENCE {sequence} OWNED BY NONE"],
            where,
        )
    )


def _qualified(net: NetChange, parts: Node) -> tuple[str, str]:
    """A name's schema and itself; the schema is written into the tree where it lacks."""
    named = words(parts)
    schema = named[0] if len(named) > 1 else net.home
    if len(named) == 1:
        parts.insert(0, parts[0])
        parts[0].string.sval = schema
    return schema, named[-1]


def _known_type(net: NetChange, parts: Sequence[str], where: str) -> tuple[str, str]:
    for space in parts[:-1] or net.catalog.search_path:
        if f"{space}.{parts[-1]}" in net.catalog.types:
            return space, parts[-1]
    known = ", ".join(sorted(net.catalog.types)) or "no type"
    raise fail("schema-not-found", where=where, what=f"there is no type {'.'.join(parts)}", known=known)
