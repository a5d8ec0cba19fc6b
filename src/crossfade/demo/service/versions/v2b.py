"""The payment provider has a bad day: 0.2 % of the payments fail. No fault of this version."""

from __future__ import annotations

from ..app import PaymentError, fraction
from ..store import NewOrder
from .v2 import Shop as Previous

PROVIDER_FAILS = 0.002


class Shop(Previous):
    """As innocent as the one before."""

    version = "v2b"

    async def charge(self, order: NewOrder) -> None:
        """Now and then the provider says no."""
        await super().charge(order)
        if fraction(f"provider/{order.key}") < PROVIDER_FAILS:
            raise PaymentError(f"the provider did not take {order.key}")
