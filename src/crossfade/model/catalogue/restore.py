"""Restore proofs and rehearsals on a copy."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Kind

ROWS: tuple[Kind, ...] = ()
