"""Columns that change or go: types, NOT NULL, defaults, names.

Rule: what only the catalog knows of costs a moment; what is stored anew or proven for each row costs as long as the
table is long. What the running version names must stay until it has left. PostgreSQL manual: ALTER TABLE, "Notes".
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.schema.lint.known import Column, Known, definition, named
from crossfade.schema.lint.rule import ACCESS_EXCLUSIVE, Claim, Hit, Rule, Severity
from crossfade.schema.lint.step import Action, Step
from crossfade.schema.lint.types import in_place, read_type
from crossfade.schema.lint.wording import named_after, said
from crossfade.schema.parser import Node, enum_name, print_expression, print_type, words

TYPE_REWRITES = Rule(
    "change-type-rewrites",
    Severity.ERROR,
    "change-type",
    "changing the type of {table}.{column} to {type} rewrites the whole table{unsure}",
    "PostgreSQL holds ACCESS EXCLUSIVE, which blocks every read and write, while it writes each row and each index of"
    " {table} anew{from_type}. Only widening is free: varchar(n) to a longer one or to text, numeric of one scale.",
    "ALTER TABLE {table} ADD COLUMN {new} {type};\n"
    "-- a trigger keeps both in step, the rows before are filled in batches: {new} = {expression};\n"
    "-- the new version reads and writes {new}; {column} goes when no version names it any more",
    "crossfade keeps a second column in step by trigger, fills it in batches and swaps when both are equal",
    "ALTER TABLE orders ALTER COLUMN customer_id TYPE text;",
    Claim(lock=ACCESS_EXCLUSIVE, rewrite=True),
)
SET_NOT_NULL = Rule(
    "set-not-null-scan",
    Severity.ERROR,
    "not-null",
    "SET NOT NULL on {table}.{column} reads the whole table under ACCESS EXCLUSIVE",
    "Nobody reads or writes {table} until each row is looked at; one NULL and it fails. PostgreSQL skips the look where"
    " a valid CHECK ({column} IS NOT NULL) proves it. A version that still writes NULL fails from then on.",
    "ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID;\n"
    "ALTER TABLE {table} VALIDATE CONSTRAINT {check};\n"
    "ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL;\n"
    "ALTER TABLE {table} DROP CONSTRAINT {check};",
    "crossfade does these four steps when no version that writes NULL is left",
    "ALTER TABLE orders ALTER COLUMN status SET NOT NULL;",
    Claim(lock=ACCESS_EXCLUSIVE, scan=True),
)
DROP_NOT_NULL = Rule(
    "drop-not-null",
    Severity.WARNING,
    "not-null",
    "without NOT NULL, {table}.{column} can hold what the running version has never read there",
    "While both versions are live, the old one reads the NULLs that the new one writes.",
    "-- first a version that reads NULL in {table}.{column}, then, in the next release:\n"
    "-- ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL;",
    "crossfade asks what the old version reads instead (down), or for the word that it reads NULL (reads-null)",
    "ALTER TABLE orders ALTER COLUMN placed_at DROP NOT NULL;\nINSERT INTO orders (customer_id, placed_at)"
    " VALUES (1, NULL);",
    Claim(breaks="SELECT count(*) FROM orders WHERE placed_at IS NULL", broken="changed"),
)
DROP_DEFAULT = Rule(
    "drop-default",
    Severity.ERROR,
    "default",
    "without its default, each INSERT that leaves out {table}.{column} fails: it is NOT NULL",
    "The running version does not name the column in its INSERT, or counts on the default. From this statement on,"
    " PostgreSQL refuses such a row.",
    "-- keep the default until no version leaves {column} out; then, in a later release:\n"
    "-- ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT;",
    "crossfade keeps the default until the old version has left",
    "ALTER TABLE orders ADD COLUMN gift boolean NOT NULL DEFAULT false;\n"
    "ALTER TABLE orders ALTER COLUMN gift DROP DEFAULT;",
    Claim(breaks="INSERT INTO orders (customer_id) VALUES (1)", broken="23502"),
)
DROP_COLUMN = Rule(
    "drop-column",
    Severity.ERROR,
    "drop-column",
    "dropping {table}.{column} breaks the running version, and its values are gone",
    "Each statement of a live version that names the column fails from then on, and going back to that version does not"
    " bring the values back. An ORM names every column of its model, used or not.",
    "-- first a version whose code and model no longer know {table}.{column}; then, when no other one is live:\n"
    "-- ALTER TABLE {table} DROP COLUMN {column};",
    "crossfade hides the column when the old version has left, keeps its values, and drops it on purge",
    "ALTER TABLE orders DROP COLUMN note;",
    Claim(lock=ACCESS_EXCLUSIVE, breaks="SELECT note FROM orders", broken="42703"),
)
RENAME_COLUMN = Rule(
    "rename-column",
    Severity.ERROR,
    "rename-column",
    "renaming {table}.{column} to {new} breaks the running version",
    "Each statement of a live version that names {column} fails from then on; the new version fails before. There is no"
    " moment at which both work.",
    "-- add {new}, keep both in step by trigger, fill the rows before in batches; the new version reads and writes\n"
    "-- {new}; {column} goes when no version names it any more",
    "crossfade does exactly that, with a way back at each stage",
    "ALTER TABLE orders RENAME COLUMN note TO remark;",
    Claim(lock=ACCESS_EXCLUSIVE, breaks="SELECT note FROM orders", broken="42703"),
)
EXPRESSION = Rule(
    "change-generated-rewrites",
    Severity.ERROR,
    "generated-column",
    "another expression for {table}.{column} computes each row anew under ACCESS EXCLUSIVE",
    "A stored generated column is rewritten with the whole table and its indexes; nobody reads or writes meanwhile.",
    "-- a second column with the new expression, filled by trigger and in batches, then the versions move to it",
    "crossfade refuses it and writes out the way over a second column",
    "ALTER TABLE orders ALTER COLUMN total SET EXPRESSION AS (price * 3);",
    Claim(lock=ACCESS_EXCLUSIVE, rewrite=True),
    since=17,
)
RULES = (TYPE_REWRITES, SET_NOT_NULL, DROP_NOT_NULL, DROP_DEFAULT, DROP_COLUMN, RENAME_COLUMN, EXPRESSION)


def check(step: Step, known: Known) -> Iterator[Hit]:
    """The findings of one statement."""
    if step.kind == "rename_stmt":
        yield from _renamed(step, known)
    for action in step.actions:
        how = _ACTIONS.get(action.what)
        if how is None or known.fresh(action.table):
            continue
        column = known.column(action.table, action.node.name)
        if action.what == "AT_DropColumn" and column and column.added_in == known.file:
            continue
        facts = {
            "table": said(action.table),
            "column": said(action.node.name),
            "check": named_after(action.table, action.node.name, "not_null"),
        }
        yield from how(action, step, column or Column(), facts)


def _type(action: Action, step: Step, column: Column, facts: dict[str, str]) -> Iterator[Hit]:
    written = definition(action.node).column_def
    kept = in_place(column.type, read_type(written.type_name), step.utc)
    using = written.raw_default if written.HasField("raw_default") else None
    if kept and (using is None or _only_casts(using, action.node.name)):
        return
    facts["type"] = print_type(written.type_name)
    facts["new"] = said(f"{action.node.name}_new")
    facts["expression"] = print_expression(using) if using is not None else f"{facts['column']}::{facts['type']}"
    facts["from_type"] = f"; it is {column.type} now" if column.type else ""
    widens = kept is None and (facts["type"] == "text" or facts["type"].startswith("varchar"))
    facts["unsure"] = ", unless it widens the type that it has now" if widens else ""
    yield Hit(TYPE_REWRITES, facts, action.index, Severity.WARNING if widens else None)


def _only_casts(using: Node, column: str) -> bool:
    """Whether USING says no more than the cast that would be made anyway."""
    one = using.type_cast.arg if using.WhichOneof("node") == "type_cast" else using
    return one.WhichOneof("node") == "column_ref" and words(one.column_ref.fields)[-1] == column


def _set_not_null(action: Action, _step: Step, column: Column, facts: dict[str, str]) -> Iterator[Hit]:
    if not (column.not_null or column.proven):
        yield Hit(SET_NOT_NULL, facts, action.index)


def _drop_not_null(action: Action, _step: Step, _column: Column, facts: dict[str, str]) -> Iterator[Hit]:
    yield Hit(DROP_NOT_NULL, facts, action.index)


def _default(action: Action, _step: Step, column: Column, facts: dict[str, str]) -> Iterator[Hit]:
    if not action.node.HasField("def") and column.not_null and column.has_default:
        yield Hit(DROP_DEFAULT, facts, action.index)


def _drop(action: Action, _step: Step, _column: Column, facts: dict[str, str]) -> Iterator[Hit]:
    yield Hit(DROP_COLUMN, facts, action.index)


def _expression(action: Action, _step: Step, _column: Column, facts: dict[str, str]) -> Iterator[Hit]:
    yield Hit(EXPRESSION, facts, action.index)


def _renamed(step: Step, known: Known) -> Iterator[Hit]:
    node = step.node
    if enum_name(node, "rename_type") != "OBJECT_COLUMN" or known.fresh(named(node.relation)):
        return
    column = known.column(named(node.relation), node.subname)
    if column and column.added_in == known.file:
        return
    facts = {"table": said(named(node.relation)), "column": said(node.subname), "new": said(node.newname)}
    yield Hit(RENAME_COLUMN, facts)


_ACTIONS = {
    "AT_AlterColumnType": _type,
    "AT_SetNotNull": _set_not_null,
    "AT_DropNotNull": _drop_not_null,
    "AT_ColumnDefault": _default,
    "AT_DropColumn": _drop,
    "AT_SetExpression": _expression,
}
