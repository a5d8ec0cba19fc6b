"""Guess a first `crossfade.toml` from the files of a project.

Rule: texts in, values out; nothing is run and nothing is imported. Every value that was read off a file names
the file, and what is not known is a working example that says so; the person decides.

Invariant: whatever the files hold, the values make a file without problems (a property test throws junk at it).
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crossfade.cli.guess_web import Command, web_command
from crossfade.model.settings.problem import KeyPath
from crossfade.model.settings.secret import has_password

CANDIDATES = (
    "Procfile",
    "pyproject.toml",
    "requirements.txt",
    "package.json",
    "Dockerfile",
    "alembic.ini",
    "manage.py",
    "docker-compose.yml",
    "docker-compose.yaml",
    "compose.yml",
    "compose.yaml",
    "main.py",
    "app.py",
    "app/main.py",
    "src/main.py",
    "server.py",
    "wsgi.py",
    "asgi.py",
    ".git/HEAD",
)
_COMPOSE = tuple(name for name in CANDIDATES if "compose" in name)
_SCHEDULERS = re.compile(r"^(beat|clock|cron|scheduler|scheduled)")
_TEXT = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass
class Guess:
    """Values for the file, and where each was read."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[KeyPath, str] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)  # sentences about the project, for the person

    def put(self, path: tuple[str, ...], value: Any, source: str = "") -> None:
        """Set the value at a path of tables; say where it was read."""
        table = self.values
        for part in path[:-1]:
            table = table.setdefault(part, {})
        table[path[-1]] = value
        if source:
            self.sources[path] = source


def guess(folder: str, files: Mapping[str, str]) -> Guess:
    """Guess from the folder's name and the texts of the files in `CANDIDATES` that exist."""
    made = Guess()
    _service(made, folder, files)
    made.put(("requirement",), {"availability": 0.999, "traffic_back_s": 1.0, "drain_s": 30.0})
    _processes(made, files)
    _endpoint(made)
    _database(made, files)
    _versions(made, files)
    made.put(("traffic",), {"listen": "127.0.0.1:8080", "shares": [1.0, 5.0, 25.0, 50.0, 100.0]})
    _schema_tool(made, files)
    return made


def _service(made: Guess, folder: str, files: Mapping[str, str]) -> None:
    name, source = folder, "the folder's name"
    for file, keys in (("pyproject.toml", ("project", "name")), ("package.json", ("name",))):
        value: Any = _document(file, files)
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and value.strip():
            name, source = value.rsplit("/", 1)[-1], file
            break
    made.put(("service", "name"), _TEXT.sub("-", name).strip("-._")[:63] or "service", source)


def _document(file: str, files: Mapping[str, str]) -> Any:
    try:
        text = files.get(file, "")
        return tomllib.loads(text) if file.endswith(".toml") else json.loads(text or "{}")
    except ValueError:
        return {}


def _processes(made: Guess, files: Mapping[str, str]) -> None:
    procfile = _procfile(files.get("Procfile", ""))
    web = _from_procfile(procfile["web"]) if "web" in procfile else web_command(files, _document("package.json", files))
    web = web or Command(
        ["python", "-m", "your_app", "--port", "{port}"], "nothing told; write the command that serves"
    )
    _process(made, "web", web)
    for name, line in procfile.items():
        command = _from_procfile(line)
        if name in ("web", "release") or command is None or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            continue
        _process(made, name, command)
        role = "scheduled" if _SCHEDULERS.match(name) else "worker"
        if name != role:
            made.put(("process", name, "role"), role, "its name")
    if "release" in procfile:
        made.found.append("Procfile has a release line; it changes the schema by itself, so keep it out of the start")


def _process(made: Guess, name: str, command: Command) -> None:
    made.put(("process", name, "command"), command.argv, command.source)
    env: dict[str, str] = {"DATABASE_URL": "env:DATABASE_URL"}
    if name == "web" and not any("{port}" in word for word in command.argv):
        env["PORT"] = "{port}"
    made.put(("process", name, "env"), env, "the usual names")
    if name == "web":
        made.put(("process", name, "alive"), "/healthz", "the usual path")
        made.put(("process", name, "ready"), "/ready", "the usual path")


def _procfile(text: str) -> dict[str, str]:
    lines = (re.match(r"([A-Za-z0-9_-]+):\s*(.+)", line) for line in text.splitlines())
    return {found.group(1): found.group(2).strip() for found in lines if found}


def _from_procfile(line: str) -> Command | None:
    line = re.sub(r"\$\{PORT(:-\d+)?\}|\$PORT\b", "{port}", line)
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    known = all(name == "port" for word in words for name in re.findall(r"\{([a-z_][a-z0-9_.-]*)\}", word))
    if not words or not known or any(has_password(word) for word in words):
        return None
    if any(mark in line for mark in ("$", "&&", "|", ";", ">")) or "=" in words[0]:
        words = ["sh", "-c", f"exec {line}" if not any(m in line for m in ("&&", "|", ";")) else line]
    return Command(words, "Procfile")


def _endpoint(made: Guess) -> None:
    made.values["endpoint"] = [
        {
            "name": "start page",
            "match": "GET /",
            "critical": True,
            "error_ratio_max": 0.001,
            "slow_ms": 500,
            "hang_ms": 10000,
            "smoke": {"path": "/", "method": "GET"},
        }
    ]
    path: KeyPath = ("endpoint", 0, "match")
    made.sources[path] = "most have one; add every request that customers would miss"


def _database(made: Guess, files: Mapping[str, str]) -> None:
    made.put(("database", "main", "app_url"), "env:DATABASE_URL", "the usual name")
    made.put(("database", "main", "admin_url"), "env:CROSSFADE_ADMIN_URL")
    file = next((name for name in _COMPOSE if re.search(r"image:\s*[\"']?\S*postgres", files.get(name, ""))), None)
    if file is not None:
        made.found.append(f"{file} has PostgreSQL; let DATABASE_URL and CROSSFADE_ADMIN_URL name it")
    needs = files.get("requirements.txt", "") + files.get("pyproject.toml", "") + files.get("package.json", "")
    driver = re.search(r"\b(psycopg2?|asyncpg|\"pg\"|pg8000)", needs)
    if file is not None or driver:
        source = file or "a PostgreSQL driver among the requirements"
        made.values["dependency"] = [{"name": "database", "kind": "postgresql", "env": "DATABASE_URL"}]
        path: KeyPath = ("dependency", 0, "kind")
        made.sources[path] = source


def _versions(made: Guess, files: Mapping[str, str]) -> None:
    if ".git/HEAD" in files:
        made.put(("versions", "source"), "git", "there is a git repository")
    else:
        made.put(("versions", "source"), "directory", "there is no git repository here")
        made.put(("versions", "directories"), {"v1": "."}, "this folder; each version needs one of its own")


def _schema_tool(made: Guess, files: Mapping[str, str]) -> None:
    for file, tool in (("alembic.ini", "Alembic"), ("manage.py", "Django")):
        if file in files:
            made.found.append(f"{file}: {tool} changes the schema; a start of the service must not do that by itself")
