"""Dropping what stands beside the tables: another name at detach, gone at purge. A trigger is disabled meanwhile."""

from __future__ import annotations

from crossfade.model.errors import fail
from crossfade.schema.beside import Beside, When, drop_type, in_use
from crossfade.schema.naming import hidden, quote, quote_table
from crossfade.schema.operations import NetChange
from crossfade.schema.parser import Node, Statement, enum_name, unwrap, words
from crossfade.schema.recipes import create_routine

_KINDS = {
    "OBJECT_TYPE": "type",
    "OBJECT_DOMAIN": "domain",
    "OBJECT_SEQUENCE": "sequence",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "materialized view",
    "OBJECT_FUNCTION": "function",
    "OBJECT_PROCEDURE": "procedure",
    "OBJECT_TRIGGER": "trigger",
}
_ENABLE = {"O": "ENABLE", "D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


def read(net: NetChange, statement: Statement) -> bool:
    """Read DROP of anything but a table or index; False for those. Raises `schema-not-found`, `schema-not-staged`."""
    node, where = statement.node, statement.where
    kind = _KINDS.get(enum_name(node, "remove_type"))
    if kind is None:
        return False
    if enum_name(node, "behavior") == "DROP_CASCADE":
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"dropping a {kind} with CASCADE",
            reason="what goes with it is not said, and the old version may use it",
            way="name each thing that goes, and leave CASCADE out",
        )
    for wrapped in node.objects:
        if kind == "trigger":
            _trigger(net, words(wrapped.list.items), node.missing_ok, where)
        else:
            _drop(net, kind, wrapped, node.missing_ok, where)
    return True


def _drop(net: NetChange, kind: str, wrapped: Node, missing_ok: bool, where: str) -> None:
    if kind in ("function", "procedure"):
        name = create_routine.existing(net, wrapped.object_with_args)
        found = name in net.catalog.routines
    else:
        _, inner = unwrap(wrapped)
        parts = words(inner.names if kind in ("type", "domain") else inner.items)
        name, found = _find(net, kind, parts)
    made = next((one for one in net.beside if one.makes and one.kind == kind and one.name == name), None)
    if made is not None:
        net.beside.remove(made)
        return
    if not found or _goes(net, kind, name):
        if missing_ok:
            return
        raise fail("schema-not-found", where=where, what=f"there is no {kind} {name}", known=_known(net, kind))
    users = [one for one in net.catalog.users.get(name, ()) if one not in net.going]
    if users:
        raise in_use(where, kind, name, users)
    arguments = name[name.index("(") :] if kind in ("function", "procedure") else ""
    schema, bare = name.removesuffix(arguments).split(".", 1)
    called = hidden(net.change, bare)
    net.beside.append(
        Beside(
            kind,
            name,
            When.DETACH,
            f"hide {kind} {name}",
            [f"ALTER {kind.upper()} {quote_table(schema, bare)}{arguments} RENAME TO {quote(called)}"],
            [f"ALTER {kind.upper()} {quote_table(schema, called)}{arguments} RENAME TO {quote(bare)}"],
            where,
            purge=(
                drop_type(kind, schema, called, f"{net.change}_{schema}_{bare}")
                if kind in ("type", "domain")
                else f"DROP {kind.upper()} {quote_table(schema, called)}{arguments}",
            ),
            notes=(f"{kind} {name} goes at detach: what code of the new version calls it is not known",)
            if arguments
            else (),
        )
    )


def _goes(net: NetChange, kind: str, name: str, part: str = "") -> bool:
    """Whether an earlier statement has dropped it."""
    return any(one.purge and (one.kind, one.name, one.part) == (kind, name, part) for one in net.beside)


def _find(net: NetChange, kind: str, parts: tuple[str, ...]) -> tuple[str, bool]:
    catalog = net.catalog
    names = {
        "type": catalog.types,
        "domain": catalog.types,
        "sequence": catalog.sequences,
        "view": {f"{one.schema}.{one.name}" for one in catalog.tables.values() if one.kind == "v"},
        "materialized view": {f"{one.schema}.{one.name}" for one in catalog.tables.values() if one.kind == "m"},
    }[kind]
    made = {one.name for one in net.beside if one.makes}
    for space in parts[:-1] or catalog.search_path:
        name = f"{space}.{parts[-1]}"
        if name in names or name in made:
            return name, name in names
    return ".".join(parts), False


def _known(net: NetChange, kind: str) -> str:
    if kind in ("type", "domain"):
        known = sorted(net.catalog.types)
    elif kind == "sequence":
        known = sorted(net.catalog.sequences)
    elif kind in ("function", "procedure"):
        known = sorted(net.catalog.routines)
    else:
        known = sorted(f"{one.schema}.{one.name}" for one in net.catalog.tables.values() if one.kind in "vm")
    return ", ".join(known) or f"no {kind}"


def _trigger(net: NetChange, parts: tuple[str, ...], missing_ok: bool, where: str) -> None:
    table = net.catalog.find(parts[0] if len(parts) == 3 else "", parts[-2])
    trigger = next((one for one in table.triggers if one.name == parts[-1]), None) if table else None
    if table is None or trigger is None or _goes(net, "trigger", f"{table.schema}.{table.name}", trigger.name):
        if missing_ok:
            return
        known = ", ".join(one.name for one in table.triggers) if table else ""
        what = f"there is no trigger {parts[-1]} on {parts[-2]}"
        raise fail("schema-not-found", where=where, what=what, known=known or "no trigger")
    whole = quote_table(table.schema, table.name)
    net.going.add(f"trigger {trigger.name} on table {table.schema}.{table.name}")
    name = f"{table.schema}.{table.name}"
    net.beside.append(
        Beside(
            "trigger",
            name,
            When.DETACH,
            f"trigger {trigger.name} of {name} fires no more",
            [f"ALTER TABLE {whole} DISABLE TRIGGER {quote(trigger.name)}"],
            [f"ALTER TABLE {whole} {_ENABLE[trigger.enabled]} TRIGGER {quote(trigger.name)}"],
            where,
            part=trigger.name,
            locks=((whole, "SHARE ROW EXCLUSIVE"),),
            purge=(f"DROP TRIGGER {quote(trigger.name)} ON {whole}",),
            purge_locks=((whole, "ACCESS EXCLUSIVE"),),
            notes=(
                f"trigger {trigger.name} of {name} fires until detach, for writes of both versions, and not after it",
            ),
        )
    )
