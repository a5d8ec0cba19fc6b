"""Constraints: what proves them, and under which lock.

Rule: a constraint that is added whole is proven, or its index built, under the lock of ADD CONSTRAINT. Added NOT VALID,
or from an index that is there, it takes that lock for a moment. PostgreSQL manual: ALTER TABLE, "Notes".
"""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.schema.lint.known import Known, definition, named
from crossfade.schema.lint.rule import ACCESS_EXCLUSIVE, SHARE_ROW_EXCLUSIVE, Claim, Hit, Rule, Severity
from crossfade.schema.lint.step import Action, Step
from crossfade.schema.lint.wording import named_after, said
from crossfade.schema.parser import Node, enum_name, print_expression, words

ADD_CHECK = Rule(
    "add-check-scan",
    Severity.ERROR,
    "check",
    "adding the check {name} reads all of {table} under ACCESS EXCLUSIVE",
    "Nobody reads or writes {table} until each row is proven. A version that still writes what the check forbids fails"
    " from then on.",
    "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({expression}) NOT VALID;\n"
    "ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
    "crossfade adds it NOT VALID when the old version has left, and proves it under a lock that blocks nobody",
    "ALTER TABLE orders ADD CONSTRAINT orders_paid CHECK (price >= 0);",
    Claim(lock=ACCESS_EXCLUSIVE, scan=True),
)
ADD_FOREIGN_KEY = Rule(
    "add-foreign-key-scan",
    Severity.ERROR,
    "foreign-key",
    "adding the foreign key {name} looks up each row of {table} while writes to {table} and {other} wait",
    "PostgreSQL holds SHARE ROW EXCLUSIVE on both tables, which blocks every write, until all rows are read, even"
    " those with NULL.",
    "ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID;\n"
    "ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
    "crossfade adds it NOT VALID when the old version has left, and proves it under a lock that blocks nobody",
    "ALTER TABLE orders ADD CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id);",
    Claim(lock=SHARE_ROW_EXCLUSIVE, scan=True),
)
ADD_UNIQUE = Rule(
    "add-unique-build",
    Severity.ERROR,
    "unique",
    "adding the unique constraint {name} builds its index under ACCESS EXCLUSIVE",
    "Nobody reads or writes {table} until the index is built, which reads the whole table.",
    "CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({columns}){include};\n"
    "ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name};",
    "crossfade builds the index concurrently and makes the constraint from it when the old version has left",
    "ALTER TABLE orders ADD CONSTRAINT orders_number UNIQUE (number);",
    Claim(lock=ACCESS_EXCLUSIVE, scan=True),
)
ADD_PRIMARY_KEY = Rule(
    "add-primary-key-build",
    Severity.ERROR,
    "primary-key",
    "adding the primary key of {table} builds its index under ACCESS EXCLUSIVE",
    "Nobody reads or writes {table} until the index is built and each column is proven NOT NULL.",
    "-- first NOT NULL on {columns}, where it is not there, over a checked constraint\n"
    "CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({columns}){include};\n"
    "ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {name};",
    "crossfade proves NOT NULL, builds the index concurrently and makes the key from it",
    "ALTER TABLE entries ADD PRIMARY KEY (id);",
    Claim(lock=ACCESS_EXCLUSIVE, on="entries", scan=True),
)
KEY_NULLABLE = Rule(
    "primary-key-nullable",
    Severity.ERROR,
    "primary-key",
    "the primary key of {table} makes {columns} NOT NULL, which reads the whole table under ACCESS EXCLUSIVE",
    "The index is there, yet its columns can hold NULL, so each row is looked at and nobody reads or writes meanwhile.",
    "ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({test}) NOT VALID;\n"
    "ALTER TABLE {table} VALIDATE CONSTRAINT {check};\n"
    "{set_not_null}\n"
    "ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {index};\n"
    "ALTER TABLE {table} DROP CONSTRAINT {check};",
    "crossfade proves NOT NULL under a lock that blocks nobody, before it makes the key",
    "ALTER TABLE entries ADD CONSTRAINT entries_key PRIMARY KEY USING INDEX entries_number;",
    Claim(lock=ACCESS_EXCLUSIVE, on="entries", scan=True),
    setup="CREATE UNIQUE INDEX CONCURRENTLY entries_number ON entries (number);",
)
ADD_EXCLUDE = Rule(
    "add-exclude-build",
    Severity.ERROR,
    "unique",
    "adding the exclusion constraint {name} builds its index under ACCESS EXCLUSIVE",
    "Nobody reads or writes {table} until the index is built. PostgreSQL has no way to build it beside the writes.",
    "-- no staged form on this table: a new table that has the constraint, kept in step, then a change of names",
    "crossfade refuses it, with the way over a new table",
    "ALTER TABLE orders ADD CONSTRAINT orders_alone EXCLUDE USING btree (number WITH =);",
    Claim(lock=ACCESS_EXCLUSIVE, scan=True),
)
VALIDATED_TOGETHER = Rule(
    "validate-in-same-transaction",
    Severity.ERROR,
    "check",
    "{name} is validated in the transaction that added it, so its lock is held over the whole scan",
    "NOT VALID took its lock for a moment; until the transaction ends it is kept. So {table} stays closed while"
    " VALIDATE reads it: the two steps do what one would have done.",
    "-- commit after ADD CONSTRAINT .. NOT VALID; then, in a transaction of its own:\n"
    "-- ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
    "crossfade does the two in transactions of their own",
    "BEGIN;\nALTER TABLE orders ADD CONSTRAINT orders_paid CHECK (price >= 0) NOT VALID;\n"
    "ALTER TABLE orders VALIDATE CONSTRAINT orders_paid;\nCOMMIT;",
    Claim(lock=ACCESS_EXCLUSIVE, scan=True),
)
DROP_UNIQUE = Rule(
    "drop-unique",
    Severity.WARNING,
    "unique",
    "without {name}, each INSERT .. ON CONFLICT of the running version that means its columns fails",
    "ON CONFLICT needs a unique index on these columns; what the running version asks for is not in the file. Lookups"
    " by these columns have no index any more, either.",
    "-- drop it when no version uses ON CONFLICT on these columns any more:\n"
    "-- ALTER TABLE {table} DROP CONSTRAINT {name};",
    "crossfade keeps it until the purge",
    "ALTER TABLE customers DROP CONSTRAINT customers_email_key;",
    Claim(
        lock=ACCESS_EXCLUSIVE,
        on="customers",
        breaks="INSERT INTO customers (id, email) VALUES (-1, 'a') ON CONFLICT (email) DO NOTHING",
        broken="42P10",
    ),
)
RULES = (
    ADD_CHECK,
    ADD_FOREIGN_KEY,
    ADD_UNIQUE,
    ADD_PRIMARY_KEY,
    KEY_NULLABLE,
    ADD_EXCLUDE,
    VALIDATED_TOGETHER,
    DROP_UNIQUE,
)
_SUFFIX = {"CONSTR_PRIMARY": "pkey", "CONSTR_UNIQUE": "key", "CONSTR_FOREIGN": "fkey"}


