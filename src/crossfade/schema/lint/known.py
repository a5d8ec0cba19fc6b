"""What is known without a database: all that this file, and the files before it in the history, have made.

Rule: a fact is held only where a statement said it. A table that no file created exists, has rows, and its columns are
unknown. A table that the same file created is nobody's yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from crossfade.schema.lint.types import SqlType
from crossfade.schema.parser import Node, words


@dataclass
class Column:
    """One column: its type, and whether NULL is kept out, by NOT NULL or by a proven check."""

    type: SqlType | None = None
    not_null: bool = False
    has_default: bool = False
    proven: str = ""  # the validated CHECK (column IS NOT NULL)
    added_in: int = -1  # the file that added it to a table that existed


@dataclass
class Constraint:
    """One constraint: its kind as the tree says it, its columns, and whether its rows were looked at."""

    kind: str
    columns: Sequence[str] = ()
    valid: bool = True
    not_null: str = ""  # the column of CHECK (column IS NOT NULL)
    references: str = ""


@dataclass
class Table:
    """One table that a file created, or that one changed."""

    name: str
    made_in: int = -1  # the file that created it; -1 before the history
    partitioned: bool = False
    complete: bool = False  # all its columns are known
    columns: dict[str, Column] = field(default_factory=dict)
    constraints: dict[str, Constraint] = field(default_factory=dict)


@dataclass(frozen=True)
class Index:
    """One index: of which table, on which columns."""

    table: str
    unique: bool
    columns: Sequence[str] = ()


@dataclass
class Known:
    """All that is known at one point of the history."""

    file: int = 0
    tables: dict[str, Table] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=dict)
    volatility: dict[str, str] = field(default_factory=dict)  # of functions: immutable, stable, volatile
    domains: dict[str, bool] = field(default_factory=dict)  # whether they have a constraint
    made: dict[tuple[str, str], int] = field(default_factory=dict)  # ("view", name) -> the file that created it
    enum_values: dict[str, str] = field(default_factory=dict)  # added in the open transaction: value -> type
    unproven: set[str] = field(default_factory=set)  # constraints added NOT VALID in the open transaction
    unfilled: set[tuple[str, str]] = field(default_factory=set)  # columns of this file that hold NULL in each row
    remade: set[tuple[str, str]] = field(default_factory=set)  # what this file creates, wherever in it

    def begin_file(self, number: int, remade: set[tuple[str, str]]) -> None:
        """Go on to the next file of the history."""
        self.file, self.remade = number, remade
        self.unfilled.clear()
        self.end_transaction()

    def end_transaction(self) -> None:
        """Forget what is only so until the transaction ends."""
        self.enum_values.clear()
        self.unproven.clear()

    def table(self, name: str) -> Table:
        """The table of that name; one that no file created is made up with nothing known of it."""
        return self.tables.setdefault(name, Table(name))

    def fresh(self, name: str) -> bool:
        """Whether this file created the table: no running version reads or writes it, so nothing blocks anybody."""
        one = self.tables.get(name)
        return one is not None and one.made_in == self.file

    def new(self, kind: str, name: str) -> bool:
        """Whether this file created the object."""
        return self.made.get((kind, name), -1) == self.file

    def column(self, table: str, name: str) -> Column | None:
        """What is known of a column."""
        one = self.tables.get(table)
        return one.columns.get(name) if one else None


def definition(command: Node) -> Node:
    """What an action of ALTER TABLE carries; the field's name is a word of Python."""
    return getattr(command, "def")


def named(relation: Node) -> str:
    """The name of a table as it is known here: its schema only where it is another one than public."""
    schema = relation.schemaname
    return f"{schema}.{relation.relname}" if schema not in ("", "public") else str(relation.relname)


def joined(parts: Sequence[str]) -> str:
    """As `named`, of the parts of a qualified name."""
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] == "public" else parts)


def dropped_names(statement: Node) -> Iterator[str]:
    """The names of what a DROP drops; of a function without its arguments, of a trigger its table."""
    for one in statement.objects:
        kind = one.WhichOneof("node")
        if kind == "list":
            yield joined(words(one.list.items))
        elif kind == "type_name":
            yield joined(words(one.type_name.names))
        elif kind == "object_with_args":
            yield joined(words(one.object_with_args.objname))
        elif kind == "string":
            yield str(one.string.sval)


def not_null_column(expression: Node) -> str:
    """The column of `column IS NOT NULL`; empty for any other expression."""
    if expression.WhichOneof("node") != "null_test":
        return ""
    test = expression.null_test
    plain = test.arg.WhichOneof("node") == "column_ref" and len(test.arg.column_ref.fields) == 1
    return words(test.arg.column_ref.fields)[0] if plain and test.nulltesttype == 2 else ""  # IS_NOT_NULL
