"""One statement of a file as the rules see it: its tree, where it stands, and what is open around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from crossfade.schema.lint.known import named
from crossfade.schema.parser import Node, enum_name


@dataclass(frozen=True)
class Action:
    """One action of an ALTER TABLE."""

    index: int
    what: str  # the parser's word: "AT_AddColumn"
    node: Node
    table: str


@dataclass(frozen=True)
class Step:
    """One statement. `together`: it shares a transaction with others of its file."""

    kind: str
    node: Node
    start: int
    end: int
    together: bool = False
    utc: bool = False  # the session's time zone was set to UTC before it

    @cached_property
    def actions(self) -> Sequence[Action]:
        """The actions of an ALTER TABLE of a table; nothing for any other statement."""
        if self.kind != "alter_table_stmt" or enum_name(self.node, "objtype") != "OBJECT_TABLE":
            return ()
        table = named(self.node.relation)
        commands = [one.alter_table_cmd for one in self.node.cmds]
        return tuple(Action(at, enum_name(one, "subtype"), one, table) for at, one in enumerate(commands))
