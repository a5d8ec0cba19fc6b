"""psql, as a person would run a file: it stops at the first error, and says what the server said.

Rule: the file goes in by standard input and the password by the environment; nothing of either is in an argument.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from crossfade.backup.dump import environment_of
from crossfade.model.errors import fail
from crossfade.walk.guarded import plain_environment

LIMIT_S = 600.0
# "cannot run inside a transaction block", and "unsafe use of new value" of an enumeration
_OUTSIDE = ("25001", "55P04")


@dataclass(frozen=True)
class Refusal:
    """What the server said against a file."""

    sqlstate: str
    message: str

    def __str__(self) -> str:
        return self.message

    @property
    def needs_no_transaction(self) -> bool:
        """Whether it might go through statement by statement."""
        return self.sqlstate in _OUTSIDE


def find_psql(bin_dir: Path) -> Path:
    """psql beside the server's programs. Raises `scratch-programs-missing`."""
    program = bin_dir / "psql"
    if not program.is_file():
        raise fail("scratch-programs-missing", what="the audit", major=bin_dir, found=f"there is no psql in {bin_dir}")
    return program


def run_psql(program: Path, url: str, text: str, *, single_transaction: bool = False) -> Refusal | None:
    """Run a file's text; None where the server took all of it."""
    argv = [str(program), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-f", "-"]
    done = subprocess.run(
        [*argv, "--single-transaction"] if single_transaction else argv,
        input=text,
        env={
            **plain_environment(),
            **environment_of(url),
            "PGAPPNAME": "psql",
            "PGOPTIONS": "-c client_min_messages=error",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    if done.returncode == 0:
        return None
    errors = [line.partition("ERROR:")[2].strip() for line in done.stderr.splitlines() if "ERROR:" in line]
    sqlstate, _, message = (errors[0] if errors else done.stderr.strip()).partition(": ")
    return Refusal(sqlstate.strip(), message.strip() or sqlstate)
