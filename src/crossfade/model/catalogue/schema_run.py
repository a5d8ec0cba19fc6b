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
    Kind(
        "schema-refused",
        Exit.NOT_MET,
        "the database refused {doing}; nothing of that step is in force",
        "it said:  {detail}\nSQLSTATE: {sqlstate}",
        "once the cause is mended the same command goes on from here; to come back: crossfade rollback",
    ),
    Kind(
        "schema-lock-not-granted",
        Exit.NOT_MET,
        "{doing} did not get its locks within {asked_s} s; nothing of it is in force",
        "asked:   {tries} times for {locks}\nblocked: {blockers}",
        "let them end, or end one: SELECT pg_terminate_backend(PID); then the same command goes on from here",
    ),
    Kind(
        "schema-wrong-stage",
        Exit.CONFIG,
        "{act} of change {change} does not begin where the change stands",
        "found:  {found}\nneeded: {needed}",
        "crossfade status",
    ),
    Kind(
        "schema-change-open",
        Exit.HELD_BY_OTHER,
        "change {change} does not begin while change {other} is open",
        "open: {name} for version {version}, at stage {stage}",
        "finish the release of {version}, or come back from it: crossfade abandon",
    ),
    Kind(
        "schema-plan-differs",
        Exit.CONFIG,
        "change {change} was begun with another plan than the one given now; nothing was done",
        "given: {shown}\nbegun: {found}",
        "come back from what was begun, then begin anew: crossfade abandon",
    ),
    Kind(
        "schema-attic-short",
        Exit.NOT_MET,
        "the attic's copy of {table} lacked {missing} rows; nothing was dropped",
        "copy: {attic}, taken back",
        "somebody wrote to what is hidden: find out who, then the same command copies anew",
    ),
    Kind(
        "backfill-blocked",
        Exit.INCONCLUSIVE,
        "{table} could not be filled for {waited_s} s: others hold locks in the way",
        "where:  {where}\nserver: {detail}",
        "end the long transactions that pg_stat_activity shows; what is filled stays; to go on: crossfade status",
    ),
    Kind(
        "backfill-failed",
        Exit.NOT_MET,
        "{table} could not be filled: {detail}",
        "where: {where}",
        "a value in these rows does not fit the new shape; correct it or the change's expression, then once more",
    ),
    Kind(
        "backfill-not-possible",
        Exit.NOT_MET,
        "{table} cannot be filled page by page: {reason}",
        "",
        "fill it by another way, or leave this table out of the change",
    ),
    Kind(
        "backfill-unfinished",
        Exit.NOT_MET,
        "{table} gets unfilled rows again and again: {checks} checks each found some",
        "",
        "find writes that skip triggers: logical replication, session_replication_role, a disabled trigger",
    ),
)
