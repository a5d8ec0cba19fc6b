"""Asks the project's own migration tool for its SQL, as a process of its own in the project's directory.

Rule: nothing of the project is imported here. What the tool is told to print is written in the change's file, checked
word for word before it becomes an argument, and never passes a shell. The process has a limit in time; what it said
when it failed is shown.

    -- crossfade: from alembic 3f2a:5b6c            as `alembic upgrade 3f2a:5b6c --sql`
    -- crossfade: from django shop 0002_code        as `manage.py sqlmigrate shop 0002_code`, and its row
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossfade.model.errors import fail
from crossfade.schema.inputs.cleaning import cleaned
from crossfade.schema.inputs.migration import Migration, Source, blanked

LIMIT_S = 120.0
SAID_LINES = 8  # of what a failed tool said last
_FROM = re.compile(r"^[ \t]*--[ \t]*crossfade[ \t]*:[ \t]*from[ \t]+([^\n]*?)[ \t\r]*$", re.MULTILINE)
_ALEMBIC = re.compile(r"alembic\s+(\w[\w.@+-]*:\w[\w.@+-]*)")
_DJANGO = re.compile(r"django\s+([A-Za-z_]\w*)\s+(\w*[A-Za-z]\w*)")
_STEP = re.compile(r"^-- Running upgrade .*-> (\S+)", re.MULTILINE)
_NO_SQL = re.compile(r"^-- THIS OPERATION CANNOT BE WRITTEN AS SQL", re.MULTILINE)


@dataclass(frozen=True)
class Tools:
    """How the project's tools are run: each as program and first arguments, in the project's directory."""

    directory: Path
    alembic: Sequence[str] = ("alembic",)
    django: Sequence[str] = ("python", "manage.py")


def from_alembic(tools: Tools, revisions: str) -> list[Migration]:
    """The migrations of `FROM:TO`, one for each revision. Raises `input-tool`, and what reading SQL raises."""
    text = _run(tools, [*tools.alembic, "upgrade", revisions, "--sql"])
    name = f"alembic {revisions}"
    text = cleaned(name, text)
    steps = list(_STEP.finditer(text))
    ends = [*(step.start() for step in steps[1:]), len(text)]
    migrations = []
    begins = 0  # what stands before the first step belongs to it
    for step, end in zip(steps, ends, strict=False):
        migrations.append(Migration(step[1], (Source(name, blanked(text[:begins]) + text[begins:end]),)))
        begins = end
    return migrations


def from_django(tools: Tools, app: str, migration: str) -> list[Migration]:
    """One migration, by its whole name, with the row by which Django knows it.

    Raises `input-tool`, `schema-not-staged` for what Django cannot write as SQL, and what reading SQL raises.
    """
    text = _run(tools, [*tools.django, "sqlmigrate", app, migration])
    name = f"django {app} {migration}"
    if found := _NO_SQL.search(text):
        raise fail(
            "schema-not-staged",
            where=f"{name}:{text.count(chr(10), 0, found.start()) + 1}",
            what="an operation in Python",
            reason="Django cannot write it as SQL, so what it does to the rows is not known",
            way="write it as migrations.RunSQL, or run it by hand between two releases",
        )
    row = f"INSERT INTO django_migrations (app, name, applied) VALUES ('{app}', '{migration}', now());\n"  # noqa: S608
    return [Migration(f"{app} {migration}", (Source(name, cleaned(name, text) + row),))]


def with_tools(source: Source, tools: Tools | None) -> list[Source]:
    """A text, with what its `from` lines ask for in their place. Raises `input-tool`, `input-from`."""
    sources: list[Source] = []
    read = 0
    for said in _FROM.finditer(source.text):
        where = f"{source.name}:{source.text.count(chr(10), 0, said.start()) + 1}"
        made = _asked(said[1], where, tools)
        sources.append(Source(source.name, blanked(source.text[:read]) + source.text[read : said.start()]))
        sources += [one for migration in made for one in migration.sources]
        read = said.end()
    return [*sources, Source(source.name, blanked(source.text[:read]) + source.text[read:])] if read else [source]


def _asked(words: str, where: str, tools: Tools | None) -> list[Migration]:
    reason = "no program of the project is run here"
    if tools is not None:
        if alembic := _ALEMBIC.fullmatch(words):
            return from_alembic(tools, alembic[1])
        if django := _DJANGO.fullmatch(words):
            return from_django(tools, django[1], django[2])
        reason = "this is neither alembic FROM:TO nor django APP MIGRATION, by its whole name"
    raise fail("input-from", where=where, text=words, reason=reason)


def _run(tools: Tools, argv: Sequence[str]) -> str:
    env = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    try:
        child = subprocess.Popen(
            argv,
            cwd=tools.directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as exc:
        raise _failed(tools, argv, f"it does not start: {exc.strerror}", "") from exc
    try:
        out, err = child.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired as exc:
        raise _failed(tools, argv, f"it was still running after {LIMIT_S:.0f} s, and was ended", "") from exc
    finally:
        if child.poll() is None:  # too slow, or we were interrupted: its whole group goes
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    if child.returncode:
        raise _failed(tools, argv, f"it ended with {child.returncode}", (err or out).decode(errors="replace"))
    try:
        return out.decode()
    except UnicodeDecodeError as exc:
        raise _failed(tools, argv, "what it printed is not UTF-8", "") from exc


def _failed(tools: Tools, argv: Sequence[str], what: str, said: str) -> Exception:
    lines = said.strip().splitlines()[-SAID_LINES:]
    told = "\n".join(["it said:", *(f"  {line}" for line in lines)]) if lines else ""
    return fail("input-tool", command=" ".join(argv), directory=tools.directory, what=what, said=told)
