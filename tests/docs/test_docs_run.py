"""The pages hold: every command in README and tutorial runs, and its output is what the page shows.

A `sh` block runs as it stands. A `console` block runs the lines after `$ ` and compares what follows: numbers may
differ, a line `...` stands for any lines, and long lines count by their beginning. A comment `<!-- exit: N -->`
before a block says how its last command ends. All blocks of a page run in one shell, in the order of the page.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(?:<!-- exit: (?P<exit>\d+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.S | re.M)
MINUTES = {"make demo", "make test", "pip install ."}  # these have tests of their own below
COMPARED = 30  # characters of a line: up to the reason, which is told in other words in each run


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    kind: str
    text: str
    exit: int


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(m["kind"], m["text"], int(m["exit"] or 0)) for m in FENCE.finditer(text)]


def steps(block: Block) -> Iterator[tuple[str, list[str], int]]:
    """Commands of a console block with the lines shown after each, and the exit code."""
    parts = re.split(r"^\$ ", block.text, flags=re.M)
    assert not parts[0], f"a console block starts with a command: {parts[0]!r}"
    for number, part in enumerate(parts[1:], 2):
        command, _, shown = part.partition("\n")
        yield command, shown.splitlines(), block.exit if number == len(parts) else 0


def script(page: str) -> tuple[str, list[tuple[str, list[str], int]]]:
    """A page as one shell script, and what its console commands must print."""
    lines, wanted = ["set -e"], []
    for block in blocks(page):
        if block.kind == "sh":
            lines.append("\n".join(line for line in block.text.splitlines() if line not in MINUTES))
        if block.kind == "console":
            for step in steps(block):
                wanted.append(step)
                lines += ["echo '@@ begin'", "set +e", step[0], "code=$?", 'echo; echo "@@ exit $code"', "set -e"]
    return "\n".join(lines) + "\necho '@@ all'\n", wanted


def masked(line: str) -> str:
    """A line without what differs between two runs."""
    ids = r"\b[0-9a-f]{16}\b|\b\d{8}-\d{6}-[0-9a-f]{4}\b|\b[0-9a-f]{8}(-[0-9a-f]{8}){2}\b"
    line = re.sub(ids, "ID", line.rstrip())
    return re.sub(r"\d[\d,.]*", "N", line)[:COMPARED]


def shows(shown: list[str], printed: list[str]) -> bool:
    """Whether the page's lines are those that were printed; `...` stands for any."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(shows(shown[1:], printed[start:]) for start in range(len(printed) + 1))
    return bool(printed) and masked(shown[0]) == masked(printed[0]) and shows(shown[1:], printed[1:])


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users can enter, with the clone's virtual environment in it; emptied of processes."""
    directory = Path(tempfile.mkdtemp(prefix="crossfade-docs-"))
    directory.chmod(0o755)
    (directory / ".venv").symlink_to(Path(sys.prefix))
    yield directory
    for file in (*directory.glob("*/.crossfade/supervisor/supervisord.pid"), *directory.glob("*/postmaster.pid")):
        with suppress(ProcessLookupError, FileNotFoundError, ValueError):
            os.kill(int(file.read_text().split()[0]), signal.SIGTERM)
    until_s = time.monotonic() + 30  # what is still ending writes its last files
    while directory.exists() and time.monotonic() < until_s:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(0.5)


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def run(text: str, directory: Path) -> str:
    """Run a script in a session of its own, and return all that it printed."""
    who = {"GIT_AUTHOR_NAME": "a reader", "GIT_AUTHOR_EMAIL": "reader@example.org", "GIT_CONFIG_GLOBAL": "/dev/null"}
    who |= {"GIT_COMMITTER_NAME": "a reader", "GIT_COMMITTER_EMAIL": "reader@example.org"}
    with (directory / "printed").open("w+", encoding="utf-8") as out:
        bash = subprocess.Popen(
            ["bash", "-c", text],
            cwd=directory,
            env={**os.environ, **who},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            bash.wait(timeout=240)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(bash.pid, signal.SIGKILL)
        out.seek(0)
        return out.read()


@pytest.mark.parametrize(
    "page", ["README.md", "docs/tutorial/first-release.md", "docs/how-to/schema-without-a-service.md"]
)
def test_what_a_page_tells_to_type_does_what_it_shows(page: str, place: Path) -> None:
    text, wanted = script(page)
    port = str(free_port())
    printed = run(text.replace("8080", port), place)
    assert "@@ all" in printed, f"{page} stopped early:\n{printed[-3000:]}"
    found = re.findall(r"^@@ begin\n(.*?)\n?^@@ exit (\d+)$", printed, re.S | re.M)
    assert len(found) == len(wanted), printed[-3000:]
    for (command, shown, code), (said, ended) in zip(wanted, found, strict=True):
        assert int(ended) == code, f"$ {command}\n{said}"
        lines = said.rstrip("\n").splitlines()
        assert shows(shown, lines), f"$ {command}\nshown:\n{chr(10).join(shown)}\nprinted:\n{said}"


def test_what_would_take_minutes_is_known_by_name() -> None:
    named = {line for block in blocks("README.md") if block.kind == "sh" for line in block.text.splitlines()}
    assert named == MINUTES
    for command in ("demo", "test"):
        done = subprocess.run(["make", "--dry-run", command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.timeout(600)
def test_make_demo_tells_the_story_that_the_readme_shows() -> None:
    done = subprocess.run(["make", "demo"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=580)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    heads = re.findall(r"^v\d+ -> v\d+: .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(heads) == 2
    assert [head for head in heads if head not in done.stdout] == []
    assert "= completed by walker: 0 of " in done.stdout
    assert "lost or wrong: 0" in done.stdout
    assert "= rolled_back by walker: " in done.stdout


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_command_installs_from_the_clone(tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    pip = [tmp_path / "bin/pip", "install", "--quiet", ROOT]
    subprocess.run(pip, check=True, timeout=500)
    told = subprocess.run([tmp_path / "bin/crossfade", "--help"], capture_output=True, text=True, check=True)
    assert "rollback" in told.stdout
