"""The load generator, seen from the story that needs it: start, change the rate, mark moments, stop.

The requests are sent by a process of its own (`load_process.py`), so the story's work never delays the
schedule. It is told what to do by lines on a pipe; when this end of the pipe closes, because the story
ended in whatever way, it stops by itself, and at a maximum time anyway. It is in a session of its own,
so Ctrl-C reaches only the story, which then decides.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from crossfade.demo.ledger import MARKS, Ledger, Mark
from crossfade.model.errors import fail

LOG = "load.log"
LAST_ANSWER_S = 45.0  # the longest request's timeout and some more


@dataclass(frozen=True)
class LoadOptions:
    """What is sent. Rates are requests per second, in time since the start where `_at_s` says so."""

    base_url: str
    rate_per_s: float = 200.0
    arrivals: str = "constant"  # or poisson
    users: int = 200  # as many again shop without signing in
    close_share: float = 0.1  # the part of the requests on a connection of their own
    timeout_s: float = 8.0
    long_timeout_s: float = 30.0
    long_at_s: tuple[float, ...] = ()  # when a long request is sent, besides those asked for by `long_request`
    long_seconds: float = 10.0
    max_s: float = 900.0
    seed: int = 0


class Load:
    """One run of the load generator. Also a context manager, which stops it."""

    def __init__(self, options: LoadOptions, directory: Path, wall_clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.directory = directory
        self._wall_clock = wall_clock
        self._process: subprocess.Popen[bytes] | None = None
        self._marks: list[Mark] = []

    @property
    def pid(self) -> int | None:
        """The process that sends, once started."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start sending; the ledgers are written into the directory. Returns at once."""
        assert self._process is None, "one Load is one run"
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "crossfade.demo.load_process", str(self.directory)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._tell({"options": asdict(self.options)})

    def set_rate(self, rate_per_s: float) -> None:
        """Send at this rate from now on; 0 pauses."""
        self._tell({"rate_per_s": rate_per_s})

    def long_request(self, seconds: float | None = None) -> None:
        """Send one request now that takes `seconds`."""
        self._tell({"long_seconds": self.options.long_seconds if seconds is None else seconds})

    def mark(self, name: str) -> Mark:
        """Name this moment; requests sent from now on are in the window that begins with it."""
        mark = Mark(name, self._wall_clock())
        self._marks.append(mark)
        with (self.directory / MARKS).open("a") as file:
            file.write(json.dumps(asdict(mark)) + "\n")
        return mark

    def so_far(self) -> Ledger:
        """The ledger of what has been answered until about half a second ago."""
        return Ledger.read(self.directory)

    def stop(self) -> Ledger:
        """Send nothing new, wait for the answers under way and return the whole ledger; repeatable."""
        process = self._process
        assert process is not None, "not started"
        if process.poll() is None and process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
        try:
            code = process.wait(LAST_ANSWER_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
        if code != 0:
            raise self._ended(code)
        return Ledger.read(self.directory)

    def _tell(self, order: dict[str, object]) -> None:
        process = self._process
        assert process is not None, "not started"
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError as exc:
            raise self._ended(process.wait()) from exc

    def _ended(self, code: int) -> Exception:
        log = self.directory / LOG
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        return fail("load-ended-early", code=code, log=log, tail=tail)

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
        elif self._process is not None:  # an error is under way: end, and let it be the one that is seen
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
