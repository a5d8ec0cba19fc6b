"""The trigger pair that keeps a table's two shapes in step, as SQL text.

Rule: who wrote is read off the row: a column that stands at its default was not given, one that differs from before
was written. No session state, so it works through any pooler; no search path, so it works for any role. A write that
says the same in both shapes fires nothing, which is also how a backfill passes by.

WHEN may not read generated columns of NEW, and BEFORE triggers run by name (manual, CREATE TRIGGER and section 39.1):
mappings never read generated columns, and ours run last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossfade.model.change import Policy
from crossfade.model.errors import fail
from crossfade.schema.catalog import Table
from crossfade.schema.expressions import Expression, apart, unlike
from crossfade.schema.mapping import Derived, Groups, Side, TwoWay, Writer
from crossfade.schema.naming import NAME_BYTES, literal, quote, quote_table, sync_function, sync_trigger

_WRITER = "(SELECT l.shape FROM crossfade_sync.lane l WHERE l.role = SESSION_USER)"


@dataclass(frozen=True)
class Pair:
    """Both triggers of one table. `called` says what columns are called now: hidden ones have another name."""

    change: str
    table: Table
    groups: Groups
    both_changed: Writer
    called: Mapping[str, str]

    @property
    def needed(self) -> bool:
        """Whether anything must be kept in step."""
        return bool(self.groups.two_way or self.groups.derived or self.groups.filled)

    def functions(self) -> Sequence[str]:
        """The statements that make both functions, or replace them."""
        return [self._function("insert", self._insert()), self._function("update", self._update())]

    def triggers(self) -> Sequence[str]:
        """The statements that make both triggers."""
        on = quote_table(self.table.schema, self.table.name)
        return [
            f"CREATE TRIGGER {quote(self._trigger('insert'))} BEFORE INSERT ON {on}"
            f" FOR EACH ROW EXECUTE FUNCTION {self._called('insert')}()",
            f"CREATE TRIGGER {quote(self._trigger('update'))} BEFORE UPDATE ON {on}"
            f" FOR EACH ROW WHEN ({self._when()}) EXECUTE FUNCTION {self._called('update')}()",
        ]

    def drop(self) -> Sequence[str]:
        """The statements that take both away: triggers first, so that no write meets a missing function."""
        on = quote_table(self.table.schema, self.table.name)
        events = ("insert", "update")
        return [
            *(f"DROP TRIGGER {quote(self._trigger(event))} ON {on}" for event in events),
            *(f"DROP FUNCTION {self._called(event)}()" for event in events),
        ]

    def _called(self, event: str) -> str:
        return sync_function(self.change, self.table.schema, self.table.name, event)

    def _trigger(self, event: str) -> str:
        others = tuple(one.name for one in self.table.triggers if one.row and one.before)
        name = sync_trigger(self.change, event, others)
        if len(name.encode()) > NAME_BYTES:
            raise fail(
                "schema-not-staged",
                where=f"{self.table.schema}.{self.table.name}",
                what="keeping two shapes in step after the trigger that runs last",
                reason=f"triggers run in the order of their names, and none sorts after {max(others)}",
                way="give that trigger a shorter name",
            )
        return name

    def _function(self, event: str, lines: Sequence[str]) -> str:
        body = "\n".join(("BEGIN", *(f"    {line}" for line in lines), "    RETURN new;", "END"))
        tag = "crossfade"
        while f"${tag}$" in body:
            tag += "_"
        return (
            f"CREATE OR REPLACE FUNCTION {self._called(event)}() RETURNS trigger\n"
            f"LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS ${tag}$\n{body}\n${tag}$"
        )

    def _insert(self) -> list[str]:
        lines: list[str] = []
        for group in self.groups.two_way:
            lacking = self._lacking(group)
            lines += _if(" OR ".join([self.out_of_step(group), *lacking]), self._insert_two_way(group))
        lines += self._fill()
        for one in self.groups.derived:
            lines += _if(f"NOT ({self._given([one.side])})", self._set_derived(one))
        return lines

    def _lacking(self, group: TwoWay) -> list[str]:
        """Whether an old column that takes no NULL was left out, where NULL goes up as a value."""
        if all(up.nulls_pass for up in group.ups.values()):
            return []
        return [f"{self._cell('new', side.name)} IS NULL" for side in group.old if side.must_be_given]

    def _insert_two_way(self, group: TwoWay) -> list[str]:
        up, down = self._carry_up(group), self._carry_down(group)
        if any(side.default is not None and side.default.volatility == "v" for side in group.old):
            return _branches([(self._given(group.new), down)], up)  # what the old default was cannot be compared
        old, new = self._given(group.old), self._given(group.new)
        silent = {Writer.OLD: up, Writer.NEW: down, Writer.ASK: _branches([(f"{_WRITER} = 'new'", down)], up)}
        both = [*self._note(group, "conflict"), *(down if self.both_changed is Writer.NEW else up)]
        cases = [(f"({new}) AND ({old})", both), (new, down)]
        if group.silent is not Writer.OLD:
            cases.append((old, up))
        return _branches(cases, silent[group.silent])

    def _update(self) -> list[str]:
        lines: list[str] = []
        for group in self.groups.two_way:
            old, new = self._changed(group.old), self._changed(group.new)
            up, down = self._carry_up(group), self._carry_down(group)
            both = [*self._note(group, "conflict"), *(down if self.both_changed is Writer.NEW else up)]
            inner = _branches([(f"({old}) AND ({new})", both), (new, down)], up)
            lines += _if(f"({old} OR {new}) AND ({self.out_of_step(group)})", inner)
        lines += self._fill()
        for one in self.groups.derived:
            if one.value.columns:
                lines += _if(self._derived_moved(one), self._move_derived(one))
        return lines

    def _when(self) -> str:
        conditions = [
            f"({self._changed(group.old)} OR {self._changed(group.new)}) AND ({self.out_of_step(group)})"
            for group in self.groups.two_way
        ]
        conditions += [self._derived_moved(one) for one in self.groups.derived if one.value.columns]
        conditions += [f"{self._cell('new', one.name)} IS NULL" for one in self.groups.filled]
        return " OR ".join(f"({one})" for one in conditions) or "false"

    def _fill(self) -> list[str]:
        """What stands for NULL where one of the versions knows none."""
        lines: list[str] = []
        for one in self.groups.filled:
            cell = self._cell("new", one.name)
            data = f"pg_catalog.jsonb_build_object('new', pg_catalog.jsonb_build_object({literal(one.name)}, NULL))"
            note = [self._record("no counterpart", data)] if one.drops else []
            lines += _if(f"{cell} IS NULL", [*note, f"{cell} := {self._render(one.value, 'new')};"])
        return lines

    def _derived_moved(self, one: Derived) -> str:
        """Its sources changed, it did not, and it was what they said before: it had no value of its own."""
        sources = " OR ".join(
            unlike(self._cell("new", name), self._cell("old", name), exact=False) for name in sorted(one.value.columns)
        )
        kept = f"NOT ({self._changed([one.side])})"
        before = self._apart(one.side, one.value, "old")
        return f"({sources}) AND {kept} AND NOT ({before})"

    def _set_derived(self, one: Derived) -> list[str]:
        assign = [f"{self._cell('new', one.side.name)} := {self._render(one.value, 'new')};"]
        if one.silent is not Writer.ASK:
            return assign
        return _if(f"{_WRITER} = 'new'" if one.dropped else f"{_WRITER} IS DISTINCT FROM 'new'", assign)

    def _move_derived(self, one: Derived) -> list[str]:
        assign = [f"{self._cell('new', one.side.name)} := {self._render(one.value, 'new')};"]
        if not one.lanes:
            return assign
        return _if(f"{_WRITER} = 'new'" if one.dropped else f"{_WRITER} IS DISTINCT FROM 'new'", assign)

    def out_of_step(self, group: TwoWay, row: str = "new") -> str:
        """Whether a row's two shapes do not say the same, by the way up."""
        return " OR ".join(self._apart(side, group.ups[side.name], row, group) for side in group.new)

    def out_of_step_down(self, group: TwoWay, row: str = "new") -> str:
        """Whether a row's two shapes do not say the same, by the way down."""
        return " OR ".join(self._apart(side, group.downs[side.name], row, group) for side in group.old)

    def _carry_up(self, group: TwoWay) -> list[str]:
        return [f"{self._cell('new', side.name)} := {self._render(group.ups[side.name], 'new')};" for side in group.new]

    def _carry_down(self, group: TwoWay) -> list[str]:
        lines = [
            f"{self._cell('new', side.name)} := {self._render(group.downs[side.name], 'new')};" for side in group.old
        ]
        if all(group.ups[side.name].bare for side in group.new) and all(group.downs[s.name].bare for s in group.old):
            return lines  # one name for another: every value has its counterpart
        answer = self._reject(group) if group.policy is Policy.REJECT else self._note(group, "no counterpart")
        return [*lines, *_if(self.out_of_step(group), answer)]

    def _reject(self, group: TwoWay) -> list[str]:
        old, new = (", ".join(side.label for side in sides) for sides in (group.old, group.new))
        name = f"{self.table.schema}.{self.table.name}"
        where = f"as {group.old[0].type}" if group.new[0].shown else f"in {old}"
        message = f"the value of {new} in {name} has no counterpart {where}, which the version before still reads"
        return [
            f"RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = {literal(message)},"
            f" SCHEMA = {literal(self.table.schema)}, TABLE = {literal(self.table.name)},"
            f" COLUMN = {literal(group.new[0].label)};"
        ]

    def _note(self, group: TwoWay, kind: str) -> list[str]:
        data = ", ".join(
            f"{literal(word)}, pg_catalog.jsonb_build_object("
            + ", ".join(f"{literal(side.label)}, {self._cell('new', side.name)}" for side in sides)
            + ")"
            for word, sides in (("old", group.old), ("new", group.new))
        )
        return [self._record(kind, f"pg_catalog.jsonb_build_object({data})")]

    def _record(self, kind: str, data: str) -> str:
        name = f"{self.table.schema}.{self.table.name}"
        key = ", ".join(f"{literal(column)}, {self._cell('new', column)}" for column in self.table.key)
        row_key = f"pg_catalog.jsonb_build_object({key})" if key else "pg_catalog.to_jsonb(new)"
        return (
            f"PERFORM crossfade_sync.note({literal(self.change)}, {literal(name)}, {literal(kind)}, {row_key}, {data});"
        )

    def _given(self, sides: Sequence[Side]) -> str:
        """Whether an INSERT gave any of the columns: one that stands at its default was not given."""
        return " OR ".join(
            f"{self._cell('new', side.name)} IS NOT NULL"
            if side.default is None
            else _distinct(side, self._cell("new", side.name), f"CAST({side.default.render()} AS {side.type})")
            for side in sides
        )

    def _changed(self, sides: Sequence[Side]) -> str:
        return " OR ".join(
            _distinct(side, self._cell("new", side.name), self._cell("old", side.name)) for side in sides
        )

    def _cell(self, row: str, column: str) -> str:
        name = quote(self.called.get(column, column))
        return f"{row}.{name}" if row else name

    def _render(self, value: Expression, row: str) -> str:
        return value.render(row, self.called)

    def _apart(self, side: Side, value: Expression, row: str, group: TwoWay | None = None) -> str:
        """Whether a cell is not what an expression gives; one column of the same type is compared to the letter."""
        cell = self._cell(row, side.name)
        types = {one.name: one.type for one in (*group.old, *group.new)} if group else {}
        if types.get(value.bare) == side.type:
            return _distinct(side, cell, self._cell(row, value.bare))
        return apart(cell, f"CAST({self._render(value, row)} AS {side.type})", side.type, side.exact)


def _distinct(side: Side, left: str, right: str) -> str:
    return unlike(left, right, side.exact)


def _if(condition: str, lines: Sequence[str]) -> list[str]:
    return [f"IF {condition} THEN", *(f"    {line}" for line in lines), "END IF;"]


def _branches(cases: Sequence[tuple[str, Sequence[str]]], otherwise: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for number, (condition, then) in enumerate(cases):
        lines += [f"{'ELSIF' if number else 'IF'} {condition} THEN", *(f"    {line}" for line in then)]
    return [*lines, "ELSE", *(f"    {line}" for line in otherwise), "END IF;"]
