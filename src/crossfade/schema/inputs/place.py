"""Reads what the user points at: files, folders, `-` for standard input.

Rule: the order of the paths is the user's; the order within a folder is that of its tool. Every text is UTF-8, and
named so that FILE:LINE in a message opens in an editor.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from crossfade.model.errors import fail
from crossfade.schema.inputs.cleaning import cleaned
from crossfade.schema.inputs.layouts import migrations_in
from crossfade.schema.inputs.migration import Migration, Source
from crossfade.schema.inputs.rails_log import is_rails_log, sql_of_log
from crossfade.schema.inputs.tools import Tools, with_tools

STDIN = "<stdin>"


def _stdin() -> bytes:
    return sys.stdin.buffer.read()


def read_place(
    paths: Sequence[str | Path],
    *,
    within: Path | None = None,
    stdin: Callable[[], bytes] = _stdin,
    tools: Tools | None = None,
) -> list[Migration]:
    """Read the migrations at `paths` in order, named relative to `within`.

    Without `tools` no program is run, whatever a file asks for. Raises `input-nothing`, `input-unreadable`,
    `input-order`, `input-psql`, `input-from`, `input-tool`.
    """
    migrations: list[Migration] = []
    for path in paths:
        if str(path) == "-":
            migrations.append(Migration(STDIN, _texts(STDIN, stdin(), tools)))
            continue
        place = (within or Path()) / path
        try:
            found = migrations_in(place) if place.is_dir() else [(Path(path).name, place)]
            for name, file in found:
                told = str(file.relative_to(within) if within else file)
                migrations.append(Migration(name, _texts(told, file.read_bytes(), tools)))
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise fail("input-unreadable", where=exc.filename or place, reason=reason) from exc
    return migrations


def _texts(name: str, data: bytes, tools: Tools | None) -> Sequence[Source]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        reason = f"byte 0x{data[exc.start]:02x} is not UTF-8"
        raise fail("input-unreadable", where=f"{name}:{line}", reason=reason) from exc
    if "\0" in text:  # PostgreSQL's parser would take it for the end
        line = text[: text.index("\0")].count("\n") + 1
        raise fail("input-unreadable", where=f"{name}:{line}", reason="a zero byte is not text")
    if is_rails_log(text):
        text = sql_of_log(text)
    return with_tools(Source(name, cleaned(name, text)), tools)
