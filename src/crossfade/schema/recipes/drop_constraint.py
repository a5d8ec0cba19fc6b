"""Dropping or renaming a constraint that exists.

Rule: a CHECK, or a foreign key that acts on nothing, goes at expand, since the new version may break it from its first
write; on the way back it is added NOT VALID, and proven where the rows allow it. A foreign key with an action goes at
detach: the old version counts on what its DELETE does. UNIQUE goes at purge: an ON CONFLICT of the old version needs
it, and so does the way back. A name changes at detach, for the same reason.
"""

from __future__ import annotations

from dataclasses import replace

from crossfade.model.change import Unit
from crossfade.model.errors import fail
from crossfade.schema.catalog import Constraint
from crossfade.schema.naming import quote, quote_table
from crossfade.schema.operations import GoneConstraint, TableDelta
from crossfade.schema.parser import Node
from crossfade.schema.parts import Parts
from crossfade.schema.recipes import add_constraint
from crossfade.schema.units import prove

_KINDS = {"p": "the primary key", "u": "the unique constraint", "x": "the exclusion constraint"}


def read(delta: TableDelta, command: Node, where: str) -> None:
    """Read DROP CONSTRAINT. Raises `schema-not-found`, `schema-not-staged`."""
    name = command.name
    if delta.constraints.pop(name, None) is not None:
        return
    found = _there(delta, name)
    if found is None:
        if command.missing_ok:
            return
        raise add_constraint.no_constraint(delta, name, where)
    held = [one for one in delta.table.referenced_by if set(one.columns) == set(found.columns)]
    if found.kind == "p" or (found.kind == "u" and held):
        hangs = ", ".join(f"foreign key {one.name} of {one.table}" for one in held)
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"dropping {_KINDS[found.kind]} {name} of {delta.says}",
            reason=f"this hangs on it: {hangs}"
            if held
            else "rows are found by it, in the attic and by subscribers, too",
            way="add another one in this release, and drop this one by hand when no live version uses it",
        )
    delta.names.pop(found.name, None)
    delta.gone[found.name] = GoneConstraint(found, where)


def rename(delta: TableDelta, name: str, new_name: str, where: str) -> None:
    """Read RENAME CONSTRAINT. Raises `schema-not-found`, `schema-not-staged`."""
    if name in delta.constraints:
        new = delta.constraints.pop(name)
        new.name = new.node.conname = new_name
        delta.constraints[new_name] = new
        return
    found = _there(delta, name)
    if found is None:
        raise add_constraint.no_constraint(delta, name, where)
    if set(found.columns) & {*delta.renamed, *delta.dropped}:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"renaming the constraint {name} of {delta.says} and its column",
            reason="it is made anew with the column, under its own name",
            way="rename the constraint in the next release",
        )
    delta.names[found.name] = new_name


def before(delta: TableDelta) -> None:
    """Take what goes at expand off the table that the other recipes see."""
    kept = [one for one in delta.table.constraints if not (one.name in delta.gone and _goes_first(one))]
    delta.table = replace(delta.table, constraints=tuple(kept))


def plan(parts: Parts) -> None:
    """Put together what goes, and what gets another name."""
    for gone in parts.delta.gone.values():
        _gone(parts, gone.constraint)
    for name, new in parts.delta.names.items():
        table = f"ALTER TABLE {parts.quoted} RENAME CONSTRAINT"
        parts.hide.append(f"{table} {quote(name)} TO {quote(new)}")
        parts.unhide.append(f"{table} {quote(new)} TO {quote(name)}")
        parts.binds.append(f"the name {new}")
        parts.notes.append(f"{parts.delta.says}: {name} is called {new} from detach on, also for ON CONFLICT")


def _gone(parts: Parts, one: Constraint) -> None:
    says, table = f"{parts.delta.says}: {one.name}", f"ALTER TABLE {parts.quoted}"
    drop = f"{table} DROP CONSTRAINT {quote(one.name)}"
    back = f"{table} ADD CONSTRAINT {quote(one.name)} {one.definition.removesuffix(' NOT VALID')} NOT VALID"
    pointed = {quote_table(*one.references)} if one.references else set()
    if _goes_first(one):
        parts.says.append(f"drop {one.name}")
        parts.expand.insert(0, drop)
        parts.take_back.insert(0, back)
        parts.pointed |= pointed
        parts.proofs += [one.name] if one.validated else []
        parts.notes.append(
            f"{says} goes at expand, so the old version may read rows that break it; where such rows stay, the way back"
            " leaves it NOT VALID"
        )
    elif one.kind == "f":
        parts.hide.append(drop)
        parts.unhide.append(back)
        parts.hide_pointed |= pointed
        parts.binds.append(f"no {one.name}")
        if one.validated:
            key = f"prove:{parts.delta.says}.{one.name}"
            says_prove = f"on the way back: check the rows that are there against {one.name}"
            undo = (prove(parts.behind, one.name),)
            parts.unique.append(Unit(key=key, says=says_prove, do=("SELECT true",), undo=undo, scans=True))
        parts.notes.append(f"{says} goes at detach, as the old version's DELETE or UPDATE counts on what it does")
    elif not set(one.columns) & {*parts.delta.dropped, *parts.delta.renamed}:
        parts.purge.append(drop)
        parts.notes.append(
            f"{says} goes at purge, as an ON CONFLICT of the old version may need it; until then the new version is"
            " held to it, too"
        )


def acts(one: Constraint) -> bool:
    """Whether a foreign key changes rows: CASCADE, SET NULL, SET DEFAULT."""
    return any(f"ON {event} {action}" in one.definition for event in ("DELETE", "UPDATE") for action in ("CASC", "SET"))


def _goes_first(one: Constraint) -> bool:
    return one.kind == "c" or (one.kind == "f" and not acts(one))


def _there(delta: TableDelta, name: str) -> Constraint | None:
    """The constraint that has the name after the statements so far."""
    old = next((old for old, new in delta.names.items() if new == name), name)
    moved = old == name and name in delta.names
    found = next((one for one in delta.table.constraints if one.name == old), None)
    return None if moved or old in delta.gone else found
