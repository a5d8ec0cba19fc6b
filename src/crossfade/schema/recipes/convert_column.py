"""Changing a column's type where rows must be rewritten: a second column, which takes the name when the old version has
left.

Rule: one name means two types at once, so each version finds its own by its role: the new version's finds a view first
in which the second column has the name. USING says the way forward; the way back is the inverse where `casts.py` knows
it, else it is asked for. What the old version may write has a place in the new type, or somebody says what becomes of
it: its writes must not fail. A value of the new version without counterpart is refused until the purge, unless
`partial` says that it is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from crossfade.model.change import Policy
from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.annotations import Annotation
from crossfade.schema.casts import Cast, cast_expression, cast_of, shape, through
from crossfade.schema.expressions import Expression, Reader, read_text
from crossfade.schema.mapping import TwoWay
from crossfade.schema.naming import quote, quote_table, second
from crossfade.schema.operations import (
    AddedColumn,
    ConvertedColumn,
    NetChange,
    RenamedColumn,
    RetypedColumn,
    TableDelta,
)
from crossfade.schema.parser import Node, copied, every, kind_of, parse_expression, print_type, unwrap, words
from crossfade.schema.parts import Parts
from crossfade.schema.recipes import rename_column

Policies = Mapping[tuple[str, str], tuple[Policy, Annotation]]
_UTC = ("utc", "etc/utc", "gmt", "etc/gmt", "zulu", "etc/zulu", "+00", "+00:00")
_WAY = "keep the type, and convert it in the version's code; or take these away in a release before"
_ZONED = ("timestamp", "timestamptz")


def may_not(delta: TableDelta, *, has_lane_roles: bool, has_pooler: bool) -> str:
    """Why the versions cannot each find a shape of their own; empty: they can."""
    if not has_lane_roles:
        return "versions find their shape by the role that they connect as, and the lanes share one"
    if has_pooler:
        return "a pooler gives a version sessions that were opened for the one before, which find the other shape"
    if delta.table.row_security:
        return "the new version would find a view, where row security does not hold"
    typed = [one for one in delta.table.bound if one.startswith(("function ", "column "))]
    return f"the new version would find a view, whose rows have another type: {', '.join(typed)}" if typed else ""


def convert(net: NetChange, delta: TableDelta, retyped: RetypedColumn, policies: Policies) -> ConvertedColumn:
    """What becomes of the column. Raises `schema-undecided`, `schema-expression`, `schema-not-staged`."""
    column, where = retyped.column, retyped.where
    rename_column.refuse_what_stays_behind(delta, column, where, "changing the type of", _WAY)
    _alone(delta, retyped)
    one = ConvertedColumn(
        column,
        retyped.type,
        retyped.exact,
        where,
        second(net.change, column.name),
        *_ways(net, delta, retyped),
        collation=retyped.collation,
        widens=retyped.fits,
    )
    said = policies.get((delta.table.name, column.name))
    altered = delta.altered.pop(column.name, None)
    one = replace(one, policy=said[0] if said else one.policy)
    if altered is not None and altered.new_default:
        one = replace(one, new_default=True, default=altered.default)
    if one.policy is Policy.RECORD and column.not_null and one.down.leaves_null and retyped.down is None:
        raise _ask_down(delta, retyped, f"{column.name} takes no NULL, and a value without counterpart is recorded")
    return one


def new_column(parts: Parts, one: ConvertedColumn) -> AddedColumn:
    """The second column, with what hangs on the first."""
    renamed = RenamedColumn(one.column, one.second, one.where)
    added = rename_column.new_column(parts, renamed)
    return replace(added, type=one.type, exact=one.exact, collation=one.collation)


def take_name(parts: Parts, one: ConvertedColumn, group: TwoWay) -> None:
    """At detach the second column has the name, and a default that cannot be told from a value."""
    name = one.column.name
    parts.take_name(one.second, name)
    old, new = group.old[0], group.new[0]
    if old.default is not None and new.default is None and not one.new_default:
        alter = f"ALTER TABLE {parts.quoted} ALTER COLUMN {quote(name)}"
        parts.hide.append(f"{alter} SET DEFAULT {old.default.render()}")
        parts.unhide.append(f"{alter} DROP DEFAULT")
    if one.widens:
        parts.notes.append(
            f"{parts.delta.says}.{name} could get its type in place, if no prepared statement that reads it is kept:"
            f" -- crossfade: retype {parts.delta.table.name}.{name}"
        )
    if one.policy is Policy.REJECT:
        parts.notes.append(
            f"{parts.delta.says}.{name}: until the purge a value of the new version that {one.column.type} cannot hold"
            f" is refused; to store it and record its key: -- crossfade: partial {parts.delta.table.name}.{name} record"
        )


def _alone(delta: TableDelta, retyped: RetypedColumn) -> None:
    """Refuse what else happens to the column in the same change."""
    name = retyped.column.name
    altered = delta.altered.get(name)
    others = [f"constraint {new.name}" for new in delta.constraints.values() if name in new.columns]
    others += ["another name"] if name in delta.renamed else []
    others += ["NOT NULL"] if altered is not None and (altered.not_null is not None or altered.filled_at) else []
    others += [f"column {one.name}" for one in delta.added.values() if one.up and name in one.up.columns]
    others += [f"column {old}" for old, one in delta.dropped.items() if one.down and name in one.down.columns]
    said = f"comment on COLUMN {quote_table(delta.table.schema, delta.table.name)}.{quote(name)}"
    others += ["its comment"] if said in delta.light else []
    if others:
        raise fail(
            "schema-not-staged",
            where=retyped.where,
            what=f"changing the type of {delta.says}.{name}, with what the same change makes of it,",
            reason=f"while both versions live the name means two types, and this would hold on to one of them:"
            f" {', '.join(others)}",
            way="change the type in this release, and the rest in the next one",
        )


def _ways(net: NetChange, delta: TableDelta, retyped: RetypedColumn) -> tuple[Expression, Expression, Policy, bool]:
    """The way up, the way down, what happens to a value of the new type that the old one cannot hold; and whether
    values that differ still differ.
    """
    column, name = retyped.column, quote(retyped.column.name)
    enums = net.catalog.enums
    up_reader = Reader(net.catalog, delta.table.schema, delta.table.name, {column.name})
    chain = _chain(net, retyped)
    there = back = None
    if chain is not None:
        shapes = [shape(type) for type in (column.type, *chain, retyped.type)]
        there, back = through(shapes, enums), through(shapes[::-1], enums)
        if retyped.using is None and {shapes[0][0], shapes[-1][0]} == set(_ZONED):
            there = None
    if retyped.up is not None:
        up = read_text(retyped.up.expression, up_reader, retyped.up.where)
        there, back = None, cast_of(shape(retyped.type), shape(column.type), enums)
        chain = ()
    elif chain is None:
        assert retyped.using is not None
        up = up_reader.read(_named(net, retyped.using), retyped.where)
    else:
        up = read_text(cast_expression(column.name, (*chain, retyped.type)), up_reader, retyped.where)
        if there is None and retyped.using is None and {shapes[0][0], shapes[-1][0]} == set(_ZONED):
            raise _ask_up(
                delta, retyped, "it depends on the zone of the session that asks", f"{column.name} AT TIME ZONE 'UTC'"
            )
        if there is None:
            raise _ask_up(delta, retyped, f"whether each {column.type} has a {retyped.type} is not known", "")
        if not there.total and there.fails:
            holds = f"CASE WHEN {there.fits.format(c=name)} THEN {up.render()} ELSE EXPRESSION END"
            raise _ask_up(delta, retyped, "the old version's write of a value that has none would fail", holds)
    zone = _zone(retyped)
    exact = there is not None and there.total
    policy = Policy.NONE if exact or retyped.down is not None else Policy.RECORD
    down_reader = Reader(net.catalog, delta.table.schema, delta.table.name, {column.name})
    called = {column.name: second(net.change, column.name)}
    if retyped.down is not None:
        down = read_text(retyped.down.expression, down_reader, retyped.down.where)
    elif zone:
        down = up
        exact = zone.lower() in _UTC
        policy = Policy.NONE if exact else Policy.RECORD
    elif back is None or chain is None:
        raise _ask_down(delta, retyped, "what gives a value back is not known")
    else:
        down, policy = _inverse(back, down_reader, retyped, chain, policy)
    return up, _over(down, called), policy, exact and not retyped.type.endswith("citext")


def _inverse(
    back: Cast, reader: Reader, retyped: RetypedColumn, chain: tuple[str, ...], policy: Policy
) -> tuple[Expression, Policy]:
    """The standard casts the other way round, NULL where they have none; and the policy for such values."""
    column = retyped.column
    text = cast_expression(column.name, (*reversed(chain), column.type))
    if back.total or not back.fails:  # what does not fit is rounded on the way back
        return read_text(text, reader, retyped.where), policy if back.total else Policy.RECORD
    fits = back.fits.format(c=quote(column.name))
    return read_text(f"CASE WHEN {fits} THEN {text} ELSE NULL END", reader, retyped.where), Policy.REJECT


def _over(value: Expression, called: Mapping[str, str]) -> Expression:
    """The same expression over the second column."""
    node = parse_expression(value.render(names=called))
    return replace(value, node=node, columns=frozenset(called[name] for name in value.columns))


def _chain(net: NetChange, retyped: RetypedColumn) -> tuple[str, ...] | None:
    """The types through which USING casts the column before its own; None: it does something else."""
    if retyped.using is None:
        return ()
    types: list[str] = []
    kind, node = unwrap(_named(net, retyped.using))
    while kind == "type_cast":
        types.append(print_type(node.type_name))
        kind, node = unwrap(node.arg)
    if kind != "column_ref" or words(node.fields)[-1] != retyped.column.name:
        return None
    if types and shape(types[0]) == shape(retyped.type):
        del types[0]
    return tuple(reversed(types))


def _zone(retyped: RetypedColumn) -> str:
    """The zone of `c AT TIME ZONE 'zone'`, which is its own inverse."""
    said = parse_expression(retyped.up.expression) if retyped.up is not None else retyped.using
    if said is None:
        return ""
    kind, node = unwrap(said)
    if kind != "func_call" or words(node.funcname)[-1] != "timezone" or len(node.args) != 2:
        return ""
    given, of = (unwrap(one) for one in node.args)
    between = {shape(retyped.column.type)[0], shape(retyped.type)[0]}
    plain = given[0] == "a_const" and of[0] == "column_ref" and between == set(_ZONED)
    return str(given[1].sval.sval) if plain else ""


def _named(net: NetChange, node: Node) -> Node:
    """The tree with the schemas of the types that it names without one."""
    fresh = copied(node)
    for message in every(fresh):
        if kind_of(message) == "TypeName" and len(message.names) == 1:
            name = words(message.names)[0]
            for space in net.catalog.search_path:
                if f"{space}.{name}" in net.catalog.types:
                    message.names.insert(0, message.names[0])
                    message.names[0].string.sval = space
                    break
    return fresh


def _ask_up(delta: TableDelta, retyped: RetypedColumn, reason: str, holds: str) -> CrossfadeError:
    column = retyped.column
    return fail(
        "schema-undecided",
        where=retyped.where,
        what=f"what {delta.says}.{column.name} holds as {retyped.type} for each {column.type} of the old version is not"
        " known",
        reason=reason,
        way=f"say it for every value: -- crossfade: up {delta.table.name}.{column.name} = {holds or 'EXPRESSION'}",
    )


def _ask_down(delta: TableDelta, retyped: RetypedColumn, reason: str) -> CrossfadeError:
    column = retyped.column
    return fail(
        "schema-undecided",
        where=retyped.where,
        what=f"what the old version reads in {delta.says}.{column.name}, as {column.type}, where the new one writes"
        f" {retyped.type}, is not known",
        reason=reason,
        way=f"say it, over {column.name} as {retyped.type}: -- crossfade: down {delta.table.name}.{column.name}"
        " = EXPRESSION",
    )
