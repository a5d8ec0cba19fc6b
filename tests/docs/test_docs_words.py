"""The pages name only what exists: links, files, make targets, commands, options, settings. Made pages are fresh."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import click
import pytest

from crossfade.cli.main import group
from crossfade.model.errors import CATALOGUE
from crossfade.model.settings.parse import read_config

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)
WRITERS = {
    "write_walker_page": "walker.md",
    "write_error_reference": "errors.md",
    "write_command_reference": "commands.md",
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def typed(path: Path) -> Iterator[str]:
    """What a page tells to type: code spans, and lines of blocks without their prompt and comment."""
    yield from re.findall(r"`([^`\n]+)`", prose(path))
    for _, text in FENCE.findall(path.read_text(encoding="utf-8")):
        yield from (line.removeprefix("$ ").partition("  #")[0].strip() for line in text.splitlines())


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_exist(page: Path) -> None:
    wrong = []
    every = {option for command in all_commands(group) for option in options(command)}
    for text in typed(page):
        words = text.split()
        if (
            words
            and words[0].startswith("--")
            and len(words) <= 2
            and page.name not in ("errors.md", "configuration.md")
        ):
            wrong += [text] if words[0] not in every else []
        if len(words) < 2 or words[0] != "crossfade" or page.name == "errors.md":
            continue
        known = meant(words[1:])
        if words[1].startswith("-"):
            wrong += [text] if words[1].rstrip(",") not in options(group) else []
        elif known is None:
            wrong.append(text)
        else:
            wrong += [text for word in words[2:] if word.startswith("--") and word not in options(known)]
    assert wrong == []


def all_commands(command: click.Command) -> Iterator[click.Command]:
    """A command, and those below it."""
    yield command
    for below in commands_of(command).values() if isinstance(command, click.Group) else ():
        yield from all_commands(below)


def commands_of(one: click.Group) -> dict[str, click.Command]:
    """The commands of a group by name, each imported."""
    context = click.Context(one)
    found = {name: one.get_command(context, name) for name in one.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def meant(words: list[str]) -> click.Command | None:
    """The command that the words begin with; None where there is none of that name, also below a group."""
    found: click.Command = group
    for word in words:
        if not isinstance(found, click.Group) or not re.fullmatch(r"[a-z]+", word):
            break
        if word not in commands_of(found):
            return None
        found = commands_of(found)[word]
    return found


def options(command: click.Command) -> set[str]:
    return {"--help", "-h", *(option for param in command.params for option in param.opts)}


def test_hints_name_commands_that_exist() -> None:
    wrong = []
    for kind in CATALOGUE.values():
        for word, rest in re.findall(r"\bcrossfade ([a-z]+)([^,;]*)", kind.hint):
            if word in ("then", "as"):  # prose: "crossfade then looks for one itself"
                continue
            known = meant([word, *rest.split()])
            asked = re.findall(r"--[a-z-]+", rest)
            if known is None or not set(asked) <= options(known):
                wrong.append(f"{kind.id}: {kind.hint}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_and_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    lost = []
    for text in typed(page):
        for path in re.findall(r"^(?:src|tests|tools|docs|benchmarks)/[\w./*-]+$", text):
            lost += [] if list(ROOT.glob(path.rstrip("/"))) else [path]
        for target in re.findall(r"^make ([a-z-]+)", text):
            lost += [] if re.search(rf"^{target}:", makefile, re.M) else [text]
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_settings_in_examples_exist(page: Path) -> None:
    for kind, text in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind == "toml":
            tomllib.loads(text)
            reading = read_config(text, date(2026, 1, 1))
            assert [p.what for p in reading.problems if "is not a key of" in p.what] == []


@pytest.mark.parametrize("writer", WRITERS)
def test_made_pages_are_fresh(writer: str) -> None:
    found = load(writer).page()
    page = ROOT / "docs" / "reference" / WRITERS[writer]
    assert page.read_text(encoding="utf-8") == found, f"{name(page)} is stale; run: make docs"


def load(writer: str) -> ModuleType:
    spec = spec_from_file_location(writer, ROOT / "tools" / f"{writer}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
