"""Sends one request and says what came back. The one module of the load that knows the HTTP client.

Invariant: `send` never raises; whatever goes wrong is the answer's `error`, with status 0 where no
complete answer came.
"""

from __future__ import annotations

import asyncio
import json
from types import TracebackType

import aiohttp

from crossfade.demo.load_shopper import Answer, Ask

# Shorter than any proxy's, so that it is the client that lets an idle connection go and no request meets its end.
IDLE_CONNECTION_S = 4.0
SLOT_HEADERS = ("x-crossfade-slot", "x-crossfade-lane")


class Wire:
    """Connections to one address: a pool that is kept alive, and connections for one request each."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")

    async def __aenter__(self) -> Wire:
        self._kept = self._session(aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_S))
        self._single = self._session(aiohttp.TCPConnector(limit=0, force_close=True))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._kept.close()
        await self._single.close()

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        # The library sends idempotent requests again on its own, which would hide lost ones from the ledger.
        session._retry_connection = False
        return session

    async def send(self, ask: Ask, request_id: str, timeout_s: float, keep_alive: bool) -> Answer:
        """Send the request once."""
        headers = {"X-Request-Id": request_id}
        if ask.cookie:
            headers["Cookie"] = ask.cookie
        if ask.key:
            headers["Idempotency-Key"] = ask.key
        data = None
        if ask.body is not None:
            data = json.dumps(ask.body).encode()
            headers["Content-Type"] = "application/json"
        session = self._kept if keep_alive else self._single
        status, version, slot = 0, "", ""
        try:
            async with session.request(
                ask.method,
                self._base_url + ask.path,
                data=data,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                version = response.headers.get("X-Version", "")
                slot = next((response.headers[name] for name in SLOT_HEADERS if name in response.headers), "")
                status = response.status
                raw = await response.read()
                cookie = response.cookies.get("shop_session")
            is_json = response.content_type == "application/json"
            body = json.loads(raw) if is_json else raw.decode(errors="replace")
            error = f"status {status}" if status >= 400 else ""
            return Answer(status, error, version, slot, body, cookie.value if cookie is not None else "")
        except asyncio.TimeoutError:  # noqa: UP041 - the client's own class derives from it
            return Answer(0, f"timeout after {timeout_s:g} s", version, slot)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            return Answer(0, f"{type(exc).__name__}: {exc}"[:200], version, slot)
