"""The net change: what the statements of a script do together, table by table.

Rule: statements are read in order, each against what the ones before it left, and only their sum is kept: ADD COLUMN,
then UPDATE .. WHERE c IS NULL, then SET NOT NULL is one new column that is never empty. What has no place in the sum
is refused here, with its reason, its line, and how a person would do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from crossfade.model.change import Policy
from crossfade.model.errors import CrossfadeError, fail
from crossfade.schema.annotations import Annotation
from crossfade.schema.beside import Beside
from crossfade.schema.catalog import Catalog, Column, Constraint, Index, Table
from crossfade.schema.expressions import Expression, Reader
from crossfade.schema.parser import Node, Statement


@dataclass
class AddedColumn:
    """A column that is not there yet. `existing` is what rows from before get; `default` what later ones get."""

    name: str
    type: str
    exact: bool
    where: str
    collation: str = ""
    not_null: bool = False
    default: Expression | None = None
    existing: Expression | None = None
    up: Expression | None = None
    comments: list[str] = field(default_factory=list)  # COMMENT ON statements, and what else follows ADD COLUMN
    identity: str = ""  # ALWAYS, BY DEFAULT
    computed: Expression | None = None  # a virtual generated column


@dataclass
class RenamedColumn:
    """A column with a new name."""

    column: Column
    name: str
    where: str


@dataclass
class DroppedColumn:
    """A column that goes."""

    column: Column
    where: str
    down: Expression | None = None
    reads_null: bool = False


@dataclass
class RetypedColumn:
    """A column that gets another type. `unprepared`: no prepared statement that reads it is kept."""

    column: Column
    type: str
    where: str
    unprepared: bool = False
    exact: bool = False
    collation: str = ""
    using: Node | None = None
    fits: bool = True  # every value of the old type is stored as one of the new type
    up: Annotation | None = None
    down: Annotation | None = None


@dataclass
class ConvertedColumn:
    """A column whose values get another type in a second column, which takes its name at detach."""

    column: Column
    type: str
    exact: bool
    where: str
    second: str  # what the second column is called until then
    up: Expression  # over the column
    down: Expression  # over the second column
    policy: Policy
    apart: bool  # two values that differ still differ
    collation: str = ""
    widens: bool = False  # PostgreSQL could do it in place
    new_default: bool = False
    default: Expression | None = None


@dataclass
class AlteredColumn:
    """What changes of a column that stays. `up` stands for NULL of the old version, `down` for NULL of the new one."""

    column: Column
    where: str
    new_default: bool = False  # whether `default` takes the place of the one it has
    default: Expression | None = None
    not_null: bool | None = None
    up: Expression | None = None
    filled_at: str = ""  # where an UPDATE says `up`
    down: Expression | None = None
    reads_null: bool = False

    @property
    def sets_not_null(self) -> bool:
        """Whether it takes NULL now, and will not."""
        return bool(self.not_null) and not self.column.not_null

    @property
    def drops_not_null(self) -> bool:
        """Whether it takes no NULL now, and will."""
        return self.not_null is False and self.column.not_null

    @property
    def changes(self) -> bool:
        """Whether anything is left to do."""
        defaults = self.new_default and not (self.default is None and self.column.default is None)
        return defaults or self.sets_not_null or self.drops_not_null


@dataclass
class NewConstraint:
    """A constraint of a table that exists: kind c, f, u or p. `node` is its tree, with its name and whole names."""

    name: str
    kind: str
    node: Node
    columns: Sequence[str]
    where: str
    references: tuple[str, str] | None = None
    valid: bool = True  # whether the rows that are there are checked, too
    now: bool = False  # whether it binds the old version, which is said to keep to it


@dataclass
class GoneConstraint:
    """A constraint that goes."""

    constraint: Constraint
    where: str


@dataclass
class TableDelta:
    """What changes of one table that exists."""

    table: Table
    altered: dict[str, AlteredColumn] = field(default_factory=dict)
    constraints: dict[str, NewConstraint] = field(default_factory=dict)
    validated: dict[str, Constraint] = field(default_factory=dict)
    gone: dict[str, GoneConstraint] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # of constraints, old to new
    index_names: dict[str, str] = field(default_factory=dict)
    gone_indexes: dict[str, Index] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)  # gone index -> how the one of its name is called until then
    light: dict[str, tuple[str, str]] = field(default_factory=dict)  # comments and grants: do, undo
    revoked: dict[str, tuple[str, str]] = field(default_factory=dict)
    added: dict[str, AddedColumn] = field(default_factory=dict)
    renamed: dict[str, RenamedColumn] = field(default_factory=dict)  # by the old name
    dropped: dict[str, DroppedColumn] = field(default_factory=dict)
    retyped: dict[str, RetypedColumn] = field(default_factory=dict)
    converted: dict[str, ConvertedColumn] = field(default_factory=dict)
    behind: str = ""  # how it is called from expand to purge, where a view of its name stands before it

    @property
    def reshaped(self) -> bool:
        """Whether what SELECT * gives becomes something else."""
        return bool(self.added or self.renamed or self.dropped or self.retyped or self.converted)

    @property
    def says(self) -> str:
        """The table as people write it."""
        return f"{self.table.schema}.{self.table.name}"

    @property
    def changes(self) -> bool:
        """Whether anything is left to do."""
        bound = self.constraints or self.validated or self.gone or self.names
        named = self.index_names or self.gone_indexes or self.light or self.revoked
        return self.reshaped or bool(bound or named) or any(one.changes for one in self.altered.values())

    def old_name(self, name: str) -> str:
        """What a column that exists is called in the table now, given its name after the change."""
        return next((old for old, new in self.renamed.items() if new.name == name), name)

    def has(self, name: str) -> bool:
        """Whether the table has a column of that name after the statements so far."""
        if name in self.added or any(one.name == name for one in self.renamed.values()):
            return True
        gone = name in self.dropped or name in self.renamed
        return self.table.column(name) is not None and not gone

    def reader(self, catalog: Catalog, *extra: str) -> Reader:
        """Reads expressions over the columns as the old version knows them, and the `extra` ones."""
        names = {column.name for column in self.table.columns if not column.generated}
        return Reader(catalog, self.table.schema, self.table.name, names | set(extra))


@dataclass
class DroppedTable:
    """A table that goes. `cascade`: foreign keys that point at it go with it."""

    table: Table
    where: str
    cascade: bool


@dataclass
class CreatedTable:
    """A table that is not there yet: all statements that make it, in order, and the tables it points at."""

    schema: str
    name: str
    where: str
    statements: list[str] = field(default_factory=list)
    references: set[tuple[str, str]] = field(default_factory=set)


@dataclass
class NewIndex:
    """An index on a table that exists. `node` is its statement's tree, with table and index named whole."""

    table: Table
    name: str
    node: Node
    unique: bool
    columns: frozenset[str]
    where: str
    takes: str = ""  # the name that it takes at detach, from one that goes


