"""One instance of the shop: listens on the loopback address and ends without losing a request.

Rule of the end, after SIGTERM: answers say `Connection: close` while connections that are still used
come in; then the listener closes, then connections that stayed idle; requests in flight get up to
30 s. Whoever stops sending before the signal loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from aiohttp import web

from .app import Shop
from .store import PREPARE_AFTER

LINGER_S = 0.5  # longer than a proxy needs to use a connection it took from its idle ones
DRAIN_MAX_S = 30.0
KEEP_ALIVE_S = 75.0

log = logging.getLogger("shop")


def main(shop_class: type[Shop]) -> None:
    """Run one instance until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    missing = [name for name in ("PORT", "DATABASE_URL") if not os.environ.get(name)]
    if missing:
        sys.exit(f"shop: {' and '.join(missing)} must be set in the environment")
    name = os.environ.get("APPLICATION_NAME", f"shop-{shop_class.version}")
    # A pooler in transaction mode gives each transaction another session, where nothing is prepared.
    threshold = None if os.environ.get("SHOP_PREPARE") == "never" else PREPARE_AFTER
    store = shop_class.store_class(os.environ["DATABASE_URL"], name, threshold)
    shop = shop_class(store, float(os.environ.get("SHOP_ERROR_RATIO", "0") or "0"))
    asyncio.run(_serve(shop, int(os.environ["PORT"])))


async def _serve(shop: Shop, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await shop.store.open()
    # What is left when the runner cleans up has been waited for already; one second is for bytes on their way.
    runner = web.AppRunner(shop.application(), access_log=None, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    log.info("%s listens on 127.0.0.1:%d", shop.version, port)
    await stop.wait()
    await _drain(shop, runner, site)
    await runner.cleanup()
    await shop.end()
    await shop.store.close()
    log.info("%s ended", shop.version)


async def _drain(shop: Shop, runner: web.AppRunner, site: web.TCPSite) -> None:
    loop = asyncio.get_running_loop()
    server = runner.server
    assert server is not None
    shop.stopping = True
    began = loop.time()
    while loop.time() - began < LINGER_S and server.connections:
        await asyncio.sleep(0.02)
    await site.stop()
    await asyncio.sleep(0)  # what the listener had accepted becomes a request before idle connections go
    server.pre_shutdown()
    while loop.time() - began < DRAIN_MAX_S and shop.waiting_clients():
        await asyncio.sleep(0.05)
    log.info("%s drained, %d requests cut", shop.version, shop.waiting_clients())
