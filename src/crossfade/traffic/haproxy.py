"""HAProxy as the fader.

Rule: each method writes what a restart starts from, then tells the running process; each may be called
again at any time. A release never reloads the proxy: share, salt, pin, fuse and position are map
entries, members are places (`haproxy_config` says how).

What holds when the controller is dead: the share stays, the fuse watches and trips, a proxy that is
killed and started again has the same share, members, salt, pin and limits.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace

from crossfade.host.files import write_private
from crossfade.model.errors import fail
from crossfade.model.ports import Address, Clock, Fader, Member, ProxyFacts, Slot
from crossfade.traffic.directory import private_directory
from crossfade.traffic.fader_map import Entries, read, read_file, write_file
from crossfade.traffic.haproxy_config import render
from crossfade.traffic.haproxy_facts import parse_flying, parse_info, parse_map, parse_stat
from crossfade.traffic.haproxy_members import Members, read_layout
from crossfade.traffic.haproxy_rules import FLYING_TABLE
from crossfade.traffic.haproxy_settings import HaproxySettings
from crossfade.traffic.haproxy_socket import RuntimeSocket

CHECK_TIMEOUT_S = 20


class HaproxyProxy:
    """`Proxy` over one HAProxy process that something else starts and restarts."""

    has_fuse = True
    knows_members = True

    def __init__(self, settings: HaproxySettings, clock: Clock) -> None:
        self.settings = settings.check()
        self._socket = RuntimeSocket(settings.socket_path)
        self._clock = clock
        self._members = Members(settings, self._socket, clock)

    # -- installation -----------------------------------------------------------------------------

    def install(self) -> list[str]:
        """Make the directories, write all files, and return the command the process manager runs."""
        self.write_config()
        return self.argv()

    def write_config(self) -> None:
        """Write map and configuration from the settings and what was in force; HAProxy must accept them.

        A configuration it does not accept raises `proxy-config-invalid` and the one before stays.
        """
        settings = self.settings
        private_directory(settings.state_dir)
        write_file(settings.map_path, self._in_file())
        candidate = settings.config_path.with_name("haproxy.candidate.cfg")
        text = render(settings, read_layout(settings))
        write_private(candidate, text)
        checked = subprocess.run(
            [settings.binary, "-c", "-C", str(settings.state_dir), "-f", candidate.name],
            capture_output=True,
            text=True,
            timeout=CHECK_TIMEOUT_S,
            check=False,
        )
        if checked.returncode != 0:
            lines = (checked.stderr + checked.stdout).splitlines()
            said = "\n".join([line for line in lines if "[ALERT]" in line] or lines)
            raise fail("proxy-config-invalid", file=candidate, output=said)
        candidate.unlink()
        if not settings.config_path.exists() or settings.config_path.read_text() != text:
            write_private(settings.config_path, text)

    def argv(self) -> list[str]:
        """The command that runs the proxy in the foreground. SIGUSR1 ends it when its requests have ended.

        `env` becomes the proxy, so the process id is the same; UTC keeps summer time out of what it prints.
        """
        settings = self.settings
        return [
            "/usr/bin/env",
            "TZ=UTC0",
            settings.binary,
            "-db",
            "-C",
            str(settings.state_dir),
            "-f",
            settings.config_path.name,
        ]

    # -- the fader --------------------------------------------------------------------------------

    def set_fader(self, fader: Fader) -> None:
        """Put share, old slot, salt, pin and fuse in force, in one atomic change."""
        assert fader.fuse is None or fader.fuse.window_s == self.settings.fuse_window_s, "the window is fixed"
        self._put(self._in_file().with_fader(fader.check_invariants()), "fader")

    def set_mark(self, mark: str) -> None:
        """Stamp the record of every request accepted from here on."""
        self._put(replace(self._in_file(), mark=mark).check_invariants(), "mark")

    def set_members(self, slot: Slot, addresses: Sequence[Address]) -> None:
        """Make exactly these the slot's members; see `haproxy_members` for those that leave."""
        self._members.make(slot, addresses)

    def observe(self) -> ProxyFacts:
        """Read what is in force. A trip seen here is written to the file, so that a restart keeps it."""
        info = parse_info(self._socket.ask("show info"))
        running = self._in_process()
        in_file = self._in_file()
        if running.fuse_tripped and running.generation == in_file.generation and not in_file.fuse_tripped:
            write_file(self.settings.map_path, replace(in_file, tripped_generation=running.generation))
        table = self._socket.ask(f"show table {FLYING_TABLE} data.conn_cur gt 0")
        flying = parse_flying(table, round(self._clock.now().timestamp() * 1_000_000))
        wanted = read_layout(self.settings)
        counts = parse_stat(self._socket.ask("show stat"))  # last: the total is compared with records at once
        members: dict[Slot, list[Member]] = {slot: [] for slot in Slot}
        for place in counts.places:
            if place.status != "maint" or place.name in wanted[place.slot]:
                members[place.slot].append(Member(place.name, place.address, place.status, place.in_flight))
        return ProxyFacts(
            fader=running.fader,
            fuse_tripped=running.fuse_tripped,
            members=members,
            in_flight=flying,
            requests_total=counts.requests_ended,
            started_at=f"{info['Pid']}@{info['Start_time_sec']}",
        )

    def pid(self) -> int:
        """The process that serves, as it says itself over its socket, which only its owner can open."""
        return int(parse_info(self._socket.ask("show info"))["Pid"])

    def _in_file(self) -> Entries:
        return read_file(self.settings.map_path, self.settings.fuse_window_s)

    def _in_process(self) -> Entries:
        answer = self._socket.ask(f"show map {self.settings.map_path}")
        return read(parse_map(answer), self.settings.fuse_window_s)

    def _put(self, entries: Entries, key: str) -> None:
        settings = self.settings
        write_file(settings.map_path, entries)
        value = entries.values()[key]
        secret = entries.fader.pin
        shown = f"set map {settings.map_path} {key} " + (value.replace(secret, "...") if secret else value)
        self._socket.tell(f"set map {settings.map_path} {key} {value}", shown=shown)
