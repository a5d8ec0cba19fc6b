"""What people ask of a running release: pause, resume, rollback, abandon, adopt.

Rule: asking works while the database is down, so an ask is a durable file in the state directory and the
walker that leads takes it. It is deleted after the walker has journaled what it did about it, so an ask
survives the death of the walker and is answered once.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from crossfade.model.walker import Event
from crossfade.walk.files import read_json, write_json

ASKABLE = {
    "pause": Event.PAUSE,
    "resume": Event.RESUME,
    "rollback": Event.ROLLBACK,
    "abandon": Event.ABANDON,
}


@dataclass(frozen=True)
class Ask:
    """One thing a person asked for. `what` is a key of ASKABLE, or `adopt`."""

    what: str
    who: str
    at: str
    file: Path

    @property
    def event(self) -> Event | None:
        """The walker's event, None for what is not one."""
        return ASKABLE.get(self.what)


class Asks:
    """The folder of asks of one service."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "asks"

    def put(self, what: str, at: datetime) -> Ask:
        """Ask for something. Durable when this returns."""
        assert what in ASKABLE or what == "adopt", what
        file = self._folder / f"{at:%Y%m%dT%H%M%S.%f}-{os.getpid()}.json"
        who = getpass.getuser()
        write_json(file, {"what": what, "who": who, "at": at.isoformat()}, durable=True)
        return Ask(what, who, at.isoformat(), file)

    def pending(self) -> Sequence[Ask]:
        """The asks nobody has answered, oldest first."""
        found = []
        for file in sorted(self._folder.glob("[0-9]*.json")):
            raw = read_json(file)
            if raw is not None:
                found.append(Ask(str(raw["what"]), str(raw["who"]), str(raw["at"]), file))
        return found

    def answered(self, ask: Ask) -> None:
        """Forget an ask that is in the journal now."""
        ask.file.unlink(missing_ok=True)
