"""The shop: an ordinary web application on PostgreSQL, in several versions, for the demo and the tests.

Rule: the shop knows nothing of crossfade and imports nothing of it, so what holds for it holds for a
service that was never written with releases in mind. `materialize` writes one version as a directory that
runs by itself (`python app.py`), `prepare` sets its database up.
"""

from .build import VERSIONS, materialize
from .seed import ACCOUNTS, PRODUCTS, account, prepare

__all__ = ["ACCOUNTS", "PRODUCTS", "VERSIONS", "account", "materialize", "prepare"]
