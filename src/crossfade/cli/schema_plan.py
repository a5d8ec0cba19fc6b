"""`crossfade schema plan FILE`: what an SQL file would do to this database, step by step. Changes nothing.

Rule: the id that is printed binds the plan: `expand --plan` runs no other one. The JSON form is the plan kept as a
file: with the outline of the schema it was made against, so that a later refusal can name what has moved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from crossfade.cli.schema_where import HELP, find
from crossfade.cli.site import output_option, print_json
from crossfade.model.change import Change
from crossfade.model.errors import fail
from crossfade.model.requirement import Staging
from crossfade.plan.show_stages import plan_lines, stages_of
from crossfade.schema.drift import Shown, is_plan_id
from crossfade.schema.inputs.migration import Source, all_sources
from crossfade.schema.inputs.place import STDIN, read_place
from crossfade.schema.inputs.tools import Tools
from crossfade.walk.schema_alone import Planned, hinted

STAR = "Whether prepared statements ask for whole rows (SELECT *, RETURNING *); as [schema] star_queries."


def files_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add FILE..., which may be folders, and - for standard input."""
    kind = click.Path(path_type=Path, exists=True, allow_dash=True)
    return click.argument("files", nargs=-1, required=True, type=kind, metavar="FILE...")(command)


def star_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --star-queries."""
    return click.option("--star-queries", type=click.Choice(["none", "some"]), help=STAR)(command)


def read_files(files: Sequence[Path], settings: Staging) -> tuple[str, list[Source]]:
    """The name of the change for people, and its texts in order. Raises what `read_place` raises."""
    tools = Tools(Path(), settings.alembic, settings.django)
    name = " ".join(STDIN if str(one) == "-" else str(one) for one in files)
    return name, all_sources(read_place(files, tools=tools))


def read_shown(given: str | None) -> Shown | None:
    """What --plan names: an id, or a file that `plan --output json` wrote. Raises `schema-plan-unreadable`."""
    if given is None or is_plan_id(given):
        return None if given is None else Shown(given)
    try:
        raw = json.loads(Path(given).read_text(encoding="utf-8"))
        shown = Shown(str(raw["plan"]), {str(name): list(lines) for name, lines in raw["outline"].items()})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise fail("schema-plan-unreadable", given=given, reason=_why(exc)) from exc
    if not is_plan_id(shown.id):
        raise fail("schema-plan-unreadable", given=given, reason="it holds no plan's id")
    return shown


def _why(exc: Exception) -> str:
    if isinstance(exc, OSError):
        return f"the system said: {exc.strerror or exc}"
    return "it is not JSON" if isinstance(exc, ValueError) else "it is not what that command prints"


@click.command("plan", epilog=HELP, short_help="Print what SQL would do, step by step.")
@files_argument
@click.option("--sql", is_flag=True, help="Also every statement, with its undo.")
@star_option
@output_option
def command(files: Sequence[Path], sql: bool, star_queries: str | None, output: str) -> None:
    """Print what FILE would do: stages, locks, scans, backfills, who may run meanwhile, the way back. Changes nothing.

    FILE is SQL as it is written for the whole step, or a folder of such files, or - for standard input; several are one
    change, in the order given. The plan's id goes into `crossfade schema expand --plan`.
    """
    with hinted():
        alone = find(star_queries).alone
        name, sources = read_files(files, alone.place.settings)
        planned = alone.plan(name, sources)
    if output == "json":
        print_json(plan_json(planned))
    else:
        stars = alone.place.settings.star_queries
        typed = " ".join(map(str, files))
        again = f"{typed} --star-queries {star_queries}" if star_queries else typed
        click.echo("\n".join(plan_lines(planned.change, planned.id, stars, again, sql=sql)))


def plan_json(planned: Planned) -> dict[str, object]:
    """The plan as data: what --plan reads, and what a program may show."""
    change: Change = planned.change
    return {
        "plan": planned.id,
        "name": change.name,
        "base": change.base,
        "tables": list(change.tables),
        "stages": {
            question.replace(" ", "_"): [asdict(one) for one in lines] for question, lines in stages_of(change).items()
        },
        "irreversible": ["purge"] if change.drops else [],
        "change": change.to_json(),
        "outline": {name: list(lines) for name, lines in planned.outline.items()},
    }