@dataclass
class NetChange:
    """The sum of a script."""

    catalog: Catalog
    tables: dict[tuple[str, str], TableDelta] = field(default_factory=dict)
    created: dict[tuple[str, str], CreatedTable] = field(default_factory=dict)
    indexes: list[NewIndex] = field(default_factory=list)
    version_rows: Sequence[Statement] = ()
    change: str = ""  # its id
    dropped: dict[tuple[str, str], DroppedTable] = field(default_factory=dict)
    beside: list[Beside] = field(default_factory=list)
    going: set[str] = field(default_factory=set)  # what goes, as PostgreSQL describes it

    @property
    def home(self) -> str:
        """The schema of what is created without one."""
        return self.catalog.search_path[0] if self.catalog.search_path else "public"

    @property
    def created_names(self) -> set[str]:
        """What the change creates, tables and all else."""
        return {f"{schema}.{name}" for schema, name in self.created} | {one.name for one in self.beside if one.makes}

    def delta(self, relation: Node, where: str) -> TableDelta:
        """What changes of the table that a statement names. Raises `schema-not-found`, `schema-not-staged`."""
        return self.delta_of(relation.schemaname, relation.relname, where)

    def delta_of(self, schema: str, name: str, where: str) -> TableDelta:
        """The same, by name."""
        table = self.catalog.find(schema, name)
        if table is None or (table.schema, table.name) in self.dropped:
            known = ", ".join(f"{one.schema}.{one.name}" for one in self.catalog.tables.values()) or "no table"
            said = f"{schema}.{name}" if schema else name
            raise fail("schema-not-found", where=where, what=f"there is no table {said}", known=known)
        key = (table.schema, table.name)
        if key not in self.tables:
            _may_be_staged(table, where)
        return self.tables.setdefault(key, TableDelta(table))

    def made(self, relation: Node) -> CreatedTable | None:
        """The table that a statement names, if this script creates it."""
        for space in [relation.schemaname] if relation.schemaname else self.catalog.search_path:
            if (space, relation.relname) in self.created:
                return self.created[space, relation.relname]
        return None

    @property
    def empty(self) -> bool:
        """Whether nothing is left to do."""
        deltas = any(one.changes for one in self.tables.values())
        return not (deltas or self.dropped or self.created or self.indexes or self.version_rows or self.beside)


def no_column(delta: TableDelta, name: str, where: str) -> CrossfadeError:
    """Say that a column is not there."""
    names = [column.name for column in delta.table.columns if delta.has(column.name)]
    names += [*delta.added, *(one.name for one in delta.renamed.values())]
    what = f"{delta.says} has no column {name}"
    return fail("schema-not-found", where=where, what=what, known=", ".join(sorted(names)))


def _may_be_staged(table: Table, where: str) -> None:
    says = f"{table.schema}.{table.name}"
    kinds = {"p": "a partitioned table", "f": "a foreign table", "v": "a view", "m": "a materialized view"}
    what = kinds.get(table.kind, "a table with partitions or children" if table.inherits else "")
    if what:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"changing {says}, {what},",
            reason="its rows are not filled and kept in step one table at a time",
            way="make the change by hand, in a release whose two versions both work before and after it",
        )
