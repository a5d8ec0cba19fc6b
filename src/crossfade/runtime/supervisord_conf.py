"""The text of supervisord's files.

Rule: these files name a record and a program, never a command, an environment or a secret of the service.
Their grammar has no quoting for some characters, so a state directory that contains one is refused instead
of being half understood.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from crossfade.model.errors import fail
from crossfade.runtime.record import Places, Program

_PLAIN = re.compile(r"[A-Za-z0-9_./+@=,:~ -]+")


def main_conf(places: Places, socket_file: Path) -> str:
    """The file of supervisord itself."""
    for path in (places.state_dir, Path(sys.executable)):
        if not _PLAIN.fullmatch(str(path)):
            raise fail("state-directory-unusable", directory=path)
    lines = [
        "[unix_http_server]",
        f"file={socket_file}",
        "chmod=0700",
        "[supervisord]",
        f"pidfile={places.pid_file}",
        f"logfile={places.supervisor}/supervisord.log",
        "logfile_maxbytes=10MB",
        "logfile_backups=2",
        f"childlogdir={places.supervisor}",
        "nocleanup=true",
        "umask=077",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "[rpcinterface:crossfade]",
        "supervisor.rpcinterface_factory=crossfade.runtime.housekeeping:make",
        f"records={places.supervisor}",
        "[include]",
        "files=parts/*.conf lanes/*.conf",
    ]
    return "\n".join(lines) + "\n"


def group_conf(
    places: Places, group: str, record: Path, programs: Sequence[Program], *, autostart: bool = True, priority: int
) -> str:
    """The file of one group: one program an instance. Groups with a high priority number are stopped first."""
    lines = [f"[group:{group}]", "programs=" + ",".join(p.name for p in programs), f"priority={priority}"]
    for program in programs:
        command = [sys.executable, "-P", "-m", "crossfade.runtime.launch", str(record), program.name]
        on_failure_only = program.restart_on_failure_only
        lines += [
            f"[program:{program.name}]",
            "command=" + shlex.join(command).replace("%", "%%"),
            "autostart=" + ("true" if autostart else "false"),
            "autorestart=" + ("unexpected" if on_failure_only else "true"),
            "exitcodes=0",
            "startsecs=0",  # the launcher pauses between quick deaths, so supervisord never gives a program up
            f"stopsignal={program.stop_signal}",
            f"stopwaitsecs={max(1, round(program.stop_wait_s + 0.5))}",
            "killasgroup=true",
            "redirect_stderr=true",
            # For the launcher's first words; the program writes its log itself, and housekeeping rotates it.
            # Never another directory: supervisord refuses every program where one log directory is missing.
            f"stdout_logfile={places.logs}/{program.name}.log",
            "stdout_logfile_maxbytes=0",
        ]
    return "\n".join(lines) + "\n"
