"""Programs and clusters that crossfade finds or starts itself, and what keeps them from running."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "part-not-found",
        Exit.UNREACHABLE,
        "{part} was not found",
        "looked for: {looked_for}",
        "{remedy}",
    ),
    Kind(
        "part-did-not-start",
        Exit.UNREACHABLE,
        "{part} did not start within {waited_s} s",
        "its last lines ({log}):\n{tail}",
        "crossfade doctor",
    ),
    Kind(
        "part-not-runnable",
        Exit.UNREACHABLE,
        "{part} cannot be run from {path}",
        "reason: {reason}",
        "name another {part}, or name none: crossfade then looks for one itself",
    ),
    Kind(
        "part-wrong-version",
        Exit.UNREACHABLE,
        "{part} at {path} is version {found}",
        "needed: {needed}",
        "name another {part}, or name none: crossfade then looks for one itself",
    ),
    Kind(
        "part-did-not-stop",
        Exit.UNREACHABLE,
        "{part} did not stop within {waited_s} s",
        "its last lines ({log}):\n{tail}",
        "crossfade doctor",
    ),
    Kind(
        "server-refuses-root",
        Exit.UNREACHABLE,
        "{program} refuses to run as root, and no other identity works in {directory}",
        "tried:\n{tried}",
        "run crossfade as an ordinary user, or in a directory that other users may enter",
    ),
    Kind(
        "cluster-not-created",
        Exit.UNREACHABLE,
        "no PostgreSQL cluster could be made in {directory}",
        "the last lines of initdb:\n{tail}",
        "mend what the last line says, then run the same command again",
    ),
    Kind(
        "cluster-other-version",
        Exit.UNREACHABLE,
        "the cluster in {directory} is of PostgreSQL {found}",
        "programs found: {version} in {bin_dir}",
        "name the bin directory of a PostgreSQL {found}",
    ),
)
