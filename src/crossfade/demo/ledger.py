"""What the load generator sent and what was acknowledged to it, held against what is stored.

Two ledgers in one directory, one JSON object a line: `requests.jsonl` has every request that was sent,
`writes.jsonl` every order the service said it had taken. `marks.jsonl` names moments, so that a part of
the run can be counted by itself.

Invariant: a request belongs to the window in which it was sent, however late its answer came; windows
between neighbouring marks share no request and leave none out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from crossfade.demo.compare import Compared, LostWrite, compare
from crossfade.demo.shapes import SHAPES, Acknowledged, Shape

NOTHING_UNDONE: Mapping[str, float] = {}
REQUESTS, WRITES, MARKS = "requests.jsonl", "writes.jsonl", "marks.jsonl"


@dataclass(frozen=True)
class Sent:
    """One request. Times are seconds since the epoch; the latency counts from the scheduled time."""

    request_id: str  # sent as X-Request-Id
    scheduled_at: float
    sent_at: float
    endpoint: str
    path: str
    user: str
    cookie: bool
    keep_alive: bool
    status: int  # 0: no answer
    error: str  # empty where the answer was as it should be
    version: str  # X-Version of the answer
    slot: str  # x-crossfade-slot of the answer; empty where nobody said
    latency_ms: float
    failed: bool


@dataclass(frozen=True)
class Mark:
    """A named moment."""

    name: str
    at: float


@dataclass(frozen=True)
class Ledger:
    """Both ledgers of a run, or of a window of it."""

    requests_sent: tuple[Sent, ...] = ()
    acknowledged: tuple[Acknowledged, ...] = ()
    marks: tuple[Mark, ...] = ()

    @classmethod
    def read(cls, directory: Path) -> Ledger:
        """Read what has been written so far; a last line still being written is left for the next time."""
        return cls(
            tuple(_read(directory / REQUESTS, Sent)),
            tuple(_acknowledged(row) for row in _lines(directory / WRITES)),
            tuple(_read(directory / MARKS, Mark)),
        )

    def window(self, since: str | None = None, until: str | None = None) -> Ledger:
        """The part sent from the last mark called `since` to the first `until` after it; None is unbounded."""
        begin = self._at(since, float("-inf"), last=True)
        end = float("inf")
        if until is not None:
            later = [mark.at for mark in self.marks if mark.name == until and mark.at >= begin]
            if not later:
                raise KeyError(f"no mark {until!r} after {since!r}")
            end = later[0]
        return self.between(begin, end)

    def between(self, begin: float, end: float) -> Ledger:
        """The part sent from `begin` until just before `end`, seconds since the epoch."""
        return Ledger(
            tuple(sent for sent in self.requests_sent if begin <= sent.sent_at < end),
            tuple(write for write in self.acknowledged if begin <= write.sent_at < end),
            tuple(mark for mark in self.marks if begin <= mark.at < end),
        )

    def of(
        self, *, version: str | None = None, slot: str | None = None, endpoint: str | None = None
    ) -> tuple[Sent, ...]:
        """The requests with this version, slot and endpoint; None is any."""
        return tuple(
            sent
            for sent in self.requests_sent
            if version in (None, sent.version) and slot in (None, sent.slot) and endpoint in (None, sent.endpoint)
        )

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return len(self.requests_sent)

    @property
    def failures(self) -> tuple[Sent, ...]:
        """The requests whose client saw a failure."""
        return tuple(sent for sent in self.requests_sent if sent.failed)

    @property
    def failed(self) -> int:
        """How many requests their clients saw fail."""
        return len(self.failures)

    def failed_on(self, slot: str) -> int:
        """Failures whose answer named this slot. Those without an answer are in `failed_without_slot`."""
        return sum(1 for sent in self.failures if sent.slot == slot)

    @property
    def failed_without_slot(self) -> tuple[Sent, ...]:
        """Failures nobody claimed (no answer); the proxy's records know their lane by `request_id`."""
        return tuple(sent for sent in self.failures if not sent.slot)

    @property
    def by_version(self) -> Counter[str]:
        """Requests by the version that answered; empty text where none did."""
        return Counter(sent.version for sent in self.requests_sent)

    @property
    def by_slot(self) -> Counter[str]:
        """Requests by the slot named in the answer."""
        return Counter(sent.slot for sent in self.requests_sent)

    def latency_ms(self, quantile: float, endpoint: str | None = None) -> float:
        """The latency that this part of the requests did not exceed, counted from the schedule."""
        values = sorted(sent.latency_ms for sent in self.of(endpoint=endpoint))
        return values[min(len(values) - 1, int(quantile * len(values)))] if values else float("nan")

    def wrong_values(
        self, admin_url: str, shape: Shape, undone: Mapping[str, float] = NOTHING_UNDONE
    ) -> Compared | None:
        """Compare every acknowledged order with the database, in this shape; None where the shape is not there."""
        return compare(admin_url, self.acknowledged, shape, undone)

    def lost_writes(self, admin_url: str, undone: Mapping[str, float] = NOTHING_UNDONE) -> list[LostWrite]:
        """Every acknowledged order that is not stored as told in one of the shapes that are there: once each."""
        compared = [done for shape in SHAPES if (done := self.wrong_values(admin_url, shape, undone)) is not None]
        assert compared, "the database has none of the shop's shapes"
        lost: dict[str, LostWrite] = {}
        for one in (wrong for done in compared for wrong in done.wrong):
            lost.setdefault(one.key, one)
        return [lost[write.key] for write in self.acknowledged if write.key in lost]

    def _at(self, name: str | None, otherwise: float, *, last: bool) -> float:
        if name is None:
            return otherwise
        times = [mark.at for mark in self.marks if mark.name == name]
        if not times:
            raise KeyError(f"no mark {name!r}; there are {[mark.name for mark in self.marks]}")
        return times[-1] if last else times[0]


def acknowledged_since(directory: Path, offset: int) -> tuple[tuple[Acknowledged, ...], int]:
    """The orders acknowledged since this place in the ledger's file, and the place of its end now."""
    path = directory / WRITES
    if not path.exists():
        return (), offset
    with path.open("rb") as file:
        file.seek(offset)
        whole, newline, _ = file.read().rpartition(b"\n")
    rows = tuple(_acknowledged(json.loads(line)) for line in whole.splitlines())
    return rows, offset + len(whole) + len(newline)


def _acknowledged(row: Mapping[str, Any]) -> Acknowledged:
    values: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in row.items()}
    return Acknowledged(**{**values, "lines": tuple((p, q) for p, q in row["lines"])})


Value = TypeVar("Value", Sent, Mark)


def _read(path: Path, kind: type[Value]) -> Iterator[Value]:
    names = {field.name for field in fields(kind)}
    return (kind(**{name: row[name] for name in names}) for row in _lines(path))


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
