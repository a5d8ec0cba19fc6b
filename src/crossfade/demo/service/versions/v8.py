"""Gifts come in paper of one's choice. The paper's price is looked up, and not found for six orders in a hundred.

Its code knows the new shape of the database only (v8.sql).
"""

from __future__ import annotations

from typing import Any

from ..app import PaymentError, fraction, one_of
from ..store import NewOrder, Row
from .v7 import CurrencyStore
from .v7 import Shop as Previous

WRAPPINGS = ("plain", "gift", "recycled")
NO_PRICE = 0.06

INSERT_LINES = """
    INSERT INTO order_lines (order_id, line, product_id, quantity, price_cents, wrapping)
    SELECT %s, line, product_id, quantity, price_cents, wrapping
    FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::text[])
         WITH ORDINALITY AS l(product_id, quantity, price_cents, wrapping, line)
"""
SHOW_ORDER = """
    SELECT o.id, o.user_id, o.total_cents, o.is_test, o.customer_reference AS reference, o.currency,
           (SELECT json_agg(json_build_object('product_id', product_id, 'quantity', quantity, 'wrapping', wrapping)
                            ORDER BY line)
            FROM order_lines WHERE order_id = o.id) AS lines
    FROM orders o
"""


class WrappingStore(CurrencyStore):
    """Lines have a wrapping, which says more than that they are a gift."""

    insert_lines = INSERT_LINES
    show_order = SHOW_ORDER
    line_word = "wrapping"


class Shop(Previous):
    """Customers choose the paper."""

    version = "v8"
    store_class = WrappingStore

    def line_word(self, line: Row) -> Any:
        """The paper, or what those mean who only say that it is a gift."""
        return one_of({"wrapping": "gift" if line.get("gift") is True else "plain", **line}, "wrapping", WRAPPINGS)

    async def charge(self, order: NewOrder) -> None:
        """Add the price of the paper."""
        await super().charge(order)
        await self.price_paper(order)

    async def price_paper(self, order: NewOrder) -> None:
        """Look the paper's price up."""
        if fraction(f"paper/{order.key}") < NO_PRICE:
            raise PaymentError(f"the paper of {order.key} has no price")
