"""The good version that a faulty one was developed from. The build writes this file anew."""

from __future__ import annotations

from .v2 import Shop

__all__ = ["Shop"]
