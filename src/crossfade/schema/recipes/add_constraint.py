"""Adding a CHECK, a foreign key, UNIQUE or a primary key: stricter than the old version, so it binds after that.

Rule: new rows first (NOT VALID, a short lock), then a scan of the others under a lock that stops nobody (manual, ALTER
TABLE, "NOT VALID"); UNIQUE is an index built beside the writes and then taken over. Earlier than detach: a foreign key
over a column that the old version cannot give, for it stands at NULL there; and what the team says is bound `now`.
"""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.model.change import Unit
from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.annotations import Annotation, misplaced
from crossfade.schema.expressions import Reader
from crossfade.schema.naming import NAME_BYTES, meanwhile, quote, quote_table
from crossfade.schema.operations import NetChange, NewConstraint, TableDelta, no_column
from crossfade.schema.parser import (
    Node,
    copied,
    enum_name,
    parse_expression,
    parse_statement,
    print_expression,
    print_statement,
    words,
)
from crossfade.schema.parts import Fill, LateCheck, Parts
from crossfade.schema.recipes.create_index import build

_KINDS = {"CONSTR_CHECK": "c", "CONSTR_FOREIGN": "f", "CONSTR_UNIQUE": "u", "CONSTR_PRIMARY": "p"}
_WRITERS_WAIT = "SHARE ROW EXCLUSIVE"
_ALL_WAIT = "ACCESS EXCLUSIVE"


def read(net: NetChange, delta: TableDelta, constraint: Node, where: str, column: str = "") -> None:
    """Read a constraint, of the table or of a new column. Raises `schema-not-staged`, `schema-not-found`."""
    node = copied(constraint)
    kind = _KINDS.get(enum_name(node, "contype"), "")
    if not kind or node.indexname or (kind in "cf" and not node.is_enforced):
        raise _no_form(where)
    references = None
    if kind == "c":
        columns = _checked(net, delta, node, where)
    elif kind == "f":
        columns = _own(node.fk_attrs, column)
        references = _referenced(net, node, where)
    else:
        columns = _own(node.keys, column)
    for name in columns:
        if not delta.has(name):
            raise no_column(delta, name, where)
    if kind == "p" and delta.table.key:
        raise _taken(delta, "a second primary key", "there is one already", where)
    label = {"c": "check", "f": "fkey", "u": "key", "p": "pkey"}[kind]
    shown = "" if kind == "p" or (kind == "c" and len(columns) != 1) else "_".join([*columns, *words(node.including)])
    taken = _taken_names(net, delta, kind)
    name = node.conname or _chosen(delta.table.name, shown, label, taken)
    if name in taken:
        raise _taken(delta, f"a constraint called {name}", "there is one of that name already", where)
    node.conname = name
    valid = not node.skip_validation
    delta.constraints[name] = NewConstraint(name, kind, node, columns, where, references, valid)


def validate(delta: TableDelta, name: str, where: str) -> None:
    """Read VALIDATE CONSTRAINT. Raises `schema-not-found`."""
    if name in delta.constraints:
        delta.constraints[name].valid = True
        return
    found = next((one for one in delta.table.constraints if one.name == name), None)
    if found is None:
        raise no_constraint(delta, name, where)
    if not found.validated:
        delta.validated[name] = found


def bind_now(net: NetChange, annotation: Annotation) -> None:
    """Take over `binds NAME now`. Raises `schema-annotation`."""
    known = {name: one for delta in net.tables.values() for name, one in delta.constraints.items() if one.kind in "cf"}
    if annotation.column not in known:
        hint = f"checks and foreign keys that this change adds: {', '.join(sorted(known)) or 'none'}"
        raise misplaced(annotation, f"{annotation.column} is none of them", hint)
    known[annotation.column].now = True


def let_go(delta: TableDelta, column: str) -> None:
    """Forget the new constraints of a column that goes."""
    for name in [name for name, one in delta.constraints.items() if column in one.columns]:
        del delta.constraints[name]


def not_renamed(delta: TableDelta, column: str, where: str) -> None:
    """Refuse to rename a column after a constraint was written over its name."""
    if any(column in one.columns for one in delta.constraints.values()):
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"renaming {delta.says}.{column} after a constraint over it",
            reason="the constraint is written over the name before",
            way="write the RENAME first, and the constraint over the new name",
        )


def no_constraint(delta: TableDelta, name: str, where: str) -> CrossfadeError:
    """Say that a constraint is not there."""
    known = ", ".join(sorted(one.name for one in delta.table.constraints)) or "none"
    return fail("schema-not-found", where=where, what=f"{delta.says} has no constraint {name}", known=known)


