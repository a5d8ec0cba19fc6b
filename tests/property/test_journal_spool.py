"""The spool under crashes: it never loses a row that was fsynced and never invents one.

The machine appends, confirms, copies, is killed at any byte of a write, and is opened again, beside a reader
that stays open; a model in a few lines says what must be read.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from crossfade.journal.framing import encode
from crossfade.journal.history import copied_record, row_record
from crossfade.journal.identity import Identity
from crossfade.journal.spool import Spool
from crossfade.model.ports import Row, RowKind

RELEASES = st.sampled_from(["r1", "r2", "r3"])
STATES = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=9), max_size=2)


class SteppingClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic_s(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        self.seconds += 1
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class SpoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "state" / "shop.spool"
        self.clock = SteppingClock()
        self.spool = Spool(self.path, self.clock, memory_bytes=0)
        self.reader = Spool(self.path, self.clock)
        self.rows: list[Row] = []  # every row, by number
        self.true: set[int] = set()
        self.copied: set[int] = set()
        self.undecided: int | None = None

    def _wrote(self, row: Row, local: bool) -> None:
        assert row.seq == len(self.rows) + 1
        self.rows.append(row)
        self.undecided = None if local else row.seq
        if local:
            self.true.add(row.seq)

    @rule(release=RELEASES, state=STATES, local=st.booleans())
    def append(self, release, state, local) -> None:
        self._wrote(self.spool.append(release, 1, RowKind.EVENT, state, {}, local=local), local)

    @rule(data=st.data())
    def confirm(self, data) -> None:
        if self.rows:
            seq = data.draw(st.integers(1, len(self.rows)))
            assert self.spool.confirm(seq) == (seq == self.undecided)
            if seq == self.undecided:
                self.true.add(seq)
                self.copied.add(seq)
                self.undecided = None

    @rule()
    def copy_up(self) -> None:
        self.spool.void_undecided()
        self.undecided = None
        seqs = [entry.row.seq for entry in self.spool.uncopied()]
        assert seqs == sorted(set(range(1, len(self.rows) + 1)) - self.copied)
        if seqs:
            self.spool.mark_copied(seqs)
        self.copied |= set(seqs)

    @rule(data=st.data())
    def adopt(self, data) -> None:
        held = data.draw(st.integers(0, len(self.rows)))
        self.spool.bind(Identity("i", "production", "shop", "shop", "7", held + 1), held)
        self.copied = {seq for seq in self.copied if seq <= held}

    @rule(state=STATES, mark=st.booleans(), cut=st.floats(0, 1))
    def killed_while_writing(self, state, mark, cut) -> None:
        row = Row(len(self.rows) + 1, self.clock.now(), "r9", 1, RowKind.INTENT, state, {})
        line = (
            encode(copied_record([self.undecided])) if mark and self.undecided else encode(row_record(row, local=True))
        )
        with self.path.open("ab") as file:
            file.write(line[: int(cut * (len(line) - 1))])
        self.reopen()

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.spool = Spool(self.path, self.clock, memory_bytes=self.spool._memory_bytes ^ 2**30)

    @precondition(lambda self: self.rows)
    @rule(release=RELEASES)
    def one_release(self, release) -> None:
        wanted = [row for row in self.rows if row.seq in self.true and row.release == release]
        assert self.spool.rows(release) == wanted
        assert self.reader.rows(release) == wanted

    @invariant()
    def reads_what_was_written(self) -> None:
        wanted = [row for row in self.rows if row.seq in self.true]
        for spool in (self.spool, self.reader):
            assert spool.rows() == wanted
            assert spool.last == (wanted[-1] if wanted else None)
            assert spool.last_seq == len(self.rows)
            last_copied = spool.last_copied
            assert (last_copied.seq if last_copied else 0) == max(self.copied, default=0)

    def teardown(self) -> None:
        self.spool.close()
        self.reader.close()
        shutil.rmtree(self.directory)


TestSpool = SpoolMachine.TestCase
TestSpool.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
