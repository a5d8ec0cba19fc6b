"""Walking a schema change: locks, backfills, comparisons, purges."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "schema-unreachable",
        Exit.UNREACHABLE,
        "the database of the schema change cannot be used",
        "database: {database}\ncause:    {detail}",
        "what was under way is found in the database when it answers again: crossfade status",
    ),
    Kind(
        "schema-stopped",
        Exit.INCONCLUSIVE,
        "{act} of change {change} was stopped before its end",
        "done so far: {done}",
        "what is done is recorded in the database; to go on or to come back: crossfade status",
    ),
    Kind(
        "schema-shapes-differ",
        Exit.NOT_MET,
        "the two shapes of {table} differ in {rows} rows; the shift does not begin",
        "for example, by key: {examples}",
        "look at these rows, then: crossfade release VERSION once more, or crossfade schema undo",
    ),
)
