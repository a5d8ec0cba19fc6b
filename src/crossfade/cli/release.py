"""`crossfade release VERSION`: begin a release and watch it; leaving the view does not stop it."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping

import click
from rich.console import Console

from crossfade.cli.asking import answered
from crossfade.cli.live import follow, line
from crossfade.cli.site import open_site, open_spool, output_option, print_json
from crossfade.model.errors import Exit, fail
from crossfade.plan.show import lines
from crossfade.walk.asks import Asks
from crossfade.walk.begin import Plan, make_plan, refuse_while_walking
from crossfade.walk.compose import memory
from crossfade.walk.site import Site
from crossfade.walk.status import Status

BEGIN_WAIT_S = 40.0
EXITS = {
    "completed": Exit.DONE,
    "rolled_back": Exit.NOT_MET,
    "abandoned": Exit.NOT_MET,
    "halted": Exit.NOT_MET,
    "held": Exit.INCONCLUSIVE,
}


@click.command("release")
@click.argument("version")
@click.option("--plan", "digest", help="Refuse any plan but this one (the digest that `plan` printed).")
@click.option("--detach", is_flag=True, help="Begin it and return; watch with `crossfade status --watch`.")
@click.option("--wait-while-held", is_flag=True, help="Without a terminal: wait on while it is held.")
@output_option
def command(version: str, digest: str | None, detach: bool, wait_while_held: bool, output: str) -> int:
    """Walk the service to VERSION: smoke, shift, judge; come back by itself where customers are hurt."""
    site = open_site()
    spool = open_spool(site)
    refuse_while_walking(spool)
    plan = make_plan(site, spool, version)
    if digest is not None and digest != plan.path.digest:
        raise fail("plan-changed", version=version, shown=digest, found=plan.path.digest)
    if output == "text":
        own = plan.change if plan.path.change_id else None
        shown = lines(site.config, plan.path, plan.current.boot_ms, own, gives_up=plan.current.before)
        click.echo("\n".join(shown), err=True)
    release = begin_release(site, plan, version)
    if detach:
        if output == "json":
            print_json({"release": release, "outcome": None})
        else:
            click.echo(f"release {release} goes on by itself: crossfade status --watch")
        return Exit.DONE
    return told(site, release, output, wait_while_held=wait_while_held)


def told(site: Site, release: str, output: str, *, wait_while_held: bool = False) -> int:
    """Watch it to its end, say how it ended, and give the exit code."""
    status = _watch(site, release, wait_while_held)
    if output == "json":
        print_json({"release": release, "outcome": status.outcome or None, "by": status.by, "cause": status.cause})
    elif sys.stderr.isatty():  # elsewhere the story's last line has said it already
        click.echo(line(status))
    return EXITS.get(status.outcome, Exit.DONE)


def begin_release(site: Site, plan: Plan, version: str) -> str:
    """Put the site up, ask the controller for the release, wait until it began; returns the release's id.

    Raises `journal-foreign` and `journal-unreachable` before anything is started.
    """
    return begin_ask(site, "release", {"version": version, "path_digest": plan.path.digest})


def begin_ask(site: Site, what: str, data: Mapping[str, object]) -> str:
    """Put the site up and have the controller begin something that is walked; returns its id. Raises as above."""
    require_own_journal(site)
    site.put_up()
    now = site.clock.now()
    release = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    answered(site, Asks(site.state_dir).put(what, now, {**data, "release": release}), BEGIN_WAIT_S)
    return release


def require_own_journal(site: Site) -> None:
    """Ask the database whose journal it holds; beside a copy of it not even a proxy may start."""
    held = memory(site)
    try:
        held.durable.bind()
    finally:
        held.close()


def _watch(site: Site, release: str, wait_while_held: bool) -> Status:
    """Follow until it ends. Without a terminal a release that needs a person ends the watching, too."""
    console = Console(stderr=True)
    alone = not sys.stdin.isatty()

    def over(status: Status) -> bool:
        needs_person = status.outcome in ("halted", "held") and alone and not wait_while_held
        return status.ended or needs_person

    while True:
        try:
            return follow(site.state_dir, site.clock, release, until=over, console=console)
        except KeyboardInterrupt:
            if alone:
                raise
            choice = click.prompt(
                "\nleave the release: [k]eep going, [p]ause, [r]oll back, [w]atch on",
                type=click.Choice(["k", "p", "r", "w"]),
                default="k",
                err=True,
            )
            if choice == "k":
                raise
            if choice in ("p", "r"):
                Asks(site.state_dir).put("pause" if choice == "p" else "rollback", site.clock.now())
