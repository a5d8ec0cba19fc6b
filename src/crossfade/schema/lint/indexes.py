"""Indexes: whether they are built and dropped beside the reads and writes.

Rule: CONCURRENTLY or not is the whole difference, and CONCURRENTLY cannot stand in a transaction.
PostgreSQL manual: CREATE INDEX, "Building Indexes Concurrently".
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.schema.lint.known import Known, dropped_names, named
from crossfade.schema.lint.rule import ACCESS_EXCLUSIVE, SHARE, Claim, Hit, Rule, Severity
from crossfade.schema.lint.step import Step
from crossfade.schema.lint.wording import said
from crossfade.schema.parser import Node, copied, enum_name, print_statement

CREATE = Rule(
    "create-index-blocks-writes",
    Severity.ERROR,
    "index",
    "CREATE INDEX blocks every write to {table} until the index is built",
    "It holds SHARE on {table} while it reads the whole table. With CONCURRENTLY it takes longer and blocks nobody; it"
    " cannot stand in a transaction, and where it fails it leaves an invalid index that must be dropped.",
    "{staged};",
    "crossfade builds it concurrently, watches it, and drops an invalid attempt",
    "CREATE INDEX orders_by_status ON orders (status);",
    Claim(lock=SHARE, scan=True),
)
PARTITIONED = Rule(
    "create-index-partitioned",
    Severity.ERROR,
    "index",
    "{table} is partitioned: PostgreSQL cannot build an index on it CONCURRENTLY",
    "Without CONCURRENTLY writes to all partitions wait, with it the statement is refused.",
    "CREATE INDEX {name} ON ONLY {table} ({columns});\n"
    "-- then for each partition: CREATE INDEX CONCURRENTLY .. ON partition;"
    " ALTER INDEX {name} ATTACH PARTITION ..;",
    "crossfade refuses changes of partitioned tables, with this way",
    "CREATE INDEX CONCURRENTLY events_by_day ON events (day);",
    Claim(on="events", error="0A000"),
)
DROP = Rule(
    "drop-index-blocks",
    Severity.WARNING,
    "index",
    "DROP INDEX {name} takes ACCESS EXCLUSIVE on its table",
    "The drop is short, but it waits for every transaction that uses the table, and all others wait behind it. The"
    " running version's queries may need the index, too.",
    "DROP INDEX CONCURRENTLY {name};",
    "crossfade keeps it until the purge and drops it concurrently",
    "DROP INDEX orders_by_customer;",
    Claim(lock=ACCESS_EXCLUSIVE),
)
REINDEX = Rule(
    "reindex-blocks",
    Severity.ERROR,
    "index",
    "REINDEX {what} blocks writes, and reads that would use the index, until it is built anew",
    "It holds SHARE on the table and ACCESS EXCLUSIVE on the index while it reads the whole table.",
    "REINDEX {what} CONCURRENTLY {name};",
    "crossfade is not needed for it",
    "REINDEX INDEX orders_by_customer;",
    Claim(lock=SHARE, scan=True),
)
IN_TRANSACTION = Rule(
    "concurrently-in-transaction",
    Severity.ERROR,
    "index",
    "{what} CONCURRENTLY cannot run inside a transaction",
    "PostgreSQL refuses it between BEGIN and COMMIT, and so it does where the migration tool wraps the file in a"
    " transaction or sends several statements at once.",
    "-- a file of its own, with the tool's transaction switched off:\n"
    "-- Alembic autocommit_block(), Django atomic = False, Rails disable_ddl_transaction!\n"
    "{staged};",
    "crossfade runs it outside of any transaction",
    "BEGIN;\nCREATE INDEX CONCURRENTLY orders_by_status ON orders (status);\nCOMMIT;",
    Claim(error="25001"),
)
IF_NOT_EXISTS = Rule(
    "concurrently-if-not-exists",
    Severity.WARNING,
    "index",
    "IF NOT EXISTS takes an invalid index {name} of an earlier attempt for a finished one",
    "Where CREATE INDEX CONCURRENTLY fails, an index of this name is left that no query uses, and that may not hold"
    " each value once. Run again, this statement passes over it and reports success.",
    "DROP INDEX CONCURRENTLY IF EXISTS {name};\n{staged};",
    "crossfade looks whether the index is valid, and drops one that is not",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS orders_once ON orders (customer_id);",
    Claim(breaks="SELECT count(*) FROM pg_index WHERE NOT indisvalid", broken="stays invalid"),
    setup="INSERT INTO orders (customer_id) VALUES (1);",
)
RULES = (CREATE, PARTITIONED, DROP, REINDEX, IN_TRANSACTION, IF_NOT_EXISTS)


def check(step: Step, known: Known) -> Iterator[Hit]:
    """The findings of one statement."""
    what = concurrently(step)
    if what and step.together:
        yield Hit(IN_TRANSACTION, {"what": what, "staged": _printed(step)})
    if step.kind == "index_stmt":
        yield from _created(step, known)
    elif step.kind == "drop_stmt" and enum_name(step.node, "remove_type") == "OBJECT_INDEX":
        for name in dropped_names(step.node):
            index = known.indexes.get(name)
            if not step.node.concurrent and not (index and known.fresh(index.table)):
                yield Hit(DROP, {"name": said(name)})
    elif step.kind == "reindex_stmt" and not what:
        kind = enum_name(step.node, "kind").removeprefix("REINDEX_OBJECT_")
        name = said(named(step.node.relation)) if step.node.HasField("relation") else said(step.node.name)
        yield Hit(REINDEX, {"what": kind, "name": name})


def concurrently(step: Step) -> str:
    """What a statement does concurrently: `CREATE INDEX`; empty where it does not."""
    node = step.node
    if step.kind == "index_stmt":
        return "CREATE INDEX" if node.concurrent else ""
    if step.kind == "drop_stmt":
        return "DROP INDEX" if node.concurrent else ""
    if step.kind == "reindex_stmt":
        return "REINDEX" if any(one.def_elem.defname == "concurrently" for one in node.params) else ""
    return next(
        ("DETACH PARTITION" for one in step.actions if _detaches(one.node) and one.what == "AT_DetachPartition"), ""
    )


def _detaches(command: Node) -> bool:
    return bool(getattr(command, "def").partition_cmd.concurrent)


def _created(step: Step, known: Known) -> Iterator[Hit]:
    node = step.node
    table = named(node.relation)
    if known.fresh(table):
        return
    staged = copied(node)
    staged.if_not_exists = False
    staged.concurrent = True
    columns = ", ".join(said(one.index_elem.name) if one.index_elem.name else ".." for one in node.index_params)
    facts = {
        "table": said(table),
        "name": said(node.idxname or "the index"),
        "columns": columns,
        "staged": print_statement("index_stmt", staged),
    }
    if known.table(table).partitioned:
        if node.relation.inh:  # not ON ONLY
            yield Hit(PARTITIONED, facts)
    elif not node.concurrent:
        yield Hit(CREATE, facts)
    elif node.if_not_exists:
        yield Hit(IF_NOT_EXISTS, facts)


def _printed(step: Step) -> str:
    return print_statement(step.kind, step.node)
