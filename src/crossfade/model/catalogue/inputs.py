"""Reading what the user points at: files, folders of migrations, standard input, the tools that print SQL."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "input-nothing",
        Exit.CONFIG,
        "{place} holds no migrations",
        "looked for: {looked_for}",
        "{hint}",
    ),
    Kind(
        "input-unreadable",
        Exit.CONFIG,
        "{where} cannot be read",
        "reason: {reason}",
        "mend the file, or point at another",
    ),
    Kind(
        "input-order",
        Exit.CONFIG,
        "{what}, so their order is not known",
        "one:     {first}\nanother: {second}",
        "name one of them anew, or point at the files in their order",
    ),
    Kind(
        "input-psql",
        Exit.CONFIG,
        "{where}: {command} is for psql, not for PostgreSQL",
        "reason: {reason}",
        "{way}",
    ),
    Kind(
        "input-from",
        Exit.CONFIG,
        "{where}: nothing can be asked for the SQL of {text}",
        "reason: {reason}",
        "print it, and hand that in: alembic upgrade FROM:TO --sql, or manage.py sqlmigrate APP MIGRATION",
    ),
    Kind(
        "input-tool",
        Exit.CONFIG,
        "{command} did not print SQL",
        "where: {directory}\nwhat:  {what}\n{said}",
        "run it there by hand; which program is run is said in crossfade.toml, under [schema]: alembic, django",
    ),
)
