"""Functions, procedures and triggers: new ones at expand, new bodies and new triggers at detach.

Rule: what the old version runs stays as it is while it lives. A function with another body serves both versions by one
name, so the new body waits until the old version has left, and the way back puts the earlier one in its place. Who
calls a function is not in the catalog, so that is said and not guessed.
"""

from __future__ import annotations

from dataclasses import replace

from crossfade.model.errors import fail
from crossfade.schema.beside import Beside, When, taken
from crossfade.schema.catalog import Function
from crossfade.schema.naming import quote, quote_table
from crossfade.schema.operations import NetChange
from crossfade.schema.parser import (
    Node,
    Statement,
    copied,
    enum_name,
    every,
    kind_of,
    parse_statement,
    print_statement,
    print_type,
    words,
)
from crossfade.schema.recipes import create_table

# What PostgreSQL's grammar calls a type, and how its catalog prints it.
_PRINTED = {
    "int2": "smallint", "int4": "integer", "int8": "bigint", "bool": "boolean", "float4": "real",
    "float8": "double precision", "varchar": "character varying", "bpchar": "character", "varbit": "bit varying",
    "timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone",
    "time": "time without time zone", "timetz": "time with time zone",
}  # fmt: skip
_UNCHECKED = "SET LOCAL check_function_bodies = off"  # what a body names may come later in the change
_LAST = b"~"  # what crossfade's own triggers begin with, which must run last


def create(net: NetChange, statement: Statement) -> None:
    """Read CREATE FUNCTION and CREATE PROCEDURE. Raises `schema-not-staged`."""
    node, where = copied(statement.node), statement.where
    named = words(node.funcname)
    schema, bare = (named[0] if len(named) > 1 else net.home), named[-1]
    if len(named) == 1:
        node.funcname.insert(0, node.funcname[0])
        node.funcname[0].string.sval = schema
    kind = "procedure" if node.is_procedure else "function"
    ins = [one.function_parameter for one in node.parameters if _is_input(one.function_parameter)]
    name = f"{schema}.{bare}({','.join(_type(net, one.arg_type) for one in ins)})"
    made = next((one for one in net.beside if one.name == name), None)
    if made is not None:
        if made.purge or not node.replace:
            raise taken(where, kind, name)
        made.do.append(print_statement(statement.kind, node))
        return
    if name in net.catalog.routines:
        _replace(net, statement, node, kind, name)
        return
    node.replace = False  # what is there under another spelling would be taken away on the way back
    late = node.HasField("sql_body") or any(
        kind_of(one) == "TypeName"
        and f"{(words(one.names)[:-1] or (net.home,))[0]}.{words(one.names)[-1]}" in net.created_names
        for one in every(node)
    )
    _know(net, node, f"{schema}.{bare}")
    net.beside.append(
        Beside(
            kind,
            name,
            When.LATE if late else When.EARLY,
            f"create {kind} {name}",
            [_UNCHECKED, print_statement(statement.kind, node)],
            [f"DROP {kind.upper()} {quote_table(schema, bare)}{name[name.index('(') :]}"],
            where,
        )
    )


def create_trigger(net: NetChange, statement: Statement) -> None:
    """Read CREATE TRIGGER. Raises `schema-not-found`, `schema-not-staged`."""
    if create_table.extend(net, statement):
        return
    node, where = copied(statement.node), statement.where
    table = net.delta(node.relation, where).table
    name, whole = f"{table.schema}.{table.name}", quote_table(table.schema, table.name)
    there = any(one.name == node.trigname for one in table.triggers)
    there |= any((one.kind, one.name, one.part) == ("trigger", name, node.trigname) for one in net.beside)
    if there or node.replace or (node.row and node.trigname.encode() >= _LAST):
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"the trigger {node.trigname} on {name}",
            reason="there is one of that name, or one may be replaced, and the way back would not know the earlier one"
            if there or node.replace
            else "it would run after those that keep two shapes in step, and undo what they did",
            way="CREATE TRIGGER under another name, and DROP TRIGGER for the earlier one",
        )
    node.relation.schemaname = table.schema
    net.beside.append(
        Beside(
            "trigger",
            name,
            When.DETACH,
            f"create trigger {node.trigname} on {name}",
            [print_statement(statement.kind, node)],
            [f"DROP TRIGGER {quote(node.trigname)} ON {whole}"],
            where,
            part=node.trigname,
            locks=((whole, "SHARE ROW EXCLUSIVE"),),
            undo_locks=((whole, "ACCESS EXCLUSIVE"),),
            notes=(f"trigger {node.trigname} on {name} fires from detach on: the old version did not know it",),
        )
    )


