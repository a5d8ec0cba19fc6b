"""The one row that is our mistake; every failure that is nobody else's becomes it."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "bug",
        Exit.BUG,
        "crossfade met something it does not know: {kind}",
        "{detail} ({where})",
        "please report this text; CROSSFADE_TRACEBACK=1 prints where it came from",
    ),
)
