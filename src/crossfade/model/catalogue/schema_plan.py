"""Reading a schema change and planning it: what is refused, and how a person would do it."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Kind

ROWS: tuple[Kind, ...] = ()
