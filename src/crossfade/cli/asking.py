"""`crossfade pause | resume | rollback | abandon`: what people ask of a running release.

Rule: asking never needs the database, and coming back never needs the controller: where none is alive,
`rollback` and `abandon` move the fader to the old slot themselves, and the ask waits for the next one.
"""

from __future__ import annotations

import click

from crossfade.cli.live import seconds
from crossfade.cli.site import open_site, output_option, print_json
from crossfade.model.errors import fail
from crossfade.walk.asks import Ask, Asks
from crossfade.walk.emergency import controller_alive, fader_to_old
from crossfade.walk.site import Site
from crossfade.walk.status import read_status

ANSWER_WAIT_S = 15.0
ALIVE_WAIT_S = 1.0


def answered(site: Site, ask: Ask, wait_s: float = ANSWER_WAIT_S) -> str:
    """Wait until the walker has answered; returns its reply. Raises `ask-unanswered`, `ask-refused`."""
    asks = Asks(site.state_dir)
    until_s = site.clock.monotonic_s() + wait_s
    while (reply := asks.reply(ask)) is None:
        if site.clock.monotonic_s() > until_s:
            stays = "it stays asked"
            if "release" in ask.data:
                asks.withdraw(ask)  # a release never begins when nobody waits for it any more
                stays = "it was taken back"
            alive = "alive" if controller_alive(site) else "not running"
            raise fail("ask-unanswered", what=ask.what, waited_s=f"{wait_s:g}", stays=stays, controller=alive)
        site.clock.sleep(0.05)
    if reply.startswith("refused"):
        raise fail("ask-refused", what=ask.what, reply=reply.removeprefix("refused: "))
    return reply


def _ask(what: str, output: str, *, come_back: bool = False) -> None:
    site = open_site()
    before = read_status(site.state_dir)
    if before is None or not before.release:
        raise fail("nothing-to-ask", what=what, why="no release was ever begun here", service=site.config.service.name)
    if come_back and before.way_back and output == "text":
        predicted = "" if before.way_back_s is None else f", predicted {seconds(before.way_back_s)}"
        click.echo(f"the way back from {before.position}: {before.way_back}{predicted}", err=True)
    asks = Asks(site.state_dir)
    ask = asks.put(what, site.clock.now())
    if come_back and not controller_alive(site):
        said = fader_to_old(site)
        click.echo(f"no controller is alive; {said}", err=True)
    reply = answered(site, ask)
    status = read_status(site.state_dir) or before
    if output == "json":
        print_json({"asked": what, "reply": reply, "phase": status.phase, "position": status.position})
    else:
        click.echo(reply)


@click.command("pause")
@output_option
def pause(output: str) -> None:
    """Stand still at this position; it is still watched and can still come back."""
    _ask("pause", output)


@click.command("resume")
@click.option("--adopt", is_flag=True, help="Accept the database after a failover or a restore as this service's own.")
@output_option
def resume(adopt: bool, output: str) -> None:
    """Go on from where the release stands; after a reboot, start everything again first."""
    site = open_site()
    if not adopt and read_status(site.state_dir) is not None and site.supervisord() is None:
        site.put_up()
        said = "process manager, proxy, lanes and controller are started again; the release goes on by itself"
        if output == "json":
            print_json({"asked": "resume", "reply": said})
        else:
            click.echo(f"{said}\nnext: crossfade status")
        return
    _ask("adopt" if adopt else "resume", output)


@click.command("rollback")
@output_option
def rollback(output: str) -> None:
    """Bring all traffic back to the old version, then stop the new one."""
    _ask("rollback", output, come_back=True)


@click.command("abandon")
@output_option
def abandon(output: str) -> None:
    """Roll back all the way: also undo what was prepared for the new version."""
    _ask("abandon", output, come_back=True)
