"""What a fill has done: counted, told to a person while it runs, and measured for the journal at its end.

Rule: rates are of this run, pauses included, because that is what the time left is made of. What is written to the
log is the whole server's while a batch ran: what others wrote in that time is in it. Everything here is pure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    """Counts of one run. `before` is what earlier runs had filled."""

    began_s: float
    before: int = 0
    rows: int = 0
    hot: int = 0
    wal_bytes: int = 0
    busy_ms: float = 0.0
    batches: int = 0
    passed_over: int = 0  # batches that left out rows others had locked
    checks: int = 0
    pages: int = 0
    workers: int = 1  # the most that worked at once
    _filled_before: int = 0
    _rows_before: int = 0
    _about: int = -1
    _done_first: float | None = None
    _sweep_began_s: float | None = None

    def batch(self, rows: int, took_ms: float, wal_bytes: int, hot: int) -> None:
        """Count a batch."""
        self.rows += rows
        self.hot += hot
        self.wal_bytes += wal_bytes
        self.busy_ms += took_ms
        self.batches += 1

    def new_table(self, filled: int, about: int) -> None:
        """Begin a table, of which `filled` rows are filled already; `about` how many it has, -1 where nobody knows."""
        self._filled_before, self._rows_before, self._about = filled, self.rows, about
        self.new_sweep()

    def new_sweep(self) -> None:
        """Begin another table or a check: the time left is reckoned anew."""
        self._done_first, self._sweep_began_s = None, None

    def line(
        self, table: str, done: float, pages: int, now_s: float, *, checking: bool = False, workers: int = 1
    ) -> str:
        """One line for a person: how far, how fast, what it costs, how long still."""
        if self._done_first is None or self._sweep_began_s is None:
            self._done_first, self._sweep_began_s = done, now_s
        parts = [f"{'checks' if checking else 'fills'} {table}: {int(done)} of {pages} pages"]
        if not checking:
            rows = self._filled_before + self.rows - self._rows_before
            parts.append(f"{rows} of about {max(rows, self._about)} rows" if self._about >= 0 else f"{rows} rows")
            parts.append(f"{self.rows / max(0.001, now_s - self.began_s):.0f} rows/s")
            if self.rows:
                parts.append(f"{self.wal_bytes / self.rows:.0f} bytes of WAL a row")
            if workers > 1:
                parts.append(f"{workers} workers")
        if done > self._done_first:
            left_s = (pages - done) * (now_s - self._sweep_began_s) / (done - self._done_first)
            parts.append(f"{in_words(left_s)} left")
        return ", ".join(parts)

    def end(self, table: str, now_s: float) -> str:
        """One line for a person when a table is filled."""
        if not self.rows:
            return f"{table}: no row is unfilled"
        return (
            f"{table}: every row is filled; in {in_words(now_s - self.began_s)} {self.rows} rows,"
            f" {self.wal_bytes / self.rows:.0f} bytes of WAL a row, {self.hot / self.rows:.0%} stayed on their page"
        )

    def measured(self, now_s: float, rested_s: float, waited_s: float = 0.0) -> dict[str, object]:
        """For the journal."""
        took_s = now_s - self.began_s
        return {
            "rows": self.before + self.rows,
            "rows_this_run": self.rows,
            "pages": self.pages,
            "took_s": round(took_s, 3),
            "busy_s": round(self.busy_ms / 1000, 3),  # in the statements that fill; the rest is rests, waits, commits
            "rested_s": round(rested_s, 3),
            "waited_for_snapshots_s": round(waited_s, 3),
            "rows_per_s": round(self.rows / took_s) if took_s > 0 else 0,
            "wal_bytes_per_row": round(self.wal_bytes / self.rows) if self.rows else 0,
            "hot_ratio": round(self.hot / self.rows, 3) if self.rows else 0.0,
            "batches": self.batches,
            "batches_passed_over_locks": self.passed_over,
            "checks": self.checks,
            "workers": self.workers,
        }


def in_words(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
