"""The fader as the proxy holds it: three map entries, in a file and in the running process.

Rule: the file is written first, the process told second; so the file is never behind, and a proxy that
dies in between starts with what was wanted. `Entries` is the whole content; `line()` and `read()` are
each other's inverse (a property test holds them to it).

Invariant: the fuse's generation grows by one each time it is armed and by nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from crossfade.host.files import write_private
from crossfade.model.ports import FULL_BP, Fader, FuseLimit, Slot
from crossfade.traffic.haproxy_rules import FADER_AT_REST, NOTHING, PIN_MIN

RATIO_PPM = 1_000_000
_SAFE = re.compile(r"[A-Za-z0-9_.:=+/@()-]{1,200}")
_SECRET = re.compile(rf"[A-Za-z0-9_.=+/-]{{{PIN_MIN},200}}")  # no colon: it ends the secret in the header


@dataclass(frozen=True)
class Entries:
    """What stands in the map."""

    fader: Fader
    generation: int = 0
    mark: str = ""
    tripped_generation: int = 0  # 0: none

    @property
    def fuse_tripped(self) -> bool:
        """Whether the fuse that is armed now has tripped."""
        return self.fader.fuse is not None and self.tripped_generation == self.generation

    def check_invariants(self) -> Entries:
        """Assert that every text may stand in the map, and hand the value back."""
        self.fader.check_invariants()
        salt, mark = self.fader.salt, self.mark
        assert not salt or (_SAFE.fullmatch(salt) and salt != NOTHING), salt
        assert not self.fader.pin or _SECRET.fullmatch(self.fader.pin), "a pin is 16 characters or more, no colon"
        assert not mark or (_SAFE.fullmatch(mark) and mark != NOTHING), mark
        assert self.fader.fuse is None or (self.fader.fuse.failures > 0 and self.generation > 0), self.generation
        return self

    def with_fader(self, fader: Fader) -> Entries:
        """The entries after `fader` was asked for: arming begins a new generation, disarming clears the latch."""
        arms = fader.fuse is not None and self.fader.fuse is None
        return replace(self, fader=fader, generation=self.generation + arms).check_invariants()

    def fader_value(self) -> str:
        """The value of the entry `fader`."""
        self.check_invariants()
        fader, fuse = self.fader, self.fader.fuse
        share = fader.new_share_bp
        right_bp = share if fader.old is Slot.LEFT else FULL_BP - share
        limits = (1, fuse.failures, round(fuse.ratio * RATIO_PPM)) if fuse else (0, 0, 0)
        return "|".join(
            map(
                str,
                (right_bp, fader.old, fader.salt or NOTHING, fader.pin or NOTHING, self.generation, *limits),
            )
        )

    def values(self) -> dict[str, str]:
        """All entries, by key."""
        return {
            "fader": self.fader_value(),
            "mark": self.mark or NOTHING,
            "tripped": str(self.tripped_generation or NOTHING),
        }


def read(values: Mapping[str, str], window_s: int) -> Entries:
    """The entries from their values; what is missing is at rest."""
    right, old, salt, pin, generation, armed, failures, ratio = values.get("fader", FADER_AT_REST).split("|")
    slot = Slot(old)
    share = int(right) if slot is Slot.LEFT else FULL_BP - int(right)
    fuse = FuseLimit(int(failures), int(ratio) / RATIO_PPM, window_s) if armed == "1" else None
    tripped = values.get("tripped", NOTHING)
    mark = values.get("mark", NOTHING)
    return Entries(
        Fader(slot, share, _text(salt), fuse, _text(pin)),
        int(generation),
        _text(mark),
        0 if tripped == NOTHING else int(tripped),
    )


def _text(value: str) -> str:
    return "" if value == NOTHING else value


def parse_lines(lines: Iterable[str]) -> dict[str, str]:
    """Key and value of each line `key value`, as in the file."""
    return dict(line.split(" ", 1) for line in lines if " " in line.strip())


def read_file(path: Path, window_s: int) -> Entries:
    """What a restarted proxy would start from."""
    text = path.read_text() if path.exists() else ""
    return read(parse_lines(text.splitlines()), window_s)


def write_file(path: Path, entries: Entries) -> None:
    """Write the file; it holds the pin's secret, so only its owner may read it."""
    write_private(path, "".join(f"{key} {value}\n" for key, value in entries.values().items()))
