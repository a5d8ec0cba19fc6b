"""An environment whose database is a copy. Pure.

Rule: a variable is pointed at the copy when it holds the address of the service's database: the same host, port and
database as `app_url`, whatever the scheme says of the driver. Role and password stay as they are, so the instance
works with the rights it has in earnest. An environment in which nothing leads to the database is refused by the
caller: what would be tried then is the service itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

LOOPBACK = "127.0.0.1"
_OF_THE_SERVER = ("host", "hostaddr", "port", "dbname", "target_session_attrs", "channel_binding", "gssencmode")


@dataclass(frozen=True)
class CopyAddress:
    """Where the copy is, and the superuser there (whom a source's own superuser is taken for)."""

    port: int
    database: str
    superuser: str
    superuser_password: str


@dataclass(frozen=True)
class Pointed:
    """The environment, the variables that lead to the copy now, and who logs in there with what."""

    env: Mapping[str, str]
    variables: tuple[str, ...]
    role: str
    password: str


def point_at_copy(env: Mapping[str, str], app_url: str, copy: CopyAddress, fresh_password: str) -> Pointed:
    """Point every variable that leads to the database of `app_url` at the copy. Both are resolved already."""
    app = urlsplit(app_url)
    role = unquote(app.username or env.get("PGUSER", ""))
    given = unquote(app.password or "") or env.get("PGPASSWORD", "")
    password = copy.superuser_password if role == copy.superuser else given or fresh_password
    changed: dict[str, str] = {}
    for name, value in env.items():
        url = _url(value)
        if url is not None and _place(url) == _place(app):
            changed[name] = _at_copy(url, copy, password)
    if env.get("PGHOST") is not None and env["PGHOST"] == app.hostname:
        changed |= {"PGHOST": LOOPBACK, "PGPORT": str(copy.port), "PGDATABASE": copy.database}
    if changed and (role == copy.superuser or "PGPASSWORD" in env):
        changed["PGPASSWORD"] = password
    named = tuple(name for name in changed if name != "PGPASSWORD")
    return Pointed({**env, **changed}, named, role, password)


def _url(value: str) -> SplitResult | None:
    try:
        url = urlsplit(value)
        url.port  # noqa: B018 - raises where it is none
    except ValueError:
        return None
    return url if url.scheme.partition("+")[0] in ("postgres", "postgresql") else None


def _place(url: SplitResult) -> tuple[str, int, str]:
    query = dict(parse_qsl(url.query))
    host = url.hostname or query.get("host", "")
    port = url.port or int(query.get("port", "5432"))
    return host, port, unquote(url.path.lstrip("/")) or query.get("dbname", "") or unquote(url.username or "")


def _at_copy(url: SplitResult, copy: CopyAddress, password: str) -> str:
    user = url.username or ""
    kept = [(k, v) for k, v in parse_qsl(url.query, keep_blank_values=True) if not k.startswith("ssl")]
    kept = [(k, v) for k, v in kept if k not in _OF_THE_SERVER]
    netloc = f"{user}:{quote(password, safe='')}@{LOOPBACK}:{copy.port}"
    query = urlencode(kept, quote_via=quote)
    return urlunsplit((url.scheme, netloc, f"/{quote(copy.database, safe='')}", query, ""))
