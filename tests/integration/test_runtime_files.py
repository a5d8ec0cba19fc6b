"""References to secrets, logs and ports: the parts of the runtime that only need files and sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.host.files import write_private
from crossfade.host.ports import free_port
from crossfade.model.errors import CrossfadeError
from crossfade.runtime.log_files import rotate, tail
from crossfade.runtime.secrets import resolve


def test_references_are_resolved_and_other_values_pass(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    assert resolve("env:KEY", {"KEY": "from the environment"}) == "from the environment"
    assert resolve(f"file:{tmp_path}/key") == "from a file"
    assert resolve("command:printf '%s %s\\n' two words") == "two words"
    assert resolve("literal:env:KEY") == "env:KEY"
    assert resolve("postgresql://shop@db/shop?sslmode=require") == "postgresql://shop@db/shop?sslmode=require"
    assert resolve("plain") == "plain"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("env:KEY", "the environment variable KEY is not set where crossfade runs"),
        ("file:/nowhere/key", "/nowhere/key: No such file or directory"),
        ("command:no-such-program", "No such file or directory"),
        ("command:", "the command is empty"),
        ("command:sh -c 'echo s3cret; echo vault is sealed >&2; exit 2'", "exit code 2: vault is sealed"),
        ("command:false", "exit code 1: it wrote no error"),
    ],
)
def test_a_reference_that_cannot_be_resolved_is_told(reference: str, reason: str) -> None:
    with pytest.raises(CrossfadeError) as caught:
        resolve(reference, {})
    assert caught.value.exit == 3
    assert caught.value.render() == (
        f"error[secret-unresolved]: the secret reference {reference} could not be resolved\n"
        f"  reason: {reason}\n"
        "hint: set what the reference names, then run the same command again"
    )


def test_a_log_is_rotated_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("a") as writer:
        for text in ("first", "second", "third", "fourth"):
            writer.write(text * 10)
            writer.flush()
            assert rotate(log, max_bytes=1_000) is False
            assert rotate(log, max_bytes=20) is True
        writer.write("goes on")
    assert log.read_text() == "goes on"
    assert (tmp_path / "web.log.1").read_text() == "fourth" * 10
    assert (tmp_path / "web.log.2").read_text() == "third" * 10
    assert not (tmp_path / "web.log.3").exists()


def test_the_tail_of_a_large_log_is_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert tail(log, 2) == ["line 99998", "line 99999"]
    assert tail(tmp_path / "absent.log", 2) == []


def test_a_port_of_an_instance_that_is_down_for_a_moment_is_not_given_away() -> None:
    down = {free_port() for _ in range(5)}
    assert free_port(down) not in down


def test_a_private_file_is_replaced_as_a_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
