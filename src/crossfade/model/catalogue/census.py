"""Who is connected, and with which rights."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Kind

ROWS: tuple[Kind, ...] = ()