def plan(parts: Parts, new: NewConstraint) -> None:
    """Put one constraint's parts together."""
    if new.kind in "up":
        _unique(parts, new)
    elif new.now:
        parts.says.append(f"add {new.name}")
        parts.expand.append(_statement(parts, new))
        parts.take_back.append(_drop(parts, new))
        parts.pointed |= {quote_table(*new.references)} if new.references else set()
        if new.valid:
            parts.settle.append(validating(parts, new.name))
        parts.notes.append(f"{parts.delta.says}: {new.name} binds the old version, too, from expand on, as was said")
    elif new.kind == "c":
        inherit = " NO INHERIT" if new.node.is_no_inherit else ""
        text = print_expression(new.node.raw_expr)
        parts.late_checks.append(LateCheck(new.name, new.name, f"CHECK ({text}){inherit}", new.valid))
    else:
        _foreign_key(parts, new)


def plan_validation(parts: Parts, name: str, definition: str) -> None:
    """Check the rows of a constraint that was added NOT VALID in an earlier change."""
    unit = validating(parts, name)
    table = f"ALTER TABLE {parts.behind}"
    again = (f"{table} DROP CONSTRAINT {quote(name)}", f"{table} ADD CONSTRAINT {quote(name)} {definition}")
    parts.settle.append(
        Unit(key=unit.key, says=unit.says, do=unit.do, undo=again, undo_locks=((parts.quoted, _ALL_WAIT),), scans=True)
    )


def validating(parts: Parts, name: str) -> Unit:
    """The unit that reads the rows that are there."""
    return Unit(
        key=f"validate:{parts.delta.says}.{name}",
        says=f"check the rows that are there against {name}",
        do=(f"ALTER TABLE {parts.behind} VALIDATE CONSTRAINT {quote(name)}",),
        undo=("SELECT true",),  # the constraint goes with the unit before
        scans=True,
    )


def _foreign_key(parts: Parts, new: NewConstraint) -> None:
    assert new.references is not None
    parent = quote_table(*new.references)
    both = sorted({parts.quoted, parent})
    unit = Unit(
        key=f"bind:{parts.delta.says}.{new.name}",
        says=f"add foreign key {new.name} for new rows",
        do=(_statement(parts, new),),
        undo=(_drop(parts, new),),
        locks=tuple((table, _WRITERS_WAIT) for table in both),
        undo_locks=tuple((table, _ALL_WAIT) for table in both),
    )
    units = [unit, *([validating(parts, new.name)] if new.valid else [])]
    added = [parts.delta.added[name] for name in new.columns if name in parts.delta.added]
    given = [one for one in added if not (one.default or one.existing or one.up or one.identity or one.computed)]
    soon = new.node.fk_matchtype == "s" and new.name not in parts.delta.gone
    if not (soon and any(_stays_null(one.name, parts) for one in given)):
        parts.late += units
        return
    parts.settle += units
    names = ".".join(new.references)
    parts.notes.append(
        f"{parts.delta.says}: {new.name} binds before the new version starts, as the old one leaves it NULL; from then"
        f" on a DELETE in {names} meets rows of the new version, whoever makes it"
    )


def _stays_null(column: str, parts: Parts) -> bool:
    """Whether no trigger gives the new column a value for the old version."""
    return all(column not in mapping.new for mapping in parts.mappings)


def _unique(parts: Parts, new: NewConstraint) -> None:
    delta, node = parts.delta, new.node
    listed = ", ".join(quote(name) for name in new.columns)
    extra = f" INCLUDE ({', '.join(quote(name) for name in words(node.including))})" if node.including else ""
    extra += " NULLS NOT DISTINCT" if node.nulls_not_distinct else ""
    called = meanwhile(parts.change, new.name) if new.name in delta.gone else new.name
    index = f"CREATE UNIQUE INDEX CONCURRENTLY {quote(called)} ON {parts.behind} ({listed}){extra}"
    parts.unique.append(build(delta.table.schema, called, index))
    kind = "UNIQUE" if new.kind == "u" else "PRIMARY KEY"
    when = " DEFERRABLE" if node.deferrable else ""
    when += " INITIALLY DEFERRED" if node.initdeferred else ""
    table = f"ALTER TABLE {parts.quoted}"
    take = f"{table} ADD CONSTRAINT {quote(called)} {kind} USING INDEX {quote(called)}{when}"
    parts.bound.append((take, f"{table} DROP CONSTRAINT {quote(called)}"))
    parts.binds.append(new.name)
    if called != new.name:
        parts.purge.append(f"{table} RENAME CONSTRAINT {quote(called)} TO {quote(new.name)}")
    if new.kind == "p":
        for name in new.columns:
            _never_null(parts, name)


