"""The shop's database: one pool of five connections for each instance, and every statement it runs.

Rule: a request waits a bounded time, for a connection and for an answer, so a database in trouble gives
errors and not requests that hang. Statements are prepared by the driver after a few uses, as usual, and
name every column; those that a later version changes are attributes of the store.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

POOL_SIZE = 5
PREPARE_AFTER = 5  # uses of a statement; the driver's own default
POOL_WAIT_S = 3.0
STATEMENT_TIMEOUT_MS = 4000
READY_WAIT_S = 1.2

Row = dict[str, Any]
Connection = psycopg.AsyncConnection[DictRow]

LIST_PRODUCTS = "SELECT id, name, price_cents, stock FROM products ORDER BY id LIMIT 20"
SHOW_PRODUCT = "SELECT id, name, price_cents, stock FROM products WHERE id = %s"
PRICES = "SELECT id, price_cents FROM products WHERE id = ANY(%s)"
INSERT_ORDER = """
    INSERT INTO orders (idempotency_key, user_id, total_cents, is_test, reference, channel)
    VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (idempotency_key) DO NOTHING RETURNING id
"""
INSERT_LINES = """
    INSERT INTO order_lines (order_id, line, product_id, quantity, price_cents, gift)
    SELECT %s, line, product_id, quantity, price_cents, gift
    FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::boolean[])
         WITH ORDINALITY AS l(product_id, quantity, price_cents, gift, line)
"""
SHOW_ORDER = """
    SELECT o.id, o.user_id, o.total_cents, o.is_test, o.reference, o.channel,
           (SELECT json_agg(json_build_object('product_id', product_id, 'quantity', quantity, 'gift', gift)
                            ORDER BY line)
            FROM order_lines WHERE order_id = o.id) AS lines
    FROM orders o
