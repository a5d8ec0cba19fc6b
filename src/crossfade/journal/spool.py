"""The spool: the journal's local forerunner, an append-only file in the state directory.

Rule: each record is one checksummed line (framing.py), fsynced before the call returns; what the lines mean
is in history.py. A torn last line is left out when reading and cut off when the next record is written.
Writers take the file's lock for milliseconds; readers take none.

Invariants: an fsynced row is never lost; a row that was not wholly written never shows. Whoever writes rows
while releases run holds the service's epoch lock as well (postgres.py sees to that): a stopped writer is
ended through it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from crossfade.journal import flock
from crossfade.journal.framing import DamagedError, encode, scan
from crossfade.journal.history import Entry, History, Truth, bound_record, copied_record, row_record, void_record
from crossfade.journal.identity import Identity
from crossfade.journal.storable import storable_mapping
from crossfade.model.errors import fail
from crossfade.model.ports import Clock, Row, RowKind

LOCK_WAIT_S = 2.0
MEMORY_BYTES = 4 * 1024 * 1024  # a larger file keeps only its current release in memory
T = TypeVar("T")


class Spool:
    """One service's spool file. Safe for several threads and processes."""

    def __init__(self, path: Path, clock: Clock, memory_bytes: int = MEMORY_BYTES) -> None:
        self.path = path
        self._memory_bytes = memory_bytes
        self._clock = clock
        self._thread = threading.RLock()
        self._history = History()
        self._good = 0  # bytes of whole records taken in
        self._lines = 0
        self._fd = _open(path)
        self._reload()

    @property
    def identity(self) -> Identity | None:
        """What the spool is bound to; None until it is bound."""
        return self._read(lambda history: history.identity)

    @property
    def last(self) -> Row | None:
        """The last true row."""
        return self._read(lambda history: history.last)

    @property
    def last_seq(self) -> int:
        """The number of rows, true and void."""
        return self._read(lambda history: history.last_seq)

    @property
    def last_copied(self) -> Row | None:
        """The highest row the database was ever known to hold, true or void."""

        def row(history: History) -> Row | None:
            entry = history.entries.get(history.last_copied)
            return None if entry is None else entry.row

        return self._read(row)

    def uncopied(self) -> Sequence[Entry]:
        """Rows the database is not known to hold, in order."""
        return self._read(lambda history: history.uncopied())

    def rows(self, release: str | None = None) -> Sequence[Row]:
        """The true rows in order; from memory, or of older releases of a large spool from the file."""
        with self._thread:
            self.refresh()
            if self._history.has_all(release):
                return self._history.true_rows(release)
            return self._load()[0].true_rows(release)

    def append(
        self,
        release: str,
        epoch: int,
        kind: RowKind,
        state: Mapping[str, object],
        data: Mapping[str, object],
        *,
        local: bool,
    ) -> Row:
        """Write a row. A local row is true from here on, any other once it is marked copied."""
        state, data = storable_mapping(state), storable_mapping(data)
        with self._writing():
            row = Row(self._history.last_seq + 1, self._clock.now(), release, epoch, kind, state, data)
            self._write(row_record(row, local=local))
        return row

    def confirm(self, seq: int) -> bool:
        """Decide that the last row is true, as the database holds it; False where another row overtook it."""
        with self._writing():
            entry = self._history.entries.get(seq)
            if entry is None or entry.truth is not Truth.UNDECIDED:
                return False  # and not marked copied: the database does not know yet that it is void
            self._write(copied_record([seq]))
            return True

    def mark_copied(self, seqs: Sequence[int]) -> None:
        """Note that the database holds these decided rows, void ones as void."""
        with self._writing():
            self._write(copied_record(seqs))

    def void_undecided(self) -> None:
        """Decide that a row whose append never returned has not happened."""
        with self._writing():
            undecided = [e.row.seq for e in self._history.uncopied() if e.truth is Truth.UNDECIDED]
            if undecided:
                self._write(void_record(undecided))

    def bind_first(self, identity: Identity) -> Identity:
        """Write the header line unless another process has just done so; returns the one that holds."""
        with self._writing():
            if self._history.identity is None:
                self._write(bound_record(identity, 0))
            holds = self._history.identity
        assert holds is not None
        return holds

    def bind(self, identity: Identity, held_up_to: int) -> None:
        """Bind anew, after an adoption: the database holds rows up to `held_up_to` and none after."""
        with self._writing():
            self._write(bound_record(identity, held_up_to))
            self._reload()

    def refresh(self) -> None:
        """Take in what other processes wrote."""
        with self._thread:
            size = os.fstat(self._fd).st_size
            if size < self._good:  # another writer took back a line it could not fsync
                self._reload()
            elif size > self._good:
                records, good = self._scan(os.pread(self._fd, size - self._good, self._good), self._lines)
                if any("bound" in record for record in records):  # a new binding may concern rows that were trimmed
                    self._reload()
                    return
                for record in records:
                    self._history.fold(record)
                self._good += good
                self._lines += len(records)
                self._history.check_invariants()

    def close(self) -> None:
        """Let the file go."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _read(self, ask: Callable[[History], T]) -> T:
        with self._thread:
            self.refresh()
            return ask(self._history)

    def _reload(self) -> None:
        self._history, self._good, self._lines = self._load()
        if self._good > self._memory_bytes:
            self._history.trim()

    def _load(self) -> tuple[History, int, int]:
        history = History()
        size = os.fstat(self._fd).st_size
        records, good = self._scan(os.pread(self._fd, size, 0), 0)
        for record in records:
            history.fold(record)
        history.check_invariants()
        return history, good, len(records)

    def _scan(self, content: bytes, lines_before: int) -> tuple[list[dict[str, object]], int]:
        try:
            return scan(content, lines_before=lines_before)
        except DamagedError as exc:
            raise fail("spool-damaged", file=self.path, line=exc.line) from exc

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._thread:
            if not flock.take(self._fd, LOCK_WAIT_S, self._clock):
                raise fail("spool-busy", file=self.path, waited_s=LOCK_WAIT_S)
            try:
                self.refresh()
                yield
            finally:
                flock.let_go(self._fd)

    def _write(self, record: Mapping[str, object]) -> None:
        line = encode(record)
        try:
            if os.fstat(self._fd).st_size > self._good:
                os.ftruncate(self._fd, self._good)  # the torn tail of a writer that died
            written = 0
            while written < len(line):
                written += os.pwrite(self._fd, line[written:], self._good + written)
            os.fsync(self._fd)
        except OSError as exc:
            with suppress(OSError):
                os.ftruncate(self._fd, self._good)
            raise fail("spool-unwritable", file=self.path, reason=exc.strerror or str(exc)) from exc
        self._history.fold(record)
        self._good += len(line)
        self._lines += 1


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as exc:
        raise fail("spool-unwritable", file=path, reason=exc.strerror or str(exc)) from exc
    return fd
