"""`crossfade schema purge | undo` where the releases of a service own the schema: asked of its controller.

Rule: it is walked like a release, on a path of its own, with what a release refuses; this module only shows and asks.
"""

from __future__ import annotations

import click

from crossfade.cli.release import begin_ask, told
from crossfade.cli.site import open_spool
from crossfade.model.errors import Exit
from crossfade.model.path import Act
from crossfade.plan.show import lines
from crossfade.walk.begin import make_maintenance
from crossfade.walk.maintain import waiver_line
from crossfade.walk.site import Site


def ask(site: Site, what: str, act: Act, change: str | None, dry_run: bool, output: str) -> int:
    """Show what would be walked, ask for it, and watch it to its end; the exit code."""
    move = make_maintenance(site, open_spool(site), act, change)
    if output == "text":
        click.echo("\n".join(lines(site.config, move.path, None, move.standing.change)), err=True)
        waived = waiver_line(site.config.waivers, site.clock.now().date()) if act is Act.PURGE else None
        if waived:
            click.echo(click.style(f"restore point    {waived}", fg="red"), err=True)
    if dry_run:
        return Exit.DONE
    return told(site, begin_ask(site, what, {"change": move.standing.change.id}), output)
