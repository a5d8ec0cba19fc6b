"""Statements that change rows: which ones hold every row of a table until they are done.

Rule: a row that was changed is locked until its transaction ends. A statement over a whole table keeps all its rows
from the running version's writes that long, and leaves each as a dead row. PostgreSQL manual: 13.3.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.schema.lint.known import Known, named
from crossfade.schema.lint.rule import Claim, Hit, Rule, Severity
from crossfade.schema.lint.step import Step
from crossfade.schema.lint.wording import said
from crossfade.schema.parser import Node, every, kind_of, words

UPDATE = Rule(
    "update-whole-table",
    Severity.ERROR,
    "data",
    "this UPDATE changes {which} of {table} in one transaction",
    "Each changed row is locked until the transaction ends, so the running version's writes of it wait. The table grows"
    " by as many rows as are changed, and a standby has them all to replay.",
    "-- in batches by key, each in a transaction of its own, with pauses:\n"
    "-- UPDATE {table} SET .. WHERE id > .. AND id <= ..;",
    "crossfade fills a new column by trigger and in batches that rest when the service is slow",
    "UPDATE orders SET status = 'open';",
    Claim(breaks="UPDATE orders SET note = 'x' WHERE id = 7", broken="wait"),
)
DELETE = Rule(
    "delete-whole-table",
    Severity.ERROR,
    "data",
    "this DELETE takes all rows of {table}, in one transaction",
    "Each row is locked until the transaction ends, then gone; going back to the running version does not bring them"
    " back.",
    "-- in batches by key, each in a transaction of its own, when no live version needs the rows:\n"
    "-- DELETE FROM {table} WHERE id > .. AND id <= ..;",
    "crossfade runs it as written, in the stage that the change names (-- crossfade: data detach)",
    "DELETE FROM entries;",
    Claim(on="entries", breaks="SELECT count(*) > 0 FROM entries", broken="changed"),
)
RULES = (UPDATE, DELETE)


def check(step: Step, known: Known) -> Iterator[Hit]:
    """The findings of one statement, those in WITH among them."""
    if step.kind not in ("update_stmt", "delete_stmt", "select_stmt", "insert_stmt"):
        return
    for one in every(step.node):
        kind = kind_of(one)
        if kind not in ("UpdateStmt", "DeleteStmt") or known.fresh(named(one.relation)):
            continue
        table = named(one.relation)
        which = _which(one, table, known)
        if which:
            yield Hit(UPDATE if kind == "UpdateStmt" else DELETE, {"table": said(table), "which": which})


def _which(node: Node, table: str, known: Known) -> str:
    """Which rows it changes where those are all of them; empty where the WHERE may pick a few."""
    if not node.HasField("where_clause"):
        joined = node.from_clause if kind_of(node) == "UpdateStmt" else node.using_clause
        return "" if joined else "all rows"
    where = node.where_clause
    if where.WhichOneof("node") == "null_test" and where.null_test.nulltesttype == 1:  # IS NULL
        column = where.null_test.arg.column_ref.fields
        if column and (table, words(column)[-1]) in known.unfilled:
            return "all rows"
    constant = where.a_const.boolval.boolval if where.WhichOneof("node") == "a_const" else False
    return "all rows" if constant else ""


def may_be_long(step: Step, known: Known) -> bool:
    """Whether a statement reads or changes an unknown number of rows of a table that others use."""
    node = step.node
    if step.kind in ("update_stmt", "delete_stmt"):
        return not known.fresh(named(node.relation)) and not _by_key(node.where_clause)
    if step.kind == "insert_stmt":
        source = node.select_stmt.select_stmt
        return bool(source.from_clause) and not _by_key(source.where_clause)
    return step.kind == "select_stmt" and bool(node.from_clause) and not _by_key(node.where_clause)


def _by_key(where: Node) -> bool:
    """Whether a WHERE compares something with constants by `=` or IN, as a lookup of few rows does."""
    for one in every(where):
        if kind_of(one) == "A_Expr" and one.name and one.name[0].string.sval == "=":
            right = one.rexpr.WhichOneof("node")
            if right in ("a_const", "list", "type_cast") and one.lexpr.WhichOneof("node") == "column_ref":
                name = words(one.lexpr.column_ref.fields)[-1]
                if name == "id" or name.endswith(("_id", "key", "name", "code", "slug", "uuid")):
                    return True
    return False
