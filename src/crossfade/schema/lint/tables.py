"""Tables: what goes or is renamed under a running version, and what stores a whole table anew.

Rule: a name that a live version uses stays until that version has left. PostgreSQL manual: 13.3.1, "Table-Level Locks".
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.schema.lint.known import Known, definition, dropped_names, named
from crossfade.schema.lint.rule import ACCESS_EXCLUSIVE, Claim, Hit, Rule, Severity
from crossfade.schema.lint.step import Step
from crossfade.schema.lint.wording import said
from crossfade.schema.parser import Node, enum_name, print_statement

DROP_TABLE = Rule(
    "drop-table",
    Severity.ERROR,
    "table",
    "dropping {table} breaks the running version, and its rows are gone",
    "Each statement of a live version that names it fails from then on. A table that has foreign keys is dropped under"
    " ACCESS EXCLUSIVE on the tables that they name, too.",
    "-- first a version that no longer uses {table}; then, when no other one is live:\n-- DROP TABLE {table};",
    "crossfade hides it when the old version has left, keeps its rows, and drops it on purge",
    "DROP TABLE entries;",
    Claim(lock=ACCESS_EXCLUSIVE, on="entries", breaks="SELECT count(*) FROM entries", broken="42P01"),
)
RENAME_TABLE = Rule(
    "rename-table",
    Severity.ERROR,
    "table",
    "{how} {table} to {new} breaks the running version",
    "Each statement of a live version that names {table} fails from then on; the new version fails before. There is no"
    " moment at which both work.",
    "BEGIN;\n"
    "ALTER TABLE {table} {rename};\n"
    "CREATE VIEW {view} AS SELECT * FROM {target};\n"
    "COMMIT;\n"
    "-- the view serves the old version; drop it when that has left",
    "crossfade refuses it, with this way",
    "ALTER TABLE entries RENAME TO records;",
    Claim(lock=ACCESS_EXCLUSIVE, on="entries", breaks="SELECT count(*) FROM entries", broken="42P01"),
)
TRUNCATE = Rule(
    "truncate",
    Severity.ERROR,
    "data",
    "TRUNCATE empties {table} under ACCESS EXCLUSIVE{cascade}",
    "The running version finds no rows from then on, and going back to it does not bring them back. With CASCADE each"
    " table that points here is emptied, too.",
    "-- DELETE in batches what no live version needs, each batch in a transaction of its own",
    "crossfade refuses it",
    "TRUNCATE entries;",
    Claim(
        lock=ACCESS_EXCLUSIVE,
        on="entries",
        rewrite=True,
        breaks="SELECT count(*) > 0 FROM entries",
        broken="changed",
    ),
)
LOCK = Rule(
    "lock-table",
    Severity.ERROR,
    "table",
    "LOCK TABLE {table} IN {mode} MODE keeps the running version out until the transaction ends",
    "It blocks {blocks} of each other session, and all who come later wait behind it.",
    "-- leave it out: each statement takes the lock that it needs by itself",
    "crossfade refuses it",
    "BEGIN;\nLOCK TABLE orders;\nCOMMIT;",
    Claim(lock=ACCESS_EXCLUSIVE),
)
REWRITE = Rule(
    "rewrites-table",
    Severity.ERROR,
    "table",
    "{what} writes all of {table} anew under ACCESS EXCLUSIVE",
    "Nobody reads or writes {table} until each row and each index is stored again.",
    "-- pg_repack or pg_squeeze do it beside the reads and writes; from PostgreSQL 19 on REPACK (CONCURRENTLY)",
    "crossfade refuses it",
    "ALTER TABLE orders SET UNLOGGED;",
    Claim(lock=ACCESS_EXCLUSIVE, rewrite=True),
)
ATTACH = Rule(
    "attach-partition-scan",
    Severity.ERROR,
    "partition",
    "attaching {part} reads all of it under ACCESS EXCLUSIVE",
    "Nobody reads or writes {part} until each row is proven to fit the bounds. A valid CHECK that implies the bounds"
    " saves the look; a default partition is read, too, and needs one that excludes them.",
    "ALTER TABLE {part} ADD CONSTRAINT {check} CHECK (..) NOT VALID; -- the bounds, and NOT NULL of the key\n"
    "ALTER TABLE {part} VALIDATE CONSTRAINT {check};\n"
    "{attach};\n"
    "ALTER TABLE {part} DROP CONSTRAINT {check};",
    "crossfade refuses changes of partitioned tables, with this way",
    "ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM (100) TO (200);",
    Claim(lock=ACCESS_EXCLUSIVE, on="events_2", scan=True),
)
DETACH = Rule(
    "detach-partition-blocks",
    Severity.WARNING,
    "partition",
    "detaching {part} takes ACCESS EXCLUSIVE on {table} and all that reads it waits",
    "The statement is short, but it waits for every transaction that uses {table}, and all others wait behind it.",
    "ALTER TABLE {table} DETACH PARTITION {part} CONCURRENTLY;",
    "crossfade refuses changes of partitioned tables, with this way",
    "ALTER TABLE events DETACH PARTITION events_1;",
    Claim(lock=ACCESS_EXCLUSIVE, on="events"),
)
ROW_SECURITY = Rule(
    "row-security-hides-rows",
    Severity.ERROR,
    "table",
    "with row security and without a policy, no row of {table} is seen by anyone but its owner",
    "The file enables it and gives no policy, so the running version, if it is not the owner, reads nothing and each"
    " INSERT fails.",
    "-- CREATE POLICY .. ON {table} first, in the same transaction, then ENABLE ROW LEVEL SECURITY",
    "crossfade refuses it",
    "ALTER TABLE entries ENABLE ROW LEVEL SECURITY;",
    Claim(
        lock=ACCESS_EXCLUSIVE,
        on="entries",
        breaks="SET ROLE reader; SELECT count(*) > 0 FROM entries",
        broken="changed",
    ),
)
RULES = (DROP_TABLE, RENAME_TABLE, TRUNCATE, LOCK, REWRITE, ATTACH, DETACH, ROW_SECURITY)
_MODES = {
    5: ("SHARE", "every write"),
    6: ("SHARE ROW EXCLUSIVE", "every write"),
    7: ("EXCLUSIVE", "every write"),
    8: ("ACCESS EXCLUSIVE", "every read and write"),
}
_REWRITING = {"AT_SetLogged": "SET LOGGED", "AT_SetUnLogged": "SET UNLOGGED", "AT_SetTableSpace": "SET TABLESPACE"}
_REWRITING |= {"AT_SetAccessMethod": "SET ACCESS METHOD"}


def check(step: Step, known: Known) -> Iterator[Hit]:
    """The findings of one statement."""
    how = _STATEMENTS.get(step.kind)
    if how is not None:
        yield from how(step.node, known)
    for action in step.actions:
        table = said(action.table)
        if action.what in _REWRITING and not known.fresh(action.table):
            yield Hit(REWRITE, {"table": table, "what": _REWRITING[action.what]}, action.index)
        elif action.what in ("AT_AttachPartition", "AT_DetachPartition"):
            yield from _partition(step, known)
        elif action.what == "AT_EnableRowSecurity" and not known.fresh(action.table):
            yield from () if ("policy", action.table) in known.remade else (Hit(ROW_SECURITY, {"table": table}),)


def _drop(node: Node, known: Known) -> Iterator[Hit]:
    if enum_name(node, "remove_type") == "OBJECT_TABLE":
        for name in dropped_names(node):
            if not known.fresh(name):
                yield Hit(DROP_TABLE, {"table": said(name)})


def _rename(node: Node, known: Known) -> Iterator[Hit]:
    name = named(node.relation)
    if enum_name(node, "rename_type") != "OBJECT_TABLE" or known.fresh(name) or ("view", name) in known.remade:
        return
    schema = f"{said(node.relation.schemaname)}." if node.relation.schemaname else ""
    new = schema + said(node.newname)
    rename = f"RENAME TO {said(node.newname)}"
    facts = {"table": said(name), "new": new, "how": "renaming", "rename": rename, "view": said(name), "target": new}
    yield Hit(RENAME_TABLE, facts)


def _move(node: Node, known: Known) -> Iterator[Hit]:
    name = named(node.relation)
    if enum_name(node, "object_type") != "OBJECT_TABLE" or known.fresh(name) or ("view", name) in known.remade:
        return
    new = f"{said(node.newschema)}.{said(node.relation.relname)}"
    rename = f"SET SCHEMA {said(node.newschema)}"
    facts = {"table": said(name), "new": new, "how": "moving", "rename": rename, "view": said(name), "target": new}
    yield Hit(RENAME_TABLE, facts)


def _truncate(node: Node, known: Known) -> Iterator[Hit]:
    cascade = ", and each table that points at it" if node.behavior == 2 else ""
    for one in node.relations:
        if not known.fresh(named(one.range_var)):
            yield Hit(TRUNCATE, {"table": said(named(one.range_var)), "cascade": cascade})


def _lock(node: Node, known: Known) -> Iterator[Hit]:
    for one in node.relations:
        if node.mode in _MODES and not known.fresh(named(one.range_var)):
            mode, blocks = _MODES[node.mode]
            yield Hit(LOCK, {"table": said(named(one.range_var)), "mode": mode, "blocks": blocks})


def _vacuum(node: Node, _known: Known) -> Iterator[Hit]:
    if any(one.def_elem.defname == "full" for one in node.options):
        names = [said(named(one.vacuum_relation.relation)) for one in node.rels] or ["each table"]
        for name in names:
            yield Hit(REWRITE, {"table": name, "what": "VACUUM FULL"})


def _cluster(node: Node, _known: Known) -> Iterator[Hit]:
    name = said(named(node.relation)) if node.HasField("relation") else "each clustered table"
    yield Hit(REWRITE, {"table": name, "what": "CLUSTER"})


def _partition(step: Step, known: Known) -> Iterator[Hit]:
    table = named(step.node.relation)
    for action in step.actions:
        command = definition(action.node).partition_cmd
        part = named(command.name)
        facts = {"table": said(table), "part": said(part), "check": said(f"{part.rsplit('.', 1)[-1]}_bounds")}
        if action.what == "AT_DetachPartition":
            if not command.concurrent and not known.fresh(table):
                yield Hit(DETACH, facts)
        elif not known.fresh(part) and not _proven(part, known):
            yield Hit(ATTACH, {**facts, "attach": print_statement(step.kind, step.node)})


def _proven(part: str, known: Known) -> bool:
    """Whether a valid check of the part may imply its bounds; which bounds, only the server can tell."""
    checks = known.table(part).constraints.values()
    return any(one.kind == "CONSTR_CHECK" and one.valid and not one.not_null for one in checks)


_STATEMENTS = {
    "drop_stmt": _drop,
    "rename_stmt": _rename,
    "alter_object_schema_stmt": _move,
    "truncate_stmt": _truncate,
    "lock_stmt": _lock,
    "vacuum_stmt": _vacuum,
    "cluster_stmt": _cluster,
}
