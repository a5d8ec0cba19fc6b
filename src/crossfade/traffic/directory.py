"""The directory the proxy's files are in."""

from __future__ import annotations

import os
from pathlib import Path

from crossfade.model.errors import fail


def private_directory(path: Path) -> None:
    """Make the directory, ours alone. Raises `proxy-setting-invalid` where somebody else owns it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.getuid() or path.is_symlink():
        raise fail("proxy-setting-invalid", setting="state_dir", value=repr(str(path)), pattern="a directory of ours")
    if found.st_mode & 0o022:
        path.chmod(0o700)
