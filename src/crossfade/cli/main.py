"""The command line: one module a command, one place where errors become text and exit codes.

Rule: a command's module is imported when that command is called, so that none waits for what another one needs.
Data goes to standard output, messages to standard error; a failure from the catalogue ends with its own exit code,
anything else is our bug and says where to report it. No traceback reaches a user.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import click

from crossfade.model.errors import EXIT_MEANINGS, CrossfadeError, Exit, fail

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {int(code):>3}  {says}" for code, says in EXIT_MEANINGS.items())


# In the order in which a newcomer needs them.
COMMANDS = {
    "init": "crossfade.cli.init",
    "check": "crossfade.cli.check",
    "plan": "crossfade.cli.plan",
    "release": "crossfade.cli.release",
    "status": "crossfade.cli.status",
    "pause": "crossfade.cli.asking:pause",
    "resume": "crossfade.cli.asking:resume",
    "rollback": "crossfade.cli.asking:rollback",
    "abandon": "crossfade.cli.asking:abandon",
    "schema": "crossfade.cli.schema:group",
    "ready": "crossfade.cli.ready",
    "audit": "crossfade.cli.audit",
    "drill": "crossfade.cli.drill",
    "doctor": "crossfade.cli.doctor",
    "controller": "crossfade.cli.controller",
}
if (Path(__file__).parents[1] / "demo").is_dir():  # the demo is at the top of the layers: found, not imported here
    COMMANDS["demo"] = "crossfade.demo.command"


class Commands(click.Group):
    """The group, whose commands are imported one by one as they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click hands it over)
        """As they are listed, not by the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(module), name or "command")
        return found


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="crossfade.toml to use.")
@click.version_option(package_name="crossfade")
def group(config: Path | None) -> None:
    """Zero downtime as a property of a service: written down, proven, and held during every release."""


def main() -> None:
    """Run a command and end with its exit code."""
    try:
        code = group.main(standalone_mode=False)
    except CrossfadeError as error:
        _tell(error)
        code = error.exit
    except click.ClickException as exc:
        exc.show()
        code = Exit.USAGE
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted; what was begun goes on: crossfade status", err=True)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.DONE
    except Exception as exc:
        import traceback  # of no use to a command that ends well

        if os.environ.get("CROSSFADE_TRACEBACK"):
            traceback.print_exc()
        frame = traceback.extract_tb(exc.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        bug = fail("bug", kind=type(exc).__name__, detail=str(exc) or "no detail", where=where)
        _tell(bug)
        code = bug.exit
    sys.exit(int(code or 0))


def _tell(error: CrossfadeError) -> None:
    given = sys.argv[1:]
    if "--output=json" in given or ("--output", "json") in pairwise(given):  # the failure is data, too
        facts = {key: str(value) for key, value in error.facts.items()}
        click.echo(json.dumps({"error": error.id, "message": error.message, "facts": facts, "hint": error.hint}))
    click.echo(error.render(), err=True)


if __name__ == "__main__":
    main()
