"""The first version: the shop as it is."""

from __future__ import annotations

from ..app import Shop as Base


class Shop(Base):
    """Nothing to add."""

    version = "v1"
