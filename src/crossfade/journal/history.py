"""What a spool says, folded from its records; pure.

Rule: a row is *true* when the append that wrote it returned. That is so for a local row (the fader to the
old slot) once it is in the spool, and for every other row once its `copied` mark follows it with no other
row and no `void` mark between. A row that is not true never happened: nothing was acted on because of it.
It is kept, and copied up as void, so that the record of attempts is whole.

Invariants, checked by `check_invariants()`:
- sequence numbers are 1, 2, 3 ... over all rows, true and void;
- at most one row, the last one, is undecided;
- a row's truth, once decided, never changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from crossfade.journal.identity import Identity
from crossfade.model.ports import Row, RowKind


class Truth(StrEnum):
    """Whether a row counts."""

    UNDECIDED = "undecided"  # in the spool, not known to be in the database
    TRUE = "true"
    VOID = "void"


@dataclass
class Entry:
    """One row with what is known about it."""

    row: Row
    local: bool
    truth: Truth
    copied: bool = False


def row_record(row: Row, *, local: bool) -> dict[str, object]:
    """The record that writes a row."""
    return {"row": {**asdict(row), "at": row.at.isoformat(), "kind": str(row.kind)}, "local": local}


def copied_record(seqs: Iterable[int]) -> dict[str, object]:
    """The record that says: the database holds these rows."""
    return {"copied": sorted(seqs)}


def void_record(seqs: Iterable[int]) -> dict[str, object]:
    """The record that decides: these rows never happened."""
    return {"void": sorted(seqs)}


def bound_record(identity: Identity, held_up_to: int) -> dict[str, object]:
    """The record that binds the spool; the database holds rows up to `held_up_to` and none after."""
    return {"bound": asdict(identity), "held_up_to": held_up_to}


@dataclass
class History:
    """The fold. `entries` holds all rows until `trim()`, then those of the current release and uncopied ones."""

    identity: Identity | None = None
    last_seq: int = 0
    last_copied: int = 0
    entries: dict[int, Entry] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)  # releases of which every row is in `entries`

    def fold(self, record: Mapping[str, object]) -> None:
        """Take one record in."""
        if "row" in record:
            self._row(_row(cast("Mapping[str, object]", record["row"])), local=bool(record["local"]))
        for seq in cast("list[int]", record.get("copied", [])):
            self._copied(seq)
        for seq in cast("list[int]", record.get("void", [])):
            self._void(seq)
        if "bound" in record:
            self._bound(Identity(**cast("dict[str, Any]", record["bound"])), cast("int", record["held_up_to"]))

    def _row(self, row: Row, *, local: bool) -> None:
        assert row.seq == self.last_seq + 1, (row.seq, self.last_seq)
        self._void(row.seq - 1)
        if row.release not in self.seen:
            self.seen.add(row.release)
            self.whole.add(row.release)
        self.entries[row.seq] = Entry(row, local, Truth.TRUE if local else Truth.UNDECIDED)
        self.last_seq = row.seq

    def _void(self, seq: int) -> None:
        entry = self.entries.get(seq)
        if entry is not None and entry.truth is Truth.UNDECIDED:
            entry.truth = Truth.VOID

    def _copied(self, seq: int) -> None:
        self.last_copied = max(self.last_copied, seq)
        entry = self.entries.get(seq)
        if entry is None:  # trimmed here, marked again by another process
            return
        entry.copied = True
        if entry.truth is Truth.UNDECIDED:
            entry.truth = Truth.TRUE

    def _bound(self, identity: Identity, held_up_to: int) -> None:
        self.identity = identity
        if self.last_copied > held_up_to:
            for seq, entry in self.entries.items():
                entry.copied = entry.copied and seq <= held_up_to
            self.last_copied = max((seq for seq, entry in self.entries.items() if entry.copied), default=0)

    @property
    def last(self) -> Row | None:
        """The last true row; `trim()` never forgets it."""
        true = (entry.row for entry in reversed(self.entries.values()) if entry.truth is Truth.TRUE)
        return next(true, None)

    def true_rows(self, release: str | None) -> list[Row]:
        """The true rows in memory, in order."""
        return [
            entry.row
            for entry in self.entries.values()
            if entry.truth is Truth.TRUE and release in (None, entry.row.release)
        ]

    def has_all(self, release: str | None) -> bool:
        """Whether every row of the release, or of all releases, is in `entries`."""
        if release is None:
            return self.whole == self.seen
        return release in self.whole or release not in self.seen

    def uncopied(self) -> list[Entry]:
        """Rows the database is not known to hold, in order, an undecided one included."""
        return [entry for entry in self.entries.values() if not entry.copied]

    def trim(self) -> None:
        """Forget what nobody asks for: copied rows of other releases than that of the last true row."""
        last = self.last
        keep = {last.release} if last is not None else set()
        keep |= {entry.row.release for entry in self.entries.values() if not entry.copied}
        self.entries = {
            seq: entry for seq, entry in self.entries.items() if entry.row.release in keep or seq >= self.last_copied
        }
        self.whole = {release for release in self.whole if release in keep}

    def check_invariants(self) -> None:
        """Assert what the docstring says; called after every read of the file."""
        assert list(self.entries) == sorted(self.entries)
        undecided = [seq for seq, entry in self.entries.items() if entry.truth is Truth.UNDECIDED]
        assert undecided in ([], [self.last_seq]), undecided
        assert self.last_copied <= self.last_seq


def _row(fields: Mapping[str, object]) -> Row:
    return Row(
        seq=cast("int", fields["seq"]),
        at=datetime.fromisoformat(cast("str", fields["at"])),
        release=cast("str", fields["release"]),
        epoch=cast("int", fields["epoch"]),
        kind=RowKind(cast("str", fields["kind"])),
        state=cast("Mapping[str, object]", fields["state"]),
        data=cast("Mapping[str, object]", fields["data"]),
    )
