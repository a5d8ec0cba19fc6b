"""A PostgreSQL for one copy: made, used and removed in one block, and never the server the copy came from.

Rule: what is in `state_dir/scratch/` belongs to the process that holds its lock; what nobody holds is a remainder
of a process that was killed, and is removed before the next copy is made. The server is a guarded child: it ends
when this process does. Its durability is off, for it has nothing that must last.

For root the server runs as another user, who cannot enter a state directory that is root's alone. Then its data is
in a directory of root's below the system's temporary one, named after the state directory so that it is found again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from crossfade.embedded.cluster import SUPERUSER, Cluster
from crossfade.embedded.postgres import find_postgres
from crossfade.embedded.program import PostgresPrograms
from crossfade.host.ports import free_port
from crossfade.journal.flock import take
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock
from crossfade.walk.guarded import child

__all__ = ["SUPERUSER", "ScratchCluster", "scratch_cluster", "scratch_programs", "sweep", "system_identifier"]

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "4GB",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}
START_S = 60.0
_LOCK = "held"


@dataclass(frozen=True)
class ScratchCluster:
    """A running one. `directory` is private, for what belongs to the copy (its dump, its logs)."""

    directory: Path
    cluster: Cluster

    @property
    def bin_dir(self) -> Path:
        """The programs of its version."""
        return self.cluster.programs.bin_dir

    @property
    def port(self) -> int:
        """Where it listens at 127.0.0.1."""
        return self.cluster.port

    def admin_url(self, database: str = "postgres") -> str:
        """The superuser's URL; it holds the password."""
        return self.cluster.admin_url().rsplit("/", 1)[0] + f"/{database}"

    def password(self) -> str:
        """The superuser's password."""
        return (self.cluster.directory / "password").read_text(encoding="utf-8")


def scratch_programs(bin_dir: str, major: int, what: str) -> PostgresPrograms:
    """The programs of that major version, pg_dump and pg_restore among them. Raises `scratch-programs-missing`."""
    try:
        programs = find_postgres(bin_dir or None, major)
    except CrossfadeError as exc:
        facts = exc.kind.facts.format(**exc.facts)
        raise fail("scratch-programs-missing", major=major, what=what, found=f"{exc.message}\n{facts}") from exc
    for name in ("pg_dump", "pg_restore"):
        if not (programs.bin_dir / name).is_file():
            found = f"there is no {name} in {programs.bin_dir}"
            raise fail("scratch-programs-missing", major=major, what=what, found=found)
    return programs


@contextmanager
def scratch_cluster(state_dir: Path, programs: PostgresPrograms, clock: Clock) -> Iterator[ScratchCluster]:
    """Make and start one; stop and remove it when the block ends. Raises the errors of a cluster."""
    sweep(state_dir, clock)
    name = secrets.token_hex(6)
    directory = state_dir / "scratch" / name
    directory.mkdir(mode=0o700, parents=True)
    place = _server_place(state_dir) / name
    held = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        assert take(held, 0, clock), "the name is new"
        cluster = Cluster(place / "server", free_port(), programs)
        place.mkdir(mode=0o711, parents=True, exist_ok=True)
        cluster.create(SETTINGS, lambda: secrets.token_hex(16))
        with child(cluster.argv(), env={"LC_ALL": "C"}, log=directory / "server.log"):
            try:
                cluster.wait_ready(START_S, clock)
                yield ScratchCluster(directory, cluster)
            finally:
                _stop(cluster)
    finally:
        os.close(held)
        _remove(state_dir, name)


def sweep(state_dir: Path, clock: Clock) -> list[str]:
    """Remove what killed processes left; the names of it."""
    gone = []
    for directory in sorted((state_dir / "scratch").glob("*")):
        held = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if take(held, 0, clock):
                _remove(state_dir, directory.name)
                gone.append(directory.name)
        finally:
            os.close(held)
    return gone


def system_identifier(url: str) -> str | None:
    """Which cluster answers there; None where the server hides it."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        try:
            row = connection.execute("SELECT system_identifier::text FROM pg_catalog.pg_control_system()").fetchone()
        except psycopg.Error:
            return None
        return None if row is None else str(row[0])


def _stop(cluster: Cluster) -> None:
    with suppress(CrossfadeError):  # its guard ends it, whatever it does
        cluster.stop(20)


def _remove(state_dir: Path, name: str) -> None:
    place, scratch = _server_place(state_dir), state_dir / "scratch"
    shutil.rmtree(place / name, ignore_errors=True)
    shutil.rmtree(scratch / name, ignore_errors=True)
    if place != scratch.resolve():
        with suppress(OSError):  # another copy is in it
            place.rmdir()


def _server_place(state_dir: Path) -> Path:
    scratch = (state_dir / "scratch").resolve()
    if os.geteuid() != 0 or all(_open_to_pass(place) for place in (scratch, *scratch.parents)):
        return scratch
    name = hashlib.sha256(str(scratch).encode()).hexdigest()[:12]
    place = Path(tempfile.gettempdir()) / f"crossfade-scratch-{name}"
    try:
        place.mkdir(mode=0o711)
    except FileExistsError:
        found = place.lstat()
        if found.st_uid != 0 or place.is_symlink() or found.st_mode & 0o022:
            raise fail("scratch-place-taken", place=place) from None
    return place


def _open_to_pass(place: Path) -> bool:
    return not place.exists() or bool(place.stat().st_mode & 0o001)
