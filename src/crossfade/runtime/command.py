"""The team's own deploy tool as the runtime: three commands, and one more for logs.

Rule: crossfade asks, the tool does. `start` and `stop` must be idempotent and may return before the lane is
ready or gone; `list` says what runs. Each command gets the lane's facts as CROSSFADE_SLOT, CROSSFADE_VERSION
and CROSSFADE_DIGEST; `start` gets the whole lane as JSON on its standard input, references unresolved.

`list` prints a JSON list with one object an instance:
`{"slot": "left", "version": "v1", "digest": "...", "name": "web-1", "role": "web", "host": "10.0.0.7",
"port": 8080, "state": "running", "pid": 4711}`; host, port and pid may be null.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from crossfade.model.errors import fail
from crossfade.model.ports import Address, Instance, LaneFacts, LaneSpec, Slot

STATES = ("starting", "running", "stopping", "stopped", "failed")
TAIL_LINES = 8


class CommandRuntime:
    """`Runtime` over a deploy tool. Commands are argument lists; no shell is involved."""

    def __init__(
        self,
        start: Sequence[str],
        stop: Sequence[str],
        list: Sequence[str],
        *,
        timeout_s: float,
        log_tail: Sequence[str] | None = None,
        directory: str | None = None,
    ) -> None:
        """The tool's programs; they run in `directory`, beside crossfade.toml."""
        self._start = start
        self._stop = stop
        self._list = list
        self._log_tail = log_tail
        self._timeout_s = timeout_s
        self._directory = directory

    def start(self, lane: LaneSpec) -> None:
        """Hand the lane to the tool; the tool knows whether it runs already."""
        facts = {
            "CROSSFADE_SLOT": str(lane.slot),
            "CROSSFADE_VERSION": lane.version,
            "CROSSFADE_DIGEST": lane.digest,
        }
        self._run(self._start, facts, lane_to_json(lane))

    def stop(self, slot: Slot) -> None:
        """Ask the tool to end the lane of the slot."""
        known = self.observe()[slot]
        facts = {
            "CROSSFADE_SLOT": str(slot),
            "CROSSFADE_VERSION": known.version or "",
            "CROSSFADE_DIGEST": known.digest or "",
        }
        self._run(self._stop, facts)

    def observe(self) -> Mapping[Slot, LaneFacts]:
        """Ask the tool what runs."""
        output = self._run(self._list, {})
        try:
            return _lanes(json.loads(output))
        except (ValueError, KeyError, TypeError) as exc:
            problem = f"{exc.args[0]} is missing" if isinstance(exc, KeyError) else str(exc)
            raise fail(
                "deploy-list-invalid", command=shlex.join(self._list), problem=problem, tail=_last_lines(output)
            ) from exc

    def log_tail(self, slot: Slot, lines: int) -> str:
        """What the tool's log command prints for the slot; empty where there is none."""
        if self._log_tail is None:
            return ""
        output = self._run(self._log_tail, {"CROSSFADE_SLOT": str(slot), "CROSSFADE_LINES": str(lines)})
        return "\n".join(output.splitlines()[-lines:])

    def _run(self, command: Sequence[str], facts: Mapping[str, str], stdin: str = "") -> str:
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._timeout_s,
                cwd=self._directory,
                env={**os.environ, **facts},
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            written = _text(exc.stdout) + _text(exc.stderr)
            raise _failure(command, f"no end within {self._timeout_s:g} s", written) from exc
        except OSError as exc:
            raise _failure(command, f"{exc.strerror}: {command[0]}", "") from exc
        if done.returncode != 0:
            raise _failure(command, f"exit code {done.returncode}", done.stdout + done.stderr)
        return done.stdout


def lane_to_json(lane: LaneSpec) -> str:
    """What the start command reads."""
    processes = [{**asdict(p), "command": list(p.command), "env": dict(p.env)} for p in lane.processes]
    return json.dumps(
        {"slot": lane.slot, "version": lane.version, "digest": lane.digest, "processes": processes}, indent=1
    )


def _failure(command: Sequence[str], reason: str, written: str) -> Exception:
    return fail("deploy-command-failed", command=shlex.join(command), reason=reason, tail=_last_lines(written))


def _text(output: bytes | str | None) -> str:
    return output.decode("utf-8", errors="replace") if isinstance(output, bytes) else output or ""


def _last_lines(output: str) -> str:
    lines = output.strip().splitlines()[-TAIL_LINES:]
    return "\n".join(lines) if lines else "(it wrote nothing)"


def _lanes(rows: object) -> Mapping[Slot, LaneFacts]:
    if not isinstance(rows, list):
        raise TypeError("it is not a list")
    builds: dict[Slot, tuple[str, str]] = {}
    instances: dict[Slot, list[Instance]] = {slot: [] for slot in Slot}
    for row in rows:
        if not isinstance(row, dict):
            raise TypeError(f"{row!r} is not an object")
        if row["slot"] not in [str(slot) for slot in Slot]:
            raise ValueError(f'slot "{row["slot"]}" is neither left nor right')
        slot = Slot(row["slot"])
        build = (str(row["version"]), str(row["digest"]))
        if builds.setdefault(slot, build) != build:
            raise ValueError(f"two versions in the {slot} slot: {builds[slot][0]} and {build[0]}")
        instances[slot].append(_instance(row))
    return {slot: _facts(slot, builds.get(slot), instances[slot]) for slot in Slot}


def _facts(slot: Slot, build: tuple[str, str] | None, instances: Sequence[Instance]) -> LaneFacts:
    if build is None:
        return LaneFacts(slot, None, None)
    return LaneFacts(slot, build[0], build[1], tuple(instances))


def _instance(row: Mapping[str, object]) -> Instance:
    state, host, port, pid = row["state"], row["host"], row["port"], row["pid"]
    if state not in STATES:
        raise ValueError(f'state "{state}" is none of {", ".join(STATES)}')
    if port is not None and (not isinstance(port, int) or not 0 < port < 65_536):
        raise ValueError(f"port {port!r} is no port")
    if pid is not None and not isinstance(pid, int):
        raise ValueError(f"pid {pid!r} is no number")
    address = Address(str(host), port) if host is not None and port is not None else None
    return Instance(str(row["name"]), str(row["role"]), address, str(state), pid)
