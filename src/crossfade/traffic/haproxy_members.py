"""Which instances stand in which places of a slot, now and after a restart.

Rule: the wanted layout is written first (the rendered file a restarted proxy reads, and members.json),
the running process is told second. A place that is taken away drains: it gets no new request, finishes
those it has, then is closed. After the drain cap its requests are cut.

Invariant: an address keeps its place for as long as it is a member, so its counters and its health are
its own; a place is given to another address only once it is closed.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossfade.host.files import write_private
from crossfade.model.errors import fail
from crossfade.model.ports import Address, Clock, Slot
from crossfade.traffic.haproxy_config import render
from crossfade.traffic.haproxy_facts import Place, parse_stat
from crossfade.traffic.haproxy_settings import HaproxySettings
from crossfade.traffic.haproxy_socket import RuntimeSocket

POLL_S = 0.05
Places = dict[str, Address]


def read_layout(settings: HaproxySettings) -> dict[Slot, Places]:
    """What a restarted proxy would start with."""
    if not settings.members_path.exists():
        return {slot: {} for slot in Slot}
    raw = json.loads(settings.members_path.read_text())
    return {slot: {name: Address(host, port) for name, (host, port) in raw.get(str(slot), {}).items()} for slot in Slot}


def write_layout(settings: HaproxySettings, layout: Mapping[Slot, Places]) -> None:
    """Write the rendered file, then the layout: a crash in between leaves a difference, so both are written again."""
    raw = {slot: {name: [at.host, at.port] for name, at in places.items()} for slot, places in layout.items()}
    write_private(settings.config_path, render(settings, layout))
    write_private(settings.members_path, json.dumps(raw, indent=1) + "\n")


def settle(held: Mapping[str, Address], wanted: Sequence[Address], free: Sequence[str]) -> tuple[Places, list[Address]]:
    """Give each wanted address a place: the one it holds, else a free one. Also says who found none. Pure."""
    places: Places = {}
    for name, address in held.items():
        if address in wanted and address not in places.values():
            places[name] = address
    rest = [address for address in dict.fromkeys(wanted) if address not in places.values()]
    open_places = [name for name in free if name not in places]
    places |= dict(zip(open_places, rest, strict=False))
    return places, rest[len(open_places) :]


def check_address(address: Address) -> Address:
    """Raise `proxy-setting-invalid` unless the host is an IP address, which is what HAProxy takes at run time."""
    try:
        ipaddress.ip_address(address.host)
    except ValueError as exc:
        raise fail(
            "proxy-setting-invalid",
            setting="an instance's host",
            value=repr(address.host),
            pattern="an IP address",
        ) from exc
    assert 0 < address.port < 65536, address
    return address


@dataclass
class Members:
    """Changes the members of one running proxy."""

    settings: HaproxySettings
    socket: RuntimeSocket
    clock: Clock

    def make(self, slot: Slot, addresses: Sequence[Address]) -> None:
        """Make exactly these the members; wait at most `drain_wait_s` for those that leave, then return.

        Called again it goes on where it was: what still drains is closed once it is empty.
        """
        wanted = [check_address(address) for address in addresses]
        until_s: float | None = None  # begins once those that leave were told; a slow disk is not their time
        told: set[str] = set()
        while True:
            places = [p for p in parse_stat(self.socket.ask("show stat")).places if p.slot is slot]
            layout = read_layout(self.settings)
            running = {p.name: p.address for p in places if p.status != "maint"}
            # Places the file does not know but which run hold their address too: they are being drained.
            held = {**running, **layout[slot]}
            chosen, left_over = settle(held, wanted, [p.name for p in places if p.status == "maint"])
            if layout[slot] != chosen or not self.settings.config_path.exists():
                write_layout(self.settings, {**layout, slot: chosen})
            self._bring_in(places, chosen)
            draining = self._take_away(places, chosen, told)
            if not draining and not left_over:
                return
            now_s = self.clock.monotonic_s()
            until_s = now_s + self.settings.drain_wait_s if until_s is None else until_s
            if now_s >= until_s:
                break
            self.clock.sleep(POLL_S)
        if left_over:
            first = left_over[0]
            raise fail(
                "proxy-places-full",
                slot=slot,
                address=f"{first.host}:{first.port}",
                places=self.settings.places,
                draining=draining,
            )

    def _bring_in(self, places: Sequence[Place], chosen: Mapping[str, Address]) -> None:
        for place in places:
            address = chosen.get(place.name)
            if address is None or (place.address == address and place.status in ("up", "down")):
                continue
            server = f"{place.slot}/{place.name}"
            if place.address != address:
                self.socket.tell(
                    f"set server {server} addr {address.host} port {address.port}",
                    accepted=("IP changed", "port changed", "no need to change", "nothing changed"),
                )
            self.socket.tell(f"set server {server} state ready")

    def _take_away(self, places: Sequence[Place], chosen: Mapping[str, Address], told: set[str]) -> int:
        """Drain what was not chosen and close what is empty; returns how many are not closed yet.

        Empty counts only when it was read after the drain began: a request may have come in between.
        """
        still = 0
        for place in places:
            if place.name in chosen or place.status == "maint":
                continue
            server = f"{place.slot}/{place.name}"
            if place.status != "drain" and place.name not in told:
                self.socket.tell(f"set server {server} state drain")
                told.add(place.name)
            elif place.in_flight == 0:
                self.socket.tell(f"set server {server} state maint")
                continue
            elif place.since_s > self.settings.drain_cap_s:
                self.socket.tell(f"shutdown sessions server {server}")
            still += 1
        return still
