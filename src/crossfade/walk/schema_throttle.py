"""The knobs of backfills on one database, looked at and turned by a person while one runs, or before.

Rule: it needs the database and nothing else; whoever runs the backfill finds the word there. Looking changes nothing;
turning makes crossfade's own tables where they are lacking.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossfade.journal.install import install
from crossfade.model.ports import Clock
from crossfade.model.requirement import Staging
from crossfade.schema.knobs import PAUSED, Knob, read, turn, turned
from crossfade.schema.session import Sessions


@dataclass(frozen=True)
class Filled:
    """A table that is being filled, or was when its backfill was stopped."""

    change: str
    task: str
    rows: int


@dataclass(frozen=True)
class Throttle:
    """What holds now: the limits in force, the words of people behind them, and what is being filled."""

    service: str
    limits: Staging
    knobs: Mapping[str, Knob]
    filling: Sequence[Filled]

    @property
    def paused(self) -> Knob | None:
        """Who has stopped backfills, if somebody has."""
        knob = self.knobs.get(PAUSED)
        return knob if knob is not None and knob.value > 0 else None


def look(admin_url: str, service: str, configured: Staging, clock: Clock) -> Throttle:
    """Read what holds. Raises `schema-unreachable`, `schema-refused`."""
    with Sessions(admin_url, clock).open("reading the throttle") as session:
        knobs = read(session, service)
        rows = session.rows("filling", service=service) if session.one("installed")[0] else []
    filling = [Filled(change, task.removeprefix("backfill:"), filled) for change, task, filled, _ in rows]
    return Throttle(service, turned(configured, knobs), {knob.name: knob for knob in knobs}, filling)


def set_knobs(admin_url: str, service: str, values: Mapping[str, float | None], clock: Clock) -> None:
    """Set limits (None: back to what is configured), as whoever runs this process.

    Raises `schema-unreachable`, `schema-refused`.
    """
    with Sessions(admin_url, clock).open("turning the throttle") as session:
        install(session)
        turn(session, service, f"{getpass.getuser()} on {socket.gethostname()}", values)
