"""Programs crossfade does not ship: where one was found, and which version it says it is.

Rule: what the user names comes first, then what is installed, then the wheel of `crossfade[demo]`. A
named program that does not do is an error, never silently replaced; an installed one that does not do
is passed over.

Invariant: a `Program` or `PostgresPrograms` was run once to ask its version, so it exists and runs.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Source = Literal["named", "installed", "wheel"]

_VERSION = re.compile(r"\b(\d+(?:\.\d+)*)\S*")
_ASK_TIMEOUT_S = 20


@dataclass(frozen=True)
class Program:
    """One executable that was found and runs."""

    path: Path
    version: str
    source: Source


@dataclass(frozen=True)
class PostgresPrograms:
    """The directory that holds postgres, initdb and pg_ctl of one version."""

    bin_dir: Path
    version: str
    source: Source

    @property
    def major(self) -> int:
        """The major version, which the data directory must match."""
        return version_key(self.version)[0]


@dataclass(frozen=True)
class Places:
    """Where to look besides what the user names: directories of the machine, and of the wheel if it is there."""

    installed: Sequence[Path]
    wheel: Path | None


class CannotRun(Exception):
    """A file is not a program that tells its version; the text is the reason."""


def ask_version(path: Path, flag: str) -> str:
    """Run the program with its version flag and return the version it names; raise `CannotRun`."""
    try:
        answer = subprocess.run(
            [str(path), flag],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise CannotRun(f"no answer to {flag} within {_ASK_TIMEOUT_S} s") from exc
    except OSError as exc:
        raise CannotRun(exc.strerror or str(exc)) from exc
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).strip().splitlines()
        raise CannotRun(f"{flag} ended with exit code {answer.returncode}" + (f": {said[-1]}" if said else ""))
    found = _VERSION.search(answer.stdout)
    if found is None:
        raise CannotRun(f"{flag} printed no version")
    return found.group(0).rstrip(",;)")


def version_key(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparing: `2.8.25-5cf5d06` is (2, 8, 25)."""
    leading = _VERSION.match(version)
    assert leading is not None, version
    return tuple(int(part) for part in leading.group(1).split("."))


def wheel_directory(package: str) -> Path | None:
    """The directory of an installed wheel, without importing it: its import may start or change things."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent
