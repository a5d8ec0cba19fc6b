"""The bytes of a spool: one record a line, each with its checksum.

Rule: a line is eight hex digits of CRC-32, a space, one JSON object, a newline. Every line is fsynced before
the next one is written, so only the last line can be torn; a bad line with a good one after it is damage
that no crash explains, and nothing is guessed about it.

Invariant: `scan(encode(a) + encode(b) + any proper prefix of encode(c))` gives exactly a and b.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from zlib import crc32

Record = dict[str, object]


class DamagedError(Exception):
    """A line in the middle does not match its checksum; `line` counts from 1."""

    def __init__(self, line: int) -> None:
        self.line = line
        super().__init__(f"line {line} does not match its checksum")


def encode(record: Mapping[str, object]) -> bytes:
    """One record as one line."""
    body = json.dumps(record, separators=(",", ":"), allow_nan=False, ensure_ascii=True).encode("ascii")
    return b"%08x %s\n" % (crc32(body), body)


def decode(line: bytes) -> Record | None:
    """The record of one line without its newline; None where it is torn."""
    checksum, _, body = line.partition(b" ")
    if len(checksum) != 8 or checksum != b"%08x" % crc32(body):
        return None
    try:
        record = json.loads(body)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def scan(content: bytes, *, lines_before: int = 0) -> tuple[list[Record], int]:
    """Return the whole records of `content` and how many bytes they take; a torn tail is left out."""
    records: list[Record] = []
    good = 0
    while (end := content.find(b"\n", good)) >= 0:
        record = decode(content[good:end])
        if record is None:
            if _any_whole_line(content[end + 1 :]):
                raise DamagedError(lines_before + len(records) + 1)
            break
        records.append(record)
        good = end + 1
    return records, good


def _any_whole_line(rest: bytes) -> bool:
    return any(decode(line) is not None for line in rest.split(b"\n")[:-1])
