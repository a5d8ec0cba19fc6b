"""The demo's stage: a PostgreSQL of its own, the shop's versions as directories, and a crossfade.toml.

Rule: everything lies below one directory and runs on free loopback ports, so several demos stand side by
side and striking one touches nothing else. The stage is what a team has before it meets crossfade.
"""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from crossfade.demo.service.build import BASE, VERSIONS, materialize
from crossfade.demo.service.seed import prepare
from crossfade.embedded.cluster import Cluster
from crossfade.embedded.postgres import find_postgres
from crossfade.host.files import write_private
from crossfade.host.ports import free_port
from crossfade.model.ports import Clock
from crossfade.model.settings.parse import parse_config
from crossfade.runtime.supervisord import ensure_supervisord, find_supervisord
from crossfade.walk.site import Site

POSTGRES = "postgres"
MAX_CONNECTIONS = 60
ROLES = ("shop_left", "shop_right")  # one a lane, so the database can tell who writes
# Commits do not wait for the disk: the disk's stalls on a shared machine are not this demo's subject, and no
# story crashes the server.
SETTINGS = {"max_connections": str(MAX_CONNECTIONS), "shared_buffers": "64MB", "synchronous_commit": "off"}


@dataclass
class Stage:
    """One demo's directory and what runs in it. The faulty versions are built on the good one called `parent`."""

    directory: Path
    clock: Clock
    parent: str = BASE

    def __post_init__(self) -> None:
        self.port = free_port()
        programs = find_postgres()
        self.cluster = Cluster(self.directory / "postgres", free_port(), programs)

    @property
    def config_file(self) -> Path:
        """The demo's crossfade.toml."""
        return self.directory / "crossfade.toml"

    @property
    def base_url(self) -> str:
        """Where customers come in."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        """The superuser's URL of the demo's own database."""
        return self.cluster.admin_url()

    def site(self) -> Site:
        """The site of the configuration as it is written now."""
        return Site(parse_config(self.config_file.read_text(), str(self.config_file)), self.config_file, self.clock)

    def set_up(self, shares: Sequence[float]) -> None:
        """Make and start everything the shop has without crossfade."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.cluster.create(SETTINGS, lambda: secrets.token_hex(16))
        (self.directory / "state").mkdir(mode=0o700, exist_ok=True)
        supervisord = ensure_supervisord(self.directory / "state", self.clock)
        supervisord.add_part(
            POSTGRES,
            self.cluster.argv(),
            directory=self.cluster.directory,
            env={},
            stop_signal="INT",
            stop_wait_s=30,
            log=self.cluster.log_path,
            priority=10,
        )
        self.cluster.wait_ready(60, self.clock)
        password = secrets.token_hex(16)
        for role in ROLES:
            prepare(self.admin_url, role, password)
        write_private(self.directory / "app_password", password)
        write_private(self.directory / "admin_url", self.admin_url)
        for version in VERSIONS:
            materialize(version, self.directory / "versions" / version, self.parent)
        self.configure(shares)

    def configure(self, shares: Sequence[float]) -> None:
        """Write crossfade.toml with these shares."""
        filled = {
            "python": sys.executable,
            "run": secrets.token_hex(4),
            "database_port": str(self.cluster.port),
            "roles": ", ".join(f'"{role}"' for role in ROLES),
            "app_password_file": str(self.directory / "app_password"),
            "admin_url_file": str(self.directory / "admin_url"),
            "directories": ", ".join(f'{version} = "versions/{version}"' for version in VERSIONS),
            "port": str(self.port),
            "tomorrow": f"{self.clock.now() + timedelta(days=1):%Y-%m-%d}",
            "shares": ", ".join(f"{share:g}" for share in shares),
        }
        text = (Path(__file__).parent / "shop.toml").read_text()
        for name, value in filled.items():
            text = text.replace(f"<{name}>", value)
        self.config_file.write_text(text)

    def strike(self, *, keep: bool) -> None:
        """Stop what runs here, by its own process manager; remove the directory unless it is kept."""
        supervisord = find_supervisord(self.directory / "state", self.clock)
        if supervisord is not None:
            supervisord.shutdown()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)
