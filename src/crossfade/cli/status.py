"""`crossfade status`: where the release stands, why it waits, and what releases it."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.console import Console

from crossfade.cli.live import follow, line, picture
from crossfade.cli.site import open_site, output_option, print_json
from crossfade.model.errors import Exit
from crossfade.walk.emergency import controller_alive
from crossfade.walk.status import read_status


@click.command("status")
@click.option("--watch", is_flag=True, help="Stay and show every change until the release ends.")
@output_option
def command(watch: bool, output: str) -> int:
    """Show where the release stands. The answer comes from this machine, also while the database is down."""
    site = open_site()
    status = read_status(site.state_dir)
    alive = controller_alive(site)
    if status is None:
        if output == "json":
            print_json({"release": None, "controller_alive": alive})
        else:
            click.echo("no release was ever begun here\nnext: crossfade plan VERSION")
        return Exit.DONE
    if output == "json":
        print_json({**asdict(status), "outcome": status.outcome or None, "controller_alive": alive})
        return Exit.DONE
    console = Console()
    if watch and status.release and not status.ended:
        status = follow(site.state_dir, site.clock, status.release, until=lambda s: s.ended, console=console)
        click.echo(line(status))
        return Exit.DONE
    if status.release:
        console.print(picture(status))
    else:
        click.echo(status.why)
    if not alive:
        click.echo(f"the controller is not running; this is what it said last, at {status.at}", err=True)
    return Exit.DONE
