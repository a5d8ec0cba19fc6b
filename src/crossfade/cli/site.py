"""From `--config` to the site a command works on, and the JSON every command prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from crossfade.cli.config_file import given_config, load_config
from crossfade.journal.spool import Spool
from crossfade.walk.clock import SystemClock
from crossfade.walk.site import Site


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--output text|json`."""
    choice = click.Choice(["text", "json"])
    return click.option("--output", type=choice, default="text", show_default=True, help="How to print.")(command)


def open_site() -> Site:
    """The site of the configuration at hand. Raises the errors of reading it."""
    clock = SystemClock()
    loaded = load_config(given_config(None), Path.cwd(), clock.now().date())
    return Site(loaded.config, loaded.path, clock)


def open_spool(site: Site) -> Spool:
    """The spool of the site; made where there is none yet."""
    site.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Spool(site.state_dir / "spool.jsonl", site.clock)


def print_json(value: Mapping[str, object]) -> None:
    """One line of JSON on standard output: a contract, unlike the text."""
    click.echo(json.dumps(value, default=str))
