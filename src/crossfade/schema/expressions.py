"""Expressions over one table's columns, checked once and rewritten as trees.

Rule: an expression of a mapping gives the same value wherever it is evaluated: in a trigger, in a backfill, in a
comparison. So it reads columns of its own row only, and names outside pg_catalog have their schema. Column references
are replaced in the tree; a name inside another name, in a text, or in quotes is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass

from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.catalog import Catalog
from crossfade.schema.naming import quote_table
from crossfade.schema.parser import (
    Node,
    column_ref,
    copied,
    enum_name,
    every,
    kind_of,
    parse_expression,
    print_expression,
    unwrap,
    words,
)

_CLOCKS = ("now", "transaction_timestamp", "statement_timestamp", "clock_timestamp", "timeofday")
_NUMBERS = ("numeric", "real", "double precision", "interval")
_NOT_A_ROWS = {
    "SubLink": "it has a subquery, so it depends on other rows",
    "WindowFunc": "it has a window function, so it depends on other rows",
    "ParamRef": "it has a parameter",
    "SetToDefault": "DEFAULT is no value here",
    "CurrentOfExpr": "it depends on a cursor",
    "GroupingFunc": "it has an aggregate, so it depends on other rows",
}


@dataclass(frozen=True)
class Expression:
    """A checked expression. `volatility` is the worst of its functions; `clock`: it depends on the time of day."""

    node: Node
    columns: frozenset[str]
    volatility: str = "i"
    clock: bool = False
    nulls_pass: bool = False  # NULL in all its columns makes it NULL

    def render(self, row: str = "", names: Mapping[str, str] | None = None) -> str:
        """Print it over the columns of `row` (`new`, `old`; empty: the table's own), each called as `names` says."""
        called = names or {}
        fresh = copied(self.node)
        for message in every(fresh):
            for field, value in _children(message):
                if value.WhichOneof("node") == "column_ref":
                    column = words(value.column_ref.fields)[-1]
                    parts = [row] if row else []
                    value.CopyFrom(column_ref(*parts, called.get(column, column)))
                    del field
        if fresh.WhichOneof("node") == "column_ref":
            column = words(fresh.column_ref.fields)[-1]
            fresh = column_ref(*([row] if row else []), called.get(column, column))
        return print_expression(fresh)

    @property
    def leaves_null(self) -> bool:
        """Whether it says NULL by what it leaves out, whatever its columns hold: a CASE without ELSE, a NULL."""
        return _leaves_null(self.node)

    @property
    def bare(self) -> str:
        """The column, where it is nothing but one; else empty."""
        kind, inner = unwrap(self.node)
        return words(inner.fields)[-1] if kind == "column_ref" else ""


def _leaves_null(node: Node) -> bool:
    kind, inner = unwrap(node)
    if kind == "case_expr":
        ways = [one.case_when.result for one in inner.args]
        return not inner.HasField("defresult") or any(_leaves_null(one) for one in (*ways, inner.defresult))
    if kind in ("type_cast", "collate_clause"):
        return _leaves_null(inner.arg)
    return kind == "a_const" and bool(inner.isnull)


def own_column(name: str) -> Expression:
    """The expression that is one column."""
    return Expression(column_ref(name), frozenset({name}), nulls_pass=True)


def unlike(left: str, right: str, exact: bool) -> str:
    """Whether two values are not stored alike. Equality is too weak for numeric, json, citext and their like.

    Records are compared by their bytes (manual, section 9.25.6); without the casts it would be column by column.
    """
    if exact:
        return f"{left} IS DISTINCT FROM {right}"
    return f"CAST(ROW({left}) AS record) OPERATOR(pg_catalog.*<>) CAST(ROW({right}) AS record)"


def apart(left: str, right: str, type: str, exact: bool) -> str:
    """Whether a value and what an expression gives for it are different. Of numbers, 0 and 0.00 are not."""
    return unlike(left, right, exact or type.startswith(_NUMBERS))


def read_text(text: str, reader: Reader, where: str, **allow: bool) -> Expression:
    """Parse and check a text; raises `schema-expression`."""
    try:
        node = parse_expression(text)
    except ValueError as exc:
        raise _refused(where, text, str(exc), "write one SQL expression") from exc
    return reader.read(node, where, **allow)


@dataclass(frozen=True)
class Reader:
    """Checks expressions over one table: `schema.table` with the columns that may be named."""

    catalog: Catalog
    schema: str
    table: str
    columns: Collection[str]

    def read(self, node: Node, where: str, volatile: bool = False) -> Expression:
        """Check a tree and qualify its functions. Raises `schema-expression`."""
        fresh = copied(node)
        text = print_expression(node)
        found: set[str] = set()
        volatility, clock = "i", False
        for message in every(fresh):
            kind = kind_of(message)
            if kind in _NOT_A_ROWS:
                raise _refused(where, text, _NOT_A_ROWS[kind], "write it over the columns of the row alone")
            if kind == "ColumnRef":
                found.add(self._column(message, where, text))
            elif kind == "FuncCall":
                worse, timed = self._function(message, where, text)
                volatility, clock = max(volatility, worse, key="isv".index), clock or timed
            elif kind == "SQLValueFunction":
                volatility, clock = max(volatility, "s", key="isv".index), True
            elif kind == "TypeName":
                self._type(message)
        if volatility == "v" and not volatile:
            way = "use functions that give the same value for the same arguments"
            raise _refused(where, text, "it has a volatile function, which gives another value each time", way)
        return Expression(fresh, frozenset(found), volatility, clock, self._nulls_pass(fresh))

    def _column(self, ref: Node, where: str, text: str) -> str:
        parts = words(ref.fields)
        prefix, name = parts[:-1], parts[-1]
        fits = prefix in ((), (self.table,), (self.schema, self.table))
        if not fits or name not in self.columns:
            known = ", ".join(sorted(self.columns)) or "none"
            reason = f"{'.'.join(parts)} is no column it may read; it may read: {known}"
            raise _refused(
                where, text, reason, "name columns of the same table, as the version it reads for knows them"
            )
        return name

    def _function(self, call: Node, where: str, text: str) -> tuple[str, bool]:
        name = words(call.funcname)
        if call.agg_star or call.agg_distinct or call.agg_order or call.agg_within_group or call.HasField("over"):
            raise _refused(where, text, "it has an aggregate, so it depends on other rows", _ROW)
        if len(name) == 1:
            space = self._space(name[0], self.catalog.functions)
            if space is None:
                reason = f"there is no function {name[0]} along the search path"
                raise _refused(where, text, reason, "write the function with its schema")
            name = (space, name[0])
            if named := self._named_in(".".join(name)):
                reason = f"the function {name[1]} names {named}, which a trigger does not find without its schema"
                raise _refused(
                    where, text, reason, f"give it a path: ALTER FUNCTION {'.'.join(name)} SET search_path = .."
                )
            call.funcname.insert(0, call.funcname[0])
            call.funcname[0].string.sval = space
        if name[-1] in ("nextval", "currval", "setval") and call.args:
            self._sequence(call.args[0])
        facts = self.catalog.functions.get(".".join(name))
        if facts is None:
            raise _refused(where, text, f"there is no function {'.'.join(name)}", "name a function that exists")
        if not facts.plain:
            raise _refused(where, text, f"{name[-1]} gives no single value for one row", _ROW)
        return facts.volatility, name[0] == "pg_catalog" and name[1] in _CLOCKS

    def _named_in(self, function: str) -> str:
        """What the body of a function may name without a schema, if it has no path of its own; else empty."""
        catalog = self.catalog
        known = {
            one.rpartition(".")[2]
            for one in (*catalog.functions, *catalog.types, *catalog.sequences)
            if not one.startswith("pg_catalog.")
        }
        known |= {table for _, table in catalog.tables}
        for signature, definition in catalog.routines.items():
            _, _, body = definition.partition("\n")  # its own name stands in the first line
            if signature.partition("(")[0] == function and "SET search_path" not in definition:
                found = known & set(_WORD.findall(body))
                if found:
                    return min(found)
        return ""

    def _sequence(self, argument: Node) -> None:
        """Write the schema of a sequence that a text names without one."""
        kind, inner = unwrap(argument)
        while kind == "type_cast":
            kind, inner = unwrap(inner.arg)
        if kind != "a_const" or not inner.HasField("sval"):
            return
        for space in self.catalog.search_path:
            if f"{space}.{inner.sval.sval}" in self.catalog.sequences:
                inner.sval.sval = quote_table(space, inner.sval.sval)
                return

    def _type(self, type_name: Node) -> None:
        """Write the schema of a type that a text names without one."""
        name = words(type_name.names)
        if len(name) == 1 and (space := self._space(name[0], self.catalog.types)) not in (None, "pg_catalog"):
            type_name.names.insert(0, type_name.names[0])
            type_name.names[0].string.sval = space

    def _space(self, name: str, known: Container[str]) -> str | None:
        """The schema in which PostgreSQL finds a name: its own first, then along the search path."""
        path = ("pg_catalog", *self.catalog.search_path)
        return next((space for space in path if f"{space}.{name}" in known), None)

    def _nulls_pass(self, node: Node) -> bool:
        """Whether NULL in all columns surely makes it NULL: through strict functions, operators, casts."""
        kind, inner = unwrap(node)
        if kind == "column_ref":
            return True
        if kind == "type_cast":
            return self._nulls_pass(inner.arg)
        if kind == "collate_clause":
            return self._nulls_pass(inner.arg)
        if kind == "a_expr" and enum_name(inner, "kind") == "AEXPR_OP":
            return any(self._nulls_pass(side) for side in (inner.lexpr, inner.rexpr) if side.WhichOneof("node"))
        if kind == "func_call":
            facts = self.catalog.functions.get(".".join(words(inner.funcname)))
            return bool(facts and facts.strict) and any(self._nulls_pass(one) for one in inner.args)
        return False


_WORD = re.compile(r"[^\W\d]\w*")
_ROW = "write it over the columns of the row alone"


def _children(message: Node) -> list[tuple[str, Node]]:
    """The wrapped nodes directly below a message."""
    if kind_of(message) == "Node":
        return []
    found = []
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.name == "Node":
            found += [(field.name, one) for one in (value if field.is_repeated else [value])]
    return found


def _refused(where: str, text: str, reason: str, way: str) -> CrossfadeError:
    return fail("schema-expression", where=where, text=text, reason=reason, way=way)
