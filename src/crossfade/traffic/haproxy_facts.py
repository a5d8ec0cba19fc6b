"""Reads what HAProxy's runtime socket prints. Pure: texts in, values out."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.model.ports import Address, InFlight, Slot
from crossfade.traffic.haproxy_config import FRONTEND

_FLYING = re.compile(r"0x[0-9a-f]+: key=(?P<key>\S+) .*gpc0=(?P<answers>\d+) conn_cur=[1-9]")


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


def parse_flying(text: str, now_us: int) -> list[InFlight]:
    """`show table` of the requests in flight: what each line's key says, and how old it is by the proxy's clock.

    The clock is the host's, which is ours as well; the session list would give the age of the connection,
    idle time included, and not name the request.
    """
    flying = []
    for row in text.splitlines():
        match = _FLYING.match(row)
        if match is None:
            continue
        key, at_us, slot, pin, method, path = re.sub(r"\\(.)", r"\1", match["key"]).split("|", 5)
        if slot not in (Slot.LEFT, Slot.RIGHT):
            continue
        flying.append(
            InFlight(
                key=key,
                slot=Slot(slot),
                age_ms=max(0, (now_us - int(at_us)) // 1000),
                answering=match["answers"] != "0",
                method=method,
                path=path,
                pinned=pin not in ("", "-"),
            )
        )
    return flying
