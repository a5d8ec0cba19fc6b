"""Records from a program of the team's own, for a load balancer that has no ring.

Rule: the program runs for as long as it is asked to and prints one JSON object a line:

    {"t": 1795476717.05, "lane": "new", "share": 25, "path": "/orders", "method": "POST", "status": 201, "ms": 41}

`lane` is old, new, left or right, as assigned; `served` is the same and defaults to it. `share` is in percent
and defaults to the share the fader has. `unit` names the customer (any text; it is hashed here). `path` or
`endpoint`; `status`, or `ok` (true or false). A program that ends is started again after a pause that grows.

Invariant: a line that cannot be read is missing, not skipped in silence; so is one dropped because nobody
took it. What the program itself never printed nobody can know: `health` says connected, not complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crossfade.model.ports import FULL_BP, Clock, Fader, Record, Slot, SourceHealth

QUEUE_MAX = 200_000
PAUSE_MIN_S, PAUSE_MAX_S = 0.5, 30.0
STOP_TIMEOUT_S = 3


def parse_record(text: str, fader: Fader, mark: str, key: str) -> Record | None:
    """Read one line; None where it says too little."""
    try:
        raw = json.loads(text)
        assigned = _slot(raw["lane"], fader)
        path = raw.get("path") or raw["endpoint"]
        share_bp = round(float(raw["share"]) * FULL_BP / 100) if "share" in raw else fader.new_share_bp
        status = int(raw["status"]) if "status" in raw else (200 if _ok(raw) else 500)
        if not (isinstance(path, str) and 0 <= share_bp <= FULL_BP and 0 <= status <= 999):
            return None
        ms = float(raw["ms"])
        return Record(
            at=float(raw["t"]),
            assigned=assigned,
            served=_slot(raw["served"], fader) if raw.get("served") else assigned,
            instance=str(raw.get("instance", "")),
            share_bp=share_bp,
            unit=hashlib.sha256(str(raw["unit"]).encode()).hexdigest()[:16] if raw.get("unit") else "",
            method=str(raw["method"]).upper(),
            path=path.partition("?")[0],
            status=status,
            ended_by="--",
            headers_us=max(0, round(ms * 1000)),
            total_ms=max(0, round(ms)),
            retries=0,
            pinned=bool(raw.get("pinned", False)),
            position=str(raw.get("position", mark)),
            key=str(raw.get("key", key)),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None


def _ok(raw: Mapping[str, Any]) -> bool:
    if not isinstance(raw["ok"], bool):
        raise TypeError("ok is true or false")
    return raw["ok"]


def _slot(lane: str, fader: Fader) -> Slot:
    return {"old": fader.old, "new": fader.old.other}.get(lane) or Slot(lane)


class CommandRecords:
    """`RecordSource` over the lines a program prints."""

    def __init__(
        self,
        argv: Sequence[str],
        clock: Clock,
        in_force: Callable[[], tuple[Fader, str]],
        queue_max: int = QUEUE_MAX,
        directory: str | None = None,
    ) -> None:
        """Start the program. `in_force` gives the fader and the mark, for lines that do not say them."""
        self._argv = list(argv)
        self._directory = directory
        self._clock = clock
        self._in_force = in_force
        self._lock = threading.Lock()
        self._queue: deque[Record] = deque(maxlen=queue_max)
        self._lines = self._garbled = self._dropped = 0
        self._last_s = clock.monotonic_s()
        self._trouble = "not started"
        self._child: subprocess.Popen[str] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="records", daemon=True)
        self._thread.start()

    # -- RecordSource -----------------------------------------------------------------------------

    def take(self) -> Sequence[Record]:
        """Records that came since the last call, oldest first."""
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
        return taken

    def seen(self) -> int:
        """Lines seen."""
        with self._lock:
            return self._lines

    def observed_total(self, total: int, started_at: str, seen: int) -> None:
        """Not used: a balancer of the team's own counts as it likes."""

    def health(self) -> SourceHealth:
        """Whether the program runs, and what of its output was lost here."""
        with self._lock:
            running = not self._trouble
            lag_s = 0.0 if running else self._clock.monotonic_s() - self._last_s
            return SourceHealth(running, lag_s, self._garbled + self._dropped, self._trouble)

    def close(self) -> None:
        """End the program."""
        self._closing.set()
        self._end_child()
        self._thread.join(timeout=STOP_TIMEOUT_S + 2)

    # -- the thread -------------------------------------------------------------------------------

    def _serve(self) -> None:
        pause_s = PAUSE_MIN_S
        while not self._closing.is_set():
            before = self.seen()
            self._run_once()
            pause_s = PAUSE_MIN_S if self.seen() > before else min(PAUSE_MAX_S, pause_s * 2)
            self._closing.wait(pause_s)

    def _run_once(self) -> None:
        try:
            child = subprocess.Popen(
                self._argv,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                text=True,
                errors="replace",
                cwd=self._directory,
            )
        except OSError as exc:
            self._says(f"the program did not start: {exc.strerror}")
            return
        self._child = child
        if self._closing.is_set():
            self._end_child()
        self._says("")
        assert child.stdout is not None
        with child.stdout:
            for line in child.stdout:
                if line.strip():
                    self._keep(line)
        self._says(f"the program ended with exit code {child.wait()}")

    def _keep(self, line: str) -> None:
        fader, mark = self._in_force()
        with self._lock:
            self._lines += 1
            self._last_s = self._clock.monotonic_s()
            record = parse_record(line, fader, mark, str(self._lines))
            if record is None:
                self._garbled += 1
                return
            self._dropped += len(self._queue) == self._queue.maxlen
            self._queue.append(record)

    def _says(self, trouble: str) -> None:
        with self._lock:
            self._trouble = trouble

    def _end_child(self) -> None:
        child = self._child
        if child is None or child.poll() is not None:
            return
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_TIMEOUT_S)
            return
        child.kill()
