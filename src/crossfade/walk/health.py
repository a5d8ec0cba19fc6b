"""Asking an instance how it is, over HTTP.

Two checks, never mixed up: *alive* keeps an instance in the proxy's pool; *ready* (deep: dependencies,
critical path) gates the shift. If the deep check kept the pool, one database blip would empty both lanes.
"""

from __future__ import annotations

from dataclasses import dataclass

import urllib3

from crossfade.model.ports import Address

_pool = urllib3.PoolManager(num_pools=16, maxsize=4, retries=False)


@dataclass(frozen=True)
class Answer:
    """What came back: a status, or why nothing did."""

    status: int | None
    text: str

    @property
    def ok(self) -> bool:
        """Any 2xx."""
        return self.status is not None and 200 <= self.status < 300


def ask(address: Address, path: str, timeout_s: float = 2.0) -> Answer:
    """GET `path` of one instance, directly, without following redirects."""
    url = f"http://{address.host}:{address.port}{path}"
    try:
        answer = _pool.request("GET", url, timeout=timeout_s, redirect=False, headers={"connection": "close"})
    except urllib3.exceptions.HTTPError as exc:
        return Answer(None, type(exc).__name__)
    return Answer(answer.status, answer.data[:200].decode(errors="replace"))
