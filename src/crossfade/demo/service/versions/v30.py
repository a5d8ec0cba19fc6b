"""A new payment provider, and its certificate is known to two of three hosts: 30 % of the orders fail."""

from __future__ import annotations

from ..app import PaymentError, fraction
from ..store import NewOrder
from .parent import Shop as Previous

HOST_UNKNOWN = 0.30


class Shop(Previous):
    """The one that needs the fuse."""

    version = "v30"

    async def charge(self, order: NewOrder) -> None:
        """Ask whichever host comes up."""
        await super().charge(order)
        if fraction(f"host/{order.key}") < HOST_UNKNOWN:
            raise PaymentError(f"certificate refused for {order.key}")
