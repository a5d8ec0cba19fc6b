"""What every long command has: a line that says what it is at, and an end soon after it was asked to stop.

Rule: progress goes to standard error: a line that changes on a terminal, a line a step elsewhere. The first interrupt
(Ctrl-C, or SIGTERM as a pipeline sends it) asks the work to stop where it can go on later; the second one ends it.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click
from rich.console import Console
from rich.markup import escape

from crossfade.model.ports import GoOn, Say


@contextmanager
def progress(title: str) -> Iterator[Say]:
    """Say what is done; gives what takes the next line."""
    if not sys.stderr.isatty():
        yield lambda what: click.echo(what, err=True)
        return
    with Console(stderr=True).status(title) as status:
        yield lambda what: status.update(escape(what))


@contextmanager
def stopping() -> Iterator[GoOn]:
    """Gives what says no once somebody has asked to stop."""
    stop = threading.Event()
    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def asked(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for one in (signal.SIGINT, signal.SIGTERM):
        before[one] = signal.signal(one, asked)
    try:
        yield lambda: not stop.is_set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
