"""Comments and rights of tables that exist.

Rule: a comment and a GRANT take nothing from the old version, so they are there at expand; a REVOKE may, so it comes
at detach. The way back takes away exactly the rights that were not there before. The comment before is read of tables
and columns; of anything else it is not, so its comment is written at purge, which has no way back.
"""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.beside import Beside, When
from crossfade.schema.catalog import Table
from crossfade.schema.naming import literal, quote, quote_table
from crossfade.schema.operations import NetChange, TableDelta, no_column
from crossfade.schema.parser import Node, Statement, enum_name, print_statement, words
from crossfade.schema.parts import Parts

_ALL = ("DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE")
_MAINTAIN_SINCE = 170000


def comment(net: NetChange, statement: Statement) -> None:
    """Read COMMENT ON. Raises `schema-not-found`, `schema-not-staged`."""
    node, kind = statement.node, enum_name(statement.node, "objtype")
    parts = words(node.object.list.items)
    column = parts[-1] if kind == "OBJECT_COLUMN" else ""
    table = parts[:-1] if column else parts
    if kind in ("OBJECT_TABLE", "OBJECT_COLUMN") and not table:
        raise _no_form(statement, "COMMENT ON", "its column stands without its table")
    if kind not in ("OBJECT_TABLE", "OBJECT_COLUMN"):
        text = print_statement(statement.kind, node)
        name = text.removeprefix("COMMENT ON ").partition(" IS ")[0]
        note = f"the comment on {name} is written at purge, as the one before is not known for the way back"
        says = f"comment on {name}"
        net.beside[:] = [one for one in net.beside if (one.kind, one.name) != ("comment", name)]  # the last one stands
        net.beside.append(
            Beside("comment", name, When.PURGE, says, [], [], statement.where, purge=(text,), notes=(note,))
        )
        return
    delta = net.delta_of(table[-2] if len(table) > 1 else "", table[-1], statement.where)
    target = f"TABLE {quote_table(delta.table.schema, delta.table.name)}"
    before: str | None = delta.table.comment
    if column:
        if not delta.has(column):
            raise no_column(delta, column, statement.where)
        target = f"COLUMN {quote_table(delta.table.schema, delta.table.name)}.{quote(column)}"
        there = delta.table.column(column)
        before = there.comment if there is not None else None
    fresh = bool(column) and delta.table.column(column) is None  # it goes with its column
    undo = "" if fresh else f"COMMENT ON {target} IS {'NULL' if before is None else literal(before)}"
    delta.light[f"comment on {target}"] = (
        f"COMMENT ON {target} IS {literal(node.comment) if node.comment else 'NULL'}",
        undo,
    )


def come_last(net: NetChange) -> None:
    """Refuse a comment of purge that something is renamed or dropped after: its name may be gone by then."""
    late = next((one for one in net.beside if one.when is When.PURGE), None)
    if late is not None:
        raise fail(
            "schema-not-staged",
            where=late.where,
            what=f"the {late.says}, before something is renamed or dropped,",
            reason="it is written at purge, when things have the names that the change ends with",
            way="write the comment after every RENAME and DROP",
        )


def grant(net: NetChange, statement: Statement) -> None:
    """Read GRANT or REVOKE on tables. Raises `schema-not-found`, `schema-not-staged`."""
    node = statement.node
    plain = enum_name(node, "objtype") == "OBJECT_TABLE" and enum_name(node, "targtype") == "ACL_TARGET_OBJECT"
    plain = plain and not node.grant_option and enum_name(node, "behavior") != "DROP_CASCADE"
    roles = [_role(one.role_spec) for one in node.grantees]
    asked = [one.access_priv for one in node.privileges]
    if not plain or not all(roles) or any(one.cols for one in asked):
        what = " ".join(statement.text.split()[:2]).upper()
        raise _no_form(
            statement, what, "only rights on whole tables, for roles that are named, are known with their undo"
        )
    for wrapped in node.objects:
        delta = net.delta(wrapped.range_var, statement.where)
        every = _ALL if net.catalog.version < _MAINTAIN_SINCE else (*_ALL, "MAINTAIN")
        wanted = sorted({one.priv_name.upper() for one in asked} or set(every))
        for role in roles:
            _one(delta, node.is_grant, wanted, role)


def plan(parts: Parts) -> None:
    """Put together comments and grants, and what is revoked."""
    for do, undo in parts.delta.light.values():
        parts.light.append(do)
        parts.light_back += [undo] if undo else []
    for do, undo in parts.delta.revoked.values():
        parts.hide.append(do)
        parts.unhide.append(undo)
        parts.binds.append("what is revoked")


def _one(delta: TableDelta, given: bool, wanted: Sequence[str], role: str) -> None:
    """One role's rights: what changes, and what takes exactly that back."""
    whole = quote_table(delta.table.schema, delta.table.name)
    for right in wanted:
        key = f"{right} {role}"
        (delta.revoked if given else delta.light).pop(key, None)
        held = _held(delta.table, role, right)
        option = " WITH GRANT OPTION" if held == "option" else ""
        if given and not held:
            delta.light[key] = (f"GRANT {right} ON {whole} TO {role}", f"REVOKE {right} ON {whole} FROM {role}")
        elif not given and held:
            revoke = f"REVOKE {right} ON {whole} FROM {role}"
            delta.revoked[key] = (revoke, f"GRANT {right} ON {whole} TO {role}{option}")


def _held(table: Table, role: str, right: str) -> str:
    found = [option for name, one, option in table.grants if (name, one) == (role, right)]
    return ("option" if found[0] == "t" else "plain") if found else ""


def _role(spec: Node) -> str:
    """The role as the catalog writes it; empty for one that depends on the session."""
    kind = enum_name(spec, "roletype")
    return "PUBLIC" if kind == "ROLESPEC_PUBLIC" else quote(spec.rolename) if kind == "ROLESPEC_CSTRING" else ""


def _no_form(statement: Statement, what: str, reason: str) -> CrossfadeError:
    return fail(
        "schema-not-staged",
        where=statement.where,
        what=what,
        reason=reason,
        way="make it by hand in a release of its own, between two versions that both work before and after it",
    )
