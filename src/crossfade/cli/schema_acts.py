"""`crossfade schema expand | backfill | detach | attach`, and purge and undo where no service has the schema.

Rule: each is one act, done by this process under a lease. It may be stopped or killed at any moment; the same command
goes on from there. Where the releases of a service own the schema, these are refused: the release walks them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from crossfade.cli.acting import progress, stopping
from crossfade.cli.schema_plan import files_argument, read_files, read_shown, star_option
from crossfade.cli.schema_where import HELP, find
from crossfade.cli.site import output_option, print_json
from crossfade.model.change import Stage
from crossfade.model.errors import Exit
from crossfade.model.path import Act
from crossfade.model.ports import GoOn, Say
from crossfade.walk.clock import SystemClock
from crossfade.walk.maintain import RESTORE_POINT, RESTORE_PROOF, span, waiver_line
from crossfade.walk.schema_alone import Outcome, SchemaAlone, hinted
from crossfade.walk.schema_order import WORDS


def plan_option(command: Callable[..., object]) -> Callable[..., object]:
    """Add --plan."""
    says = "Refuse any plan but this one: the id that `plan` printed, or a file of what `plan --output json` printed."
    return click.option("--plan", "plan", metavar="PLAN", help=says)(command)


@click.command("expand", epilog=HELP, short_help="Add the new shape, and keep both in step.")
@files_argument
@plan_option
@star_option
@output_option
def expand(files: Sequence[Path], plan: str | None, star_queries: str | None, output: str) -> int:
    """Add the new shape of FILE, and keep both in step from then on."""
    shown = read_shown(plan)
    with hinted():
        alone = find(star_queries).alone
        name, sources = read_files(files, alone.place.settings)
        return act(alone, "expand", output, lambda go_on, say: alone.expand(name, sources, shown, go_on, say))


@click.command("backfill", epilog=HELP, short_help="Fill the rows from before, and compare.")
@click.argument("change", required=False)
@output_option
def backfill(change: str | None, output: str) -> int:
    """Fill the rows from before, compare both shapes, and write a migration tool's own rows."""
    return move(Act.BACKFILL, change, output)


@click.command("detach", epilog=HELP, short_help="Hide the old shape, once nothing needs it.")
@click.argument("change", required=False)
@output_option
def detach(change: str | None, output: str) -> int:
    """Hide the old shape. Nothing of the version that needs it may run any more: you answer for that."""
    return move(Act.DETACH, change, output)


@click.command("attach", epilog=HELP, short_help="Bring the old shape back: the way back from detach.")
@click.argument("change", required=False)
@output_option
def attach(change: str | None, output: str) -> int:
    """Bring the old shape back in sight: the way back from detach."""
    return move(Act.ATTACH, change, output)


def move(what: Act, change: str | None, output: str, alone: SchemaAlone | None = None) -> int:
    """Do an act of a change that has begun, on the database at hand."""
    with hinted():
        found = alone or find().alone
        if what is Act.PURGE and output == "text":
            tell_waivers(found)
        return act(found, WORDS[what], output, lambda go_on, say: found.move(what, change, go_on, say))


def rehearse(what: Act, change: str | None, output: str, alone: SchemaAlone) -> int:
    """Say what an act would do, and refuse what it would refuse; nothing is done."""
    with hinted():
        found = alone.would(what, change)
    meant = found.standing.change if found.standing is not None else None
    units = (
        []
        if meant is None
        else [*meant.purge]
        if what is Act.PURGE
        else [*reversed([*meant.expand, *meant.settle, *meant.record])]
    )
    if output == "json":
        print_json({"act": WORDS[what], "change": meant.id if meant else None, "units": [one.key for one in units]})
        return Exit.DONE
    if meant is None:
        click.echo(f"nothing to {WORDS[what]}: {found.nothing}")
    for unit in units:
        click.echo(f"{meant.name if meant else ''}: {'' if what is Act.PURGE else 'takes back: '}{unit.says}")
    return Exit.DONE


def act(alone: SchemaAlone, title: str, output: str, do: Callable[[GoOn, Say], Outcome]) -> int:
    """Do it under a live line, then say what has come of it and what comes next."""
    with progress(title) as say, stopping() as go_on:
        outcome = do(go_on, say)
    if output == "json":
        print_json(outcome_json(outcome))
        return Exit.DONE
    click.echo("\n".join(outcome_lines(outcome)))
    following = next_of(outcome, alone)
    if following:
        click.echo(f"next: {following}", err=True)
    return Exit.DONE


def tell_waivers(alone: SchemaAlone) -> None:
    """What is waived of a purge's demands, red."""
    today = SystemClock().now().date()
    for what in (RESTORE_PROOF, RESTORE_POINT):
        line = waiver_line(alone.place.waivers, today, what)
        if line:
            click.echo(click.style(f"{what}  {line}", fg="red"), err=True)


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """What has come of an act, as data."""
    change = outcome.change
    return {
        "act": outcome.act,
        "says": outcome.says,
        "change": change.id if change else None,
        "name": change.name if change else None,
        "stage": str(outcome.stage) if outcome.stage else None,
        "did": len(outcome.steps),
        "measured": dict(outcome.data),
    }


def outcome_lines(outcome: Outcome) -> list[str]:
    """What has come of an act, for people."""
    lines = [outcome.says]
    if outcome.change is not None and not outcome.data:
        lines[0] += f": it stands at '{outcome.stage}'"
    if outcome.steps:
        longest_ms = max(float(str(step["held_ms"])) for step in outcome.steps)
        word = "step" if len(outcome.steps) == 1 else "steps"
        lines.append(f"  {len(outcome.steps)} {word}, locks held for {longest_ms:.1f} ms at most")
    return lines


def next_of(outcome: Outcome, alone: SchemaAlone) -> str:
    """The command that follows, and the one that leads back."""
    match outcome.stage:
        case Stage.BOTH:
            return "crossfade schema backfill, or back: crossfade schema undo"
        case Stage.EQUAL:
            return (
                "release what reads the new shape, stop what needs the old one, then: crossfade schema detach; "
                "or back: crossfade schema undo"
            )
        case Stage.HIDDEN:
            soak_s = alone.place.requirement.purge_after_s
            waits = f" in {span(soak_s)}" if soak_s and outcome.change and outcome.change.drops else ""
            return f"crossfade schema purge{waits}, or back: crossfade schema attach"
        case _:
            return ""
