"""`crossfade demo`: a real service moves to a new version under load, and bad versions come back by themselves."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from crossfade.demo.load import Load, LoadOptions
from crossfade.demo.stage import Stage
from crossfade.demo.story import Story, Teller, Told
from crossfade.model.errors import Exit
from crossfade.walk.clock import SystemClock

RATE_PER_S = 210.0
GOOD = Story(
    "v7", "renames a column, drops one, adds one; a 10 s request in flight", True, long_request=True, leaves=("v7",)
)
SHORT = (
    GOOD,
    Story("v3", "answers /healthz, but fails 5 % of POST /orders"),
    Story("v5", "hangs on one endpoint"),
)
BAD = (
    Story("v4", "slow on one critical endpoint"),
    Story("v6", "saturates PostgreSQL, where the journal lives too"),
    Story(
        "v30",
        "fails 30 % of POST /orders, and the controller is dead",
        shares=(50, 100),
        stop_controller_at="shifted(50)",
    ),
)
CHANGES = (
    Story(
        "v8",
        "changes the schema and fails 6 % of POST /orders; it comes back, and is abandoned",
        then=("abandon",),
        gives_up="wrapping",
        leaves=("v7",),
    ),
    Story("v8", "the same once more; this time what it added to the schema is left", leaves=("v7", "v8")),
    Story(
        "v8b",
        "v8 mended, on the schema that v8 left; then a restore is proven, and what v7 and v8b hid is purged",
        True,
        then=("drill", "schema purge", "schema purge"),
        leaves=("v8",),
    ),
)
REST = (*BAD, *CHANGES)


@click.command("demo")
@click.option("--all", "every", is_flag=True, help="Every story, not only the short one.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print.")
@click.option("--rate", default=RATE_PER_S, show_default=True, help="Requests per second.")
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), help="Where; kept afterwards.")
def command(every: bool, output: str, rate: float, directory: Path | None) -> int:
    """Tell the story on real parts: PostgreSQL, HAProxy, a web service, and customers who count."""
    keep = directory is not None
    place = directory or Path(tempfile.mkdtemp(prefix="crossfade-demo-"))
    place.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        place.chmod(0o711)
    clock = SystemClock()
    stage = Stage(place.resolve(), clock, parent=GOOD.version)
    stories = SHORT + REST if every else SHORT
    started_s = clock.monotonic_s()
    told: list[Told] = []

    def say(text: str) -> None:
        click.echo(text, err=output == "json")

    signal.signal(signal.SIGTERM, _interrupted)  # ended from outside it strikes its stage, too
    try:
        say(f"setting the stage in {place}: PostgreSQL, the shop's versions, HAProxy")
        stage.set_up(stories[0].shares)
        load = Load(LoadOptions(stage.base_url, rate_per_s=rate, max_s=1800), place / "load")
        teller = Teller(stage, load, say)
        teller.first_start("v1")
        with load:
            say(f"customers: {rate:g} requests/s, half of them without a cookie")
            clock.sleep(3)
            told = [teller.tell(story) for story in stories]
        width = None if Console().is_terminal else 110  # a pipe has no width of its own
        summary(told, clock.monotonic_s() - started_s, Console(stderr=output == "json", width=width))
    finally:
        stage.strike(keep=keep)
    if output == "json":
        click.echo(json.dumps({"releases": [one.to_json() for one in told]}))
    return Exit.DONE if as_promised(told) else Exit.NOT_MET


def _interrupted(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 (a signal handler)
    raise KeyboardInterrupt


def as_promised(told: list[Told]) -> bool:
    """Whether every release ended as its story says: no write lost, no harm from a good one."""
    return all(one.as_told and one.lost_writes == 0 for one in told)


def summary(told: list[Told], took_s: float, console: Console) -> None:
    """The one screen at the end."""
    table = Table(title=f"what the customers saw ({took_s:.0f} s in all)")
    for heading in ("release", "outcome", "by", "requests", "failed", "on new", "lost writes", "verdict", "to old"):
        text = heading in ("release", "outcome", "by")
        table.add_column(heading, justify="left" if text else "right", no_wrap=True)
    for one in told:
        verdict = "-" if one.seconds_to_verdict is None else f"{one.seconds_to_verdict:.1f} s"
        to_old = "-" if one.seconds_verdict_to_old_only is None else f"{one.seconds_verdict_to_old_only:.2f} s"
        colour = "green" if one.outcome == "completed" else "red"
        table.add_row(
            f"{one.from_version} -> {one.to}",
            f"[{colour}]{one.outcome}[/]",
            one.by or "-",
            f"{one.requests}",
            f"{one.failed}",
            f"{one.failed_on_new_lane}",
            f"{one.lost_writes}",
            verdict,
            to_old,
        )
    console.print(table)
    for one in told:
        if one.cause:
            console.print(f"{one.to}: {one.cause}", style="dim", highlight=False)
