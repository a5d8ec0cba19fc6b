"""The shop's web application, first version: endpoints, and the few methods later versions change.

Rule: what the customer caused is a 4xx, a database that does not answer is a 503, the rest is our
fault and a 500. Every answer says which version gave it. A write with the header X-Test-Account is
stored as a test and charges nobody, so a smoke request in production does no harm.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import psycopg
from aiohttp import web
from psycopg_pool import PoolTimeout

from .passwords import password_matches
from .store import KeyUsedOtherwise, NewOrder, Row, Store, UnknownProduct, UnknownSession

SESSION_COOKIE = "shop_session"
REPORT_MAX_S = 60.0
LINES_MAX = 10
QUANTITY_MAX = 100
CHANNELS = ("web", "app", "phone")

log = logging.getLogger("shop")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PaymentError(Exception):
    """The payment of an order did not come through, for a reason of ours."""


def fraction(text: str) -> float:
    """Spread texts evenly over 0 to 1; the same text always falls on the same place."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


class Shop:
    """The application of one instance. A version is a subclass that overrides what it changes."""

    version = "v1"
    store_class = Store

    def __init__(self, store: Store, error_ratio: float = 0.0) -> None:
        self.store = store
        self.error_ratio = error_ratio
        self.stopping = False
        self._in_flight: dict[int, web.Request] = {}  # by identity; a request is a mapping and has no hash

    # -- what later versions change -----------------------------------------------------------------

    def present(self, product: Row) -> Row:
        """The product as customers see it."""
        return {"id": product["id"], "name": product["name"], "price_cents": product["price_cents"]}

    def words(self, body: Row) -> Row:
        """The order's own columns after its reference, in the order of the store's statement."""
        return {"channel": one_of(body, "channel", CHANNELS)}

    def line_word(self, line: Row) -> Any:
        """The one column of a line that has changed its meaning over time."""
        return line.get("gift") is True

    async def charge(self, order: NewOrder) -> None:
        """Take the payment; not called for test orders. Raises PaymentError."""
        if fraction(f"{self.version}/{order.key}") < self.error_ratio:
            raise PaymentError(f"payment of {order.key} failed")

    async def after_order(self, order: NewOrder) -> None:
        """What is done once an order is stored; not called for test orders."""

    async def end(self) -> None:
        """Let go of what the version holds; called last."""

    # -- endpoints ----------------------------------------------------------------------------------

    async def healthz(self, _request: web.Request) -> web.StreamResponse:
        """The process is up and takes requests; says nothing about the database."""
        return _json({"status": "stopping" if self.stopping else "up"}, 503 if self.stopping else 200)

    async def readyz(self, _request: web.Request) -> web.StreamResponse:
        """A real query came through the pool just now."""
        ready = not self.stopping and await self.store.ready()
        return _json({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Sign in with e-mail and password; sets the session cookie."""
        body = await _body(request)
        found = await self.store.account(str(body.get("email", "")))
        given = str(body.get("password", ""))
        if found is None or not await asyncio.to_thread(password_matches, given, found["password_hash"]):
            return _json({"error": "unknown e-mail or wrong password"}, 401)
        token = await self.store.sign_in(found["id"])
        response = _json({"user_id": found["id"], "name": found["name"]})
        response.set_cookie(SESSION_COOKIE, token, httponly=True, samesite="Lax", path="/")
        return response

    async def list_products(self, _request: web.Request) -> web.StreamResponse:
        """The catalogue."""
        return _json({"products": [self.present(row) for row in await self.store.products()]})

    async def show_product(self, request: web.Request) -> web.StreamResponse:
        """One product."""
        row = await self.store.product(int(request.match_info["id"]))
        return _json({"error": "no such product"}, 404) if row is None else _json(self.present(row))

    async def create_order(self, request: web.Request) -> web.StreamResponse:
        """Place an order once: a repeat with the same Idempotency-Key answers with the first one."""
        order = self._read_order(request, await _body(request))
        if not order.is_test:
            await self.charge(order)
        row, is_new = await self.store.place_order(order, request.cookies.get(SESSION_COOKIE))
        if is_new and not order.is_test:
            await self.after_order(order)
        return _json({**row, "id": str(row["id"])}, 201 if is_new else 200)

    async def show_order(self, request: web.Request) -> web.StreamResponse:
        """One order, for its owner."""
        try:
            order_id = str(uuid.UUID(request.match_info["id"]))
        except ValueError:
            return _json({"error": "no such order"}, 404)
        row = await self.store.order(order_id, request.cookies.get(SESSION_COOKIE))
        return _json({"error": "no such order"}, 404) if row is None else _json({**row, "id": str(row["id"])})

    async def daily_report(self, request: web.Request) -> web.StreamResponse:
        """A report that is written while it is read and takes `seconds`; its last line is `end`."""
        try:
            seconds = float(request.query.get("seconds", "10"))
        except ValueError:
            return _json({"error": "seconds is a number"}, 400)
        if not 0 <= seconds <= REPORT_MAX_S:
            return _json({"error": f"seconds is between 0 and {REPORT_MAX_S:g}"}, 400)
        report = await self.store.daily_report()
        response = web.StreamResponse(headers={"Content-Type": "text/csv; charset=utf-8"})
        await response.prepare(request)
        await response.write(f"orders,{report['orders']}\ntotal_cents,{report['total_cents']}\n".encode())
        pages = max(1, round(seconds * 2))
        for page in range(1, pages + 1):
            await asyncio.sleep(seconds / pages)
            await response.write(f"page,{page}\n".encode())
        await response.write(b"end\n")
        await response.write_eof()
        return response

    def _read_order(self, request: web.Request, body: Row) -> NewOrder:
        key = request.headers.get("Idempotency-Key", "")
        if not 0 < len(key) <= 200:
            raise bad("an order needs an Idempotency-Key")
        lines = body.get("lines")
        if not isinstance(lines, list) or not 0 < len(lines) <= LINES_MAX:
            raise bad(f"an order has 1 to {LINES_MAX} lines")
        try:
            pairs = tuple((int(line["product_id"]), int(line["quantity"])) for line in lines)
        except (TypeError, KeyError, ValueError):
            raise bad("a line has product_id and quantity") from None
        if any(not 0 < quantity <= QUANTITY_MAX or not 0 < product < 2**31 for product, quantity in pairs):
            raise bad(f"a quantity is between 1 and {QUANTITY_MAX}")
        return NewOrder(
            key,
            str(body.get("reference", ""))[:200],
            pairs,
            request.headers.get("X-Test-Account") == "1",
            self.words(body),
            tuple(self.line_word(line) for line in lines),
        )

    # -- around every request -----------------------------------------------------------------------

    def application(self) -> web.Application:
        """Wire the endpoints up."""
        application = web.Application(middlewares=[self._around])
        application.on_response_prepare.append(self._sign)
        application.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.post("/login", self.login),
                web.get("/products", self.list_products),
                web.get(r"/products/{id:\d{1,9}}", self.show_product),
                web.post("/orders", self.create_order),
                web.get("/orders/{id}", self.show_order),
                web.get("/reports/daily", self.daily_report),
            ]
        )
        return application

    def waiting_clients(self) -> int:
        """Requests in flight whose client is still there; an answer nobody waits for holds no stop up."""
        return sum(1 for request in self._in_flight.values() if request.transport is not None)

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._in_flight[id(request)] = request
        try:
            return await handler(request)
        except UnknownSession:
            return _json({"error": "please sign in again"}, 401)
        except UnknownProduct:
            return _json({"error": "no such product"}, 422)
        except KeyUsedOtherwise:
            return _json({"error": "this Idempotency-Key belongs to another order"}, 409)
        except (psycopg.OperationalError, PoolTimeout) as exc:
            log.warning("%s %s: database: %s", request.method, request.path, str(exc).partition("\n")[0])
            return _json({"error": "the database does not answer"}, 503)
        except PaymentError as exc:
            log.warning("%s %s: %s", request.method, request.path, exc)
            return _json({"error": "the payment failed"}, 500)
        finally:
            self._in_flight.pop(id(request), None)

    async def _sign(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Version"] = self.version
        if self.stopping:  # tell the other end before the connection goes, so it sends nothing more on it
            response.force_close()
            response.headers["Connection"] = "close"


def _json(body: Any, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise bad("the body is a JSON object")
    return body


def one_of(given: Mapping[str, Any], name: str, values: Sequence[str]) -> str:
    """The value of this name, the first of `values` where it is left out. Refuses others."""
    value = given.get(name, values[0])
    if value not in values:
        raise bad(f"{name} is one of {', '.join(values)}")
    return str(value)


def bad(reason: str) -> web.HTTPBadRequest:
    """The answer to a request that is wrong by itself."""
    return web.HTTPBadRequest(text=json.dumps({"error": reason}), content_type="application/json")
