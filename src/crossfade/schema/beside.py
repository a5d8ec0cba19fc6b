"""What a change makes and takes away beside tables: types, sequences, schemas, extensions, views, routines, triggers.

Rule: a thing that is new comes at expand, since nobody knows it yet, and goes on the way back. One that goes is put out
of sight at detach by another name, so that the way back gives it with its owner, rights, comment and dependents, and is
dropped at purge. What reads it is known to PostgreSQL only where it stands in the catalog; what a version's code names
is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from crossfade.model.change import Unit
from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.naming import literal, quote, quote_table, short


class When(StrEnum):
    """Where a thing's unit stands: before or after the tables of expand, at detach, or at purge alone."""

    EARLY = "early"
    LATE = "late"
    DETACH = "detach"
    PURGE = "purge"


@dataclass
class Beside:
    """One thing. `name` as people write it with its schema; `finally_` is what purge runs, if anything."""

    kind: str  # "type", "view"
    name: str
    when: When
    says: str
    do: list[str]
    undo: list[str]
    where: str
    part: str = ""  # of the thing: a new value
    locks: Sequence[tuple[str, str]] = ()
    undo_locks: Sequence[tuple[str, str]] = ()  # where that needs others than `locks`
    purge: Sequence[str] = ()
    purge_locks: Sequence[tuple[str, str]] = ()  # likewise
    scans: bool = False
    reads: frozenset[str] = frozenset()  # tables and views that a view reads
    columns: frozenset[str] = frozenset()  # that it names, `*` among them
    notes: Sequence[str] = field(default=())

    @property
    def makes(self) -> bool:
        """Whether its name stands for something new."""
        return self.when not in (When.DETACH, When.PURGE) and self.kind not in ("trigger", "owner", "value", "data")

    @property
    def key(self) -> str:
        """Its unit's key."""
        return f"{self.kind}:{self.name}{self.part and ':' + self.part}"

    def unit(self) -> Unit:
        """Its unit of expand or detach."""
        do, undo, back = tuple(self.do), tuple(self.undo), tuple(self.undo_locks)
        return Unit(self.key, self.says, do, undo, tuple(self.locks), scans=self.scans, undo_locks=back)

    def last_unit(self) -> Unit:
        """Its unit of purge."""
        says = (
            self.says if self.when is When.PURGE else f"drop {self.kind} {self.part and self.part + ' of '}{self.name}"
        )
        return Unit(f"purge-{self.key}", says, tuple(self.purge), locks=tuple(self.purge_locks or self.locks))


def drop_type(kind: str, schema: str, name: str, kept_as: str) -> str:
    """Drop a type; where the attic's copies still have it, it goes there, too, by the first free name."""
    whole, move = quote_table(schema, name), literal(f"ALTER {kind.upper()} {quote(schema)}.")
    return (
        f"DO $crossfade$ DECLARE called pg_catalog.text := {literal(short(kept_as))};"
        f" BEGIN DROP {kind.upper()} {whole};"
        " EXCEPTION WHEN dependent_objects_still_exist THEN"
        " WHILE pg_catalog.to_regtype('crossfade_attic.' || pg_catalog.quote_ident(called)) IS NOT NULL"
        " LOOP called := called || '_'; END LOOP;"
        f" EXECUTE {move} || {literal(quote(name))} || ' RENAME TO ' || pg_catalog.quote_ident(called);"
        f" EXECUTE {move} || pg_catalog.quote_ident(called) || ' SET SCHEMA crossfade_attic'; END $crossfade$"
    )


def taken(where: str, kind: str, name: str) -> CrossfadeError:
    """Say that a thing of that name is there."""
    return fail(
        "schema-not-staged",
        where=where,
        what=f"creating {kind} {name}",
        reason="there is one already, and the old version may count on it as it is",
        way="take another name, and drop the old one in a later release",
    )


def in_use(where: str, kind: str, name: str, users: Sequence[str]) -> CrossfadeError:
    """Say that a thing cannot go, since others hold on to it."""
    return fail(
        "schema-not-staged",
        where=where,
        what=f"dropping {kind} {name}",
        reason=f"this hangs on it: {', '.join(users)}",
        way="take these away first, in a release of its own, when no live version uses them",
    )
