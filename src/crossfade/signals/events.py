"""From the proxy's records to the events a verdict is made of.

Rule (I6): only requests of this release's two lanes count, each with the position and share in force when it was
assigned. Pinned and synthetic requests never count. A request assigned to the new lane and answered by
the old one is a failure of the new lane. A request that hangs counts once: when it is seen to hang, not
again when it ends.

A client that hangs up is nobody's failure, unless it had waited longer than the endpoint may hang.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from crossfade.model.ports import InFlight, Record, Slot
from crossfade.model.requirement import Endpoint
from crossfade.model.verdict import Event, Lane

PLACEHOLDER = re.compile(r"\\\{[^/]+?\\\}")


class EndpointMatcher:
    """Which endpoint a method and a path belong to: the first whose template fits."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = [
            (endpoint, endpoint.method, re.compile(PLACEHOLDER.sub("[^/]+", re.escape(endpoint.path)) + "/?$"))
            for endpoint in endpoints
        ]
        self._known: dict[tuple[str, str], Endpoint | None] = {}

    def match(self, method: str, path: str) -> Endpoint | None:
        """The endpoint, or None where the requirement names none."""
        key = (method, path)
        if key not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[key] = next((e for e, m, p in self._endpoints if m == method and p.match(path)), None)
        return self._known[key]


class Events:
    """Turns the records of one attempt into events, and sees requests that hang."""

    def __init__(self, endpoints: Sequence[Endpoint], release: str, old_slot: Slot) -> None:
        self._matcher = EndpointMatcher(endpoints)
        self._prefix = f"{release}:"
        self._old_slot = old_slot
        self._hung: dict[str, None] = {}  # keys already counted as hung, oldest first

    def of_records(self, records: Iterable[Record]) -> list[Event]:
        """The events of the records that count."""
        events = []
        for record in records:
            if record.pinned or not record.share_bp or not record.position.startswith(self._prefix):
                continue
            endpoint = self._matcher.match(record.method, record.path)
            if endpoint is None or self._hung.pop(record.key, 0) is None:
                continue
            if record.ended_by.startswith("C") and record.status < 500 and record.total_ms < endpoint.hang_ms:
                continue  # the client went away by itself
            new = record.assigned is not self._old_slot
            fallback = new and record.served is self._old_slot
            hung = record.total_ms >= endpoint.hang_ms and record.headers_us < 0
            events.append(
                Event(
                    t_s=record.at,
                    lane="new" if new else "old",
                    share_bp=record.share_bp,
                    endpoint=endpoint.name,
                    unit=record.unit,
                    failed=fallback or hung or record.status >= 500 or record.status <= 0,
                    ms=record.headers_us / 1000 if record.headers_us >= 0 else float(record.total_ms),
                    hung=hung,
                )
            )
        return events

    def remember_hung(self, keys: Iterable[str]) -> None:
        """Requests that an earlier walker counted as hung."""
        self._hung.update(dict.fromkeys(keys))

    def of_in_flight(self, flying: Iterable[InFlight], share_bp: int, t_s: float) -> tuple[list[Event], list[str]]:
        """An event, with its key, for each request that hangs now and was not counted yet: it logs nothing."""
        events, keys = [], []
        for request in flying:
            endpoint = self._matcher.match(request.method, request.path)
            if endpoint is None or request.pinned or request.answering:
                continue
            if request.age_ms < endpoint.hang_ms or request.key in self._hung:
                continue
            self._hung[request.key] = None
            keys.append(request.key)
            if len(self._hung) > 50_000:
                self._hung.pop(next(iter(self._hung)))
            lane: Lane = "old" if request.slot is self._old_slot else "new"
            events.append(
                Event(t_s, lane, share_bp, endpoint.name, "", failed=True, ms=float(request.age_ms), hung=True)
            )
        return events, keys
