"""`crossfade check`: can the requirement hold? With paths: are these migrations safe?

Rule: reads files and nothing else, so it runs on every pull request. What one of the two needs is imported when that
one is asked for: a check before each commit must not wait for the other.
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, allow_dash=True), metavar="[PATH]...")
@click.option("--config", "own", type=click.Path(path_type=Path), metavar="FILE", help="The file to check.")
@click.option(
    "--output",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="How to print; sarif and github only with PATH.",
)
@click.option(
    "--transaction",
    type=click.Choice(["auto", "file", "none"]),
    default="auto",
    show_default=True,
    help="Whether your tool runs each file in one transaction; auto: unless it has its own or is CONCURRENTLY.",
)
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave a rule out; may be given again.")
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "error", "never"]),
    default="warning",
    show_default=True,
    help="From which severity on the command ends with 1.",
)
def command(
    paths: tuple[str, ...], own: Path | None, output: str, transaction: str, ignore: tuple[str, ...], fail_on: str
) -> None:
    """Check crossfade.toml, or, with PATH, what migrations would do to a running service.

    Without PATH: keys, values, references, and whether the promises can hold together. Where there is no file yet,
    says what the requirement will ask of application, database, queues, capacity and people. Ends with 3 where
    something is wrong.

    With PATH (files, folders, - for standard input): each statement that would block, rewrite, lose or break, with the
    form that does not. No database is asked. Ends with 1 where something was found.
    """
    if paths:
        from crossfade.cli.check_paths import check_paths

        click.get_current_context().exit(check_paths(paths, output, transaction, ignore, fail_on))
    if output in ("sarif", "github"):
        raise click.UsageError(f"--output {output} is for migrations: give a PATH")
    from crossfade.cli.check_config import check_config

    check_config(own, output)
