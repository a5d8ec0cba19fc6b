"""What a HAProxy of ours is told once, at installation.

Rule: everything that changes during a release (share, salt, pin, fuse, position) is in the fader map and
everything here is fixed, so no release ever reloads the proxy. Members change too; they are in the
runtime and, for the next start, in the rendered file.

Invariant: every text from a requirement that ends up in the configuration file was checked here against
a set of harmless characters; nobody can add a directive by naming a cookie.
"""

from __future__ import annotations

import re
import resource
from dataclasses import dataclass
from pathlib import Path

from crossfade.model.errors import fail

MAXCONN_CAP = 20_000
FILES_KEPT_BACK = 300  # listeners, checks, the ring, the socket
_TOKEN = re.compile(r"[A-Za-z0-9!$&*+._~^-]{1,64}")
_PATH = re.compile(r"/[A-Za-z0-9._~/@:+,=?&%-]{0,200}")
_HOST = re.compile(r"[0-9a-fA-F.:]{2,45}")


@dataclass(frozen=True)
class Route:
    """Requests whose path starts with `prefix` may take longer (or less long) than the others."""

    prefix: str
    server_timeout_s: float


@dataclass(frozen=True)
class HaproxySettings:
    """One HAProxy in front of one service."""

    binary: str
    state_dir: Path
    host: str
    port: int
    collector_port: int  # where the records go: 127.0.0.1
    places: int = 8  # instances one slot can hold at a time, those that drain included
    health_path: str = "/healthz"  # shallow: keeps an instance in the pool
    unit_cookie: str | None = None  # the routing unit; the cookie wins where a request carries both
    unit_header: str | None = None
    connect_timeout_ms: int = 200  # also the pause before a retry at the same instance
    server_timeout_s: float = 30
    client_timeout_s: float = 30
    drain_cap_s: float = 60  # a removed instance's requests are cut after this
    drain_wait_s: float = 1  # how long set_members waits for them before it returns
    fuse_window_s: int = 10
    routes: tuple[Route, ...] = ()
    idempotent_methods: tuple[str, ...] = ("GET", "HEAD", "OPTIONS")
    ring_bytes: int = 8 * 1024 * 1024  # some 50,000 records wait for a collector that comes late
    health_interval_ms: int = 500
    threads: int = 1
    maxconn: int | None = None  # None: computed from the limit of open files
    keep_server_connections: bool = False  # a POST on a kept connection fails when the instance closes it first

    @property
    def map_path(self) -> Path:
        """The fader map: what a restarted proxy starts from."""
        return self.state_dir / "fader.map"

    @property
    def config_path(self) -> Path:
        """The rendered configuration."""
        return self.state_dir / "haproxy.cfg"

    @property
    def members_path(self) -> Path:
        """Which address each place holds."""
        return self.state_dir / "members.json"

    @property
    def socket_path(self) -> Path:
        """The runtime socket. Its directory may be deeper than AF_UNIX allows: both sides name it relatively."""
        return self.state_dir / "admin.sock"

    @property
    def place_names(self) -> tuple[str, ...]:
        """The places of either slot."""
        return tuple(f"place{n}" for n in range(1, self.places + 1))

    def connections_max(self) -> int:
        """`maxconn`: two files for each connection must fit, or HAProxy refuses to start."""
        if self.maxconn is not None:
            return self.maxconn
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard == resource.RLIM_INFINITY:
            return MAXCONN_CAP
        return max(50, min(MAXCONN_CAP, (hard - FILES_KEPT_BACK) // 2))

    def check(self) -> HaproxySettings:
        """Raise `proxy-setting-invalid` where a text could not stand in the file; hand the settings back."""
        texts: list[tuple[str, str | None, re.Pattern[str]]] = [
            ("host", self.host, _HOST),
            ("health_path", self.health_path, _PATH),
            ("unit_cookie", self.unit_cookie, _TOKEN),
            ("unit_header", self.unit_header, _TOKEN),
            ("state_dir", str(self.state_dir), re.compile(r"/[A-Za-z0-9._~/@:+,=-]{1,500}")),
        ]
        texts += [("routes", route.prefix, _PATH) for route in self.routes]
        texts += [("idempotent_methods", method, re.compile("[A-Z]{1,20}")) for method in self.idempotent_methods]
        for name, text, pattern in texts:
            if text is not None and not pattern.fullmatch(text):
                raise fail("proxy-setting-invalid", setting=name, value=repr(text), pattern=pattern.pattern)
        assert 1 <= self.places <= 64, self.places
        assert self.idempotent_methods, "at least one method, or leave the default"
        return self
