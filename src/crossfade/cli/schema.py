"""`crossfade schema`: a schema's own track, apart from any release and also without a service.

Rule: where the releases of a service own the schema, what moves it is asked of the controller and walked like a
release; this module only shows and asks. Everywhere else the commands act by themselves (`schema_acts.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module

import click

from crossfade.cli import schema_acts, schema_plan, schema_throttle
from crossfade.cli.schema_where import DIE_AFTER_ACT, HELP, find
from crossfade.cli.site import output_option, print_json
from crossfade.model.change import Stage
from crossfade.model.path import Act
from crossfade.model.ports import SchemaFacts, Standing
from crossfade.walk.clock import SystemClock
from crossfade.walk.schema_alone import hinted

KINDS = {
    "no counterpart": ("1 row of {table} holds", "{count} rows of {table} hold", "a value without counterpart"),
    "conflict": ("1 write of {table} gave", "{count} writes of {table} gave", "the two shapes different values"),
}


class InOrder(click.Group):
    """The commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click hands it over)
        """As here, not by the alphabet."""
        order = ("plan", "expand", "backfill", "throttle", "detach", "purge", "attach", "undo", "status")
        return sorted(self.commands, key=order.index)


@click.group("schema", cls=InOrder)
@click.option("--die-after-act", type=int, hidden=True, help="For tests: kill this process after that many rows.")
@click.pass_context
def group(context: click.Context, die_after_act: int | None) -> None:
    """Schema changes from plain SQL: planned, expanded, filled, detached, purged; each step with its way back.

    Works on any PostgreSQL, with or without a service of crossfade. Where a service's releases walk its changes, only
    plan, status, throttle, purge and undo are for you.
    """
    context.meta[DIE_AFTER_ACT] = die_after_act


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
        of = f" of {one.version}" if one.version else ""
        said = f"{one.change.name} ({one.change.id}){of}: {one.stage} since {one.since:%Y-%m-%d %H:%M} UTC"
        recorded = "".join(f"\n  recorded: {line}" for line in recorded_lines(one.partial_counts))
        return f"{said}\n  tables: {', '.join(one.change.tables)}{recorded}\n  next: {self.next}"


def recorded_lines(counts: Mapping[str, int]) -> list[str]:
    """What triggers have noted while both shapes lived, a sentence for each table and kind ("public.orders: kind")."""
    told_of = []
    for key, count in counts.items():
        table, _, kind = key.rpartition(": ")
        if count:
            one, many, what = KINDS[kind]
            told_of.append(f"{(one if count == 1 else many).format(table=table, count=count)} {what}")
    return told_of


def shown(facts: SchemaFacts, purge_after_s: float, now: datetime, *, alone: bool) -> list[Shown]:
    """Every change that is under way, the open one first."""
    listed = []
    if facts.open is not None:
        listed.append(Shown(facts.open, _next_alone(facts.open) if alone else _next_released(facts.open)))
    for one in facts.detached:
        due = one.since + timedelta(seconds=purge_after_s)
        soaks = due > now and (one.change.drops or not alone)
        when = f"from {due:%Y-%m-%d %H:%M} UTC on" if soaks else "now"
        rest = "or back: crossfade schema attach" if alone else "after a crossfade drill"
        listed.append(Shown(one, f"crossfade schema purge {one.change.id} {when}, {rest}"))
    return listed


def _next_released(one: Standing) -> str:
    return f"crossfade release {one.version or 'VERSION'} goes on, crossfade schema undo takes it back"


def _next_alone(one: Standing) -> str:
    going = {
        Stage.BASE: f"crossfade schema expand {one.change.name}",
        Stage.BOTH: "crossfade schema backfill",
        Stage.EQUAL: "crossfade schema detach, once nothing that needs the old shape runs",
    }
    return f"{going[one.stage]}; or back: crossfade schema undo"


group.add_command(schema_plan.command)
group.add_command(schema_throttle.command)
for command in (schema_acts.expand, schema_acts.backfill, schema_acts.detach, schema_acts.attach):
    group.add_command(command)


@group.command("status", epilog=HELP, short_help="Say where each change stands, and what comes next.")
@output_option
def status(output: str) -> None:
    """Say where each change stands, and what comes next."""
    with hinted():
        found = find()
        facts = found.alone.facts(counted=True)
    after_s = found.alone.place.requirement.purge_after_s
    listed = shown(facts, after_s, SystemClock().now(), alone=found.site is None)
    if output == "json":
        print_json({"changes": [one.to_json() for one in listed]})
    else:
        click.echo("\n".join(one.text() for one in listed) or "no schema change is under way")


@group.command("purge", epilog=HELP, short_help="Drop what a detached change hid. No way back.")
@click.argument("change", required=False)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and why it may not be yet.")
@output_option
def purge(change: str | None, dry_run: bool, output: str) -> int:
    """Drop what a detached CHANGE hid (the one that waits longest); the attic keeps what nothing else tells.

    This cannot be taken back by a step. Without a service nobody can drill a restore here, so two waivers in
    crossfade.toml answer for it: purge:restore-proof and purge:restore-point.
    """
    return _move("purge", Act.PURGE, change, dry_run, output)


@group.command("undo", epilog=HELP, short_help="Take back what the open change added.")
@click.argument("change", required=False)
@click.option("--dry-run", is_flag=True, help="Print what would be done.")
@output_option
def undo(change: str | None, dry_run: bool, output: str) -> int:
    """Take back what the open CHANGE added, keeping in the attic what only its version wrote."""
    return _move("undo", Act.UNDO_CHANGE, change, dry_run, output)


def _move(what: str, act: Act, change: str | None, dry_run: bool, output: str) -> int:
    found = find()
    if found.site is not None:
        asking = import_module(
            "crossfade.cli.schema_asking"
        )  # brings a whole release's parts, which alone are not needed
        code: int = asking.ask(found.site, what, act, change, dry_run, output)
        return code
    if dry_run:
        return schema_acts.rehearse(act, change, output, found.alone)
    return schema_acts.move(act, change, output, found.alone)
