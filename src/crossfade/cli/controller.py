"""`crossfade controller`: the process that leads releases. The process manager runs it; people need not.

Rule: a second one run by hand says who leads since when, and ends with exit code 5.
"""

from __future__ import annotations

import signal
import threading

import click

from crossfade.cli.site import open_site
from crossfade.model.errors import CrossfadeError
from crossfade.walk.controller import Controller


@click.command("controller", hidden=True)
@click.option("--wait/--no-wait", default=True, help="Wait for the lease, or say who holds it and end.")
@click.option("--die-after-row", type=int, hidden=True, help="For tests: kill this process after that many rows.")
@click.option("--die-after-act", type=int, hidden=True, help="The same, for rows of the schema's acts.")
def command(wait: bool, die_after_row: int | None, die_after_act: int | None) -> None:
    """Lead the releases of this service until stopped."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    controller = Controller(
        open_site(),
        stop,
        reload=open_site,
        wait_for_lease=wait,
        die_after_row=die_after_row,
        die_after_act=die_after_act,
    )
    try:
        controller.run()
    except CrossfadeError as error:
        click.echo(error.render(), err=True)
        raise
