"""`crossfade plan VERSION`: what a release would do, from what is true now. Changes nothing."""

from __future__ import annotations

import click

from crossfade.cli.site import open_site, open_spool, output_option, print_json
from crossfade.plan.show import lines
from crossfade.walk.begin import make_plan


@click.command("plan")
@click.argument("version")
@click.option("--sql", is_flag=True, help="Also every statement of the schema change, with its undo.")
@output_option
def command(version: str, sql: bool, output: str) -> None:
    """Print the path of a release of VERSION: positions, steps, and the way back from each."""
    site = open_site()
    plan = make_plan(site, open_spool(site), version)
    if output == "json":
        change = plan.change.to_json() if plan.change is not None and plan.path.change_id else None
        print_json({"digest": plan.path.digest, **plan.path.to_json(), "change": change})
    else:
        own, now = plan.change if plan.path.change_id else None, plan.current
        click.echo("\n".join(lines(site.config, plan.path, now.boot_ms, own, sql=sql, gives_up=now.before)))
        click.echo(f"next: crossfade release {version}", err=True)
