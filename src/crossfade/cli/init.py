"""`crossfade init`: write a first, commented crossfade.toml for the current folder.

Rule: nothing that exists is overwritten; every path written is printed; guesses are marked in the file. The
state directory gets a .gitignore of its own, because a dirty working tree is refused at release.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from crossfade.cli.config_file import FILE_NAME, shown
from crossfade.cli.guess import CANDIDATES, Guess, guess
from crossfade.model.errors import fail
from crossfade.model.settings.example import annotated

_READ_AT_MOST = 200_000  # characters of each file; more than that is no configuration

OPENING = (
    "What this service promises, and the parts the promise is kept with. Lines marked `# guess:` were read off"
    " this folder; look at them first. A setting that begins with # is off and shows its default."
)


def project_files(directory: Path) -> dict[str, str]:
    """The texts of the files that tell something about the project."""
    files: dict[str, str] = {}
    for name in CANDIDATES:
        path = directory / name
        try:
            with path.open(encoding="utf-8", errors="replace") as stream:
                files[name] = stream.read(_READ_AT_MOST)
        except OSError:
            continue
    if (directory / ".git").is_file():  # a worktree
        files[".git/HEAD"] = ""
    return files


def first_file(folder: str, files: Mapping[str, str]) -> tuple[str, Guess]:
    """The text of the first crossfade.toml, and the guess it was made from."""
    made = guess(folder, files)
    return annotated(made.values, made.sources, OPENING), made


def write_first_file(directory: Path, target: Path) -> tuple[list[Path], Guess]:
    """Write the file and the state directory's .gitignore. Raises `config-exists`, `config-not-writable`."""
    text, made = first_file(directory.name, project_files(directory))
    try:
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as exc:
        raise fail("config-exists", file=target) from exc
    except OSError as exc:
        raise fail("config-not-writable", file=target, reason=exc.strerror or exc) from exc
    written = [target]
    ignore = target.parent / ".crossfade" / ".gitignore"
    try:
        ignore.parent.mkdir(mode=0o700, exist_ok=True)
        with ignore.open("x", encoding="utf-8") as stream:
            stream.write("*\n")
        written.append(ignore)
    except FileExistsError:
        pass
    except OSError as exc:
        raise fail("config-not-writable", file=ignore, reason=exc.strerror or exc) from exc
    return written, made


@click.command("init")
def command() -> None:
    """Write a commented crossfade.toml for the current folder.

    Reads Procfile, Dockerfile, pyproject.toml, package.json and their like; what was guessed is marked.
    """
    directory = Path.cwd()
    written, made = write_first_file(directory, directory / FILE_NAME)
    for path in written:
        click.echo(f"wrote {shown(path, directory)}")
    guesses = len(made.sources)
    click.echo(f"{guesses} values are guesses: look for `# guess:`")
    for sentence in made.found:
        click.echo(f"found {sentence}")
    click.echo("next: crossfade check")
