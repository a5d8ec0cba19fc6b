"""What runs inside supervisord: each minute logs are kept small and programs given up are tried again.

Rule: programs write their own log files (see `launch.py`), so supervisord does not rotate them; this does.
A program that supervisord gave up, because the host had no process or file left for it, comes back by itself.

Nothing here may raise: an exception in this place would end supervisord.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crossfade.runtime.log_files import rotate
from crossfade.runtime.poller import RoundPoller


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
    """The factory supervisord calls (`supervisor.rpcinterface_factory`), before its first round."""
    from supervisor import events

    supervisord.options.poller = RoundPoller()
    keeping = Housekeeping(supervisord, Path(records))
    events.subscribe(events.Tick60Event, keeping.each_minute)
    return keeping
