"""The command lines of pg_dump and pg_restore, and what a schema looks like as text. Pure.

Rule: no argument holds an address or a password: the programs get both from their environment (PostgreSQL manual,
34.15). What is dumped is one database as one snapshot shows it. What would reach out of the copy (publications,
subscriptions) or does not exist there (tablespaces, security labels) is not restored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

LOCK_WAIT_S = 5
_NOT_IN_A_COPY = ("--no-publications", "--no-subscriptions", "--no-tablespaces", "--no-security-labels")


def environment_of(url: str) -> dict[str, str]:
    """The address as libpq's variables, for a child. It may hold a password: for an environment only."""
    variables = {option.keyword.decode(): option.envvar for option in Conninfo.get_defaults()}
    found = {}
    for keyword, value in conninfo_to_dict(url).items():
        variable = variables.get(keyword)
        if variable and value is not None:
            found[variable.decode()] = str(value)
    return {**found, "PGAPPNAME": "crossfade drill"}


def dump_argv(bin_dir: Path, file: Path, snapshot: str) -> list[str]:
    """Dump everything that the snapshot shows."""
    return [
        str(bin_dir / "pg_dump"),
        "--format=custom",
        "--compress=1",
        "--no-password",
        f"--lock-wait-timeout={LOCK_WAIT_S}s",
        f"--snapshot={snapshot}",
        f"--file={file}",
    ]


def schema_dump_argv(bin_dir: Path, file: Path, snapshot: str) -> list[str]:
    """Dump the schema alone."""
    return [*dump_argv(bin_dir, file, snapshot), "--schema-only"]


def rows_dump_argv(bin_dir: Path, file: Path, snapshot: str, tables: Sequence[str]) -> list[str]:
    """Dump the rows of these (quoted) tables alone."""
    return [*dump_argv(bin_dir, file, snapshot), "--data-only", *(f"--table={table}" for table in tables)]


def restore_argv(bin_dir: Path, file: Path, database: str, jobs: int) -> list[str]:
    """Restore a dump into an empty database; the first error ends it."""
    options = ["--exit-on-error", "--no-password", f"--jobs={jobs}", f"--dbname={database}", *_NOT_IN_A_COPY]
    return [str(bin_dir / "pg_restore"), *options, str(file)]


def script_argv(bin_dir: Path, file: Path, script: Path) -> list[str]:
    """Write the schema that a dump holds as SQL; no server is asked."""
    return [str(bin_dir / "pg_restore"), "--schema-only", f"--file={script}", str(file)]


def fingerprint(script: str) -> str:
    """What tells one schema from another: its SQL without comments and without what differs each time."""
    lines = [line for line in script.splitlines() if line and not line.startswith(("--", "\\"))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def without_secrets(text: str, env: Mapping[str, str]) -> str:
    """What a program said, with its password taken out should it have said it."""
    password = env.get("PGPASSWORD", "")
    return text.replace(password, "***") if password else text
