"""Killing the own process after a chosen row of the journal, or of the schema's acts.

Rule: only tests ask for it; it is how they prove that resuming works anywhere.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence

from crossfade.model.ports import Journal, Row, RowKind


def dying_after(acts: int | None) -> Callable[[str], None]:
    """What the schema's engine calls after each durable row of its own; SIGKILLs this process at that many."""
    written: list[str] = []

    def after_act(unit: str) -> None:
        written.append(unit)
        if len(written) == acts:
            os.kill(os.getpid(), signal.SIGKILL)

    return after_act


class DyingJournal:
    """`Journal` over another one; SIGKILLs this process once row number `after_row` is durable."""

    def __init__(self, journal: Journal, after_row: int) -> None:
        self._journal, self._after_row = journal, after_row

    def append(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        """Write, then perhaps die."""
        return self._die(self._journal.append(release, kind, state, data))

    def append_local(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        """Write to the spool, then perhaps die."""
        return self._die(self._journal.append_local(release, kind, state, data))

    def _die(self, row: Row) -> Row:
        if row.seq == self._after_row:
            os.kill(os.getpid(), signal.SIGKILL)
        return row

    def copy_up(self) -> None:
        """Bring the database up to the spool."""
        self._journal.copy_up()

    def settled(self) -> bool:
        """Whether the database has every row."""
        return self._journal.settled()

    def rows(self, release: str | None = None) -> Sequence[Row]:
        """Rows in order."""
        return self._journal.rows(release)
