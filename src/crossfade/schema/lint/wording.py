"""How the lint writes names and pieces of SQL in what it says, so that it can be copied and run."""

from __future__ import annotations

import re

from crossfade.schema.lint.known import definition
from crossfade.schema.naming import quote, short
from crossfade.schema.parser import Node, copied, enum_name, parse_statement, print_statement

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def said(name: str) -> str:
    """A name as a person writes it: quoted only where it needs that. Dots part schema and name."""
    return ".".join(one if _PLAIN.fullmatch(one) else quote(one) for one in name.split("."))


def named_after(table: str, *parts: str) -> str:
    """A new name of a table's: `orders_place_check`, cut where PostgreSQL would cut it."""
    return said(short("_".join((table.rsplit(".", 1)[-1], *parts))))


def column_without(written: Node, *kinds: str) -> str:
    """A column's definition without its constraints of some kinds: `place text DEFAULT 'x'`."""
    left = copied(written)
    for index in reversed(range(len(left.constraints))):
        if enum_name(left.constraints[index].constraint, "contype") in kinds:
            del left.constraints[index]
    around = parse_statement("ALTER TABLE t ADD COLUMN c int")
    definition(around.cmds[0].alter_table_cmd).column_def.CopyFrom(left)
    text = print_statement("alter_table_stmt", around)
    return text.removeprefix("ALTER TABLE t ADD COLUMN ")
