"""The catalogue is sorted by taste, by a service that takes its time: GET /products needs 400 ms more."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .parent import Shop as Previous

TASTE_S = 0.4


class Shop(Previous):
    """Every answer right, one of them late."""

    version = "v4"

    async def list_products(self, request: web.Request) -> web.StreamResponse:
        """Wait for the ranking."""
        await asyncio.sleep(TASTE_S)
        return await super().list_products(request)
