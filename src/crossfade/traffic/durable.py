"""Files that are whole or not there: written beside, synced, renamed, the directory synced."""

from __future__ import annotations

import os
from pathlib import Path

from crossfade.model.errors import fail


def write_durably(path: Path, text: str) -> None:
    """Replace the file with `text`, readable by its owner only, and return when a power cut cannot undo it."""
    beside = path.with_name(path.name + ".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def private_directory(path: Path) -> None:
    """Make the directory, ours alone. Raises `proxy-setting-invalid` where somebody else owns it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.getuid() or path.is_symlink():
        raise fail("proxy-setting-invalid", setting="state_dir", value=repr(str(path)), pattern="a directory of ours")
    if found.st_mode & 0o022:
        path.chmod(0o700)
