"""How the old and the new shape of a table correspond: its columns in groups that belong together.

Rule: a group is two-way (both shapes hold the same, each write of one is carried over to the other) or one-way (a
column computed from others until its own version gives it a value). What a write cannot tell, and nobody has said, is
refused here: who inserted a row whose columns all stand at their defaults, what the old version reads in a row of the
new one, how a value comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from crossfade.model.change import Policy
from crossfade.model.errors import fail
from crossfade.schema.annotations import Annotation, misplaced
from crossfade.schema.catalog import Catalog, Column
from crossfade.schema.expressions import Expression, Reader, own_column, read_text
from crossfade.schema.operations import (
    AddedColumn,
    AlteredColumn,
    ConvertedColumn,
    DroppedColumn,
    RenamedColumn,
    TableDelta,
)


class Writer(StrEnum):
    """Who wrote a row that does not tell by itself."""

    OLD = "old"
    NEW = "new"
    ASK = "ask"  # the table of lanes


@dataclass(frozen=True)
class Side:
    """One column of a group. `default` is what an INSERT that does not name it gets."""

    name: str
    type: str
    exact: bool
    default: Expression | None
    not_null: bool
    shown: str = ""  # the name by which people know it, where it stands under another one

    @property
    def label(self) -> str:
        """Its name, for people."""
        return self.shown or self.name

    @property
    def must_be_given(self) -> bool:
        """Whether a version that knows it names it in every INSERT."""
        return self.not_null and self.default is None


@dataclass(frozen=True)
class TwoWay:
    """Columns that say the same in two shapes. `ups` are over `old`, `downs` over `new`, by column name."""

    old: Sequence[Side]
    new: Sequence[Side]
    ups: Mapping[str, Expression]
    downs: Mapping[str, Expression]
    policy: Policy = Policy.NONE
    silent: Writer = Writer.OLD  # who wrote, where an INSERT gives neither shape
    where: str = ""

    @property
    def says(self) -> str:
        """The group as people write it."""
        kind = (self.policy.value and f"partial: {self.policy}") or "total"
        typed = any(side.shown for side in self.new)
        old, new = (
            ", ".join(f"{side.label} {side.type}" if typed else side.name for side in sides)
            for sides in (self.old, self.new)
        )
        return f"{old} <-> {new}, {kind}"


@dataclass(frozen=True)
class Derived:
    """A column computed from others for the version that does not write it: a new one, or (`dropped`) an old one."""

    side: Side
    value: Expression
    dropped: bool
    silent: Writer  # who wrote, where an INSERT does not give the column
    lanes: bool  # whether the table of lanes can be asked


@dataclass(frozen=True)
class Filled:
    """A column of both shapes in which one version writes NULL and the other knows none: `value` stands for it.

    The old version's NULL is filled until detach; the new version's (`drops`) is replaced and recorded until purge.
    """

    name: str
    value: Expression
    drops: bool


@dataclass
class Groups:
    """The groups of one table, and the columns that are in none."""

    filled: list[Filled] = field(default_factory=list)

    two_way: list[TwoWay] = field(default_factory=list)
    derived: list[Derived] = field(default_factory=list)
    plain: list[AddedColumn] = field(default_factory=list)
    gone: list[DroppedColumn] = field(default_factory=list)


@dataclass(frozen=True)
class Grouping:
    """What grouping needs to know beside the table's delta."""

    catalog: Catalog
    lanes: bool  # each lane connects as a role of its own
    policies: Mapping[tuple[str, str], tuple[Policy, Annotation]]

    def groups(self, delta: TableDelta) -> Groups:
        """Put the columns of one table into groups. Raises `schema-undecided`, `schema-expression`."""
        found = Groups()
        for renamed in delta.renamed.values():
            found.two_way.append(self._rename(delta, renamed))
        for converted in delta.converted.values():
            found.two_way.append(self._conversion(delta, converted))
        joined: set[str] = set()
        for old, new in _components(delta):
            joined |= {*old, *new}
            found.two_way.append(self._replacement(delta, sorted(old), sorted(new)))
        for added in delta.added.values():
            if added.name in joined:
                continue
            if added.up is None:
                found.plain.append(added)
            else:
                found.derived.append(self._derived_new(added, added.up))
        for dropped in delta.dropped.values():
            if dropped.column.name in joined:
                continue
            if dropped.down is None:
                found.gone.append(dropped)
            else:
                found.derived.append(self._derived_old(delta, dropped, dropped.down))
        for altered in delta.altered.values():
            found.filled += _filled(altered)
        self._no_stray_policy(delta, found)
        return found

    def _rename(self, delta: TableDelta, renamed: RenamedColumn) -> TwoWay:
        old = self._old_side(delta, renamed.column, renamed.where)
        volatile = old.default is not None and old.default.volatility == "v"
        if volatile and not old.not_null:
            raise fail(
                "schema-undecided",
                where=renamed.where,
                what=f"who inserted a row without {renamed.name} cannot be told",
                reason=f"{old.name} may be NULL and has a default that is another value each time",
                way="make it NOT NULL first, or give the value in the INSERTs and drop the default",
            )
        new = Side(renamed.name, old.type, old.exact, None if volatile else old.default, old.not_null)
        ups, downs = {new.name: own_column(old.name)}, {old.name: own_column(new.name)}
        return TwoWay([old], [new], ups, downs, where=renamed.where)

    def _conversion(self, delta: TableDelta, one: ConvertedColumn) -> TwoWay:
        old = self._old_side(delta, one.column, one.where)
        default = one.default if one.new_default else old.default
        if default is not None and default.volatility == "v" and (one.new_default or not old.not_null):
            raise fail(
                "schema-undecided",
                where=one.where,
                what=f"who inserted a row without {old.name} cannot be told",
                reason=f"{old.name} has a default that is another value each time"
                + ("" if one.new_default else ", and may be NULL"),
                way="change the type first, and the default or NOT NULL in a release of its own",
            )
        volatile = default is not None and default.volatility == "v"
        new = Side(one.second, one.type, one.exact, None if volatile else default, old.not_null, old.name)
        ups, downs = {new.name: self._within(one.up, [old.name], one.where)}, {old.name: one.down}
        _holds(new, one.up, one.where)
        if one.policy is not Policy.REJECT:
            _holds(old, one.down, one.where)
        silent = Writer.OLD if volatile else self._silent([old], [new], ups, one.where)
        return TwoWay([old], [new], ups, downs, one.policy, silent, one.where)

    def _replacement(self, delta: TableDelta, old_names: Sequence[str], new_names: Sequence[str]) -> TwoWay:
        ups, downs = {}, {}
        for name in new_names:
            added = delta.added[name]
            if added.up is None:
                raise _one_sided(added.where, f"up {delta.table.name}.{name}", name, "old")
            ups[name] = self._within(added.up, old_names, added.where)
        for name in old_names:
            dropped = delta.dropped[name]
            if dropped.down is None:
                raise _one_sided(dropped.where, f"down {delta.table.name}.{name}", name, "new")
            _may_be_computed(delta, dropped)
            downs[name] = self._within(dropped.down, new_names, dropped.where)
        where = delta.added[new_names[0]].where
        old = [self._old_side(delta, delta.dropped[name].column, delta.dropped[name].where) for name in old_names]
        new = [_new_side(delta.added[name]) for name in new_names]
        for side in (*old, *new):
            where_of = delta.dropped[side.name].where if side in old else delta.added[side.name].where
            _holds(side, (downs if side in old else ups)[side.name], where_of)
            if side.default is not None and side.default.volatility == "v":
                what = f"who inserted a row without {side.name} cannot be told"
                reason = f"the default of {side.name} is another value each time"
                way = f"drop the default, and give {side.name} in the INSERTs"
                raise fail("schema-undecided", where=where, what=what, reason=reason, way=way)
        found = [
            self.policies[delta.table.name, name] for name in new_names if (delta.table.name, name) in self.policies
        ]
        if len({policy for policy, _ in found}) > 1:
            hint = f"say one policy for {', '.join(new_names)}"
            raise misplaced(found[1][1], "columns that belong together have two policies", hint)
        silent = self._silent(old, new, ups, where)
        return TwoWay(old, new, ups, downs, found[0][0] if found else Policy.NONE, silent, where)

    def _silent(self, old: Sequence[Side], new: Sequence[Side], ups: Mapping[str, Expression], where: str) -> Writer:
        """Who wrote a row in which every column stands at its default."""
        if any(side.must_be_given for side in new):
            return Writer.OLD
        if any(side.must_be_given for side in old):
            return Writer.NEW
        if self.lanes:
            return Writer.ASK
        if all(side.default is None for side in (*old, *new)) and all(up.nulls_pass for up in ups.values()):
            return Writer.OLD  # all NULL in both shapes: they say the same
        names = ", ".join(side.name for side in (*old, *new))
        raise _who(where, names, "each of them may be left out of an INSERT, and the defaults do not say the same")

    def _within(self, value: Expression, names: Sequence[str], where: str) -> Expression:
        stray = sorted(value.columns - set(names))
        if stray:
            raise fail(
                "schema-expression",
                where=where,
                text=value.render(),
                reason=f"it reads {', '.join(stray)}, which both versions write: a write to that would not say"
                " which shape it means",
                way=f"write it over {', '.join(names)} alone",
            )
        if value.clock:
            reason = "it depends on the time of day, so the two shapes would never be equal"
            raise fail("schema-expression", where=where, text=value.render(), reason=reason, way="leave the clock out")
        return value

    def _derived_new(self, added: AddedColumn, up: Expression) -> Derived:
        side = _new_side(added)
        _holds(side, up, added.where)
        if side.default is not None and side.default.volatility == "v":
            what = f"who inserted a row without {side.name} cannot be told"
            reason = f"the default of {side.name} is another value each time"
            raise fail("schema-undecided", where=added.where, what=what, reason=reason, way="drop the default, or `up`")
        silent = Writer.OLD if side.must_be_given else Writer.ASK
        if silent is Writer.ASK and not self.lanes:
            raise _who(added.where, side.name, f"an INSERT of the new version may leave {side.name} out, too")
        return Derived(side, up, False, silent, self.lanes)

    def _derived_old(self, delta: TableDelta, dropped: DroppedColumn, down: Expression) -> Derived:
        _may_be_computed(delta, dropped)
        side = self._old_side(delta, dropped.column, dropped.where)
        _holds(side, down, dropped.where)
        if side.default is not None and side.default.volatility == "v":
            what = f"who inserted a row without {side.name} cannot be told"
            reason = f"the default of {side.name} is another value each time"
            raise fail("schema-undecided", where=dropped.where, what=what, reason=reason, way="leave `down` out")
        silent = Writer.NEW if side.must_be_given else Writer.ASK
        if silent is Writer.ASK and not self.lanes:
            raise _who(dropped.where, side.name, f"an INSERT of the old version may leave {side.name} out, too")
        return Derived(side, down, True, silent, self.lanes)

    def _old_side(self, delta: TableDelta, column: Column, where: str) -> Side:
        default = None
        if column.default is not None and not column.generated:
            reader = Reader(self.catalog, delta.table.schema, delta.table.name, ())
            default = read_text(column.default, reader, where, volatile=True)
        if default is not None and default.render().startswith("NULL"):
            default = None
        return Side(column.name, column.type, column.exact, default, column.not_null)

    def _no_stray_policy(self, delta: TableDelta, found: Groups) -> None:
        used = {side.name for group in found.two_way for side in group.new}
        for (table, column), (_, annotation) in self.policies.items():
            if table == delta.table.name and column in delta.added and column not in used:
                reason = f"{column} takes the place of no old column, so each of its values may stand"
                raise misplaced(annotation, reason, "take it away, or say `down` for the column it takes the place of")


def _components(delta: TableDelta) -> list[tuple[set[str], set[str]]]:
    """Dropped and new columns that expressions connect, where some new column is computed from a dropped one."""
    links = [(name, old) for name, one in delta.added.items() if one.up for old in one.up.columns & set(delta.dropped)]
    ups = set(links)
    for old, dropped in delta.dropped.items():
        links += [(name, old) for name in (dropped.down.columns if dropped.down else ()) if name in delta.added]
    groups: list[tuple[set[str], set[str]]] = []
    for new, old in links:
        touching = [group for group in groups if old in group[0] or new in group[1]]
        merged = ({old}.union(*(one[0] for one in touching)), {new}.union(*(one[1] for one in touching)))
        groups = [group for group in groups if group not in touching] + [merged]
    return [group for group in groups if any(old in group[0] for _, old in ups)]


def _may_be_computed(delta: TableDelta, dropped: DroppedColumn) -> None:
    if dropped.column.generated or dropped.column.identity:
        raise fail(
            "schema-not-staged",
            where=dropped.where,
            what=f"computing {delta.says}.{dropped.column.name}, which PostgreSQL generates,",
            reason="a trigger cannot give it another value",
            way="leave `down` out: the old version reads what PostgreSQL generates",
        )


def _filled(altered: AlteredColumn) -> list[Filled]:
    value = altered.up if altered.sets_not_null else altered.down if altered.drops_not_null else None
    if value is None:
        return []
    if value.leaves_null:
        reason = f"it can be NULL, and it is to stand for NULL in {altered.column.name}"
        way = "give it an ELSE, and every branch a value"
        raise fail("schema-expression", where=altered.where, text=value.render(), reason=reason, way=way)
    return [Filled(altered.column.name, value, altered.drops_not_null)]


def _holds(side: Side, value: Expression, where: str) -> None:
    """A column that takes no NULL is given none: the write of whoever does not know it would fail."""
    if side.not_null and value.leaves_null:
        reason = f"it can be NULL, and {side.name} takes none: such a write of the other version would fail"
        way = "give it an ELSE, and every branch a value"
        raise fail("schema-expression", where=where, text=value.render(), reason=reason, way=way)


def _new_side(added: AddedColumn) -> Side:
    return Side(added.name, added.type, added.exact, added.default, added.not_null)


def _one_sided(where: str, annotation: str, column: str, version: str) -> Exception:
    return fail(
        "schema-undecided",
        where=where,
        what=f"what the {version} version writes would not reach {column}",
        reason="its values flow one way only, so one version would read what is out of date",
        way=f"say it: -- crossfade: {annotation} = EXPRESSION",
    )


def _who(where: str, names: str, reason: str) -> Exception:
    return fail(
        "schema-undecided",
        where=where,
        what=f"who inserted a row without {names} cannot be told",
        reason=reason,
        way="let each version connect as a role of its own ({{role}} in database.app_url), or make the column NOT NULL"
        " without a default".replace("{{", "{").replace("}}", "}"),
    )
