"""What is wrong with crossfade.toml, or with the machine that a release would run on."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "config-missing",
        Exit.CONFIG,
        "no crossfade.toml in {directory}",
        "looked in: {directory} and its parents",
        "crossfade init",
    ),
    Kind(
        "config-invalid",
        Exit.CONFIG,
        "{file} has {count} {problems}",
        "{listing}",
        "mend the lines named above, then: crossfade check",
    ),
    Kind(
        "config-exists",
        Exit.CONFIG,
        "{file} exists already; nothing was written",
        "",
        "edit it, then: crossfade check",
    ),
    Kind(
        "config-not-found",
        Exit.CONFIG,
        "there is no file {file}",
        "",
        "name another one with --config, or: crossfade init",
    ),
    Kind(
        "config-unreadable",
        Exit.CONFIG,
        "{file} cannot be read",
        "reason: {reason}",
        "mend it, then: crossfade check",
    ),
    Kind(
        "config-not-writable",
        Exit.CONFIG,
        "{file} cannot be written",
        "reason: {reason}",
        "mend it, then: crossfade init",
    ),
    Kind(
        "environment-not-ready",
        Exit.UNREACHABLE,
        "{count} of {total} things that a release needs {verb} not as they must be",
        "{listing}",
        "mend them in this order, then: crossfade doctor",
    ),
)
