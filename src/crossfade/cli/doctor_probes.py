"""What `crossfade doctor` looks at, one probe a function.

Rule: a probe looks and changes nothing. It answers with findings: well, bad (a release would fail) or unknown
(it could not be seen from here). A secret is resolved to see that it can be, and never shown.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from crossfade.embedded.haproxy import find_haproxy
from crossfade.model.errors import CrossfadeError
from crossfade.model.requirement import Config
from crossfade.model.settings.secret import reference
from crossfade.runtime.secrets import resolve

FILES_NEEDED = 4096  # the proxy alone holds two for each connection
_ANSWER_S = 2.0


class State(StrEnum):
    """What a probe found."""

    WELL = "well"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `remedy` is said where it is not well."""

    what: str
    state: State
    said: str
    remedy: str = ""


def well(what: str, said: str) -> Finding:
    """It is as a release needs it."""
    return Finding(what, State.WELL, said)


def bad(what: str, said: str, remedy: str) -> Finding:
    """A release would fail on it."""
    return Finding(what, State.BAD, said, remedy)


def probe_proxy(config: Config) -> Iterator[Finding]:
    """HAProxy is there and new enough."""
    if config.traffic.driver != "haproxy":
        return
    try:
        found = find_haproxy(config.traffic.binary or None)
    except CrossfadeError as exc:
        yield bad("proxy", exc.message, exc.hint)
    else:
        yield well("proxy", f"HAProxy {found.version}, {found.path}")


def commands_of(config: Config) -> list[tuple[str, Sequence[str]]]:
    """The programs of the team's own drivers, with the key they are named at."""
    listed: list[tuple[str, Sequence[str]]] = []
    if config.runtime.command is not None:
        runtime = config.runtime.command
        listed += [(f"runtime.command.{key}", getattr(runtime, key)) for key in ("start", "stop", "list", "log")]
    if config.traffic.command is not None:
        traffic = config.traffic.command
        keys = ("set_share", "read_share", "set_members", "list")
        listed += [(f"traffic.command.{key}", getattr(traffic, key)) for key in keys]
    if config.signals.driver == "command":
        listed.append(("signals.command", config.signals.command))
    return [(key, argv) for key, argv in listed if argv]


def probe_commands(config: Config, home: Path) -> Iterator[Finding]:
    """The programs of the team's own drivers can be run."""
    for key, argv in commands_of(config):
        program = argv[0]
        path = shutil.which(str(home / program) if "/" in program else program)
        if path is None:
            yield bad(key, f"{program} is not a program that can be run here", f"chmod +x {program}, or mend {key}")
        else:
            yield well(key, path)


def probe_repository(config: Config, home: Path) -> Iterator[Finding]:
    """Versions can be taken from git."""
    if config.versions.source != "git":
        return
    if shutil.which("git") is None:
        yield bad("git", "is not installed", 'install git, or write versions.source = "directory"')
        return
    directory = (home / config.versions.repository).resolve()
    done = subprocess.run(
        ["git", "-C", str(directory), "rev-parse", "--short=12", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        yield bad("git", f"{directory} has no commit", f"git -C {directory} init, then commit")
    else:
        yield well("git", f"{directory} at {done.stdout.strip()}")


def probe_directories(config: Config, home: Path) -> Iterator[Finding]:
    """Each version's own directory is there."""
    for name, directory in config.versions.directories.items():
        path = (home / directory).resolve()
        if path.is_dir():
            yield well(f"version {name}", str(path))
        else:
            yield bad(f"version {name}", f"{path} is not a directory", f"mend versions.directories.{name}")


def references_of(config: Config) -> list[tuple[str, str]]:
    """Every reference to a secret in the file, with its key."""
    listed: list[tuple[str, str]] = []
    for name, database in config.databases.items():
        for key in ("app_url", "admin_url", "app_password", "admin_password", "pooler_url"):
            listed.append((f"database.{name}.{key}", getattr(database, key)))
    for process in config.processes.values():
        listed += [(f"process.{process.name}.env.{key}", text) for key, text in process.env.items()]
    for endpoint in config.endpoints:
        headers = endpoint.smoke.headers if endpoint.smoke else {}
        listed += [(f'smoke of "{endpoint.name}", {key}', text) for key, text in headers.items()]
    return [(key, text) for key, text in listed if reference(text) is not None]


def probe_secrets(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Each reference leads to a secret, and a file with one is nobody else's to read."""
    for key, text in references_of(config):
        scheme, target = reference(text) or ("", "")
        try:
            resolve(text, environ)
        except CrossfadeError as exc:
            reason = str(exc.facts.get("reason", exc.message))
            yield bad(key, f"{text}: {reason}", f"export {target}=..." if scheme == "env" else "mend it")
            continue
        mode = stat.S_IMODE(Path(target).stat().st_mode) if scheme == "file" else 0
        if mode & 0o077:
            yield bad(key, f"{text} can be read by others (mode {mode:04o})", f"chmod 600 {target}")
        else:
            yield well(key, text)


def probe_database(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The database takes connections where crossfade runs."""
    for name, database in config.databases.items():
        what = f"database {name}"
        try:
            url = urlsplit(resolve(database.admin_url, environ))
            host, port = url.hostname or "", url.port or 5432
        except (CrossfadeError, ValueError):
            yield Finding(what, State.UNKNOWN, "its admin_url is not known here", f"mend database.{name}.admin_url")
            continue
        if not host:
            yield Finding(what, State.UNKNOWN, "its admin_url names a local socket", "name the host to have it asked")
            continue
        try:
            with socket.create_connection((host, port), _ANSWER_S):
                yield well(what, f"{host}:{port} takes connections")
        except OSError as exc:
            yield bad(what, f"{host}:{port}: {exc.strerror or exc}", "start it, or mend the URL")


def probe_front(config: Config, proxy_set_up: bool) -> Iterator[Finding]:
    """The port for customers is free, unless our own proxy may have it."""
    if config.traffic.driver != "haproxy":
        return
    host, _, port = config.traffic.listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as exc:
            reason = exc.strerror or str(exc)
            if proxy_set_up:
                said = f"{config.traffic.listen}: {reason}; crossfade's own proxy was set up here and may hold it"
                yield Finding("listen", State.UNKNOWN, said, "crossfade status")
                return
            yield bad("listen", f"{config.traffic.listen}: {reason}", "end what holds it, or mend traffic.listen")
        else:
            yield well("listen", f"{config.traffic.listen} is free")


def probe_state_dir(config: Config, home: Path) -> Iterator[Finding]:
    """What must be remembered can be written, and only by us."""
    path = (home / config.service.state_dir).resolve()
    nearest = next(parent for parent in (path, *path.parents) if parent.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        yield bad("state_dir", f"{nearest} cannot be written", f"chown {os.getuid()} {nearest}, or mend state_dir")
    elif path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o022:
        yield bad("state_dir", f"{path} can be written by others", f"chmod 700 {path}")
    else:
        yield well("state_dir", str(path))


def probe_files(limit: Callable[[], tuple[int, int]] | None = None) -> Iterator[Finding]:
    """Enough files may be open at once; the proxy's connections come out of this."""
    _, hard = limit() if limit else resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_NEEDED:
        yield bad("open files", f"at most {hard}, {FILES_NEEDED} are needed", f"ulimit -Hn {FILES_NEEDED}")
    else:
        yield well("open files", "without limit" if hard == resource.RLIM_INFINITY else f"up to {hard}")
