"""A small client of HAProxy's runtime socket.

Rule: one command, one connection, one answer, all within a timeout. Whatever goes wrong on the way is
`proxy-unreachable`; an answer that says no to a change is `proxy-refused`. The socket is named through an
open directory, since AF_UNIX takes 107 bytes and state directories may be deeper.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossfade.model.errors import fail


@dataclass(frozen=True)
class RuntimeSocket:
    """The socket of one running HAProxy."""

    path: Path
    timeout_s: float = 2.0

    def ask(self, command: str) -> str:
        """Send one command and return the answer. Raises `proxy-unreachable`."""
        assert "\n" not in command, command
        parts: list[bytes] = []
        directory = -1
        try:
            directory = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self.timeout_s)
                connection.connect(f"/proc/self/fd/{directory}/{self.path.name}")
                connection.sendall(command.encode() + b"\n")
                while part := connection.recv(65536):
                    parts.append(part)
        except OSError as exc:
            detail = exc.strerror or str(exc) or type(exc).__name__
            raise fail("proxy-unreachable", socket=self.path, detail=detail) from exc
        finally:
            if directory >= 0:
                os.close(directory)
        return b"".join(parts).decode(errors="replace").strip("\n")

    def tell(self, command: str, *, shown: str | None = None, accepted: Sequence[str] = ()) -> None:
        """Send a change. Raises `proxy-refused` where the answer is neither empty nor one of `accepted`.

        `shown` is the command as an error may quote it: without the secret it carries.
        """
        answer = self.ask(command).strip()
        if answer and not any(answer.startswith(start) for start in accepted):
            raise fail("proxy-refused", command=shown or command, answer=answer.splitlines()[0])
