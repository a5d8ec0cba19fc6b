"""Write docs/reference/commands.md anew: every command with its arguments and options, read from click."""

from __future__ import annotations

import inspect
from pathlib import Path

import click

from crossfade.cli.main import group
from crossfade.model.errors import EXIT_MEANINGS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "commands.md"

HEAD = """# Commands

<!-- Written by tools/write_command_reference.py from the commands themselves. Do not edit. -->

Data goes to standard output, messages go to standard error. Text is for people and may change; `--output json`
is for programs. `crossfade.toml` is looked for in the current folder and its parents, unless `--config` names it.
"""


def options(command: click.Command) -> str:
    """The options as a table; empty where there are none."""
    rows = []
    for param in command.params:
        if not isinstance(param, click.Option) or param.hidden:
            continue
        value = "" if param.is_flag else f" {_value(param)}"
        default = f" Default: {param.default}." if param.show_default and param.default is not None else ""
        rows.append(f"| `{', '.join(param.opts)}{value}` | {param.help or ''}{default} |")
    return "\n".join(["| option | what it does |", "|---|---|", *rows, ""]) if rows else ""


def _value(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "\\|".join(map(str, option.type.choices))
    return option.type.name.upper()


def commands_of(one: click.Group) -> list[tuple[str, click.Command]]:
    """The commands of a group, each imported."""
    context = click.Context(one)
    found = [(name, one.get_command(context, name)) for name in one.list_commands(context)]
    return [(name, command) for name, command in found if command is not None]


def section(name: str, command: click.Command) -> str:
    """One command."""
    arguments = [
        param.metavar or (param.name or "").upper() for param in command.params if isinstance(param, click.Argument)
    ]
    usage = " ".join(["crossfade", name, "[OPTIONS]", *arguments])
    level = "#" * (2 + name.count(" "))
    parts = [f"{level} {name}\n", f"`{usage}`\n", inspect.cleandoc(command.help or "") + "\n", options(command)]
    if isinstance(command, click.Group):
        parts += [section(f"{name} {below}", one) for below, one in commands_of(command) if not one.hidden]
    return "\n".join(parts)


def page() -> str:
    """The whole page."""
    parts = [HEAD, "Before a command:\n", options(group), "## Exit codes\n", "| code | meaning |\n|---|---|"]
    parts += [f"| {int(code)} | {says} |" for code, says in EXIT_MEANINGS.items()]
    parts.append("")
    parts += [section(name, command) for name, command in commands_of(group) if not command.hidden]
    return "\n".join(part for part in parts if part is not None).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
