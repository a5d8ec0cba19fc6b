"""`crossfade schema throttle`: how gently backfills go, shown and changed while one runs.

Rule: it works wherever the database can be reached, beside any command or release that fills, and is heeded within a
batch. What was set stays with its author until it is set back; a limit that nobody set is the one that is configured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from crossfade.cli.schema_where import HELP, find
from crossfade.cli.site import output_option, print_json
from crossfade.model.settings.field import keys_of
from crossfade.model.settings.staging import Staging
from crossfade.schema.knobs import LIMITS, NAMES, PAUSED, bounds, is_whole
from crossfade.walk.clock import SystemClock
from crossfade.walk.schema_alone import hinted
from crossfade.walk.schema_throttle import Throttle, look, set_knobs

CONFIGURED = "configured"
_ABOUT = {key.field_name: key.about for key in keys_of(Staging)}


def number(ctx: click.Context, param: click.Parameter, value: str | None) -> float | str | None:
    """Read a limit: a number within its bounds, or `configured`."""
    del ctx
    if value is None or value == CONFIGURED:
        return value
    assert param.name is not None
    least, most = bounds(param.name)
    kind, read = ("a whole number", int) if is_whole(param.name) else ("a number", float)
    try:
        found = float(read(value))
    except ValueError:
        found = float("nan")
    if not least <= found <= most:
        raise click.BadParameter(f"{value!r} is not {kind} from {least:.10g} to {most:.10g}, nor {CONFIGURED}")
    return found


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each limit."""
    for knob in reversed(LIMITS):
        name, help_text = f"--{knob.replace('_', '-')}", _ABOUT[knob].doc
        command = click.option(name, knob, callback=number, metavar="N", help=help_text)(command)
    return command


@click.command("throttle", epilog=HELP)
@click.option("--pause", is_flag=True, help="Stop after the batch under way, until --resume.")
@click.option("--resume", is_flag=True, help="Go on.")
@click.option("--reset", is_flag=True, help="Go on, with every limit as configured.")
@limit_options
@output_option
def command(pause: bool, resume: bool, reset: bool, output: str, **limits: float | str | None) -> None:
    """Show how gently backfills go, or change it while one runs.

    Without an option: show. N may be `configured`, which takes back what was set.
    """
    if pause + resume + reset > 1:
        raise click.UsageError("--pause, --resume and --reset exclude each other")
    values: dict[str, float | None] = dict.fromkeys(NAMES) if reset else {}
    if pause or resume:
        values[PAUSED] = 1.0 if pause else None
    for knob, value in limits.items():
        if value is not None:
            values[knob] = None if isinstance(value, str) else value
    clock = SystemClock()
    with hinted():
        alone = find().alone
        place, service = alone.place, alone.owner.service
        if values:
            set_knobs(place.admin_url, service, values, clock)
        found = look(place.admin_url, service, place.settings, clock)
    if output == "json":
        print_json(to_json(found))
    else:
        click.echo("\n".join(lines(found)))


def to_json(found: Throttle) -> dict[str, object]:
    """What holds, as data."""
    return {
        "service": found.service,
        "paused": found.paused is not None,
        "limits": {knob: getattr(found.limits, knob) for knob in LIMITS},
        "set": [{"knob": one.name, "value": one.value, "who": one.who, "at": one.at} for one in found.knobs.values()],
        "filling": [{"change": one.change, "task": one.task, "rows": one.rows} for one in found.filling],
    }


def lines(found: Throttle) -> list[str]:
    """What holds, for people."""
    said = [f"paused {found.paused.said}"] if found.paused else []
    width = max(map(len, LIMITS))
    for name in LIMITS:
        knob = found.knobs.get(name)
        unit = _ABOUT[name].unit
        shown = f"{getattr(found.limits, name):g}{f' {unit}' if unit else ''}"
        said.append(f"{name:{width}}  {shown}, {f'set {knob.said}' if knob else 'as configured'}")
    said += [f"fills {one.task} of change {one.change}: {one.rows} rows so far" for one in found.filling]
    return said if found.filling else [*said, "nothing is being filled"]
