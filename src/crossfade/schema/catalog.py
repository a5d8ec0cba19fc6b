"""What a change is planned against: the user's tables as the database knows them, read in one snapshot.

Rule: read once, then plain values; planning never asks the database again. crossfade's own schemas, and its triggers
on the user's tables, are no part of it. The fingerprint says whether two catalogs are the same schema; it leaves out
the order of columns, row counts, and the version of the server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg

from crossfade.schema.sql import query


@dataclass(frozen=True)
class Column:
    """One column. `exact`: two values of its type that are equal are also stored alike."""

    name: str
    type: str
    exact: bool
    collation: str = ""
    not_null: bool = False
    default: str | None = None
    identity: str = ""
    generated: str = ""
    comment: str | None = None
    special: bool = False  # storage, compression, options or statistics of its own
    grants: Sequence[tuple[str, str]] = ()  # quoted role, privilege
    dependents: Sequence[str] = ()  # "view public.open_orders"


@dataclass(frozen=True)
class Index:
    """One index; `constraint` where it belongs to a constraint."""

    name: str
    definition: str
    columns: Sequence[str]
    unique: bool = False
    valid: bool = True
    primary: bool = False
    constraint: bool = False
    replica_identity: bool = False  # or CLUSTER's index: a setting of the table points at it


@dataclass(frozen=True)
class Constraint:
    """One constraint: kind c (check), f (foreign key), p (primary key), u (unique) or x (exclusion)."""

    name: str
    kind: str
    definition: str
    columns: Sequence[str]
    validated: bool = True
    references: tuple[str, str] | None = None


@dataclass(frozen=True)
class Referrer:
    """A foreign key of another table that points here, and at which columns."""

    table: str
    name: str
    columns: Sequence[str]


@dataclass(frozen=True)
class Trigger:
    """A trigger of the user's."""

    name: str
    definition: str
    enabled: str
    row: bool
    before: bool
    insert: bool
    update: bool


@dataclass(frozen=True)
class Table:
    """A table or view: kind r (table), p (partitioned), f (foreign), v (view), m (materialized view)."""

    schema: str
    name: str
    columns: Sequence[Column]
    kind: str = "r"
    indexes: Sequence[Index] = ()
    constraints: Sequence[Constraint] = ()
    referenced_by: Sequence[Referrer] = ()
    triggers: Sequence[Trigger] = ()
    inherits: bool = False  # a partition, partitioned, or part of an inheritance tree
    row_security: bool = False
    published: bool = False
    definition: str = ""
    options: str = ""  # of a view: "security_barrier=true"
    bound: Sequence[str] = ()  # what hangs on the table's own name or row type: "rule r", "function f(orders)"
    comment: str | None = None
    rows: int = field(default=0, compare=False)  # the planner's estimate
    grants: Sequence[tuple[str, str, str]] = ()  # quoted role, privilege, "t" where it may be handed on

    def column(self, name: str) -> Column | None:
        """Its column of that name."""
        return next((one for one in self.columns if one.name == name), None)

    @property
    def key(self) -> Sequence[str]:
        """The columns of its primary key; empty where it has none."""
        return next((one.columns for one in self.constraints if one.kind == "p"), ())


@dataclass(frozen=True)
class Function:
    """All functions of one name together: the worst volatility (i, s, v), whether each is plain, and strict."""

    volatility: str
    plain: bool
    strict: bool


@dataclass(frozen=True)
class Catalog:
    """One database's schema."""

    tables: Mapping[tuple[str, str], Table]
    functions: Mapping[str, Function] = field(compare=False)  # by "schema.name"
    search_path: Sequence[str]
    domains: frozenset[str] = frozenset()  # those with a constraint, "schema.name"
    types: frozenset[str] = frozenset()
    enums: Mapping[str, Sequence[str]] = field(default_factory=dict, compare=False)  # labels by "schema.name"
    version: int = 0  # server_version_num
    sequences: frozenset[str] = frozenset()
    schemas: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()
    routines: Mapping[str, str] = field(default_factory=dict, compare=False)  # "public.f(integer)" -> its definition
    users: Mapping[str, Sequence[str]] = field(default_factory=dict, compare=False)  # of a view, type, routine

    def find(self, schema: str, name: str) -> Table | None:
        """The table of that name; without a schema, the first along the search path."""
        for space in [schema] if schema else self.search_path:
            if (space, name) in self.tables:
                return self.tables[space, name]
        return None

    def fingerprint(self) -> str:
        """16 hex digits that change when the schema does."""
        tables = []
        for table in self.tables.values():
            raw = asdict(table)
            del raw["rows"], raw["grants"]  # rights do not decide which plan is right
            raw["columns"] = sorted(raw["columns"], key=lambda column: str(column["name"]))
            for part in (*raw["indexes"], *raw["constraints"]):
                part["columns"] = sorted(part["columns"])  # the definition has their order
            tables.append(raw)
        text = json.dumps([tables, sorted(self.domains), sorted(self.types)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_catalog(connection: psycopg.Connection[Any]) -> Catalog:
    """Read the schema of the connection's database. Needs no right beyond seeing the catalog."""
    cursor = connection.cursor(row_factory=psycopg.rows.tuple_row)
    with connection.transaction():
        path = cursor.execute("SELECT current_schemas(false)::text[]").fetchone()
        cursor.execute("SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)")
        row = cursor.execute(query("read_catalog")).fetchone()
    assert path is not None
    assert row is not None
    raw = row[0]
    return Catalog(
        tables={(one["schema"], one["name"]): _table(one) for one in raw["tables"]},
        functions={name: Function(*facts) for name, facts in raw["functions"].items()},
        search_path=tuple(path[0]),
        domains=frozenset(raw["domains"]),
        types=frozenset(raw["types"]),
        enums={name: tuple(labels) for name, labels in raw["enums"].items()},
        version=raw["version"],
        sequences=frozenset(raw["sequences"]),
        schemas=frozenset(raw["schemas"]),
        extensions=frozenset(raw["extensions"]),
        routines=raw["routines"],
        users={name: tuple(users) for name, users in raw["users"].items()},
    )


def _table(raw: dict[str, Any]) -> Table:
    parts = {
        "columns": tuple(
            Column(**{**one, "grants": tuple(map(tuple, one["grants"])), "dependents": tuple(one["dependents"])})
            for one in raw["columns"]
        ),
        "indexes": tuple(Index(**{**one, "columns": tuple(one["columns"])}) for one in raw["indexes"]),
        "constraints": tuple(
            Constraint(
                **{
                    **one,
                    "columns": tuple(one["columns"]),
                    "references": tuple(one["references"]) if one["references"] else None,
                }
            )
            for one in raw["constraints"]
        ),
        "referenced_by": tuple(Referrer(**{**one, "columns": tuple(one["columns"])}) for one in raw["referenced_by"]),
        "bound": tuple(raw["bound"]),
        "grants": tuple(map(tuple, raw["grants"])),
        "triggers": tuple(Trigger(**one) for one in raw["triggers"]),
    }
    return Table(**{**raw, **parts})
