"""Debian's PgBouncer on a free loopback port, as an ordinary user: it refuses root, as PostgreSQL does.

    with PgBouncer(directory, cluster.port, {"shop_left": "secret", "shop_right": "secret"}) as pooler:
        psycopg.connect(pooler.url("shop_left", "shop"), prepare_threshold=None)
        Census(admin_url, pooler.console_url, clock)

`directory` must be one that other users can enter. Where the program is not installed, tests are skipped by name:
`pytestmark = needs_pgbouncer`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from crossfade.embedded import as_user
from crossfade.host.files import write_private

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
CONSOLE_USER = "stats"  # may look, may not pause or kill

needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed: apt-get install pgbouncer")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class PgBouncer:
    """One pooler before the PostgreSQL at `database_port`; it serves every database under its own name.

    `databases` are lines of its own [databases] section, by alias; `settings` go into [pgbouncer].
    """

    directory: Path
    database_port: int
    passwords: Mapping[str, str]  # by role, as PostgreSQL knows them
    settings: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.console_password = secrets.token_hex(8)

    def __enter__(self) -> PgBouncer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, role: str, database: str) -> str:
        """Where a client connects as `role`."""
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{database}"

    @property
    def console_url(self) -> str:
        """Where its console answers."""
        return f"postgresql://{CONSOLE_USER}:{self.console_password}@127.0.0.1:{self.port}/pgbouncer"

    def start(self) -> None:
        """Start it and wait until its console answers."""
        assert PROGRAM is not None
        program = Path(PROGRAM)
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o711)
        run_as = as_user.decide(
            as_user.ways_here(self.directory), self.directory, program, may_copy=False, probe=as_user.try_to_run
        ).run_as
        users = {**self.passwords, CONSOLE_USER: self.console_password}
        lines = "".join(f'"{name}" "{password}"\n' for name, password in users.items())
        write_private(self.directory / "users.txt", lines, give=run_as.give)
        write_private(self.directory / "pgbouncer.ini", self._ini(), give=run_as.give)
        with (self.directory / "pgbouncer.log").open("ab") as log:
            self.process = subprocess.Popen(
                run_as.argv(self.directory, [PROGRAM, str(self.directory / "pgbouncer.ini")]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_ready()

    def stop(self) -> None:
        """End it at once, with every connection through it."""
        if self.process is not None:
            self.process.terminate()  # SIGTERM: immediate shutdown
            self.process.wait(timeout=20)
            self.process = None

    def _ini(self) -> str:
        own = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(self.directory / "users.txt"),
            "stats_users": CONSOLE_USER,
            "pool_mode": "transaction",
            "max_client_conn": "100",
            "default_pool_size": "5",
            **self.settings,
        }
        target = f"host=127.0.0.1 port={self.database_port}"
        databases = {**{alias: f"{target} {line}" for alias, line in self.databases.items()}, "*": target}
        sections = {"databases": databases, "pgbouncer": own}
        return "".join(
            f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())
            for section, lines in sections.items()
        )

    def _wait_ready(self) -> None:
        until_s = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(self.console_url, autocommit=True, connect_timeout=2).close()
                return
            except psycopg.OperationalError as exc:
                ended = self.process is None or self.process.poll() is not None
                if ended or time.monotonic() > until_s:
                    log = (self.directory / "pgbouncer.log").read_text(encoding="utf-8", errors="replace")
                    raise AssertionError(f"PgBouncer does not answer: {exc}\n{log[-2000:]}") from exc
                time.sleep(0.05)
