"""Reads what HAProxy's runtime socket prints. Pure: texts in, values out."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from crossfade.model.ports import Address, InFlight, Slot
from crossfade.traffic.haproxy_config import FRONTEND

_STREAM = re.compile(r"^0x[0-9a-f]+: \[(?P<at>[^\]]+)\] id=(?P<id>\d+) ", re.MULTILINE)
_FRONTEND = re.compile(r"^  frontend=(\S+)", re.MULTILINE)
_BACKEND = re.compile(r"^  backend=(\S+)", re.MULTILINE)
_STATUS = re.compile(r"^  txn=", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """One server line of a slot, in the running process."""

    slot: Slot
    name: str
    address: Address
    status: str  # up, down, drain, maint
    in_flight: int
    since_s: int  # seconds in this status


@dataclass(frozen=True)
class Counts:
    """What `show stat` says."""

    places: Sequence[Place]
    requests_ended: int


def parse_info(text: str) -> dict[str, str]:
    """`show info` as a table."""
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def parse_map(text: str) -> dict[str, str]:
    """`show map FILE` as a table: each line is `0xADDRESS key value`."""
    rows = (line.split(" ", 2) for line in text.splitlines() if line.startswith("0x"))
    return {row[1]: row[2] for row in rows if len(row) == 3}


def parse_stat(text: str) -> Counts:
    """`show stat`: places, and the answers the frontend counted, which is the number of records it wrote."""
    places: list[Place] = []
    ended = 0
    slots = {str(slot): slot for slot in Slot}
    for row in csv.DictReader(text.removeprefix("# ").splitlines()):
        proxy, server = row["pxname"], row["svname"]
        if proxy == FRONTEND and server == "FRONTEND":
            ended = sum(int(row[f"hrsp_{kind}"] or 0) for kind in ("1xx", "2xx", "3xx", "4xx", "5xx", "other"))
        elif proxy in slots and server not in ("BACKEND", "FRONTEND"):
            places.append(
                Place(
                    slots[proxy],
                    server,
                    parse_address(row["addr"]),
                    _status(row["status"]),
                    int(row["scur"] or 0),
                    int(row["lastchg"] or 0),
                )
            )
    return Counts(places, ended)


def parse_address(text: str) -> Address:
    """`host:port`, where an IPv6 host may stand in brackets."""
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))


def _status(raw: str) -> str:
    word = raw.split(" ", 1)[0].lower()  # "UP 1/2" is up, and about to be down
    if word == "maint":
        return "maint"
    if word in ("drain", "nolb"):
        return "drain"
    return "up" if word in ("up", "no") else "down"


def parse_sessions(text: str) -> list[InFlight]:
    """`show sess all`: requests accepted and not yet answered.

    The age is taken against the newest stream of the dump, which is the one that asked for it: both
    times come from the proxy's clock, which runs in UTC (`HaproxyProxy.argv`), so no summer time ages a request.
    """
    streams = list(_streams(text))
    if not streams:
        return []
    now = max(at for at, _, _ in streams)
    flying = []
    for at, key, block in streams:
        frontend, backend = _FRONTEND.search(block), _BACKEND.search(block)
        if not frontend or frontend[1] != FRONTEND or not backend or not _STATUS.search(block):
            continue
        if backend[1] in (Slot.LEFT, Slot.RIGHT):
            age_ms = max(0, round((now - at).total_seconds() * 1000))
            flying.append(InFlight(key, Slot(backend[1]), age_ms))
    return flying


def _streams(text: str) -> Iterator[tuple[datetime, str, str]]:
    found = list(_STREAM.finditer(text))
    for match, following in zip_longest(found, found[1:]):
        block = text[match.end() : following.start() if following else len(text)]
        at = datetime.strptime(match["at"], "%d/%b/%Y:%H:%M:%S.%f")  # noqa: DTZ007 (only differences are used)
        yield at, match["id"], block
