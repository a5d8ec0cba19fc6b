"""Children that end with this process: scratch instances, scratch servers, dumps and restores.

Rule: whatever is started here is gone when its block ends, and when this process is killed in the middle of it
(`walk/scratch.py` is the guard that sees to that). Its output goes to a file, its environment is what it is given
and a plain rest, so that no secret needs to be in an argument.

The guard is told of the death of the *thread* that started it: start and end a child in the same thread.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from crossfade.model.ports import Clock

POLL_S = 0.05
_PLAIN = ("PATH", "HOME", "LANG", "USER", "TMPDIR", "TZ")


class Child:
    """A running command and its guard."""

    def __init__(self, guard: subprocess.Popen[bytes], code_from: int) -> None:
        self._guard, self._code_from = guard, code_from

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._guard.poll() is not None

    def exit_code(self) -> int | None:
        """The command's own exit code once it has ended; None where it could not be started, or was ended."""
        assert self.ended, "it runs still"
        with suppress(ValueError):
            return int(os.read(self._code_from, 32))
        return None

    def end(self) -> None:
        """End it and all that it started."""
        if not self.ended:
            with suppress(ProcessLookupError):
                os.killpg(self._guard.pid, signal.SIGKILL)
            self._guard.wait(timeout=10)
        os.close(self._code_from)


@contextmanager
def child(argv: Sequence[str], *, env: Mapping[str, str], log: Path, directory: str | Path = "/") -> Iterator[Child]:
    """Run a command until the block ends. `log` is written anew."""
    log.parent.mkdir(parents=True, exist_ok=True)
    code_from, code_to = os.pipe()
    with log.open("wb") as out:
        guard = subprocess.Popen(
            [sys.executable, "-P", "-E", "-m", "crossfade.walk.scratch", str(os.getpid()), str(code_to), *argv],
            cwd=directory,
            env={**plain_environment(), **env},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[code_to],
        )
    os.close(code_to)
    running = Child(guard, code_from)
    try:
        yield running
    finally:
        running.end()


def wait(running: Child, limit_s: float, clock: Clock) -> int | None:
    """Wait for the end; the command's exit code, None where it was not over within the limit."""
    until_s = clock.monotonic_s() + limit_s
    while not running.ended:
        if clock.monotonic_s() >= until_s:
            return None
        clock.sleep(POLL_S)
    return running.exit_code()


def plain_environment() -> dict[str, str]:
    """What every child gets of ours: nothing that steers it, no secret."""
    return {name: value for name, value in os.environ.items() if name in _PLAIN}


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of an output."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return "\n".join(text.splitlines()[-lines:]) or "(nothing)"
