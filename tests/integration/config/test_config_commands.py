"""`crossfade init`, `check` and `doctor` in a folder, as a person uses them."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from crossfade.cli import check, doctor, init
from crossfade.cli.config_file import load_config
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.settings.parse import parse_config


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "shop"
    home.mkdir()
    monkeypatch.chdir(home)
    return home


def run(command: click.Command, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def error(result: Result) -> CrossfadeError:
    assert isinstance(result.exception, CrossfadeError), result.output
    return result.exception


GOOD = """\
[service]
name = "shop"
[process.web]
command = ["shop", "{port}"]
[[endpoint]]
name = "start"
match = "GET /"
[endpoint.smoke]
[versions]
source = "directory"
directories = { v1 = "v1" }
[traffic]
listen = "127.0.0.1:PORT"
[database.main]
app_url = "env:CF_TEST_APP_URL"
admin_url = "env:CF_TEST_ADMIN_URL"
"""


def test_init_writes_a_file_that_check_accepts(folder: Path) -> None:
    (folder / "Procfile").write_text("web: gunicorn shop.wsgi --bind :$PORT\n")
    written = run(init.command)
    assert written.exit_code == 0
    assert written.output == (
        "wrote crossfade.toml\n"
        "wrote .crossfade/.gitignore\n"
        "9 values are guesses: look for `# guess:`\n"
        "next: crossfade check\n"
    )
    text = (folder / "crossfade.toml").read_text()
    assert 'command = ["gunicorn", "shop.wsgi", "--bind", ":{port}"]  # guess: Procfile' in text
    parse_config(text)
    checked = run(check.command)
    assert checked.exit_code == 0
    assert checked.output == (
        "crossfade.toml: the requirement of shop (production) holds together\n"
        "  availability   99.9 %, at most 43.2 minutes of failure in 30 days\n"
        "  critical       start page\n"
        "  traffic back   within 1 s, the old version warm for 600 s\n"
        "  shares         1, 5, 25, 50, 100 %, each for 60 to 1800 s\n"
        "next: crossfade doctor\n"
    )


def test_init_leaves_the_working_tree_clean(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", "."], check=True)
    run(init.command)
    status = subprocess.run(["git", "status", "--short"], check=True, capture_output=True, text=True)
    assert status.stdout == "?? crossfade.toml\n"


def test_init_overwrites_nothing(folder: Path) -> None:
    file = folder / "crossfade.toml"
    file.write_text("mine")
    refused = error(run(init.command))
    assert refused.exit is Exit.CONFIG
    assert refused.render() == (
        f"error[config-exists]: {file} exists already; nothing was written\nhint: edit it, then: crossfade check"
    )
    assert file.read_text() == "mine"
    assert not (folder / ".crossfade").exists()


def test_init_says_why_it_cannot_write(folder: Path) -> None:
    with pytest.raises(CrossfadeError) as caught:
        init.write_first_file(folder, folder / "gone" / "crossfade.toml")
    assert caught.value.exit is Exit.CONFIG
    assert caught.value.render() == (
        f"error[config-not-writable]: {folder}/gone/crossfade.toml cannot be written\n"
        "  reason: No such file or directory\n"
        "hint: mend it, then: crossfade init"
    )


def test_an_empty_project_is_told_what_will_be_asked(folder: Path) -> None:
    result = run(check.command)
    for heading in ("of the application", "of the database", "of the queues", "of the capacity", "of people"):
        assert heading in result.output.splitlines()
    assert "finish those in flight within 30 s" in result.output
    refused = error(result)
    assert refused.exit is Exit.CONFIG
    assert refused.render() == (
        f"error[config-missing]: no crossfade.toml in {folder}\n"
        f"  looked in: {folder} and its parents\n"
        "hint: crossfade init"
    )


def test_an_empty_project_in_json(folder: Path) -> None:
    result = run(check.command, "--output", "json")
    assert result.exit_code == 3
    answer = json.loads(result.output)
    assert (answer["file"], answer["holds"], answer["error"]) == (None, False, "config-missing")
    assert {demand["area"] for demand in answer["demands"]} == {
        "application",
        "database",
        "queues",
        "capacity",
        "people",
    }


def test_check_finds_the_file_above_and_says_all_problems(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "crossfade.toml").write_text(GOOD.replace("PORT", "0").replace("[service]", "[servce]"))
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    refused = error(run(check.command))
    assert refused.exit is Exit.CONFIG
    file = folder / "crossfade.toml"
    assert refused.render() == (
        f"error[config-invalid]: {file} has 3 problems\n"
        f'  {file}:1: servce: is not a key of crossfade.toml here; did you mean "service"?\n'
        f"  {file}:1: service: is missing; for example: [service]\n"
        f'  {file}:13: traffic.listen: is "127.0.0.1:0"; host and port are needed, for example "127.0.0.1:8080"\n'
        "hint: mend the lines named above, then: crossfade check"
    )


def test_check_in_json(folder: Path) -> None:
    (folder / "crossfade.toml").write_text(GOOD.replace("PORT", "8080").replace('"GET /"', '"GET /"\nslow = 1'))
    result = run(check.command, "--output", "json")
    assert result.exit_code == 3
    assert json.loads(result.output) == {
        "file": "crossfade.toml",
        "holds": False,
        "problems": [
            {
                "file": "crossfade.toml",
                "line": 8,
                "key": "endpoint[0].slow",
                "problem": 'is not a key of crossfade.toml here; did you mean "slow_ms"?',
            }
        ],
    }


def test_promises_that_are_only_stated_are_named_and_waivers_are_shown(folder: Path) -> None:
    (folder / "crossfade.toml").write_text(
        GOOD.replace("PORT", "8080")
        + '[[queue]]\nname = "mails"\n[[waiver]]\nwhat = "a"\nname = "Ada"\nreason = "b"\nexpires = 2020-01-01\n'
    )
    result = run(check.command)
    assert result.exit_code == 0
    assert "  waived         a (Ada, ENDED 2020-01-01): b" in result.output.splitlines()
    assert (
        "  not held yet   [[queue]] is read, but this version of crossfade does not test it"
        in result.output.splitlines()
    )


def test_a_file_named_with_config(folder: Path) -> None:
    @click.group()
    @click.option("--config")
    def main(config: str | None) -> None:
        pass

    main.add_command(check.command)
    (folder / "other.toml").write_text(GOOD.replace("PORT", "8080"))
    assert run(check.command, "--config", "other.toml").exit_code == 0
    assert run(main, "--config", "other.toml", "check").output.startswith("other.toml: the requirement of shop")
    refused = error(run(check.command, "--config", "gone.toml"))
    assert refused.exit is Exit.CONFIG
    assert refused.render() == (
        f"error[config-not-found]: there is no file {folder}/gone.toml\n"
        "hint: name another one with --config, or: crossfade init"
    )


def test_a_file_that_cannot_be_read(folder: Path) -> None:
    (folder / "crossfade.toml").write_bytes(b"a = '\xff'")
    refused = error(run(check.command))
    assert refused.exit is Exit.CONFIG
    assert refused.render() == (
        f"error[config-unreadable]: {folder}/crossfade.toml cannot be read\n"
        "  reason: byte 5 is not UTF-8\n"
        "hint: mend it, then: crossfade check"
    )


def test_load_config_gives_path_text_and_config(folder: Path) -> None:
    text = GOOD.replace("PORT", "8080")
    (folder / "crossfade.toml").write_text(text)
    loaded = load_config(None, folder)
    assert (loaded.path, loaded.text, loaded.config.service.name) == (folder / "crossfade.toml", text, "shop")


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_doctor_finds_all_well(folder: Path, monkeypatch: pytest.MonkeyPatch, listener: int) -> None:
    (folder / "v1").mkdir()
    (folder / "crossfade.toml").write_text(GOOD.replace("PORT", str(_free_port())))
    monkeypatch.setenv("CF_TEST_APP_URL", "postgresql://h/d")
    monkeypatch.setenv("CF_TEST_ADMIN_URL", f"postgresql://x:hunter2@127.0.0.1:{listener}/d")
    result = run(doctor.command)
    assert result.exception is None, result.output
    assert f"ok  database main            127.0.0.1:{listener} takes connections" in result.output.splitlines()
    assert result.output.endswith("next: crossfade plan VERSION\n")
    assert "hunter2" not in result.output


def test_doctor_says_what_is_wrong_and_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch, listener: int) -> None:
    (folder / "crossfade.toml").write_text(GOOD.replace("PORT", str(listener)))
    closed = _free_port()
    monkeypatch.delenv("CF_TEST_APP_URL", raising=False)
    monkeypatch.setenv("CF_TEST_ADMIN_URL", f"postgresql://127.0.0.1:{closed}/d")
    refused = error(run(doctor.command))
    assert refused.exit is Exit.UNREACHABLE
    assert refused.render() == (
        "error[environment-not-ready]: 4 of 9 things that a release needs are not as they must be\n"
        f"  version v1: {folder}/v1 is not a directory; mend versions.directories.v1\n"
        "  database.main.app_url: env:CF_TEST_APP_URL: the environment variable CF_TEST_APP_URL is not set where"
        " crossfade runs; export CF_TEST_APP_URL=...\n"
        f"  database main: 127.0.0.1:{closed}: Connection refused; start it, or mend the URL\n"
        f"  listen: 127.0.0.1:{listener}: Address already in use; end what holds it, or mend traffic.listen\n"
        "hint: mend them in this order, then: crossfade doctor"
    )


def test_doctor_in_json_and_a_secret_file_that_others_can_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, listener: int
) -> None:
    secret = folder / "url"
    secret.write_text(f"postgresql://127.0.0.1:{listener}/d\n")
    secret.chmod(0o644)
    (folder / "v1").mkdir()
    text = GOOD.replace("PORT", str(_free_port())).replace("env:CF_TEST_ADMIN_URL", f"file:{secret}")
    (folder / "crossfade.toml").write_text(text)
    monkeypatch.setenv("CF_TEST_APP_URL", "postgresql://h/d")
    result = run(doctor.command, "--output", "json")
    assert result.exit_code == 6
    answer = json.loads(result.output)
    assert [finding for finding in answer["findings"] if finding["state"] == "bad"] == [
        {
            "what": "database.main.admin_url",
            "state": "bad",
            "said": f"file:{secret} can be read by others (mode 0644)",
            "remedy": f"chmod 600 {secret}",
        }
    ]
