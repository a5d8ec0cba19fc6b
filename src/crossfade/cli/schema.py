"""`crossfade schema status | purge | undo`: the schema's own track, apart from any release.

Rule: what moves the schema is asked of the controller and walked like a release; this module only shows and asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import click

from crossfade.cli.release import begin_ask, told
from crossfade.cli.site import open_site, open_spool, output_option, print_json
from crossfade.model.errors import Exit
from crossfade.model.path import Act
from crossfade.model.ports import Standing
from crossfade.plan.show import lines
from crossfade.walk.begin import make_maintenance
from crossfade.walk.maintain import waiver_line
from crossfade.walk.schema_side import schema_engine
from crossfade.walk.site import Site


@click.group("schema")
def group() -> None:
    """The schema's own track: where changes stand, purging what they hid, undoing one that is open."""


@dataclass(frozen=True)
class Shown:
    """One change, for people and as data."""

    standing: Standing
    next: str

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        one = self.standing
        return {
            "change": one.change.id,
            "name": one.change.name,
            "version": one.version,
            "stage": str(one.stage),
            "since": one.since.isoformat(),
            "tables": list(one.change.tables),
            "no_counterpart": dict(one.partial_counts),
            "next": self.next,
        }

    def text(self) -> str:
        """As lines."""
        one = self.standing
        counts = ", ".join(f"{table}: {count}" for table, count in one.partial_counts.items() if count)
        said = f"{one.change.name} ({one.change.id}) of {one.version}: {one.stage} since {one.since:%Y-%m-%d %H:%M} UTC"
        partial = f"\n  values without counterpart: {counts}" if counts else ""
        return f"{said}\n  tables: {', '.join(one.change.tables)}{partial}\n  next: {self.next}"


def shown(site: Site) -> list[Shown]:
    """Every change that is under way, the open one first."""
    facts = schema_engine(site).facts()
    listed = []
    if facts.open is not None:
        version = facts.open.version
        listed.append(Shown(facts.open, f"crossfade release {version} goes on, crossfade schema undo takes it back"))
    for one in facts.detached:
        due = one.since + timedelta(seconds=site.config.requirement.purge_after_s)
        when = "now" if due <= site.clock.now() else f"from {due:%Y-%m-%d %H:%M} UTC on"
        listed.append(Shown(one, f"crossfade schema purge {one.change.id} {when}, after a crossfade drill"))
    return listed


@group.command("status")
@output_option
def status(output: str) -> None:
    """Say where each change stands, and what comes next."""
    listed = shown(open_site())
    if output == "json":
        print_json({"changes": [one.to_json() for one in listed]})
    else:
        click.echo("\n".join(one.text() for one in listed) or "no schema change is under way")


@group.command("purge")
@click.argument("change", required=False)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and why it may not be yet.")
@output_option
def purge(change: str | None, dry_run: bool, output: str) -> int:
    """Drop what a detached CHANGE hid (the one that waits longest); the attic keeps what nothing else tells.

    This cannot be taken back by a step.
    """
    return _move("purge", Act.PURGE, change, dry_run, output)


@group.command("undo")
@click.argument("change", required=False)
@click.option("--dry-run", is_flag=True, help="Print what would be done.")
@output_option
def undo(change: str | None, dry_run: bool, output: str) -> int:
    """Take back what the open CHANGE added, keeping in the attic what only its version wrote."""
    return _move("undo", Act.UNDO_CHANGE, change, dry_run, output)


def _move(what: str, act: Act, change: str | None, dry_run: bool, output: str) -> int:
    site = open_site()
    move = make_maintenance(site, open_spool(site), act, change)
    if output == "text":
        click.echo("\n".join(lines(site.config, move.path, None, move.standing.change)), err=True)
        waived = waiver_line(site.config, site.clock.now().date()) if act is Act.PURGE else None
        if waived:
            click.echo(click.style(f"restore point    {waived}", fg="red"), err=True)
    if dry_run:
        return Exit.DONE
    return told(site, begin_ask(site, what, {"change": move.standing.change.id}), output)
