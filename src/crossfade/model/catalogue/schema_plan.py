"""Reading a schema change and planning it: what is refused, and how a person would do it."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "schema-syntax",
        Exit.CONFIG,
        "{where}: PostgreSQL cannot read this",
        "postgresql: {detail}",
        "put it right and plan again: crossfade plan VERSION",
    ),
    Kind(
        "schema-annotation",
        Exit.CONFIG,
        "{where}: this annotation is not understood",
        "annotation: {text}\nreason:     {reason}",
        "{hint}",
    ),
    Kind(
        "schema-not-found",
        Exit.CONFIG,
        "{where}: {what}",
        "known: {known}",
        "write the change against the schema as it is in the database now",
    ),
    Kind(
        "schema-not-staged",
        Exit.NOT_MET,
        "{where}: {what} has no safe form yet",
        "reason: {reason}",
        "{way}",
    ),
    Kind(
        "schema-undecided",
        Exit.NOT_MET,
        "{where}: {what}",
        "reason: {reason}",
        "{way}",
    ),
    Kind(
        "schema-expression",
        Exit.CONFIG,
        "{where}: this expression cannot keep two shapes in step",
        "expression: {text}\nreason:     {reason}",
        "{way}",
    ),
    Kind(
        "schema-empty",
        Exit.CONFIG,
        "{name} changes nothing",
        "read: {files}",
        "take the file away, or write the change into it; a version without one changes no schema",
    ),
    Kind(
        "star-queries-unknown",
        Exit.CONFIG,
        "{name} changes what SELECT * gives, and it is not known whether the versions ask for that",
        "tables: {tables}\nreason: a prepared SELECT * or RETURNING * fails once in a session when its table changes",
        'say it in crossfade.toml, under [schema]: star_queries = "none", or "some"',
    ),
    Kind(
        "star-queries-some",
        Exit.NOT_MET,
        "{name} changes what SELECT * gives, the versions ask for that, and no view can keep it as it was",
        "tables: {tables}\nreason: {reason}",
        '{way}name the columns in the versions\' queries, then under [schema]: star_queries = "none"',
    ),
)
