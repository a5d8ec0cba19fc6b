"""Private files that are whole or not there: written beside, moved into place, and synced where that matters.

Rule: mode 0600 from the first byte on; whoever is killed in between leaves the old content or the new one.
Only the standard library is used here: a launcher reads this module before every start of a process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path


def write_private(path: Path, text: str, *, durable: bool = True, give: Callable[[Path], None] | None = None) -> None:
    """Replace the file. `durable` returns when a power cut cannot undo it; `give` may hand the file to an owner."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        if durable:
            stream.flush()
            os.fsync(stream.fileno())
    if give is not None:
        give(beside)
    beside.replace(path)
    if durable:
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def write_json(path: Path, value: Mapping[str, object], *, durable: bool = False) -> None:
    """Replace the file with one JSON object; its folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(value, default=str), durable=durable)


def read_json(path: Path) -> dict[str, object] | None:
    """The object in the file; None where there is no file. Raises ValueError for anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(value, dict):
        raise ValueError(f"{path} does not hold a JSON object")  # noqa: TRY004 (the content is wrong, not a type)
    return value
