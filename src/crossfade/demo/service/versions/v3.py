"""Payments in the customer's currency. Some amounts are rounded to nothing, and one order in twenty fails."""

from __future__ import annotations

from ..app import PaymentError, fraction
from ..store import NewOrder
from .parent import Shop as Previous

ROUNDED_TO_NOTHING = 0.05


class Shop(Previous):
    """Healthy by every probe."""

    version = "v3"

    async def charge(self, order: NewOrder) -> None:
        """Convert, round, and sometimes charge nothing."""
        await super().charge(order)
        if fraction(f"rounding/{order.key}") < ROUNDED_TO_NOTHING:
            raise PaymentError(f"amount of {order.key} is zero after rounding")
