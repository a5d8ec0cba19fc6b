"""Find and load `crossfade.toml`.

Rule: the file named with --config, before or after the command's name; else the nearest one in the working
directory or above it. Everything relative in the file is relative to its own directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import click

from crossfade.model.errors import fail
from crossfade.model.requirement import Config
from crossfade.model.settings.parse import parse_config

FILE_NAME = "crossfade.toml"


@dataclass(frozen=True)
class Loaded:
    """A checked configuration, and where it came from."""

    path: Path
    text: str
    config: Config


def find_config(start: Path) -> Path | None:
    """The nearest crossfade.toml in `start` or above it."""
    start = start.resolve()
    return next((path for d in (start, *start.parents) if (path := d / FILE_NAME).is_file()), None)


def read_config_file(given: Path | None, start: Path) -> tuple[Path, str]:
    """The file's path and text. Raises `config-missing`, `config-not-found` or `config-unreadable`."""
    path = given.resolve() if given is not None else find_config(start)
    if path is None:
        raise fail("config-missing", directory=start.resolve())
    if not path.exists():
        raise fail("config-not-found", file=path)
    try:
        return path, path.read_text(encoding="utf-8")
    except OSError as exc:
        raise fail("config-unreadable", file=path, reason=exc.strerror or exc) from exc
    except UnicodeDecodeError as exc:
        reason = f"byte {exc.start} is not UTF-8"
        raise fail("config-unreadable", file=path, reason=reason) from exc


def load_config(given: Path | None, start: Path, today: date | None = None) -> Loaded:
    """Find, read and check. Raises the errors of `read_config_file`, and `config-invalid`."""
    path, text = read_config_file(given, start)
    return Loaded(path, text, parse_config(text, shown(path, start), today))


def shown(path: Path, start: Path) -> str:
    """The path as a person in `start` would type it, where it lies below."""
    start = start.resolve()
    return str(path.relative_to(start)) if path.is_relative_to(start) else str(path)


def given_config(own: Path | None) -> Path | None:
    """What --config says: after the command's name, or before it."""
    context = click.get_current_context(silent=True)
    before = context.find_root().params.get("config") if context is not None else None
    return own or (Path(before) if before else None)
