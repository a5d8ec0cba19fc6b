"""The live view of a release: a picture on a terminal, plain lines elsewhere.

Rule: the view only reads the walker's status; leaving it changes nothing. Without a terminal it prints one
line per transition or new reason, each with its time, so a log of a release reads as its story.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from crossfade.model.ports import Clock
from crossfade.walk.status import Status, read_status

BAR_WIDTH = 40
LOOK_EVERY_S = 0.2
MARKS = {
    "standing": ("*", "cyan"),
    "stepping": (">", "cyan"),
    "paused": ("=", "yellow"),
    "held": ("?", "yellow"),
    "returning": ("<", "red"),
    "attaching": ("<", "red"),
    "restoring": ("<", "red"),
    "undoing": ("<", "red"),
    "clearing": ("<", "red"),
    "halted": ("!", "red"),
    "stranded": ("!", "red"),
    "completed": ("+", "green"),
    "rolled_back": ("-", "red"),
    "abandoned": ("-", "red"),
}


def fader_bar(status: Status) -> Text:
    """The crossfader as a picture: old on the left, new on the right, the knob at the measured share."""
    share = status.measured_share if status.measured_share is not None else status.wanted_share
    knob = round(share / 100 * (BAR_WIDTH - 1))
    bar = Text()
    bar.append(f"{status.old_version or '(none)':>12} ", style="bold")
    bar.append("-" * knob, style="dim")
    bar.append("#", style="bold magenta")
    bar.append("-" * (BAR_WIDTH - 1 - knob), style="dim")
    bar.append(f" {status.new_version}", style="bold")
    return bar


def picture(status: Status) -> RenderableType:
    """The whole status, for a terminal."""
    mark, colour = MARKS.get(status.phase, ("*", "white"))
    head = Text.assemble(
        (f"{mark} {status.phase.replace('_', ' ')}", f"bold {colour}"),
        f"  {status.position}  step {status.index}/{status.last_index}  release {status.release}",
    )
    lines: list[RenderableType] = [head]
    if status.new_version:  # else only the schema moves, and one version serves throughout
        lines += [fader_bar(status), Text(shares(status))]
        lines.append(Text(f"old {status.old_healthy}  new {status.new_healthy}  fuse {status.fuse}"))
    lines += [Text(f"  {line}", style="dim") for line in status.signals]
    for label, value in (
        ("schema", status.schema),
        ("why", status.why if status.why != status.cause else ""),
        ("cause", status.cause),
        ("released by", status.released_by),
        ("way back", way_back_text(status)),
        ("journal", status.journal if status.journal != "reachable" else ""),
    ):
        if value:
            lines.append(Text(f"{label:>12}: {value}"))
    return Group(*lines)


def shares(status: Status) -> str:
    """Wanted, set and measured share in one line."""
    measured = "-" if status.measured_share is None else f"{status.measured_share:.2f} %"
    in_force = "-" if status.set_share is None else f"{status.set_share:g} %"
    return (
        f"share wanted {status.wanted_share:g} %, in force {in_force}, "
        f"measured {measured} of {status.measured_requests} requests"
    )


def way_back_text(status: Status) -> str:
    """The way back and its predicted time."""
    if not status.way_back:
        return ""
    if status.way_back_s is None:
        return status.way_back
    return f"{status.way_back} (predicted {seconds(status.way_back_s)})"


def seconds(value: float) -> str:
    """A duration as people read it."""
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"


def line(status: Status) -> str:
    """One line of the story: for logs and pipes."""
    reason = (status.outcome and status.cause) or status.why
    return f"{status.at[11:19]} {status.phase:<11} {status.position:<13} {reason}".rstrip()


def follow(state_dir: Path, clock: Clock, release: str, *, until: Callable[[Status], bool], console: Console) -> Status:
    """Show the release until `until` says so; returns the last status. KeyboardInterrupt passes through."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=5) as live:
            for status in statuses(state_dir, clock, release):
                live.update(picture(status))
                if until(status):
                    return status
    told: tuple[str, ...] = ()
    for status in statuses(state_dir, clock, release):
        key = (status.phase, status.position, status.cause)
        if key != told:
            told = key
            click.echo(line(status), err=True)
        if until(status):
            return status
    raise AssertionError("statuses never end by themselves")


def statuses(state_dir: Path, clock: Clock, release: str) -> Iterable[Status]:
    """The walker's statuses of one release as they come."""
    while True:
        status = read_status(state_dir)
        if status is not None and status.release == release:
            yield status
        clock.sleep(LOOK_EVERY_S)
