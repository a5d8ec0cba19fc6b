"""What only the demo and its load generator can meet."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "load-ended-early",
        Exit.UNREACHABLE,
        "the load generator ended by itself with exit code {code}",
        "its last lines ({log}):\n{tail}",
        "crossfade doctor",
    ),
)