def existing(net: NetChange, node: Node) -> str:
    """The name with argument types of the routine that DROP FUNCTION means; as it was written where there is none."""
    named = words(node.objname)
    spaces = named[:-1] or net.catalog.search_path
    known = [*net.catalog.routines, *(one.name for one in net.beside)]
    arguments = f"({','.join(_type(net, one.type_name) for one in node.objargs)})"
    for space in spaces:
        if node.args_unspecified:
            fitting = [one for one in known if one.startswith(f"{space}.{named[-1]}(")]
        else:
            fitting = [one for one in known if one == f"{space}.{named[-1]}{arguments}"]
        if len(fitting) == 1:
            return fitting[0]
    return f"{'.'.join(named)}{arguments}"


def _replace(net: NetChange, statement: Statement, node: Node, kind: str, name: str) -> None:
    earlier = net.catalog.routines[name]
    before = parse_statement(earlier)
    if not node.replace or _promise(node) != _promise(before):
        raise fail(
            "schema-not-staged",
            where=statement.where,
            what=f"creating {kind} {name}, which exists,",
            reason="it gives another result or has other arguments, or is not said to be replaced, and both versions"
            " would call it by one name",
            way="take another name, call it in the new version, and drop the old one in a later release",
        )
    net.beside.append(
        Beside(
            kind,
            name,
            When.DETACH,
            f"replace {kind} {name}",
            [_UNCHECKED, print_statement(statement.kind, node)],
            [_UNCHECKED, earlier],
            statement.where,
            notes=(
                f"{kind} {name} gets its new body at detach: until then both versions run the earlier one; who calls it"
                " is not known, so see that the new version bears that",
            ),
        )
    )


def _promise(node: Node) -> tuple[object, ...]:
    """What CREATE OR REPLACE may not change."""
    returns = print_type(node.return_type) if node.HasField("return_type") else ""
    parameters = tuple(
        (one.function_parameter.name, enum_name(one.function_parameter, "mode").replace("DEFAULT", "IN"),
         print_type(one.function_parameter.arg_type))
        for one in node.parameters
    )  # fmt: skip
    return bool(node.is_procedure), returns, parameters


def _is_input(parameter: Node) -> bool:
    return enum_name(parameter, "mode") not in ("FUNC_PARAM_OUT", "FUNC_PARAM_TABLE")


def _type(net: NetChange, type_name: Node) -> str:
    parts = words(type_name.names)
    bare, spaces = parts[-1], parts[:-1] or net.catalog.search_path
    printed = _PRINTED.get(bare, bare)
    known = {
        *net.catalog.types,
        *net.created_names,
        *(f"{one.schema}.{one.name}" for one in net.catalog.tables.values()),
    }
    for space in spaces:
        if f"{space}.{bare}" in known:
            printed = f"{space}.{bare}"
    return printed + "[]" * bool(type_name.array_bounds)


def _know(net: NetChange, node: Node, name: str) -> None:
    """Let expressions of the change use it."""
    options = {one.def_elem.defname: one.def_elem for one in node.options}
    volatility = options["volatility"].arg.string.sval[:1] if "volatility" in options else "v"
    strict = "strict" in options and options["strict"].arg.boolean.boolval
    plain = not node.is_procedure and not node.return_type.setof
    functions = {**net.catalog.functions, name: Function(volatility, plain, strict)}
    net.catalog = replace(net.catalog, functions=functions)
