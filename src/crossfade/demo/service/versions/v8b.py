"""v8, mended: every paper has a price. The same change of the database. A good version."""

from __future__ import annotations

from ..store import NewOrder
from .v8 import Shop as Previous


class Shop(Previous):
    """What v8 was meant to be."""

    version = "v8b"

    async def price_paper(self, order: NewOrder) -> None:
        """Paper is free."""
