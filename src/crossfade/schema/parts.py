"""What the recipes put together for one table: SQL for each stage, with its undo.

Rule: `take_back` and `unhide` are written beside what they undo, and run in reverse order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from crossfade.model.change import ShapeMapping, Unit
from crossfade.schema.naming import quote, quote_table
from crossfade.schema.operations import AddedColumn, TableDelta


@dataclass(frozen=True)
class Fill:
    """How one column is filled: quoted column, value, which rows need it, which rows stop the shift (or empty)."""

    column: str
    value: str
    unfilled: str
    differs: str = ""


@dataclass(frozen=True)
class LateCheck:
    """A CHECK that binds at detach, perhaps under another name until purge."""

    name: str
    meanwhile: str
    definition: str
    valid: bool = True  # whether the rows that are there are checked, too


@dataclass
class Parts:
    """The parts of one table's units, as far as the recipes have put them together."""

    change: str
    delta: TableDelta
    says: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)  # columns, in the order in which they are added
    expand: list[str] = field(default_factory=list)
    take_back: list[str] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    settle: list[Unit] = field(default_factory=list)
    unique: list[Unit] = field(default_factory=list)  # at detach, before anything is hidden
    late: list[Unit] = field(default_factory=list)  # at detach, after everything else
    proofs: list[str] = field(default_factory=list)  # constraints that the way back from expand proves
    light: list[str] = field(default_factory=list)  # at expand: what needs no strong lock
    light_back: list[str] = field(default_factory=list)
    hide_pointed: set[str] = field(default_factory=set)  # quoted tables that detach locks with its own
    last: list[Unit] = field(default_factory=list)  # at purge, after everything else
    pointed: set[str] = field(default_factory=set)  # quoted tables that expand locks with its own
    late_not_null: list[str] = field(default_factory=list)  # columns
    late_checks: list[LateCheck] = field(default_factory=list)
    bound: list[tuple[str, str]] = field(default_factory=list)  # do, undo: what needs NOT NULL first
    hide: list[str] = field(default_factory=list)
    binds: list[str] = field(default_factory=list)  # what binds with it, for people
    unhide: list[str] = field(default_factory=list)
    hidden: dict[str, str] = field(default_factory=dict)  # column -> how it is called meanwhile
    taken: dict[str, str] = field(default_factory=dict)  # second column -> the name that it takes at detach
    purge: list[str] = field(default_factory=list)  # after the columns went
    loosened: list[str] = field(default_factory=list)  # columns whose NOT NULL is off meanwhile
    let_go: list[str] = field(default_factory=list)  # at purge, before what is dropped is copied
    new_only: dict[str, str] = field(default_factory=dict)  # new column -> rows that hold more than the old shape
    old_only: list[tuple[Sequence[str], str]] = field(default_factory=list)  # old columns -> rows, by hidden names
    mappings: list[ShapeMapping] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def quoted(self) -> str:
        """The table, quoted, as the versions call it."""
        return quote_table(self.delta.table.schema, self.delta.table.name)

    @property
    def behind(self) -> str:
        """The table, quoted, as it is called between two units: where a view has its name, another name."""
        return quote_table(self.delta.table.schema, self.delta.behind or self.delta.table.name)

    @property
    def called(self) -> dict[str, str]:
        """How columns are called from detach to purge that had another name before."""
        return {**self.hidden, **self.taken}

    def add(self, added: AddedColumn, rest: str = "") -> None:
        """Add a column, and take it back on the way back."""
        self.added.append(added.name)
        collate = f" COLLATE {added.collation}" if added.collation else ""
        self.expand.append(f"ALTER TABLE {self.quoted} ADD COLUMN {quote(added.name)} {added.type}{collate}{rest}")
        self.expand += added.comments
        self.take_back.append(f"ALTER TABLE {self.quoted} DROP COLUMN {quote(added.name)}")

    def only_new(self, column: str, rows: str) -> None:
        """Say which rows hold something in a new column that the old shape does not."""
        self.new_only[column] = rows

    def hide_column(self, column: str, called: str) -> None:
        """Put a column out of sight at detach."""
        self.hidden[column] = called
        rename = f"ALTER TABLE {self.quoted} RENAME COLUMN"
        self.hide.append(f"{rename} {quote(column)} TO {quote(called)}")
        self.unhide.append(f"{rename} {quote(called)} TO {quote(column)}")

    def take_name(self, second: str, column: str) -> None:
        """Give a second column the name of the one that it takes the place of, which is out of sight by then."""
        self.taken[second] = column
        rename = f"ALTER TABLE {self.quoted} RENAME COLUMN"
        self.hide.append(f"{rename} {quote(second)} TO {quote(column)}")
        self.unhide.append(f"{rename} {quote(column)} TO {quote(second)}")
