"""A journal and a lease in memory, which can die after any row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crossfade.model.errors import fail
from crossfade.model.ports import Row, RowKind
from crossfade.testing.world import FakeWorld


class Killed(BaseException):
    """The walker was killed here. Not an Exception: nothing may catch it."""


class FakeJournal:
    """`Journal` over a list. `kill_after` dies once that many rows are written."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world
        self.written: list[Row] = []
        self.kill_after: int | None = None
        self._copied = 0

    def append(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        """Write to spool and database."""
        if self._world.faults.journal_down:
            raise fail("journal-unreachable", database="simulated", detail="simulated")
        row = self._write(release, kind, state, data)
        self._copied = len(self.written)
        return row

    def append_local(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        """Write to the spool."""
        return self._write(release, kind, state, data)

    def _write(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        row = Row(len(self.written) + 1, self._world.clock.now(), release, 1, kind, dict(state), dict(data))
        self.written.append(row)
        if self.kill_after is not None and len(self.written) >= self.kill_after:
            self.kill_after = None
            raise Killed(f"after row {row.seq}: {kind} {state.get('phase')}")
        return row

    def copy_up(self) -> None:
        """Bring the database up to the spool."""
        if self._world.faults.journal_down:
            raise fail("journal-unreachable", database="simulated", detail="simulated")
        self._copied = len(self.written)

    def settled(self) -> bool:
        """Whether the database has every row."""
        return self._copied == len(self.written)

    def rows(self, release: str | None = None) -> Sequence[Row]:
        """Rows in order."""
        return [row for row in self.written if release is None or row.release == release]


class FakeLease:
    """`Lease` that is held unless the journal is down."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def acquire(self) -> int:
        """Lead."""
        return 1

    def leading(self) -> bool:
        """Whether acts may be done."""
        return not self._world.faults.journal_down

    def renew(self) -> bool:
        """Renew."""
        return self.leading()

    def release(self) -> None:
        """Give it up."""
