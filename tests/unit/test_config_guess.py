"""What `crossfade init` reads off a project."""

from __future__ import annotations

import json

import pytest

from crossfade.cli.guess import guess
from crossfade.cli.init import first_file


@pytest.mark.parametrize(
    ("files", "command", "source"),
    [
        (
            {"Procfile": "web: gunicorn shop.wsgi --bind 0.0.0.0:$PORT"},
            ["gunicorn", "shop.wsgi", "--bind", "0.0.0.0:{port}"],
            "Procfile",
        ),
        (
            {"Procfile": "web: sleep 1 && run ${PORT:-80}"},
            ["sh", "-c", "sleep 1 && run {port}"],
            "Procfile",
        ),
        (
            {"Dockerfile": 'FROM x\nEXPOSE 8000\nCMD ["shop", "--port=8000"]'},
            ["shop", "--port={port}"],
            "Dockerfile, which exposes 8000",
        ),
        (
            {"manage.py": 'setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")', "requirements.txt": "gunicorn==23"},
            ["gunicorn", "shop.wsgi", "--bind", "{host}:{port}"],
            "manage.py, and gunicorn among the requirements",
        ),
        (
            {"requirements.txt": "fastapi\n", "app/main.py": "api = FastAPI()"},
            ["uvicorn", "app.main:api", "--host", "{host}", "--port", "{port}"],
            "fastapi in app/main.py",
        ),
        (
            {"pyproject.toml": '[project]\nname = "x"\ndependencies = ["flask>=3"]', "app.py": "app = Flask(__name__)"},
            ["flask", "--app", "app:app", "run", "--host", "{host}", "--port", "{port}"],
            "flask in app.py",
        ),
        (
            {"requirements.txt": "aiohttp", "main.py": "def init(argv):"},
            ["python", "-m", "aiohttp.web", "-H", "{host}", "-P", "{port}", "main:init"],
            "aiohttp in main.py",
        ),
        (
            {"package.json": json.dumps({"name": "@acme/shop", "scripts": {"start": "node ."}})},
            ["npm", "start"],
            "package.json, scripts.start",
        ),
        (
            {},
            ["python", "-m", "your_app", "--port", "{port}"],
            "nothing told; write the command that serves",
        ),
    ],
)
def test_the_command_that_serves(files: dict[str, str], command: list[str], source: str) -> None:
    made = guess("shop", files)
    assert made.values["process"]["web"]["command"] == command
    assert made.sources[("process", "web", "command")] == source


def test_a_command_without_a_port_is_given_it_by_the_usual_variable() -> None:
    made = guess("shop", {"Procfile": "web: npm start"})
    assert made.values["process"]["web"]["env"]["PORT"] == "{port}"


def test_other_processes_of_a_procfile_have_roles() -> None:
    made = guess("shop", {"Procfile": "web: a $PORT\nmails: celery worker\nbeat: celery beat\nrelease: migrate\n"})
    roles = {name: process.get("role") for name, process in made.values["process"].items()}
    assert roles == {"web": None, "mails": "worker", "beat": "scheduled"}
    assert made.found == ["Procfile has a release line; it changes the schema by itself, so keep it out of the start"]


def test_a_password_in_a_procfile_is_not_copied() -> None:
    text, _ = first_file("shop", {"Procfile": "web: run postgresql://shop:hunter2@h/d $PORT"})
    assert "hunter2" not in text


def test_a_postgresql_of_the_project_is_a_dependency() -> None:
    made = guess("shop", {"compose.yaml": "services:\n  db:\n    image: postgres:17", ".git/HEAD": "ref: x"})
    assert made.values["dependency"] == [{"name": "database", "kind": "postgresql", "env": "DATABASE_URL"}]
    assert made.values["versions"] == {"source": "git"}
    assert made.found == ["compose.yaml has PostgreSQL; let DATABASE_URL and CROSSFADE_ADMIN_URL name it"]


@pytest.mark.parametrize(
    ("folder", "files", "name"),
    [
        ("My Shop!", {}, "My-Shop"),
        ("...", {}, "service"),
        ("x", {"pyproject.toml": '[project]\nname = "shop"'}, "shop"),
        ("x", {"package.json": '{"name": "@acme/shop"}'}, "shop"),
        ("x", {"pyproject.toml": "not toml ["}, "x"),
    ],
)
def test_the_name_is_one_that_can_name_files(folder: str, files: dict[str, str], name: str) -> None:
    assert guess(folder, files).values["service"]["name"] == name
