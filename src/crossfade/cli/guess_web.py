"""Guess the command that serves, from what a project is built with.

Rule: the first file that tells wins, in the order of how much it says: Dockerfile, Django, a Python web
framework, package.json. Nothing told is None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.model.settings.secret import has_password

Files = Mapping[str, str]


@dataclass(frozen=True)
class Command:
    """A command as a list, and the file it was read off."""

    argv: list[str]
    source: str


def web_command(files: Files, package: Any) -> Command | None:
    """The command that serves, where a file tells."""
    found = _docker(files) or _django(files) or _python(files) or _node(package)
    return found if found and not any(has_password(word) for word in found.argv) else None


def _docker(files: Files) -> Command | None:
    text = files.get("Dockerfile", "")
    lines = re.findall(r"^\s*CMD\s+(\[.*\])\s*$", text, re.MULTILINE)
    ports = re.findall(r"^\s*EXPOSE\s+(\d+)", text, re.MULTILINE)
    try:
        argv = json.loads(lines[-1]) if lines else []
    except ValueError:
        return None
    if not argv or not all(isinstance(word, str) and word and "{" not in word for word in argv):
        return None
    for port in ports[:1]:
        argv = [re.sub(rf"(?<!\d){port}(?!\d)", "{port}", word) for word in argv]
    exposed = f", which exposes {ports[0]}" if ports else ""
    return Command(argv, f"Dockerfile{exposed}")


def _needs(files: Files) -> str:
    return (files.get("requirements.txt", "") + "\n" + files.get("pyproject.toml", "")).lower()


def _django(files: Files) -> Command | None:
    settings = re.search(r"DJANGO_SETTINGS_MODULE[\"'],\s*[\"']([\w.]+)\.settings", files.get("manage.py", ""))
    if settings is None:
        return None
    if "gunicorn" in _needs(files):
        argv = ["gunicorn", f"{settings.group(1)}.wsgi", "--bind", "{host}:{port}"]
        return Command(argv, "manage.py, and gunicorn among the requirements")
    return Command(["python", "manage.py", "runserver", "--noreload", "{host}:{port}"], "manage.py")


def _uvicorn(target: str) -> list[str]:
    return ["uvicorn", target, "--host", "{host}", "--port", "{port}"]


def _flask(target: str) -> list[str]:
    return ["flask", "--app", target, "run", "--host", "{host}", "--port", "{port}"]


def _aiohttp(target: str) -> list[str]:
    module, _, name = target.partition(":")
    return ["python", "-m", "aiohttp.web", "-H", "{host}", "-P", "{port}", f"{module}:{name}"]


_FRAMEWORKS: tuple[tuple[str, str, Callable[[str], list[str]]], ...] = (
    ("fastapi", r"(\w+)\s*=\s*FastAPI\(", _uvicorn),
    ("starlette", r"(\w+)\s*=\s*Starlette\(", _uvicorn),
    ("flask", r"(\w+)\s*=\s*Flask\(", _flask),
    ("aiohttp", r"def\s+(\w+)\(\s*argv", _aiohttp),
)


def _python(files: Files) -> Command | None:
    needs = _needs(files)
    for framework, pattern, argv_for in _FRAMEWORKS:
        if not re.search(rf"\b{framework}\b", needs):
            continue
        for file, text in sorted(files.items()):
            found = re.search(pattern, text) if file.endswith(".py") else None
            if found:
                module = file.removeprefix("src/").removesuffix(".py").replace("/", ".")
                return Command(argv_for(f"{module}:{found.group(1)}"), f"{framework} in {file}")
        return Command(argv_for("main:app"), f"{framework} among the requirements; name the module")
    return None


def _node(package: Any) -> Command | None:
    scripts = package.get("scripts") if isinstance(package, dict) else None
    if isinstance(scripts, dict) and "start" in scripts:
        return Command(["npm", "start"], "package.json, scripts.start")
    return None
