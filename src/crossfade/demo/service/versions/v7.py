"""Orders in other currencies. The reference is called what it is, and nobody asks for the channel any more.

Its code knows the new shape of the database only (v7.sql). A good version.
"""

from __future__ import annotations

from ..app import one_of
from ..store import Row, Store
from .v1 import Shop as Previous

CURRENCIES = ("EUR", "CHF", "USD")

INSERT_ORDER = """
    INSERT INTO orders (idempotency_key, user_id, total_cents, is_test, customer_reference, currency)
    VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (idempotency_key) DO NOTHING RETURNING id
"""
SHOW_ORDER = """
    SELECT o.id, o.user_id, o.total_cents, o.is_test, o.customer_reference AS reference, o.currency,
           (SELECT json_agg(json_build_object('product_id', product_id, 'quantity', quantity, 'gift', gift)
                            ORDER BY line)
            FROM order_lines WHERE order_id = o.id) AS lines
    FROM orders o
"""


class CurrencyStore(Store):
    """Orders have a currency."""

    insert_order = INSERT_ORDER
    show_order = SHOW_ORDER


class Shop(Previous):
    """Customers say in what they pay."""

    version = "v7"
    store_class: type[Store] = CurrencyStore

    def words(self, body: Row) -> Row:
        """The currency; euros where the customer says nothing."""
        return {"currency": one_of(body, "currency", CURRENCIES)}
