"""Renaming a column: a second column under the new name, kept in step, and the old one goes.

Rule: what hangs on the column comes along: default, comment, column grants, plain and unique indexes, checks. An index
or a check gets its own name when the one it takes the place of is gone. What cannot come along yet is refused.
"""

from __future__ import annotations

from crossfade.model.errors import fail
from crossfade.schema.catalog import Catalog, Column, Constraint, Index
from crossfade.schema.expressions import Reader
from crossfade.schema.naming import literal, meanwhile, quote, quote_table
from crossfade.schema.operations import AddedColumn, RenamedColumn, TableDelta
from crossfade.schema.parser import parse_expression, parse_statement, print_statement
from crossfade.schema.parts import LateCheck, Parts
from crossfade.schema.recipes.create_index import build, rename_columns

_KINDS = {"p": "primary key", "f": "foreign key", "u": "unique constraint", "x": "exclusion constraint"}


def new_column(parts: Parts, renamed: RenamedColumn) -> AddedColumn:
    """The column under the new name, with what hangs on it. Raises `schema-not-staged`."""
    column = renamed.column
    way = "keep the name in the database, and map the new one in the version's code"
    refuse_what_stays_behind(parts.delta, column, renamed.where, "renaming", way)
    added = AddedColumn(renamed.name, column.type, column.exact, renamed.where, column.collation, column.not_null)
    target = f"{parts.quoted}.{quote(renamed.name)}"
    if column.comment is not None:
        added.comments.append(f"COMMENT ON COLUMN {target} IS {literal(column.comment)}")
    for role, privilege in column.grants:
        added.comments.append(f"GRANT {privilege} ({quote(renamed.name)}) ON {parts.quoted} TO {role}")
    return added


def carry_over(parts: Parts, catalog: Catalog) -> None:
    """Build the indexes and checks of all renamed and converted columns of the table anew."""
    delta = parts.delta
    names = {old: one.name for old, one in delta.renamed.items()}
    names |= {old: one.second for old, one in delta.converted.items()}
    for index in delta.table.indexes:
        if index.name in delta.gone_indexes:
            continue
        if set(index.columns) & set(names) and not set(index.columns) & set(delta.dropped):
            _carry_index(parts, index, names)
    for constraint in delta.table.constraints:
        stays = not set(constraint.columns) & set(delta.dropped)
        if stays and constraint.kind == "c" and set(constraint.columns) & set(names):
            _carry_check(parts, constraint, names, catalog)


def _carry_index(parts: Parts, index: Index, names: dict[str, str]) -> None:
    schema = parts.delta.table.schema
    called = meanwhile(parts.change, index.name)
    node = parse_statement(index.definition)
    rename_columns(node, names)
    node.idxname, node.concurrent = called, True
    node.relation.relname = parts.delta.behind or node.relation.relname
    blurred = [one for name, one in parts.delta.converted.items() if name in index.columns and not one.apart]
    unit = build(schema, called, print_statement("index_stmt", node))
    (parts.unique if index.unique and blurred else parts.settle).append(unit)
    if index.constraint:
        definition = next(one.definition for one in parts.delta.table.constraints if one.name == index.name)
        later = "".join(word for word in (" DEFERRABLE", " INITIALLY DEFERRED") if word in definition)
        parts.purge.append(
            f"ALTER TABLE {parts.quoted} ADD CONSTRAINT {quote(index.name)} UNIQUE USING INDEX {quote(called)}{later}"
        )
    else:
        parts.purge.append(f"ALTER INDEX {quote_table(schema, called)} RENAME TO {quote(index.name)}")
    if index.unique and blurred:
        parts.notes.append(
            f"{parts.delta.says}: values that differ may become one, so {index.name} binds at detach; until then an ON"
            f" CONFLICT ({', '.join(index.columns)}) of the new version finds no index"
        )
    elif index.unique:
        parts.notes.append(
            f"{parts.delta.says}: while both versions live, an ON CONFLICT of one on {', '.join(index.columns)} does"
            " not wait for the same key from the other; such an INSERT may fail with a unique violation"
        )


def _carry_check(parts: Parts, constraint: Constraint, names: dict[str, str], catalog: Catalog) -> None:
    expression = constraint.definition.removeprefix("CHECK ").removesuffix(" NOT VALID").removesuffix(" NO INHERIT")
    delta = parts.delta
    columns = [column.name for column in delta.table.columns]
    reader = Reader(catalog, delta.table.schema, delta.table.name, columns)
    value = reader.read(parse_expression(expression), "catalog", volatile=True)
    definition = f"CHECK ({value.render(names=names)})"
    parts.late_checks.append(LateCheck(constraint.name, meanwhile(parts.change, constraint.name), definition))


def refuse_what_stays_behind(delta: TableDelta, column: Column, where: str, doing: str, way: str) -> None:
    """Refuse what cannot come along to a second column yet. Raises `schema-not-staged`."""
    table = delta.table
    kinds = _KINDS if column.name in delta.renamed else {kind: _KINDS[kind] for kind in "pfx"}
    stays = [
        f"{kinds[one.kind]} {one.name}" for one in table.constraints if column.name in one.columns and one.kind in kinds
    ]
    stays += [f"foreign key {one.name} of {one.table}" for one in table.referenced_by if column.name in one.columns]
    stays += [
        f"replica identity {one.name}" for one in table.indexes if column.name in one.columns and one.replica_identity
    ]
    stays += column.dependents
    stays += ["a generated value"] if column.generated else []
    stays += ["an identity"] if column.identity else []
    stays += ["its own storage or statistics settings"] if column.special else []
    if stays:
        raise fail(
            "schema-not-staged",
            where=where,
            what=f"{doing} {delta.says}.{column.name}",
            reason=f"this hangs on it and does not come along: {', '.join(stays)}",
            way=way,
        )
