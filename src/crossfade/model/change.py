"""A schema change as a value: the stages it is walked in, each with its way back.

Rule: a change is planned once, from the developer's SQL and the catalog it was written against; what is
planned is what is shown, journaled and run. Everything here is plain data with SQL texts that are rendered
already, so a change that stands in the journal can be finished or undone without planning it again.

The stages, in order, and what leads from one to the next:

    BASE    --expand-->    BOTH     old and new shape are there, triggers keep them in step
    BOTH    --backfill-->  EQUAL    rows from before are filled, what waits for that is built, shapes compared
    EQUAL   --detach-->    HIDDEN   the old shape is out of sight, and still kept in step where it can be
    HIDDEN  --purge-->     GONE     the old shape is dropped, what nothing else tells of it kept in the attic

Invariants, checked by `Change.check_invariants()`:
- a unit's undo brings back exactly what its do changed; only `purge` may have none;
- constraints stricter than the old version's writes bind at `detach`, when that version has left (I4);
- unit keys are unique: the journal tells by them what is in place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

PURGE_SYNC = "purge-sync:"  # how the keys of units begin that end the keeping in step, and drop nothing of anybody's


class Stage(StrEnum):
    """Where a table of the schema, and so the change, stands."""

    BASE = "base"
    BOTH = "both shapes"
    EQUAL = "both shapes, equal"
    HIDDEN = "old shape hidden"
    GONE = "old shape gone"

    @property
    def rank(self) -> int:
        """Its place in the order of a whole change."""
        return list(Stage).index(self)


class Policy(StrEnum):
    """What happens to a value of the new shape that has no counterpart in the old one."""

    NONE = ""  # the mapping is total: there is none
    REJECT = "reject"  # the write is refused
    RECORD = "record"  # it is stored, and its key and reason are recorded


@dataclass(frozen=True)
class Unit:
    """What is done at once: one transaction, or one statement that may not run in a transaction.

    `locks` are (quoted table, lock mode), taken first, in this order, before `do`. A `concurrent` unit runs its
    statements one by one outside a transaction; `probe` is a SELECT of one boolean that says whether its effect is
    whole, `wreck` removes what a failed attempt left. A unit that `scans` reads a whole table under a weak lock.
    """

    key: str  # "expand:public.orders"
    says: str  # for the plan: "add column code; keep reference and code in step"
    do: Sequence[str]
    undo: Sequence[str] = ()
    locks: Sequence[tuple[str, str]] = ()
    concurrent: bool = False
    probe: str = ""
    wreck: Sequence[str] = ()
    scans: bool = False
    undo_locks: Sequence[tuple[str, str]] = ()  # where the way back needs others; empty: `locks`
    retypes: Sequence[str] = ()  # quoted tables whose SELECT * has another result after it than before
    takes: Sequence[str] = ()  # keys of earlier units whose effect is gone, too, once this one is taken back
    steadies: Sequence[str] = ()  # quoted names where a view keeps that result as it was, for each version


@dataclass(frozen=True)
class Backfill:
    """Filling one table's new shape. SQL expressions are over the table's own columns, rewritten and quoted."""

    key: str  # "backfill:public.orders"
    table: str  # quoted, with its schema
    assignments: Sequence[tuple[str, str]]  # quoted column, expression
    unfilled: str  # true for a row that is not filled yet
    differs: str  # true for a row whose two shapes do not say the same; one such row stops the shift


@dataclass(frozen=True)
class ShapeMapping:
    """How two shapes correspond, for people and for the report."""

    table: str
    old: Sequence[str]  # columns
    new: Sequence[str]
    policy: Policy
    says: str  # "reference <-> code, total"

    @property
    def total(self) -> bool:
        """Whether every value of either shape has a counterpart in the other."""
        return self.policy is Policy.NONE


@dataclass(frozen=True)
class Kept:
    """What a step drops and the attic keeps: `columns` of `table` by its key; no columns: the whole table."""

    table: str  # quoted, with its schema
    key: Sequence[str]  # quoted columns of the primary key; empty: none, the whole row is kept
    columns: Sequence[str]  # quoted, as they are called when the step begins
    attic: str  # quoted name of the attic table, with its schema
    only_new: str = "true"  # which rows hold something that only this shape has


@dataclass(frozen=True)
class Change:
    """One schema change, planned."""

    id: str  # from the net change alone, so that a fixed version with the same change finds what is there
    name: str  # what people call it: the file
    base: str  # fingerprint of the schema it was planned against
    tables: Sequence[str]  # "public.orders", sorted; what a neighbour may not touch meanwhile
    expand: Sequence[Unit] = ()
    backfill: Sequence[Backfill] = ()
    settle: Sequence[Unit] = ()  # after the backfill: indexes on what it filled
    record: Sequence[Unit] = ()  # rows of a migration tool's own table, before the new version starts
    detach: Sequence[Unit] = ()
    purge: Sequence[Unit] = ()
    mappings: Sequence[ShapeMapping] = ()
    purge_keeps: Sequence[Kept] = ()  # what purge drops
    undo_keeps: Sequence[Kept] = ()  # what undoing the expansion drops: what only the new version wrote
    notes: Sequence[str] = ()  # what a person should know before it begins
    shapes: str = ""  # the schema with the new shape's views, first on its roles' search path; empty: no views

    def check_invariants(self) -> Change:
        """Assert what the module docstring promises, and hand the change back."""
        units = [*self.expand, *self.settle, *self.record, *self.detach, *self.purge]
        keys = [unit.key for unit in units] + [fill.key for fill in self.backfill]
        assert len(keys) == len(set(keys)), keys
        for unit in (*self.expand, *self.settle, *self.record, *self.detach):
            assert unit.do, unit
            assert unit.undo, f"{unit.key} has no way back"
        for unit in units:
            assert not unit.concurrent or unit.probe, f"{unit.key} cannot be found out about"
        return self

    def retypes(self) -> Mapping[str, Sequence[str]]:
        """For each unit that changes what SELECT * gives: the tables, by unit key."""
        units = [*self.expand, *self.settle, *self.detach, *self.purge]
        return {unit.key: unit.retypes for unit in units if unit.retypes}

    @property
    def drops(self) -> bool:
        """Whether its purge takes away something that was there before it."""
        return any(not unit.key.startswith(PURGE_SYNC) for unit in self.purge)

    def to_json(self) -> dict[str, object]:
        """The change as plain data, for the journal."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, object]) -> Change:
        """Read what `to_json` wrote."""
        raw: dict[str, object] = dict(data)
        for name in ("expand", "settle", "record", "detach", "purge"):
            raw[name] = tuple(_unit(unit) for unit in raw[name])  # type: ignore[attr-defined]
        raw["backfill"] = tuple(_backfill(fill) for fill in raw["backfill"])  # type: ignore[attr-defined]
        raw["mappings"] = tuple(_mapping(one) for one in raw["mappings"])  # type: ignore[attr-defined]
        for name in ("purge_keeps", "undo_keeps"):
            raw[name] = tuple(_kept(kept) for kept in raw[name])  # type: ignore[attr-defined]
        raw["tables"], raw["notes"] = tuple(raw["tables"]), tuple(raw["notes"])  # type: ignore[arg-type]
        return Change(**raw).check_invariants()  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        """What binds a shown plan to the one that runs: every statement of it, and its base."""
        text = json.dumps(self.to_json(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _unit(raw: Mapping[str, object]) -> Unit:
    values: dict[str, object] = dict(raw)
    for name in ("do", "undo", "wreck", "retypes", "steadies", "takes"):
        values[name] = tuple(values.get(name, ()))  # type: ignore[arg-type]
    for name in ("locks", "undo_locks"):  # a plan of an earlier version may lack the second
        values[name] = tuple((table, mode) for table, mode in values.get(name, ()))  # type: ignore[attr-defined]
    return Unit(**values)  # type: ignore[arg-type]


def _backfill(raw: Mapping[str, object]) -> Backfill:
    pairs = tuple((column, text) for column, text in raw["assignments"])  # type: ignore[attr-defined]
    return Backfill(**{**raw, "assignments": pairs})  # type: ignore[arg-type]


def _mapping(raw: Mapping[str, object]) -> ShapeMapping:
    values = {**raw, "policy": Policy(str(raw["policy"]))}
    for name in ("old", "new"):
        values[name] = tuple(values[name])  # type: ignore[arg-type]
    return ShapeMapping(**values)  # type: ignore[arg-type]


def _kept(raw: Mapping[str, object]) -> Kept:
    values: dict[str, object] = dict(raw)
    for name in ("key", "columns"):
        values[name] = tuple(values[name])  # type: ignore[arg-type]
    return Kept(**values)  # type: ignore[arg-type]
