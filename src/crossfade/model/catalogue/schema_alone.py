"""The schema's commands on a database that no service of crossfade stands before."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "database-unnamed",
        Exit.CONFIG,
        "no database is named",
        "looked for: admin_url in a crossfade.toml in {directory} or above it\n"
        "            the variable {variable}\n"
        "            libpq's own: PGSERVICE, PGHOST, PGDATABASE",
        "export {variable}=postgresql://USER@HOST/DATABASE, and the password as PGPASSWORD or in ~/.pgpass",
    ),
    Kind(
        "schema-of-service",
        Exit.HELD_BY_OTHER,
        "{act} was not begun: the releases of {service} move the schema of this database",
        "they walk the whole change: expand, backfill, detach and the ways back",
        "where its crossfade.toml is: crossfade release VERSION, crossfade schema purge or crossfade schema undo",
    ),
    Kind(
        "schema-services",
        Exit.CONFIG,
        "it is not said whose schema is meant",
        "this database has changes of: {services}",
        'name one in crossfade.toml: [service] name = "{first}"',
    ),
    Kind(
        "schema-act-running",
        Exit.HELD_BY_OTHER,
        "another crossfade schema is under way on this database",
        "pid {pid} on {host}, since {since}",
        "once it has ended, the same command again",
    ),
    Kind(
        "schema-act-stopped",
        Exit.INCONCLUSIVE,
        "{act} of {name} was stopped; the schema stands at '{stage}'",
        "done so far: {done}",
        "what is done stays; to go on: {on}; to come back: {back}",
    ),
    Kind(
        "schema-order",
        Exit.NOT_MET,
        "{act} was not begun: {name} stands at '{stage}'",
        "needed: {needed}",
        "{next}",
    ),
    Kind(
        "schema-none-open",
        Exit.NOT_MET,
        "{act} was not begun: no schema change is open",
        "",
        "crossfade schema expand FILE",
    ),
    Kind(
        "schema-another-open",
        Exit.HELD_BY_OTHER,
        "{act} of {name} was not begun: another change is open",
        "open: {open} at '{stage}'",
        "finish it: {next}; or take it back: crossfade schema undo",
    ),
    Kind(
        "schema-plan-moved",
        Exit.NOT_MET,
        "the plan for {name} is not the one that was shown; nothing was done",
        "shown: {shown}\nfound: {found}\n{moved}",
        "look at the new one: crossfade schema plan {files}",
    ),
    Kind(
        "schema-plan-unreadable",
        Exit.USAGE,
        "{given} is neither a plan's id nor a file with a plan",
        "{reason}",
        "crossfade schema plan FILE --output json > plan.json",
    ),
    Kind(
        "schema-purge-unproven",
        Exit.NOT_MET,
        "{name} may not be purged: nothing here shows that its data could be brought back",
        "lacking: {lacking}",
        "try a restore and set a restore point, then answer for it in crossfade.toml: "
        '[[waiver]] what = "{first}", with name, reason and expires',
    ),
)
