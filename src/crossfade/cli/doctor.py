"""`crossfade doctor`: is everything there that a release on this machine needs?

Rule: looks and changes nothing. All findings are printed, the bad ones with what to do, and one bad one is
enough to end with 6, so it can stand in a script before a release.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from crossfade.cli.config_file import Loaded, given_config, load_config
from crossfade.cli.doctor_probes import (
    Finding,
    State,
    probe_commands,
    probe_database,
    probe_directories,
    probe_files,
    probe_front,
    probe_proxy,
    probe_repository,
    probe_secrets,
    probe_state_dir,
)
from crossfade.cli.doctor_rights import probe_rights
from crossfade.model.errors import CrossfadeError, Exit, fail
from crossfade.walk.clock import SystemClock

_MARKS = {State.WELL: "ok ", State.BAD: "BAD", State.UNKNOWN: "?  "}


def diagnose(loaded: Loaded, environ: Mapping[str, str]) -> list[Finding]:
    """Ask every probe."""
    config, home = loaded.config, loaded.path.parent
    return [
        *probe_proxy(config),
        *probe_commands(config, home),
        *probe_repository(config, home),
        *probe_directories(config, home),
        *probe_secrets(config, environ),
        *probe_database(config, environ),
        *probe_rights(config, environ, SystemClock()),
        *probe_front(config, (home / config.service.state_dir / "proxy").exists()),
        *probe_state_dir(config, home),
        *probe_files(),
    ]


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """What `doctor` says, one line for each finding."""
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        yield f"{_MARKS[finding.state]} {finding.what:<{width}}  {finding.said}"


def verdict_on(findings: Sequence[Finding]) -> CrossfadeError | None:
    """The error to end with, or None where a release may start."""
    wrong = [finding for finding in findings if finding.state is State.BAD]
    if not wrong:
        return None
    listing = "\n".join(f"{finding.what}: {finding.said}; {finding.remedy}" for finding in wrong)
    verb = "is" if len(wrong) == 1 else "are"
    return fail("environment-not-ready", count=len(wrong), total=len(findings), verb=verb, listing=listing)


@click.command("doctor")
@click.option("--config", "own", type=click.Path(path_type=Path), metavar="FILE", help="The file to read.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print.")
def command(own: Path | None, output: str) -> None:
    """Look whether everything is there that a release on this machine needs.

    Proxy, programs, versions, secrets, database, roles and their rights, port, state directory. Changes nothing.
    """
    findings = diagnose(load_config(given_config(own), Path.cwd()), os.environ)
    wrong = verdict_on(findings)
    if output == "json":
        click.echo(json.dumps({"ready": wrong is None, "findings": [asdict(finding) for finding in findings]}))
        click.get_current_context().exit(int(wrong.exit) if wrong else int(Exit.DONE))
    for line in finding_lines(findings):
        click.echo(line)
    if wrong is not None:
        raise wrong
    click.echo("next: crossfade plan VERSION")
