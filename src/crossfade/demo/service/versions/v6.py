"""Stock is reserved until the parcel is packed, each line in a transaction of its own that nobody ends,
and renewed every second by one more, which waits for the first.

What follows is no fault of any single request: rows of products stay locked, so orders of every
version wait for them (a foreign key takes a share lock), every pool runs dry, and connections grow
until PostgreSQL takes no more. It heals when these processes end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import psycopg

from ..app import log
from ..store import NewOrder, Store
from .parent import Shop as Previous

RESERVE = "SELECT stock FROM products WHERE id = %s FOR UPDATE"
RENEW_EVERY_S = 1.0


class Shop(Previous):
    """Brings the database down, slowly, for everybody."""

    version = "v6"

    def __init__(self, store: Store, error_ratio: float = 0.0) -> None:
        super().__init__(store, error_ratio)
        self._tasks: set[asyncio.Task[None]] = set()

    async def after_order(self, order: NewOrder) -> None:
        """Reserve each line in the background."""
        for product_id, _ in order.lines:
            self._in_background(self._reserve(product_id))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reserve(self, product_id: int) -> None:
        while True:  # until packed; packing was never built
            self._in_background(self._hold(product_id))
            await asyncio.sleep(RENEW_EVERY_S)

    async def _hold(self, product_id: int) -> None:
        try:
            name = self.store.application_name
            connection = await psycopg.AsyncConnection.connect(self.store.url, application_name=name)
        except psycopg.OperationalError as exc:
            log.warning("no reservation of %d: %s", product_id, str(exc).strip().rpartition("\n")[2])
            return
        try:
            await connection.execute(RESERVE, [product_id])
            await asyncio.Event().wait()
        finally:
            connection.pgconn.finish()

    async def end(self) -> None:
        """Even this version lets go when its process ends."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)
