"""The journal in PostgreSQL with the spool before it (I7, I8).

Rule: `append` returns a row only when it is in the spool, in the database under our epoch, and marked in the
spool as copied. If it raises instead, the row never happened: it stays out of `rows()`, whatever the database
holds, and `copy_up` marks it void there. So an intent that `rows()` shows may have been acted on, and one that
it does not show was not. `append_local` writes the spool only and never waits for the database or for an
append under way; such an append then fails with `journal-overtaken`, so what was meant before the fader went
to old is not acted on after it.

Fencing: before the spool is written, the lease is asked on the monotonic clock and the epoch lock is held; the
database compares the epoch in the statement that stores the row; the mark needs the epoch lock again. Every
new connection is held to the binding first, so a failover in mid-release shows before the next row.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import psycopg

from crossfade.journal.binding import Finding
from crossfade.journal.bond import Bond
from crossfade.journal.history import Entry, Truth
from crossfade.journal.link import BoundedConnection, Link
from crossfade.journal.spool import Spool
from crossfade.journal.sql import query
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock, Row, RowKind


class PostgresJournal:
    """One service's journal. Satisfies the port `Journal`."""

    def __init__(
        self,
        admin_url: str,
        spool: Spool,
        service: str,
        clock: Clock,
        epoch: Callable[[], int],
        *,
        environment: str,
        guard: Callable[[int], AbstractContextManager[None]],
        leading: Callable[[], bool],
        new_installation: Callable[[], str],
    ) -> None:
        self._spool = spool
        self._service = service
        self._epoch = epoch
        self._guard = guard
        self._leading = leading
        self._writing = threading.RLock()
        self._bond = Bond(spool, service, environment, new_installation)
        self._found: Finding | None = None
        self._link = Link(admin_url, clock, self._require_bound)
        self._unbound_link = Link(admin_url, clock)

    def bind(self) -> Finding:
        """Compare spool and database, and bind them where both are fresh; `bound`, `fresh` or `behind`.

        Raises `journal-foreign` and `journal-unreachable`.
        """
        with self._writing:
            self._found = None
            try:
                with self._link.call("say whose it is") as connection:
                    if self._found is None:  # it was open already, and bound when it was opened
                        self._require_bound(connection)
            except CrossfadeError as error:
                if error.id != "journal-behind":
                    raise
            assert self._found is not None
            return self._found

    def require_own(self, connection: psycopg.Connection[Any]) -> None:
        """Raise `journal-behind` or `journal-foreign` unless this connection leads to the bound database.

        For whoever acts in that database beside the journal: a failover must show before the first act, not at the
        next row.
        """
        with self._writing:  # the spool may not get a row between what the database and the spool are asked
            self._bond.look(connection).require_bound(self._service)

    def append(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        """Write a row to spool and database; after any exception the row has not happened.

        Raises `journal-unreachable` within 4 s, `lease-lost`, `journal-overtaken`, `journal-behind`,
        `journal-foreign`, `journal-conflict`, or what the spool and the epoch lock raise.
        """
        with self._writing:
            epoch = self._require_leading()
            with self._link.call("store a row") as connection:
                with self._guard(epoch):
                    row = self._spool.append(release, epoch, kind, state, data, local=False)
                led, stored = self._put(connection, epoch, [Entry(row, local=False, truth=Truth.TRUE)])
            self._require_stored(epoch, led, stored, [row.seq])
            with self._guard(epoch):
                if not self._spool.confirm(row.seq):
                    last = self._spool.last
                    raise fail(
                        "journal-overtaken",
                        service=self._service,
                        seq=row.seq,
                        last="none" if last is None else f"{last.seq}, {last.kind} of release {last.release}",
                    )
        return row

    def append_local(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        """Write a row to the spool only, without lease or database; only the fader to old may follow it."""
        epoch = self._epoch()
        with self._guard(epoch):
            return self._spool.append(release, epoch, kind, state, data, local=True)

    def rows(self, release: str | None = None) -> Sequence[Row]:
        """The rows that happened, in order. Numbers may have gaps: a row that did not happen keeps its own."""
        return self._spool.rows(release)

    def settled(self) -> bool:
        """Whether the database has every row of the spool, void ones as void. Does not ask the database."""
        return not self._spool.uncopied()

    def copy_up(self) -> None:
        """Bring the database up to date from the spool; idempotent. Raises what `append` raises."""
        with self._writing:
            epoch = self._require_leading()
            if self.settled():
                return
            with self._link.call("take the rows of the spool") as connection:
                with self._guard(epoch):
                    self._spool.void_undecided()
                    entries = list(self._spool.uncopied())
                led, stored = self._put(connection, epoch, entries)
            seqs = [entry.row.seq for entry in entries]
            self._require_stored(epoch, led, stored, seqs)
            with self._guard(epoch):
                self._spool.mark_copied(seqs)

    def adopt(self, by: str) -> Row:
        """Accept a database that is `behind` as this service's own; `by` says who decided it.

        Binds spool and database anew and writes a local note with the last row's state; the leader's next
        `copy_up` brings the rows that the database lacks. Raises `journal-foreign`, `journal-unreachable`.
        """

        def note(finding: Finding) -> Row:
            last = self._spool.last
            found = {"reason": finding.reason, "found": finding.found, "expected": finding.expected}
            return self.append_local(
                "" if last is None else last.release,
                RowKind.NOTE,
                {} if last is None else last.state,
                {"adopted": found, "by": by},
            )

        with self._writing:
            self._link.close()
            try:
                with self._unbound_link.call("be adopted") as connection, self._guard(self._epoch()):
                    return self._bond.adopt(connection, note)
            finally:
                self._unbound_link.close()

    def close(self) -> None:
        """Let the connection go."""
        self._link.close()

    def _require_bound(self, connection: BoundedConnection) -> None:
        self._found = self._bond.settle(connection)
        self._found.require_bound(self._service)

    def _require_leading(self) -> int:
        epoch = self._epoch()
        if not self._leading():
            raise fail("lease-lost", service=self._service, epoch=epoch, found="its lease ended without renewal")
        return epoch

    def _require_stored(self, epoch: int, led: int, stored: Sequence[int], seqs: Sequence[int]) -> None:
        if not led:
            raise fail("lease-lost", service=self._service, epoch=epoch, found="another epoch in the database")
        if missing := sorted(set(seqs) - set(stored)):
            rows = "row " + ", ".join(map(str, missing))
            raise fail("journal-conflict", service=self._service, rows=rows)

    def _put(self, connection: BoundedConnection, epoch: int, entries: Sequence[Entry]) -> tuple[int, Sequence[int]]:
        rows = [
            {
                "seq": entry.row.seq,
                "at": entry.row.at.isoformat(),
                "release": entry.row.release,
                "epoch": entry.row.epoch,
                "kind": str(entry.row.kind),
                "state": entry.row.state,
                "data": entry.row.data,
                "void": entry.truth is Truth.VOID,
            }
            for entry in entries
        ]
        answer = connection.execute(
            query("put_rows"), {"service": self._service, "epoch": epoch, "rows": json.dumps(rows)}
        ).fetchone()
        assert answer is not None
        return int(answer[0]), list(answer[1])
