"""Columns that come: what ADD COLUMN writes anew, reads through, or refuses to do.

Rule: a new column costs nothing where PostgreSQL keeps its default in the catalog, and a rewrite of the table where
each row needs a value of its own. PostgreSQL manual: ALTER TABLE, "Notes".
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.schema.lint.known import Known, definition, joined, named
from crossfade.schema.lint.rule import ACCESS_EXCLUSIVE, Claim, Hit, Rule, Severity
from crossfade.schema.lint.step import Action, Step
from crossfade.schema.lint.types import is_serial, read_type
from crossfade.schema.lint.volatility import volatile_call
from crossfade.schema.lint.wording import column_without, named_after, said
from crossfade.schema.parser import Node, enum_name, print_expression, print_type, words

ADD_REWRITES = Rule(
    "add-column-rewrites",
    Severity.ERROR,
    "add-column",
    "adding {table}.{column} rewrites the whole table: {reason}",
    "PostgreSQL holds ACCESS EXCLUSIVE, which blocks every read and write, while it writes each row and each index of"
    " {table} anew. A constant default is kept in the catalog and costs nothing; this one needs a value for each row.",
    "{staged}",
    "crossfade adds it empty, fills it by trigger and in batches, and sets NOT NULL over a checked constraint",
    "ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid();",
    Claim(lock=ACCESS_EXCLUSIVE, rewrite=True),
)
ADD_NOT_NULL = Rule(
    "add-column-not-null",
    Severity.ERROR,
    "add-column",
    "adding {table}.{column} NOT NULL without a default fails as soon as the table has a row",
    "Rows that are there get NULL, and PostgreSQL refuses it. On an empty table it succeeds, and then each INSERT of"
    " the running version fails, which does not know the column.",
    "ALTER TABLE {table} ADD COLUMN {column} {type};\n"
    "-- the new version writes it, the rows before are filled in batches; when no other version writes any more:\n"
    "-- ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID;\n"
    "-- ALTER TABLE {table} VALIDATE CONSTRAINT {check};\n"
    "-- ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL;\n"
    "-- ALTER TABLE {table} DROP CONSTRAINT {check};",
    "crossfade stages it where the change says what the old version's rows hold: up {table}.{column} = ..",
    "ALTER TABLE orders ADD COLUMN place text NOT NULL;",
    Claim(error="23502"),
)
ADD_CHECK = Rule(
    "add-column-check",
    Severity.ERROR,
    "add-column",
    "adding {table}.{column} with a CHECK reads the whole table under ACCESS EXCLUSIVE",
    "The check is proven for each row of {table}, even where all have the same value, and nobody reads or writes until"
    " that is done.",
    "ALTER TABLE {table} ADD COLUMN {plain};\n"
    "ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({expression}) NOT VALID;\n"
    "ALTER TABLE {table} VALIDATE CONSTRAINT {check};",
    "crossfade adds the column, then the check NOT VALID, and proves it under a lock that blocks nobody",
    "ALTER TABLE orders ADD COLUMN pieces integer DEFAULT 1 CHECK (pieces > 0);",
    Claim(lock=ACCESS_EXCLUSIVE, scan=True),
)
ADD_UNIQUE = Rule(
    "add-column-unique",
    Severity.ERROR,
    "add-column",
    "adding {table}.{column} {key} builds its index under ACCESS EXCLUSIVE",
    "Nobody reads or writes {table} until the index is built, which reads the whole table.",
    "{first}\n"
    "{then}CREATE UNIQUE INDEX CONCURRENTLY {index} ON {table} ({column});\n"
    "{then}ALTER TABLE {table} ADD CONSTRAINT {index} {key} USING INDEX {index};",
    "crossfade builds the index concurrently and makes the constraint from it",
    "ALTER TABLE orders ADD COLUMN code text UNIQUE;",
    Claim(lock=ACCESS_EXCLUSIVE, scan=True),
)
ADD_REFERENCES = Rule(
    "add-column-references",
    Severity.ERROR,
    "add-column",
    "adding {table}.{column} with a default and a foreign key looks every row up in {other} under ACCESS EXCLUSIVE",
    "A new column of NULLs needs no look. This one has a value in each row, so {table} is closed, and writes to {other}"
    " wait, until all are looked up.",
    "ALTER TABLE {table} ADD COLUMN {plain};\n"
    "ALTER TABLE {table} ADD CONSTRAINT {key} FOREIGN KEY ({column}) REFERENCES {references} NOT VALID;\n"
    "ALTER TABLE {table} VALIDATE CONSTRAINT {key};",
    "crossfade adds the foreign key NOT VALID and proves it under a lock that blocks nobody",
    "ALTER TABLE orders ADD COLUMN payer_id bigint DEFAULT 1 REFERENCES customers;",
    Claim(lock=ACCESS_EXCLUSIVE, scan=True),
)
RULES = (ADD_REWRITES, ADD_NOT_NULL, ADD_CHECK, ADD_UNIQUE, ADD_REFERENCES)
_KEYS = {"CONSTR_UNIQUE": "UNIQUE", "CONSTR_PRIMARY": "PRIMARY KEY"}


def check(step: Step, known: Known) -> Iterator[Hit]:
    """The findings of one statement."""
    for action in step.actions:
        if action.what == "AT_AddColumn" and not known.fresh(action.table):
            yield from _added(action, known)


def _added(action: Action, known: Known) -> Iterator[Hit]:
    written = definition(action.node).column_def
    if action.node.missing_ok and known.column(action.table, written.colname):
        return
    held = {enum_name(one.constraint, "contype"): one.constraint for one in written.constraints}
    facts = {
        "table": said(action.table),
        "column": said(written.colname),
        "type": print_type(written.type_name),
        "check": named_after(action.table, written.colname, "check"),
    }
    reason = _rewrites(written, held, known)
    default = held.get("CONSTR_DEFAULT")
    has_value = bool(reason) or (default is not None and not _is_null(default.raw_expr))
    if reason:
        yield Hit(ADD_REWRITES, {**facts, "reason": reason, "staged": _staged(written, held, facts)}, action.index)
    elif "CONSTR_NOTNULL" in held and not has_value and "CONSTR_GENERATED" not in held:
        yield Hit(ADD_NOT_NULL, facts, action.index)
    for kind, one in held.items():
        if kind == "CONSTR_CHECK" and not one.skip_validation and one.is_enforced:
            plain = column_without(written, "CONSTR_CHECK")
            yield Hit(ADD_CHECK, {**facts, "plain": plain, "expression": print_expression(one.raw_expr)}, action.index)
        elif kind in _KEYS:
            first = f"ALTER TABLE {facts['table']} ADD COLUMN {column_without(written, kind)};"
            index = named_after(action.table, written.colname, "key")
            more = {"first": first, "then": "", "index": index, "key": _KEYS[kind]}
            if reason:  # its rows are not filled yet
                more |= {"first": _staged(written, held, facts), "then": "-- "}
            yield Hit(ADD_UNIQUE, {**facts, **more}, action.index)
        elif kind == "CONSTR_FOREIGN" and has_value and not known.fresh(named(one.pktable)):
            yield Hit(ADD_REFERENCES, {**facts, **_reference(action.table, written, one)}, action.index)


def _rewrites(written: Node, held: dict[str, Node], known: Known) -> str:
    """Why each row needs a value of its own; empty where none does."""
    domain = joined(words(written.type_name.names))
    if is_serial(written.type_name):
        return f"{print_type(written.type_name)} takes a number of its sequence for each row"
    if "CONSTR_IDENTITY" in held:
        return "an identity takes a number for each row"
    if "CONSTR_GENERATED" in held:
        virtual = held["CONSTR_GENERATED"].generated_kind == "v"
        return "" if virtual else "a stored generated column is computed for each row"
    if known.domains.get(domain):
        return f"the constraint of the domain {said(domain)} is checked for each row"
    if "CONSTR_DEFAULT" in held:
        name = volatile_call(held["CONSTR_DEFAULT"].raw_expr, known)
        return f"{name}() is volatile, so each row gets a value of its own" if name else ""
    return ""


def _staged(written: Node, held: dict[str, Node], facts: dict[str, str]) -> str:
    table, column = facts["table"], facts["column"]
    default = held.get("CONSTR_DEFAULT")
    kind = read_type(written.type_name)
    later = "-- the rows before are filled in batches, each in a transaction of its own"
    if is_serial(written.type_name):
        sequence = named_after(facts["table"], written.colname, "seq")
        return (
            f"CREATE SEQUENCE {sequence} AS {kind};\n"
            f"ALTER TABLE {table} ADD COLUMN {column} {kind};\n"
            f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT nextval('{sequence}');\n"
            f"ALTER SEQUENCE {sequence} OWNED BY {table}.{column};\n"
            f"{later}; then NOT NULL over a checked constraint"
        )
    if "CONSTR_IDENTITY" in held:
        return (
            f"ALTER TABLE {table} ADD COLUMN {column} {kind};\n"
            f"{later} from a sequence; then NOT NULL over a checked constraint, and last:\n"
            f"-- ALTER TABLE {table} ALTER COLUMN {column} ADD GENERATED BY DEFAULT AS IDENTITY (START ..);"
        )
    if "CONSTR_GENERATED" in held:
        expression = print_expression(held["CONSTR_GENERATED"].raw_expr)
        return (
            f"ALTER TABLE {table} ADD COLUMN {column} {kind};\n"
            f"-- a trigger writes {expression}; {later[3:]}.\n"
            "-- PostgreSQL 18 has VIRTUAL, which rewrites nothing"
        )
    if default is None:
        return f"-- add {table}.{column} with the domain's base type, then the check NOT VALID, then VALIDATE it"
    value = print_expression(default.raw_expr)
    then = "; then NOT NULL over a checked constraint" if "CONSTR_NOTNULL" in held else ""
    plain = column_without(written, "CONSTR_DEFAULT", "CONSTR_NOTNULL", "CONSTR_UNIQUE", "CONSTR_PRIMARY")
    return (
        f"ALTER TABLE {table} ADD COLUMN {plain};\n"
        f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {value};\n{later}{then}"
    )


def _reference(table: str, written: Node, one: Node) -> dict[str, str]:
    columns = ", ".join(map(said, words(one.pk_attrs)))
    other = said(named(one.pktable))
    return {
        "plain": column_without(written, "CONSTR_FOREIGN"),
        "key": named_after(table, written.colname, "fkey"),
        "other": other,
        "references": f"{other} ({columns})" if columns else other,
    }


def _is_null(expression: Node) -> bool:
    return expression.WhichOneof("node") == "a_const" and bool(expression.a_const.isnull)