"""
USER_OF_SESSION = "SELECT user_id FROM sessions WHERE token_digest = %s AND expires_at > now()"
USER_BY_EMAIL = "SELECT id, name, password_hash FROM users WHERE email = %s"
INSERT_SESSION = "INSERT INTO sessions (token_digest, user_id) VALUES (%s, %s)"
DAILY_REPORT = "SELECT count(*) AS orders, coalesce(sum(total_cents), 0) AS total_cents FROM orders WHERE NOT is_test"
REALLY_THERE = "SELECT id FROM products LIMIT 1"


class UnknownSession(Exception):
    """The request carries a session that does not exist or has ended."""


class UnknownProduct(Exception):
    """An order names a product that the shop does not have."""


class KeyUsedOtherwise(Exception):
    """The idempotency key belongs to an order with other content."""


@dataclass(frozen=True)
class NewOrder:
    """An order as the customer sent it; `lines` are pairs of product and quantity, and `words` are by column.

    `words` are the order's own columns and `line_words` one column of each line, as this version calls them.
    """

    key: str
    reference: str
    lines: tuple[tuple[int, int], ...]
    is_test: bool
    words: Mapping[str, Any]
    line_words: tuple[Any, ...]


class Store:
    """Everything the shop keeps. One per instance; `open` before use, `close` at the end."""

    insert_order = INSERT_ORDER
    insert_lines = INSERT_LINES
    show_order = SHOW_ORDER
    line_word = "gift"

    def __init__(self, url: str, application_name: str, prepare_threshold: int | None = PREPARE_AFTER) -> None:
        self.url = url
        self.application_name = application_name
        self._probe: asyncio.Task[None] | None = None
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={
                "application_name": application_name,
                "autocommit": True,
                "prepare_threshold": prepare_threshold,
                "row_factory": dict_row,
                "connect_timeout": 2,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
            },
            min_size=POOL_SIZE,
            max_size=POOL_SIZE,
            timeout=POOL_WAIT_S,
            # Give up soon: the next request starts a new attempt, so a database that is back is used at once.
            reconnect_timeout=2.0,
            open=False,
        )

    async def open(self) -> None:
        """Start the pool without waiting for the database, so the process is up while the database is not."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """End the pool."""
        if self._probe is not None:
            self._probe.cancel()
        await self._pool.close(timeout=2.0)

    async def ready(self) -> bool:
        """Say within about a second whether a real query comes through the pool."""
        # A query on a cut line cannot be abandoned cleanly, so it goes on by itself and the next check joins it.
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._ask())
        done, _ = await asyncio.wait({self._probe}, timeout=READY_WAIT_S)
        return bool(done) and not self._probe.cancelled() and self._probe.exception() is None

    async def _ask(self) -> None:
        async with self._pool.connection(timeout=READY_WAIT_S) as connection:
            await connection.execute(REALLY_THERE)

    async def products(self) -> list[Row]:
        """The first page of the catalogue."""
        async with self._pool.connection() as connection:
            return await (await connection.execute(LIST_PRODUCTS)).fetchall()

    async def product(self, product_id: int) -> Row | None:
        """One product."""
        async with self._pool.connection() as connection:
            return await (await connection.execute(SHOW_PRODUCT, [product_id])).fetchone()

    async def account(self, email: str) -> Row | None:
        """The account with this address: id, name, password_hash."""
        async with self._pool.connection() as connection:
            return await (await connection.execute(USER_BY_EMAIL, [email])).fetchone()

    async def sign_in(self, user_id: int) -> str:
        """Create a session and return its token; only a digest of it is stored."""
        token = secrets.token_urlsafe(24)
        async with self._pool.connection() as connection:
            await connection.execute(INSERT_SESSION, [_digest(token), user_id])
        return token

    async def place_order(self, order: NewOrder, token: str | None) -> tuple[Row, bool]:
        """Store the order once and return it as it will be shown, with whether it is new."""
        async with self._pool.connection() as connection, connection.transaction():
            user_id = await _user(connection, token)
            ids = [product for product, _ in order.lines]
            rows = await (await connection.execute(PRICES, [ids])).fetchall()
            price = {row["id"]: row["price_cents"] for row in rows}
            if not price.keys() >= set(ids):
                raise UnknownProduct
            total = sum(price[product] * quantity for product, quantity in order.lines)
            values = [order.key, user_id, total, order.is_test, order.reference, *order.words.values()]
            placed = await (await connection.execute(self.insert_order, values)).fetchone()
            if placed is None:
                return await self._stored(connection, order, user_id), False
            quantities = [quantity for _, quantity in order.lines]
            prices = [price[product] for product in ids]
            await connection.execute(self.insert_lines, [placed["id"], ids, quantities, prices, list(order.line_words)])
            lines = [
                {"product_id": product, "quantity": quantity, self.line_word: word}
                for (product, quantity), word in zip(order.lines, order.line_words, strict=True)
            ]
            head = {"id": placed["id"], "user_id": user_id, "total_cents": total, "is_test": order.is_test}
            return {**head, "reference": order.reference, **order.words, "lines": lines}, True

    async def order(self, order_id: str, token: str | None) -> Row | None:
        """One order, for its owner; a guest's order for whoever holds its id, which nobody can guess."""
        async with self._pool.connection() as connection:
            user_id = await _user(connection, token)
            row = await (await connection.execute(f"{self.show_order} WHERE o.id = %s", [order_id])).fetchone()
        return row if row is not None and row["user_id"] in (None, user_id) else None

    async def daily_report(self) -> Row:
        """Number and worth of all orders."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(DAILY_REPORT)).fetchone()
        assert row is not None
        return row

    async def _stored(self, connection: Connection, order: NewOrder, user_id: int | None) -> Row:
        statement = f"{self.show_order} WHERE o.idempotency_key = %s"
        row = await (await connection.execute(statement, [order.key])).fetchone()
        assert row is not None, "ON CONFLICT waited for the transaction that wrote this key"
        lines = tuple((line["product_id"], line["quantity"]) for line in row["lines"] or ())
        told = (row["user_id"], row["reference"], row["is_test"], lines)
        if told != (user_id, order.reference, order.is_test, order.lines):
            raise KeyUsedOtherwise
        return row


async def _user(connection: Connection, token: str | None) -> int | None:
    if token is None:
        return None
    row = await (await connection.execute(USER_OF_SESSION, [_digest(token)])).fetchone()
    if row is None:
        raise UnknownSession
    return int(row["user_id"])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
