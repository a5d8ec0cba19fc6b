"""Where crossfade and the lanes connect to the database, with the secrets that their references lead to.

Rule: what is returned here holds passwords; it goes to the driver and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from crossfade.model.errors import CrossfadeError
from crossfade.model.requirement import Database
from crossfade.model.settings.alone import AloneDatabase
from crossfade.runtime.secrets import resolve


def admin_url(database: Database | AloneDatabase, environ: Mapping[str, str] = os.environ) -> str:
    """The admin's URL with its password, for the driver only; never logged."""
    url = resolve(database.admin_url, environ)
    if not database.admin_password:
        return url
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    secret = quote(resolve(database.admin_password, environ), safe="")
    return urlunsplit(parts._replace(netloc=f"{user}:{secret}@{host}"))


def lane_roles(database: Database, environ: Mapping[str, str] = os.environ) -> Sequence[str]:
    """The roles of the two slots, or the one that both connect as; none where that cannot be told here."""
    if database.app_roles:
        return database.app_roles
    try:
        user = urlsplit(resolve(database.app_url, environ)).username
    except (CrossfadeError, ValueError):
        return ()
    return (unquote(user),) if user else ()
