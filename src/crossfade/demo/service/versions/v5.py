"""Orders show where the parcel is, and the carrier never answers for three parcels in ten."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..app import fraction
from .parent import Shop as Previous

CARRIER_SILENT = 0.30


class Shop(Previous):
    """Hangs on GET /orders/{id} without a word in any log."""

    version = "v5"

    async def show_order(self, request: web.Request) -> web.StreamResponse:
        """Ask the carrier, without a timeout."""
        if fraction(f"parcel/{request.match_info['id']}") < CARRIER_SILENT:
            await asyncio.Event().wait()
        return await super().show_order(request)
