"""The table of all rules, and the families that find them.

Rule: ids are stable and unique: suppressions, dashboards and the pages of docs/operations name them.
"""

from __future__ import annotations

from crossfade.schema.lint import (
    column_changes,
    columns,
    constraints,
    data,
    indexes,
    objects,
    tables,
    transactions,
)
from crossfade.schema.lint.rule import Claim, Rule, Severity

FAMILIES = (columns, column_changes, constraints, indexes, tables, objects, data)
# What the lint says of files rather than of the database; they claim nothing of a server.
SYNTAX = Rule(
    "syntax-error",
    Severity.ERROR,
    "locks",
    "PostgreSQL cannot read this: {detail}",
    "The migration fails here, on every server.",
    "",
    "crossfade reads with PostgreSQL's own grammar, that of version 17",
    "ALTER TABEL orders ADD COLUMN gift text;",
    Claim(error="42601"),
)
ALLOW_UNUSED = Rule(
    "allow-unused",
    Severity.WARNING,
    "locks",
    "nothing here needs to be allowed {rule}",
    "The statement below the comment does not meet the rule, so the comment would hide a later one that does.",
    "",
    "take the comment away",
    "-- crossfade: allow drop-column because the last reader is gone\nCOMMENT ON TABLE orders IS 'orders';",
    Claim(),
)
ALLOW_UNCLEAR = Rule(
    "allow-unclear",
    Severity.ERROR,
    "locks",
    "this allows nothing: {problem}",
    "A finding is allowed with its rule and a reason, so that the next reader knows why.",
    "",
    "write it as: -- crossfade: allow RULE because REASON",
    "-- crossfade: allow drop-column\nALTER TABLE orders DROP COLUMN note;",
    Claim(),
)
OF_FILES = (SYNTAX, ALLOW_UNUSED, ALLOW_UNCLEAR)
OF_SERVERS: tuple[Rule, ...] = tuple(rule for family in (*FAMILIES, transactions) for rule in family.RULES)
RULES: dict[str, Rule] = {rule.id: rule for rule in (*OF_SERVERS, *OF_FILES)}
assert len(RULES) == len(OF_SERVERS) + len(OF_FILES), "rule ids must be unique"
