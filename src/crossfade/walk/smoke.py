"""Smoke: each critical endpoint once through the proxy, pinned to the new lane, before any customer.

Rule: smoke proves the road that customers will take, so requests go through the proxy's own port and carry
the release's secret; an answer that did not come from the new slot is a failure. An endpoint that writes
is smoked only in the way its owner declared harmless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import urllib3

from crossfade.model.ports import Address, Slot

PIN_HEADER = "x-crossfade-pin"
SLOT_HEADER = "x-crossfade-slot"


@dataclass(frozen=True)
class SmokeRequest:
    """One request and what it must answer. `undo` is sent afterwards, whatever came back."""

    endpoint: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    expect_status: tuple[int, ...] = (200,)
    undo: tuple[str, str] | None = None  # method, path


def smoke(front: Address, slot: Slot, pin: str, requests: Sequence[SmokeRequest], timeout_s: float) -> Sequence[str]:
    """Send every request through the proxy; what was wrong, one sentence a problem, empty where all is well."""
    return _all(front, slot, pin, requests, timeout_s)


def smoke_directly(instance: Address, requests: Sequence[SmokeRequest], timeout_s: float) -> Sequence[str]:
    """Send every request to one instance that no proxy knows."""
    return _all(instance, None, "", requests, timeout_s)


def _all(
    front: Address, slot: Slot | None, pin: str, requests: Sequence[SmokeRequest], timeout_s: float
) -> Sequence[str]:
    problems = []
    with urllib3.PoolManager(retries=False, timeout=timeout_s) as pool:
        for request in requests:
            problem = _one(pool, front, slot, pin, request)
            if problem:
                problems.append(f"{request.endpoint}: {request.method} {request.path} {problem}")
    return problems


def _one(pool: urllib3.PoolManager, front: Address, slot: Slot | None, pin: str, request: SmokeRequest) -> str:
    headers = {**request.headers, PIN_HEADER: f"{pin}:{slot}"} if slot is not None else dict(request.headers)
    url = f"http://{front.host}:{front.port}"
    try:
        answer = pool.request(
            request.method, url + request.path, headers=headers, body=request.body or None, redirect=False
        )
    except urllib3.exceptions.HTTPError as exc:
        return f"got no answer ({type(exc).__name__})"
    finally:
        if request.undo is not None:
            method, path = request.undo
            try:
                pool.request(method, url + path, headers=headers, redirect=False)
            except urllib3.exceptions.HTTPError:
                pass  # the undo is checked by its owner's own data; a failed smoke says so already
    served = answer.headers.get(SLOT_HEADER)
    if slot is not None and served != str(slot):
        return f"was answered by the {served or 'unknown'} slot instead of {slot}"
    if answer.status not in request.expect_status:
        text = answer.data[:120].decode(errors="replace").strip()
        expected = " or ".join(map(str, request.expect_status))
        return f"answered {answer.status} instead of {expected}: {text}"
    return ""