def _never_null(parts: Parts, name: str) -> None:
    column = parts.delta.table.column(name)
    added = parts.delta.added.get(name)
    held = column.not_null if column is not None else added is not None and added.not_null
    if held or name in parts.late_not_null:
        return
    parts.late_not_null.append(name)
    parts.fills.append(Fill(quote(name), quote(name), "", f"{quote(name)} IS NULL"))


def _statement(parts: Parts, new: NewConstraint) -> str:
    """ALTER TABLE .. ADD CONSTRAINT .. NOT VALID."""
    whole = parse_statement("ALTER TABLE a ADD CONSTRAINT b CHECK (true)")
    whole.relation.schemaname, whole.relation.relname = parts.delta.table.schema, parts.delta.table.name
    node = getattr(whole.cmds[0].alter_table_cmd, "def").constraint
    node.CopyFrom(new.node)
    node.skip_validation, node.initially_valid = True, False
    return print_statement("alter_table_stmt", whole)


def _drop(parts: Parts, new: NewConstraint) -> str:
    return f"ALTER TABLE {parts.quoted} DROP CONSTRAINT {quote(new.name)}"


def _checked(net: NetChange, delta: TableDelta, node: Node, where: str) -> Sequence[str]:
    names = [*(one.name for one in delta.table.columns), *delta.added, *(one.name for one in delta.renamed.values())]
    reader = Reader(net.catalog, delta.table.schema, delta.table.name, [name for name in names if delta.has(name)])
    value = reader.read(node.raw_expr, where, volatile=True)
    node.raw_expr.CopyFrom(parse_expression(value.render()))
    return tuple(sorted(value.columns))


def _own(listed: Node, column: str) -> Sequence[str]:
    if column:
        listed.add().string.sval = column
    return words(listed)


def _referenced(net: NetChange, node: Node, where: str) -> tuple[str, str]:
    made = net.made(node.pktable)
    table = net.catalog.find(node.pktable.schemaname, node.pktable.relname)
    if made is None and table is None:
        known = ", ".join(f"{one.schema}.{one.name}" for one in net.catalog.tables.values()) or "no table"
        raise fail("schema-not-found", where=where, what=f"there is no table {node.pktable.relname}", known=known)
    schema = made.schema if made else table.schema if table else ""
    node.pktable.schemaname = schema
    return schema, node.pktable.relname


def _taken_names(net: NetChange, delta: TableDelta, kind: str) -> set[str]:
    """Names of constraints, indexes and tables in the schema, without what goes before."""
    names: set[str] = {*delta.constraints, *(one.name for one in net.indexes)}
    for table in net.catalog.tables.values():
        if table.schema == delta.table.schema:
            names |= {table.name, *(one.name for one in table.constraints), *(one.name for one in table.indexes)}
    return names - {one for one, gone in delta.gone.items() if gone.constraint.kind == kind}


def _chosen(table: str, columns: str, label: str, taken: set[str]) -> str:
    """The name that PostgreSQL gives a constraint without one (its makeObjectName)."""
    number = 0
    while True:
        end = f"_{label}{number or ''}"
        one, two = table.encode(), columns.encode()
        room = NAME_BYTES - len(end) - (1 if two else 0)
        while len(one) + len(two) > room:
            one, two = (one[:-1], two) if len(one) > len(two) else (one, two[:-1])
        name = one.decode(errors="ignore") + ("_" + two.decode(errors="ignore") if columns else "") + end
        if name not in taken:
            return name
        number += 1


def _taken(delta: TableDelta, what: str, reason: str, where: str) -> CrossfadeError:
    way = "give it a name of its own" if "called" in what else "drop the other one in a release before"
    return fail("schema-not-staged", where=where, what=f"{what} on {delta.says}", reason=reason, way=way)


def _no_form(where: str) -> CrossfadeError:
    return fail(
        "schema-not-staged",
        where=where,
        what="a constraint of this kind on a table that exists",
        reason="only CHECK, FOREIGN KEY, UNIQUE and PRIMARY KEY, written out and enforced, can be added while others"
        " read and write: EXCLUDE has no index that is built beside the writes, and USING INDEX hides its columns",
        way="write UNIQUE or PRIMARY KEY with its columns; make an exclusion constraint by hand, while nobody writes",
    )
