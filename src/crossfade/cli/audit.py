"""`crossfade audit DIR`: walks a project's whole history of migrations on a scratch server, and counts.

Rule: nothing of yours is touched: the server is made for the audit and removed with it. Lines for people go to standard
error, the count to standard output as its one and last line of JSON.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click

from crossfade.cli.acting import stopping
from crossfade.embedded.postgres import find_postgres
from crossfade.model.errors import Exit
from crossfade.schema.inputs.place import read_place
from crossfade.walk.audit import Audit, Report
from crossfade.walk.clock import SystemClock
from crossfade.walk.scratch_cluster import scratch_cluster


@click.command("audit")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True), metavar="DIR...")
@click.option("--postgres-bin", type=click.Path(file_okay=False), metavar="DIR", help="PostgreSQL's programs to use.")
@click.option("--major", type=int, metavar="N", help="The major version of PostgreSQL to use.")
@click.option(
    "--held-max-ms",
    type=click.FloatRange(min=1),
    default=1000.0,
    show_default=True,
    help="How long a lock that blocks others may be held, in milliseconds.",
)
def command(paths: tuple[str, ...], postgres_bin: str | None, major: int | None, held_max_ms: float) -> int:
    """Apply an ordered folder of migrations one by one through the engine, and say what came of each.

    Beside it a twin database gets the raw SQL; after each file the two schemas are compared. Both are filled with
    generated rows. Ends with 1 where something crashed, differs, or was not safe; refusals are an answer.
    """
    migrations = read_place(paths)
    clock = SystemClock()
    programs = find_postgres(postgres_bin, major)
    with tempfile.TemporaryDirectory(prefix="crossfade-audit-") as place, stopping() as go_on:
        Path(place).chmod(0o711)
        with scratch_cluster(Path(place), programs, clock) as scratch:
            audit = Audit(scratch, clock, lambda line: click.echo(line, err=True), held_max_ms)
            report = audit.run(migrations, go_on)
    told = len(migrations) - report.files - report.rejected
    if told:
        click.echo(f"stopped: {told} files were not looked at", err=True)
    click.echo("\n".join(summary(report)), err=True)
    click.echo(json.dumps(report.to_json()))
    return Exit.NOT_MET if report.crashed or report.differences or report.unsafe or report.broken else Exit.DONE


def summary(report: Report) -> list[str]:
    """What came of it, for people."""
    share = 100 * (report.planned + report.raw) / report.files if report.files else 0.0
    lines = [
        f"{report.files} files: {report.planned} planned, {report.raw} raw ({share:.1f} %),"
        f" {len(report.refused)} refused, {len(report.crashed)} crashed; the server refused {report.rejected} more"
    ]
    if report.unfilled:
        lines.append(f"tables that took no generated row: {', '.join(sorted(report.unfilled))}")
    return lines