def check(step: Step, known: Known) -> Iterator[Hit]:
    """The findings of one statement."""
    for action in step.actions:
        if known.fresh(action.table):
            continue
        if action.what == "AT_AddConstraint":
            yield from _added(action, definition(action.node).constraint, known)
        elif action.what == "AT_ValidateConstraint" and action.node.name in known.unproven:
            yield Hit(VALIDATED_TOGETHER, _facts(action, action.node.name), action.index)
        elif action.what == "AT_DropConstraint":
            one = known.table(action.table).constraints.get(action.node.name)
            if one is not None and one.kind in ("CONSTR_PRIMARY", "CONSTR_UNIQUE"):
                yield Hit(DROP_UNIQUE, _facts(action, action.node.name), action.index)


def _facts(action: Action, name: str) -> dict[str, str]:
    return {"table": said(action.table), "name": said(name)}


def _added(action: Action, node: Node, known: Known) -> Iterator[Hit]:
    kind = enum_name(node, "contype")
    columns = words(node.fk_attrs if kind == "CONSTR_FOREIGN" else node.keys)
    suffix = _SUFFIX.get(kind, "check" if kind == "CONSTR_CHECK" else "excl")
    made = [action.table.rsplit(".", 1)[-1], *(columns if kind != "CONSTR_PRIMARY" else ()), suffix]
    facts = _facts(action, node.conname or "_".join(made))
    facts["columns"] = ", ".join(map(said, columns))
    facts["include"] = f" INCLUDE ({', '.join(map(said, words(node.including)))})" if node.including else ""
    facts["include"] += " NULLS NOT DISTINCT" if node.nulls_not_distinct else ""
    proves = not node.skip_validation and node.is_enforced
    if kind == "CONSTR_CHECK" and proves:
        yield Hit(ADD_CHECK, {**facts, "expression": print_expression(node.raw_expr)}, action.index)
    elif kind == "CONSTR_FOREIGN" and proves:
        yield _foreign_key(action, node, facts)
    elif kind == "CONSTR_UNIQUE" and not node.indexname:
        yield Hit(ADD_UNIQUE, facts, action.index)
    elif kind == "CONSTR_PRIMARY" and node.indexname:
        yield from _key_from_index(action, node, facts, known)
    elif kind == "CONSTR_PRIMARY":
        yield Hit(ADD_PRIMARY_KEY, facts, action.index)
    elif kind == "CONSTR_EXCLUSION":
        yield Hit(ADD_EXCLUDE, facts, action.index)


def _foreign_key(action: Action, node: Node, facts: dict[str, str]) -> Hit:
    other = named(node.pktable)
    theirs = f" ({', '.join(map(said, words(node.pk_attrs)))})" if node.pk_attrs else ""
    actions_text = "".join(
        f" ON {event} {_REACTIONS[code]}"
        for event, code in (("UPDATE", node.fk_upd_action), ("DELETE", node.fk_del_action))
        if code in _REACTIONS
    )
    match = " MATCH FULL" if node.fk_matchtype == "f" else ""
    deferred = " DEFERRABLE" if node.deferrable else ""
    deferred += " INITIALLY DEFERRED" if node.initdeferred else ""
    text = f"FOREIGN KEY ({facts['columns']}) REFERENCES {said(other)}{theirs}{match}{actions_text}{deferred}"
    return Hit(ADD_FOREIGN_KEY, {**facts, "other": said(other), "definition": text}, action.index)


def _key_from_index(action: Action, node: Node, facts: dict[str, str], known: Known) -> Iterator[Hit]:
    index = known.indexes.get(node.indexname)
    if index is None:
        return
    states = [(name, known.column(action.table, name)) for name in index.columns]
    loose = [name for name, one in states if one is not None and one.type and not (one.not_null or one.proven)]
    if not loose:
        return
    facts["columns"] = ", ".join(map(said, loose))
    facts["index"] = said(node.indexname)
    facts["check"] = named_after(action.table, "key", "not_null")
    facts["test"] = " AND ".join(f"{said(one)} IS NOT NULL" for one in loose)
    facts["set_not_null"] = "\n".join(
        f"ALTER TABLE {facts['table']} ALTER COLUMN {said(one)} SET NOT NULL;" for one in loose
    )
    yield Hit(KEY_NULLABLE, facts, action.index)


_REACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
