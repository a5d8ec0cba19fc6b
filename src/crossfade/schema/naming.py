"""Names that a change gives in the database, and the one place where names and texts are quoted.

Rule: a name is made from the change's id, so that every process that plans the same change gives the same one. It
has at most 63 bytes, which is where PostgreSQL cuts names off without an error (manual, section 4.1.1).
"""

from __future__ import annotations

import hashlib

NAME_BYTES = 63


def quote(name: str) -> str:
    """Quote one identifier, always: a keyword or a capital letter is then no special case."""
    return '"' + name.replace('"', '""') + '"'


def quote_table(schema: str, name: str) -> str:
    """Quote a table with its schema."""
    return f"{quote(schema)}.{quote(name)}"


def literal(text: str) -> str:
    """Quote a text, so that it is the same whatever `standard_conforming_strings` says."""
    doubled = text.replace("'", "''")
    return f"E'{doubled.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{doubled}'"


def short(name: str) -> str:
    """Cut a name to 63 bytes; one that was cut ends in a digest, so that two of them never meet."""
    if len(name.encode()) <= NAME_BYTES:
        return name
    mark = "_" + hashlib.sha256(name.encode()).hexdigest()[:6]
    return name.encode()[: NAME_BYTES - len(mark)].decode(errors="ignore") + mark


def chosen(table: str, column: str, label: str) -> str:
    """The name that PostgreSQL itself gives what belongs to a column: `orders_id_seq`; it cuts the longer part."""
    parts = [table.encode(), column.encode()]
    while sum(map(len, parts)) > NAME_BYTES - len(label) - 2:
        longer = 0 if len(parts[0]) > len(parts[1]) else 1
        parts[longer] = parts[longer][:-1]
    return "_".join([*(part.decode(errors="ignore") for part in parts), label])


def hidden(change: str, column: str) -> str:
    """How a column is called while it is out of sight, between detach and purge."""
    return short(f"cf_{change[1:7]}_{column}")


def second(change: str, column: str) -> str:
    """How a column's or an index's second form is called until it takes the name of the first."""
    return short(f"cf_{change[1:7]}_new_{column}")


def meanwhile(change: str, name: str) -> str:
    """How an index or a constraint is called until the one it takes the place of is gone."""
    return short(f"cf_{change[1:7]}_{name}")


def sync_function(change: str, schema: str, table: str, event: str) -> str:
    """The quoted name of a trigger's function: of the change, the table, and `insert` or `update`."""
    return quote_table("crossfade_sync", short(f"{change}_{event}_{schema}_{table}"))


def sync_trigger(change: str, event: str, others: tuple[str, ...]) -> str:
    """The name of a trigger that runs after all `others`: BEFORE triggers run in the order of their names, by bytes."""
    plain = f"~crossfade_{change}_{event}"
    last = max((name.encode() for name in others), default=b"").decode()
    return plain if last.encode() < plain.encode() else f"{last}~{change}_{event}"


def behind(change: str, table: str) -> str:
    """How a table is called while a view of its name stands before it."""
    return short(f"cf_{change[1:7]}_{table}")


def shapes(change: str) -> str:
    """The schema that has the new shape's views, for the roles that write it."""
    return f"crossfade_{change}"


def attic(change: str, schema: str, table: str, what: str) -> str:
    """The quoted name of the table that keeps what a step drops."""
    return quote_table("crossfade_attic", short(f"{change}_{what}_{schema}_{table}"))
