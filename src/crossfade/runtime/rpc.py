"""Typed calls to supervisord over its unix socket, each with a time limit.

Rule: a supervisord that is stopped, gone or slow is an error after `TIMEOUT_S`, never a wait without end:
the one who calls may hold the fader.
"""

from __future__ import annotations

import socket
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from crossfade.model.errors import fail

TIMEOUT_S = 5.0

BAD_NAME = 10
SHUTDOWN_STATE = 6
ALREADY_STARTED = 60
NOT_RUNNING = 70
ALREADY_ADDED = 90
STILL_RUNNING = 91


@dataclass(frozen=True)
class ProcessInfo:
    """One process as supervisord sees it. `state` is its word for it: RUNNING, BACKOFF, FATAL ..."""

    group: str
    name: str
    state: str
    pid: int
    start: int
    exit_status: int
    error: str


class _Connection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


class Rpc:
    """The calls this package uses. One connection a call: calls come from several threads."""

    def __init__(self, socket_file: Path) -> None:
        self._socket_file = socket_file

    def _call(self, method: str, *arguments: str | bool, ignore: Sequence[int] = ()) -> object:
        connection = _Connection(str(self._socket_file))
        try:
            # Slots are an enum of strings, which the marshaller does not take.
            plain = tuple(str(item) if isinstance(item, str) else item for item in arguments)
            body = xmlrpc.client.dumps(plain, f"supervisor.{method}").encode()
            connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise HTTPException(f"status {response.status}")
            values, _ = xmlrpc.client.loads(answer)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode in ignore:
                return None
            raise fail("supervisor-refused", call=method, reason=fault.faultString) from fault
        except (OSError, HTTPException, xmlrpc.client.Error) as exc:
            reason = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
            raise fail("runtime-unreachable", runtime="supervisord", where=self._socket_file, reason=reason) from exc
        finally:
            connection.close()
        return values[0]

    def pid(self) -> int:
        """The process that answers."""
        return int(str(self._call("getPID")))

    def processes(self) -> list[ProcessInfo]:
        """Everything supervisord watches."""
        rows = self._call("getAllProcessInfo")
        assert isinstance(rows, list)
        return [
            ProcessInfo(r["group"], r["name"], r["statename"], r["pid"], r["start"], r["exitstatus"], r["spawnerr"])
            for r in rows
        ]

    def reload_config(self) -> None:
        """Read the files again; nothing that runs is touched."""
        self._call("reloadConfig")

    def add_group(self, name: str) -> None:
        """Begin to watch a group, and start it where its file says so."""
        self._call("addProcessGroup", name, ignore=(ALREADY_ADDED,))

    def remove_group(self, name: str) -> bool:
        """Forget a stopped group; False while something of it runs."""
        self._call("removeProcessGroup", name, ignore=(BAD_NAME, STILL_RUNNING))
        return all(process.group != name for process in self.processes())

    def start(self, name: str) -> None:
        """Start one process (`group:name`) without waiting."""
        self._call("startProcess", name, False, ignore=(ALREADY_STARTED,))

    def stop_group(self, name: str) -> None:
        """Send every process of the group its stop signal, without waiting."""
        self._call("stopProcessGroup", name, False, ignore=(BAD_NAME, NOT_RUNNING))

    def signal(self, name: str, signal_name: str) -> None:
        """Send a signal to one process."""
        self._call("signalProcess", name, signal_name)

    def shutdown(self) -> None:
        """Ask supervisord to stop everything and end."""
        self._call("shutdown", ignore=(SHUTDOWN_STATE,))
