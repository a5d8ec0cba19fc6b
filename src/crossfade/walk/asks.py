"""What people ask of the walker: release, pause, resume, rollback, abandon, adopt.

Rule: asking works while the database is down, so an ask is a durable file in the state directory and the
walker that leads takes it. It is deleted after the walker has journaled what it did about it, so an ask
survives the death of the walker and is answered once.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from crossfade.host.files import read_json, write_json
from crossfade.model.path import Act
from crossfade.model.walker import Event

OF_A_WALK = {
    "pause": Event.PAUSE,
    "resume": Event.RESUME,
    "rollback": Event.ROLLBACK,
    "abandon": Event.ABANDON,
}
MOVES = {"purge": Act.PURGE, "undo": Act.UNDO_CHANGE}
OF_THE_CONTROLLER = ("release", "adopt", *MOVES)


@dataclass(frozen=True)
class Ask:
    """One thing a person asked for: a key of OF_A_WALK, or one of OF_THE_CONTROLLER."""

    what: str
    who: str
    at: str
    file: Path
    data: Mapping[str, object] = field(default_factory=dict)

    @property
    def event(self) -> Event | None:
        """The walker's event; None for what the controller answers itself."""
        return OF_A_WALK.get(self.what)


class Asks:
    """The folder of asks of one service."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "asks"

    def put(self, what: str, at: datetime, data: Mapping[str, object] | None = None) -> Ask:
        """Ask for something. Durable when this returns."""
        assert what in OF_A_WALK or what in OF_THE_CONTROLLER, what
        file = self._folder / f"{at:%Y%m%dT%H%M%S.%f}-{os.getpid()}.json"
        ask = Ask(what, getpass.getuser(), at.isoformat(), file, dict(data or {}))
        write_json(file, {"what": what, "who": ask.who, "at": ask.at, "data": ask.data}, durable=True)
        return ask

    def pending(self) -> Sequence[Ask]:
        """The asks nobody has answered, oldest first."""
        found = []
        for file in sorted(self._folder.glob("[0-9]*.json")):
            raw = read_json(file)
            if raw is not None:
                data: Mapping[str, object] = raw["data"]  # type: ignore[assignment]
                found.append(Ask(str(raw["what"]), str(raw["who"]), str(raw["at"]), file, data))
        return found

    def answer(self, ask: Ask, reply: str) -> None:
        """Forget an ask that is in the journal now; leave the reply for whoever waits."""
        write_json(ask.file.with_suffix(".reply"), {"reply": reply})
        ask.file.unlink(missing_ok=True)

    def withdraw(self, ask: Ask) -> None:
        """Take an ask back that nobody has answered."""
        ask.file.unlink(missing_ok=True)

    def reply(self, ask: Ask) -> str | None:
        """The reply, once: None while there is none."""
        file = ask.file.with_suffix(".reply")
        raw = read_json(file)
        if raw is None:
            return None
        file.unlink(missing_ok=True)
        return str(raw["reply"])
