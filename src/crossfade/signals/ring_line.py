"""One line of the proxy's ring becomes one record. Pure.

Rule: the field order is `FIELDS`; a test holds it to the order in which the proxy writes them. A line
that has no assignment is of a request the proxy refused before it read it: it counts, but is no record.
A line whose numbers cannot be read is garbled, and counts as missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.model.ports import Record, Slot

FIELDS = (
    "pid",
    "at_us",
    "assigned",
    "backend",
    "answered",
    "instance",
    "share_bp",
    "unit",
    "status",
    "ended_by",
    "headers_us",
    "total_ms",
    "retries",
    "pinned",
    "key",
    "position",
    "method",
    "path",
)
NOTHING = ("", "-")


@dataclass(frozen=True)
class Line:
    """What one line says. `counted`: the proxy's counter of ended requests counts it, too."""

    pid: int
    counted: bool
    record: Record | None


def parse_line(text: str) -> Line | None:
    """Read one line; None where it is garbled."""
    values = text.split("\t", len(FIELDS) - 1)
    if len(values) != len(FIELDS):
        return None
    raw = dict(zip(FIELDS, values, strict=True))
    try:
        status = int(raw["status"])
        # An aborted request without a status is recorded, but the proxy's counters leave it out.
        return Line(int(raw["pid"]), status > 0, _record(raw, max(status, 0)))
    except ValueError:
        return None


def _record(raw: dict[str, str], status: int) -> Record | None:
    if raw["assigned"] in NOTHING:
        return None
    answered = raw["answered"] == "1"
    at_s = int(raw["at_us"]) / 1_000_000
    return Record(
        at=at_s,
        assigned=Slot(raw["assigned"]),
        served=Slot(raw["backend"]) if answered else None,
        instance="" if raw["instance"].startswith("-") else raw["instance"],
        share_bp=int(raw["share_bp"]),
        unit=_unit(raw["unit"]),
        method=raw["method"],
        path=raw["path"],
        status=status,
        ended_by=raw["ended_by"],
        headers_us=-1 if raw["headers_us"] in NOTHING else max(0, int(raw["headers_us"])),
        total_ms=max(0, int(raw["total_ms"])),
        retries=int(raw["retries"]),  # "+1" where the retry went to another instance
        pinned=raw["pinned"] not in NOTHING,
        position="" if raw["position"] in NOTHING else raw["position"],
        key=raw["key"],
    )


def _unit(raw: str) -> str:
    return "" if raw in NOTHING else f"{int(raw) & 0xFFFFFFFFFFFFFFFF:016x}"
