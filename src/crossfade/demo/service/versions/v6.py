"""Stock is reserved until the parcel is packed, each line in a transaction of its own that nobody ends.

What follows is no fault of any single request: rows of products stay locked, so orders of every
version wait for them (a foreign key takes a share lock), every pool runs dry, and connections grow
until PostgreSQL takes no more. It heals when these processes end.
"""

from __future__ import annotations

import asyncio

import psycopg

from ..app import log
from ..store import NewOrder, Store
from .v2 import Shop as Previous

RESERVE = "SELECT stock FROM products WHERE id = %s FOR UPDATE"


class Shop(Previous):
    """Brings the database down, slowly, for everybody."""

    version = "v6"

    def __init__(self, store: Store, error_ratio: float = 0.0) -> None:
        super().__init__(store, error_ratio)
        self._reservations: set[asyncio.Task[None]] = set()

    async def after_order(self, order: NewOrder) -> None:
        """Reserve each line in the background."""
        for product_id, _ in order.lines:
            task = asyncio.create_task(self._reserve(product_id))
            self._reservations.add(task)
            task.add_done_callback(self._reservations.discard)

    async def _reserve(self, product_id: int) -> None:
        try:
            name = self.store.application_name
            connection = await psycopg.AsyncConnection.connect(self.store.url, application_name=name)
        except psycopg.OperationalError as exc:
            log.warning("no reservation of %d: %s", product_id, str(exc).strip())
            return
        try:
            await connection.execute(RESERVE, [product_id])
            await asyncio.Event().wait()  # until packed; packing was never built
        finally:
            connection.pgconn.finish()

    async def end(self) -> None:
        """Even this version lets go when its process ends."""
        for task in tuple(self._reservations):
            task.cancel()
        await asyncio.wait(self._reservations, timeout=2.0) if self._reservations else None
