"""What runs inside supervisord once a minute: logs are kept small, and programs given up are tried again.

Rule: programs write their own log files (see `launch.py`), so a log is rotated by copying and truncating;
a line written in the moment between is lost, which is the price of a log that outlives supervisord. And a
program that supervisord gave up, because the host had no process or file left for it, comes back by itself.

Nothing here may raise: an exception in this place would end supervisord.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

LOG_MAX_BYTES = 10 * 1024 * 1024
LOG_KEPT = 2


def rotate(log: Path, max_bytes: int = LOG_MAX_BYTES, kept: int = LOG_KEPT) -> bool:
    """Move what a log holds to `.1` when it has grown too large; older parts move up, the oldest goes."""
    if log.stat().st_size < max_bytes:
        return False
    for number in range(kept, 1, -1):
        older = log.with_name(f"{log.name}.{number - 1}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
    shutil.copy2(log, log.with_name(f"{log.name}.1"))
    with log.open("r+b") as stream:
        stream.truncate(0)  # its writers append, so they go on at the new end
    return True


class Housekeeping:
    """The minute's work in one supervisord."""

    def __init__(self, supervisord: Any, records: Path) -> None:
        self._supervisord = supervisord
        self._records = records

    def each_minute(self, _event: object) -> None:
        """Rotate and retry."""
        try:
            for record in self._records.glob("*/*.json"):
                for program in json.loads(record.read_text(encoding="utf-8")).get("programs", {}).values():
                    log = Path(program["log"])
                    if log.exists():
                        rotate(log)
        except Exception as exc:
            self._supervisord.options.logger.warn(f"could not rotate the logs: {exc}")
        for group in list(self._supervisord.process_groups.values()):
            for process in list(group.processes.values()):
                try:
                    if process.get_state() == _FATAL and process.config.autorestart:
                        process.spawn()
                except Exception as exc:
                    self._supervisord.options.logger.warn(f"could not try {process.config.name} again: {exc}")


_FATAL = 200  # supervisor.states.ProcessStates.FATAL, a part of its XML-RPC contract


def make(supervisord: Any, records: str, **_config: str) -> Housekeeping:
    """The factory supervisord calls (`supervisor.rpcinterface_factory`)."""
    from supervisor import events

    keeping = Housekeeping(supervisord, Path(records))
    events.subscribe(events.Tick60Event, keeping.each_minute)
    return keeping
