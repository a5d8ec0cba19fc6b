"""Types, enumerations, domains, views, functions, sequences: what a running version names beside its tables.

Rule: what the same file creates anew under the same name has not gone; what it created itself is nobody's yet.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.schema.lint.known import Known, dropped_names, joined, named
from crossfade.schema.lint.rule import ACCESS_EXCLUSIVE, SHARE, Claim, Hit, Rule, Severity
from crossfade.schema.lint.step import Step
from crossfade.schema.lint.wording import said
from crossfade.schema.parser import Node, enum_name, every, kind_of, print_statement, words

DROP = Rule(
    "drop-object",
    Severity.ERROR,
    "view",
    "dropping the {what} {name} breaks a running version that uses it",
    "Each statement of a live version that names it fails from then on.{more}",
    "-- first a version that no longer uses {name}; then, when no other one is live, the DROP",
    "crossfade gives it another name when the old version has left, and drops it on purge",
    "DROP VIEW open_orders;",
    Claim(breaks="SELECT count(*) FROM open_orders", broken="42P01"),
)
RENAME = Rule(
    "rename-object",
    Severity.ERROR,
    "view",
    "renaming the {what} {name} breaks a running version that uses it",
    "Each statement of a live version that names it fails from then on; the new version fails before.",
    "-- create {new} beside it, move the versions to it, then drop {name}",
    "crossfade refuses it, with this way",
    "ALTER VIEW open_orders RENAME TO waiting_orders;",
    Claim(breaks="SELECT count(*) FROM open_orders", broken="42P01"),
)
RENAME_VALUE = Rule(
    "rename-enum-value",
    Severity.ERROR,
    "enum",
    "renaming the value {old} of {name} breaks the running version",
    "A live version that writes or compares {old} fails from then on, and reads {new}, which it does not know.",
    "ALTER TYPE {name} ADD VALUE {new};\n"
    "-- both versions learn to read both; the new one writes {new}; rows are moved in batches",
    "crossfade refuses it, with this way",
    "ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet';",
    Claim(breaks="SELECT 'calm'::mood", broken="22P02"),
)
VALUE_USED = Rule(
    "enum-value-used",
    Severity.ERROR,
    "enum",
    "{value} was added in this transaction, and cannot be used before it has ended",
    "PostgreSQL refuses a new value of an enumeration until it is committed: the migration fails here.",
    "-- ALTER TYPE .. ADD VALUE in a file of its own, what uses it in the next one",
    "crossfade adds values in a transaction of their own, before all else",
    "BEGIN;\nALTER TYPE mood ADD VALUE 'glad';\nUPDATE orders SET mood = 'glad' WHERE id = 1;\nCOMMIT;",
    Claim(error="55P04"),
)
ATTRIBUTE = Rule(
    "alter-composite-type",
    Severity.ERROR,
    "type",
    "changing an attribute of {name} with CASCADE changes each table of that type",
    "Tables made of the type are changed with it, under ACCESS EXCLUSIVE, and written anew where an attribute's type"
    " changes.",
    "-- a new type beside it, and a second column, filled in batches",
    "crossfade refuses it",
    "ALTER TYPE place ALTER ATTRIBUTE number TYPE bigint CASCADE;",
    Claim(lock=ACCESS_EXCLUSIVE, on="places", rewrite=True),
)
DOMAIN = Rule(
    "domain-constraint-scan",
    Severity.ERROR,
    "type",
    "adding a constraint to the domain {name} reads each table that uses it, while writes to them wait",
    "PostgreSQL holds SHARE, which blocks every write, on each such table until all rows are proven.",
    "{staged}",
    "crossfade refuses it, with this way",
    "ALTER DOMAIN code ADD CONSTRAINT code_short CHECK (length(VALUE) < 10);",
    Claim(lock=SHARE, on="codes", scan=True),
)
REFRESH = Rule(
    "refresh-blocks-reads",
    Severity.ERROR,
    "view",
    "REFRESH MATERIALIZED VIEW {name} blocks every read of it until its query is done",
    "It holds ACCESS EXCLUSIVE on the view while the query runs. CONCURRENTLY lets readers go on; it needs a unique"
    " index on plain columns, and a view that is filled.",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY {name};",
    "crossfade refuses it; run it beside a release",
    "REFRESH MATERIALIZED VIEW totals;",
    Claim(lock=ACCESS_EXCLUSIVE, on="totals", rewrite=True),
)
RULES = (DROP, RENAME, RENAME_VALUE, VALUE_USED, ATTRIBUTE, DOMAIN, REFRESH)
# The tree's word -> what a person calls it, as what it is remembered, and the page.
_KINDS = {
    "OBJECT_VIEW": ("view", "view", "view"),
    "OBJECT_MATVIEW": ("materialized view", "matview", "view"),
    "OBJECT_TYPE": ("type", "type", "type"),
    "OBJECT_DOMAIN": ("domain", "type", "type"),
    "OBJECT_FUNCTION": ("function", "function", "function"),
    "OBJECT_PROCEDURE": ("procedure", "function", "function"),
    "OBJECT_ROUTINE": ("routine", "function", "function"),
    "OBJECT_AGGREGATE": ("aggregate", "function", "function"),
    "OBJECT_SEQUENCE": ("sequence", "sequence", "sequence"),
    "OBJECT_SCHEMA": ("schema", "schema", "table"),
    "OBJECT_EXTENSION": ("extension", "extension", "function"),
}


def check(step: Step, known: Known) -> Iterator[Hit]:
    """The findings of one statement."""
    if known.enum_values:
        yield from _uses_value(step, known)
    how = _STATEMENTS.get(step.kind)
    if how is not None:
        yield from how(step.node, known)


def _gone(kind: str, name: str, known: Known) -> bool:
    return not known.new(kind, name) and (kind, name) not in known.remade


def _drop(node: Node, known: Known) -> Iterator[Hit]:
    kind = enum_name(node, "remove_type")
    if kind not in _KINDS:
        return
    what, remembered, page = _KINDS[kind]
    for name in dropped_names(node):
        if _gone(remembered, name, known):
            more = " What it holds is gone with it." if kind in ("OBJECT_SCHEMA", "OBJECT_EXTENSION") else ""
            yield Hit(DROP, {"what": what, "name": said(name), "more": more, "page": page})


def _rename(node: Node, known: Known) -> Iterator[Hit]:
    kind = enum_name(node, "rename_type")
    if kind not in _KINDS:
        return
    what, remembered, page = _KINDS[kind]
    name = named(node.relation) if node.relation.relname else node.subname or _object_name(node.object)
    if name and _gone(remembered, name, known):
        yield Hit(RENAME, {"what": what, "name": said(name), "new": said(node.newname), "page": page})


def _object_name(node: Node) -> str:
    kind = node.WhichOneof("node")
    if kind == "list":
        return joined(words(node.list.items))
    if kind == "object_with_args":
        return joined(words(node.object_with_args.objname))
    return joined(words(node.type_name.names)) if kind == "type_name" else ""


def _enum(node: Node, known: Known) -> Iterator[Hit]:
    name = joined(words(node.type_name))
    if node.old_val and not known.new("type", name):
        facts = {"name": said(name), "old": f"'{node.old_val}'", "new": f"'{node.new_val}'"}
        yield Hit(RENAME_VALUE, facts)


def _uses_value(step: Step, known: Known) -> Iterator[Hit]:
    if step.kind in ("alter_enum_stmt", "create_function_stmt", "do_stmt"):
        return
    used = {one.sval.sval for one in every(step.node) if kind_of(one) == "A_Const" and one.HasField("sval")}
    for value in sorted(used & set(known.enum_values)):
        yield Hit(VALUE_USED, {"value": f"'{value}'", "name": said(known.enum_values[value])})


def _composite(step_node: Node, known: Known) -> Iterator[Hit]:
    if enum_name(step_node, "objtype") != "OBJECT_TYPE" or known.new("type", named(step_node.relation)):
        return
    if any(one.alter_table_cmd.behavior == 2 for one in step_node.cmds):  # DROP_CASCADE
        yield Hit(ATTRIBUTE, {"name": said(named(step_node.relation))})


def _domain(node: Node, known: Known) -> Iterator[Hit]:
    name = joined(words(node.type_name))
    written = getattr(node, "def").constraint
    if node.subtype not in ("C", "O") or known.new("type", name) or written.skip_validation:
        return
    staged = "-- put NOT NULL on the columns instead, each over a checked constraint"
    if node.subtype == "C":
        staged = (
            f"{print_statement('alter_domain_stmt', node)} NOT VALID;\n"
            "-- holds for what is written from now on; VALIDATE would block the writes again. To prove the rows\n"
            "-- before, put the check on each column, NOT VALID and then VALIDATE"
        )
    yield Hit(DOMAIN, {"name": said(name), "staged": staged})


def _refresh(node: Node, known: Known) -> Iterator[Hit]:
    name = named(node.relation)
    if not node.concurrent and not known.fresh(name):
        yield Hit(REFRESH, {"name": said(name)})


_STATEMENTS = {
    "drop_stmt": _drop,
    "rename_stmt": _rename,
    "alter_enum_stmt": _enum,
    "alter_table_stmt": _composite,
    "alter_domain_stmt": _domain,
    "refresh_mat_view_stmt": _refresh,
}
