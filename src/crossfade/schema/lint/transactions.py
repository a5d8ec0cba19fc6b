"""Transactions: which locks they take, how long they wait for them, and what they do while they hold them.

Rule: a lock is held until its transaction ends. A statement that waits for one makes all who come later wait behind it,
so it must not wait long; and what takes long must not run while one is held. PostgreSQL manual: 13.3, 20.11.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from crossfade.schema.lint.data import may_be_long
from crossfade.schema.lint.known import Known, definition, dropped_names, named
from crossfade.schema.lint.rule import ACCESS_EXCLUSIVE, BLOCKS, SHARE, SHARE_ROW_EXCLUSIVE, Claim, Hit, Rule, Severity
from crossfade.schema.lint.step import Step
from crossfade.schema.lint.wording import said
from crossfade.schema.parser import Node, enum_name, words

NO_TIMEOUT = Rule(
    "lock-timeout-missing",
    Severity.WARNING,
    "locks",
    "nothing limits how long this waits for its lock on {table}",
    "It needs {blocks}. While it waits for one long transaction, every later statement on {table} waits behind it, so a"
    " report that runs for an hour stops the service for an hour. Reported once a file.",
    "SET lock_timeout = '2s'; -- before it; and try again where that ends it",
    "crossfade asks with a timeout, looks who is in the way first, and tries again",
    "ALTER TABLE orders ADD COLUMN gift text;",
    Claim(lock=ACCESS_EXCLUSIVE, breaks="SELECT count(*) FROM orders", broken="queue"),
)
LONG_UNDER_LOCK = Rule(
    "long-under-lock",
    Severity.ERROR,
    "locks",
    "this runs while the transaction holds {lock} on {table} since line {line}",
    "Locks are kept until the transaction ends, so {table} is closed for as long as this takes, too: it reads or"
    " changes rows of which the file does not show how many.",
    "-- COMMIT before it: the statement before and this one in transactions of their own",
    "crossfade gives each step a transaction of its own",
    "BEGIN;\nALTER TABLE orders ADD COLUMN gift text;\nUPDATE customers SET email = lower(email) WHERE email <> '';\n"
    "COMMIT;",
    Claim(lock=ACCESS_EXCLUSIVE, breaks="SELECT count(*) FROM orders", broken="wait"),
)
SEVERAL = Rule(
    "several-tables-locked",
    Severity.WARNING,
    "locks",
    "this transaction closes {table}, and holds {others} closed while it waits for it",
    "A transaction of the running version that uses these tables in another order meets it in a deadlock, and one of"
    " the two is ended. All the tables stay closed until the last lock is there.",
    "-- COMMIT between them: one table a transaction",
    "crossfade takes several locks together, in one order, all or none",
    "BEGIN;\nALTER TABLE orders ADD COLUMN gift text;\nALTER TABLE customers ADD COLUMN gift text;\nCOMMIT;",
    Claim(lock=ACCESS_EXCLUSIVE, on="customers", breaks="SELECT count(*) FROM orders", broken="wait"),
)
NOT_ENDED = Rule(
    "transaction-not-ended",
    Severity.ERROR,
    "locks",
    "this transaction is begun and never ended: what follows is taken back, or stays open with its locks",
    "A client that ends after the file takes everything back without an error; one that goes on holds the locks.",
    "-- COMMIT; at the end of the file",
    "crossfade reads the statements and makes transactions of its own",
    "BEGIN;\nALTER TABLE orders ADD COLUMN gift text;",
    Claim(lock=ACCESS_EXCLUSIVE, breaks="SELECT count(*) FROM orders", broken="wait"),
)
RULES = (NO_TIMEOUT, LONG_UNDER_LOCK, SEVERAL, NOT_ENDED)
_QUIET = {  # actions of ALTER TABLE that leave readers and writers alone
    *("AT_ValidateConstraint", "AT_SetStatistics", "AT_SetRelOptions", "AT_ResetRelOptions", "AT_ClusterOn"),
    *("AT_DropCluster", "AT_SetOptions", "AT_ResetOptions", "AT_DetachPartitionFinalize"),
}
_TRIGGERS = {"AT_EnableTrig", "AT_DisableTrig", "AT_EnableTrigAll", "AT_DisableTrigAll", "AT_EnableTrigUser"}
_TRIGGERS |= {"AT_DisableTrigUser", "AT_EnableAlwaysTrig", "AT_EnableReplicaTrig"}


@dataclass
class Held:
    """What one file has taken so far: locks of the open transaction with their line, and whether a limit was set."""

    locks: dict[str, tuple[str, int]] = field(default_factory=dict)
    limited: bool = False
    said_limit: bool = False
    said_several: bool = False


def check(step: Step, known: Known, held: Held, line: int) -> Iterator[Hit]:
    """The findings of one statement; takes its locks into `held`."""
    taken = [(table, mode) for table, mode in locks(step, known) if not known.fresh(table)]
    if taken and not held.limited and not held.said_limit:
        held.said_limit = True
        yield Hit(NO_TIMEOUT, {"table": said(taken[0][0]), "blocks": BLOCKS[taken[0][1]]})
    if not step.together:
        return
    strongest = next(((t, at) for t, (mode, at) in held.locks.items() if mode == ACCESS_EXCLUSIVE), None)
    if strongest and (may_be_long(step, known) or _validates(step, known)):
        facts = {"lock": "ACCESS EXCLUSIVE", "table": said(strongest[0]), "line": str(strongest[1])}
        yield Hit(LONG_UNDER_LOCK, facts)
    closed = [table for table, (mode, _) in held.locks.items() if mode == ACCESS_EXCLUSIVE]
    more = [table for table, mode in taken if mode == ACCESS_EXCLUSIVE and table not in held.locks]
    if closed and more and not held.said_several:
        held.said_several = True
        yield Hit(SEVERAL, {"table": said(more[0]), "others": ", ".join(map(said, closed))})
    for table, mode in taken:
        held.locks.setdefault(table, (mode, line))


def locks(step: Step, known: Known) -> Iterator[tuple[str, str]]:
    """The tables that a statement locks against readers or writers, and the mode."""
    node, kind = step.node, step.kind
    if kind == "alter_table_stmt":
        yield from _alter(step)
    elif kind == "index_stmt" and not node.concurrent:
        yield named(node.relation), SHARE
    elif kind == "create_trig_stmt":
        yield named(node.relation), SHARE_ROW_EXCLUSIVE
    elif kind == "create_stmt":
        for element in node.table_elts:
            yield from _references(element)
        if node.HasField("partbound"):
            yield named(node.inh_relations[0].range_var), ACCESS_EXCLUSIVE
    elif kind == "rename_stmt" and enum_name(node, "rename_type") in (
        "OBJECT_COLUMN",
        "OBJECT_TABLE",
        "OBJECT_TABCONSTRAINT",
        "OBJECT_TRIGGER",
    ):
        yield named(node.relation), ACCESS_EXCLUSIVE
    elif kind == "drop_stmt":
        yield from _dropped(node, known)
    elif kind == "truncate_stmt":
        for one in node.relations:
            yield named(one.range_var), ACCESS_EXCLUSIVE
    elif kind == "lock_stmt" and node.mode >= 5:  # SHARE and above
        for one in node.relations:
            yield named(one.range_var), ACCESS_EXCLUSIVE if node.mode == 8 else SHARE
    elif kind in ("create_policy_stmt", "alter_policy_stmt"):
        yield named(node.table), ACCESS_EXCLUSIVE
    elif kind in ("rule_stmt", "alter_object_schema_stmt") and node.relation.relname:
        yield named(node.relation), ACCESS_EXCLUSIVE


def _alter(step: Step) -> Iterator[tuple[str, str]]:
    for action in step.actions:
        if action.what in _QUIET:
            continue
        if action.what == "AT_AddConstraint":
            constraint = definition(action.node).constraint
            if enum_name(constraint, "contype") == "CONSTR_FOREIGN":
                yield action.table, SHARE_ROW_EXCLUSIVE
                yield named(constraint.pktable), SHARE_ROW_EXCLUSIVE
                continue
        if action.what in ("AT_AttachPartition", "AT_DetachPartition"):
            command = definition(action.node).partition_cmd
            if action.what == "AT_AttachPartition":
                yield named(command.name), ACCESS_EXCLUSIVE
            elif not command.concurrent:
                yield action.table, ACCESS_EXCLUSIVE
            continue
        yield action.table, SHARE_ROW_EXCLUSIVE if action.what in _TRIGGERS else ACCESS_EXCLUSIVE
        if action.what == "AT_AddColumn":
            for one in definition(action.node).column_def.constraints:
                if enum_name(one.constraint, "contype") == "CONSTR_FOREIGN":
                    yield named(one.constraint.pktable), SHARE_ROW_EXCLUSIVE


def _references(element: Node) -> Iterator[tuple[str, str]]:
    written = [element.constraint] if element.WhichOneof("node") == "constraint" else []
    if element.WhichOneof("node") == "column_def":
        written = [one.constraint for one in element.column_def.constraints]
    for one in written:
        if enum_name(one, "contype") == "CONSTR_FOREIGN":
            yield named(one.pktable), SHARE_ROW_EXCLUSIVE


def _dropped(node: Node, known: Known) -> Iterator[tuple[str, str]]:
    kind = enum_name(node, "remove_type")
    if kind == "OBJECT_TABLE":
        for name in dropped_names(node):
            yield name, ACCESS_EXCLUSIVE
    elif kind == "OBJECT_INDEX" and not node.concurrent:
        for name in dropped_names(node):
            if name in known.indexes:
                yield known.indexes[name].table, ACCESS_EXCLUSIVE
    elif kind in ("OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"):
        for one in node.objects:
            parts = words(one.list.items)[:-1]
            yield ".".join(parts[1:] if len(parts) > 1 and parts[0] == "public" else parts), ACCESS_EXCLUSIVE


def _validates(step: Step, known: Known) -> bool:
    return any(
        one.what == "AT_ValidateConstraint" and one.node.name not in known.unproven and not known.fresh(one.table)
        for one in step.actions
    )


def sets_limit(step: Step, name: str) -> str | None:
    """The value that a statement gives a setting; None where it does not."""
    node = step.node
    if step.kind == "variable_set_stmt" and node.name.lower() == name and node.args:
        constant = node.args[0].a_const
        return str(constant.sval.sval or constant.ival.ival)
    if step.kind == "select_stmt":
        for one in node.target_list:
            call = one.res_target.val.func_call
            if not call.funcname or words(call.funcname)[-1] != "set_config" or len(call.args) < 2:
                continue
            if call.args[0].a_const.sval.sval.lower() == name:
                return str(call.args[1].a_const.sval.sval)
    return None
