"""Restore proofs and rehearsals on a copy."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "scratch-programs-missing",
        Exit.INCONCLUSIVE,
        "{what} was not tried: no programs of PostgreSQL {major} fit",
        "{found}",
        "install PostgreSQL {major} on this machine, or name its bin directory: [schema] postgres_bin = ...",
    ),
    Kind(
        "scratch-place-taken",
        Exit.INCONCLUSIVE,
        "no scratch server can be made: {place} is not a directory of root alone",
        "for root the server runs as another user, and the state directory is closed to others",
        "remove {place}, or run crossfade as an ordinary user",
    ),
    Kind(
        "restore-failed",
        Exit.NOT_MET,
        "{database} was not restored as it is",
        "{problems}\nrecord: {record}",
        "mend what the first line says, then once more: crossfade drill",
    ),
    Kind(
        "restore-not-verified",
        Exit.INCONCLUSIVE,
        "the restore of {database} could not be verified",
        "{problems}\nrecord: {record}",
        "mend what the first line says, then once more: crossfade drill",
    ),
    Kind(
        "version-does-not-boot",
        Exit.NOT_MET,
        "{version} does not start at stage '{stage}' of {change}, tried on a copy of the schema without its rows",
        "{why}\nthe last lines it wrote:\n{tail}",
        "mend {version}, or the change, then: crossfade plan {new}",
    ),
    Kind(
        "rehearsal-failed",
        Exit.NOT_MET,
        "{change} cannot be walked on a copy of the schema: {act} failed",
        "{cause}",
        "mend what the facts name, then: crossfade plan {new}",
    ),
)
