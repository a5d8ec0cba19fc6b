"""Views that keep what SELECT * gives as it is, while a table has both shapes and when it loses one.

Rule: from expand to purge the table has another name, and a view has its own: with the old shape's columns until
detach, then with the new one's. The roles of the new lane find a second view first, in the change's own schema, which
has the new shape all the while. A live session's statements look their names up again when a table changes (manual,
PREPARE), and find the same columns; so no session meets "cached plan must not change result type".

A unit that has the table for itself puts it back in its place, works on it by its own name, and leaves the view there
again; so no recipe knows of views. What runs beside the writes uses the table's other name.

Locks: a unit locks the name that the versions use. Where a view has it, that locks first the view and then the table
(manual, LOCK), as their statements do; no unit touches both views of a table.

The views have the table's grants, and reach the table with the rights of crossfade's role. (A security_invoker view
would ask whoever names one column for rights to all of them.) Row security would not hold there, so it is refused.
Triggers and defaults run as whoever writes, as on the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crossfade.model.change import Unit
from crossfade.model.errors import fail
from crossfade.schema.naming import behind, literal, quote, quote_table, shapes
from crossfade.schema.operations import NetChange, TableDelta
from crossfade.schema.parts import Parts

_APART = ("type", "domain", "sequence", "schema", "extension")  # kinds that a change makes beside, and no table knows


@dataclass(frozen=True)
class Front:
    """What the units of one table need of its views; all empty where it has none."""

    says: Sequence[str] = ()
    old: Sequence[str] = ()  # the table gives its name to a view with the old shape
    new: Sequence[str] = ()  # the same with the new one
    away: Sequence[str] = ()  # that view goes, and the table has its name again
    for_new_lane: Sequence[Unit] = ()  # the view in the change's schema
    leave_new_lane: Sequence[Unit] = ()


def put_behind(net: NetChange, name: str, *, has_lane_roles: bool, has_pooler: bool) -> bool:
    """Give every table that gets or loses a column a view; whether there is one. Raises `star-queries-some`."""
    deltas = [net.tables[key] for key in sorted(net.tables)]
    fronted = [delta for delta in deltas if delta.reshaped]
    tables = ", ".join(delta.says for delta in fronted)
    if fronted and not has_lane_roles:
        reason = "versions find their shape by the role that they connect as, and the lanes share one"
        way = "write {role} in database.app_url, and app_roles = [...]; or "
        raise fail("star-queries-some", name=name, tables=tables, reason=reason, way=way)
    if fronted and has_pooler:
        reason = "a pooler gives a version sessions that were opened for the one before, which find the other shape"
        raise fail("star-queries-some", name=name, tables=tables, reason=reason, way="")
    counting = [f"{one.kind} {one.name} of this change" for one in net.beside if one.kind not in _APART]
    links = [(delta, new) for delta in deltas for new in delta.constraints.values() if new.kind == "f"]
    for delta in fronted:
        key = (delta.table.schema, delta.table.name)
        held = [*delta.table.bound, *counting]
        held += [f"the new foreign key {new.name}" for of, new in links if of is delta or new.references == key]
        held += [f"the type of {column}, which changes in place" for column in delta.retyped]
        held += ["row security"] * delta.table.row_security
        held += ["a publication, whose subscribers know it by its name"] * delta.table.published
        if held:
            reason = f"a view cannot stand before it: {', '.join(held)}"
            raise fail("star-queries-some", name=name, tables=delta.says, reason=reason, way="")
        delta.behind = behind(net.change, delta.table.name)
    return bool(fronted)


def enter(change: str) -> Sequence[Unit]:
    """The unit that makes the change's schema."""
    schema = quote(shapes(change))
    return (
        Unit(
            key=f"shapes:{change}",
            says="a schema for what the new version sees",
            do=(f"CREATE SCHEMA {schema}", f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC"),
            undo=(f"DROP SCHEMA {schema}",),
        ),
    )


def leave(change: str) -> Sequence[Unit]:
    """The unit that drops it."""
    says = "what the new version saw is the schema itself now"
    return (Unit(key=f"purge-shapes:{change}", says=says, do=(f"DROP SCHEMA {quote(shapes(change))}",)),)


def front_of(parts: Parts) -> Front:
    """The views of one table."""
    delta = parts.delta
    if not delta.behind and not delta.converted:
        return Front()
    table = delta.table
    before = {column.name: column.name for column in table.columns}
    kept = {name: name for name in before if name not in parts.hidden}
    after = {**kept, **{name: parts.taken.get(name, name) for name in parts.added}}
    step_behind = f"ALTER TABLE {parts.quoted} RENAME TO {quote(delta.behind)}"
    beside = quote_table(shapes(parts.change), table.name)
    lane = Front(
        for_new_lane=(
            Unit(
                key=f"shape:{delta.says}",
                says=f"the new version sees {', '.join(after.values())}",
                do=_view(parts, beside, after),
                undo=(f"DROP VIEW {beside}",),
            ),
        ),
        leave_new_lane=(
            Unit(
                key=f"purge-shape:{delta.says}",
                says="the new version sees the table itself",
                do=(f"DROP VIEW {beside}",),
                steadies=(parts.quoted,),
            ),
        ),
    )
    if not delta.behind:
        return lane
    return replace(
        lane,
        says=("a view takes its name and keeps its columns",),
        old=(step_behind, *_view(parts, parts.quoted, before)),
        new=(step_behind, *_view(parts, parts.quoted, {name: name for name in after.values()})),
        away=(f"DROP VIEW {parts.quoted}", f"ALTER TABLE {parts.behind} RENAME TO {quote(table.name)}"),
    )


def notes(delta: TableDelta) -> Sequence[str]:
    """What a view cannot do that the table could."""
    if not delta.behind and not delta.converted:
        return ()
    whom, who, whose = ("", "the versions", "their")
    if not delta.behind:
        whom, who, whose = (" for the new version", "the new version", "its")
    return (
        f"{delta.says} is a view{whom} from expand to purge, so these fail there: ON CONFLICT ON CONSTRAINT, TRUNCATE,"
        " COPY by name, ctid and xmin, TABLESAMPLE, GROUP BY its key with other columns beside, WHERE CURRENT OF,"
        " pg_get_serial_sequence, and MERGE before PostgreSQL 17",
        f"{delta.says}: {who} must name it without its schema, and leave search_path as {whose} role has it",
    )


def _view(parts: Parts, name: str, columns: Mapping[str, str]) -> Sequence[str]:
    """A view with the table's `columns`, each as it is called there."""
    listed = ", ".join(
        quote(one) if one == shown else f"{quote(one)} AS {quote(shown)}" for one, shown in columns.items()
    )
    return (
        f"CREATE VIEW {name} AS SELECT {listed} FROM {parts.behind}",  # noqa: S608 - quoted
        f"SELECT crossfade.copy_grants({literal(parts.behind)}, {literal(name)})",
    )
