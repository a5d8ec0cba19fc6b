"""Waiting until the room of rows that were just replaced can be used again.

Rule: between two passes over the same pages the second waits until no snapshot is older than the first, for a bounded
time. What was waited for in vain is not waited for again: as long as it lasts, pages are filled in one pass, since
more would cost and gain nothing.

Nothing depends on it but size and speed: without the wait rows move to other pages (manual 73.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from crossfade.model.ports import Clock, GoOn, Say
from crossfade.schema.sql import query

_POLL_FIRST_S = 0.002
_POLL_MAX_S = 0.25
_SAY_AFTER_S = 1.0


@dataclass(frozen=True)
class _Holder:
    name: str
    hidden: bool


class Horizon:
    """Knows who holds old snapshots, and on whom it has given up."""

    def __init__(self, clock: Clock, say: Say = lambda _text: None) -> None:
        self._clock, self._say = clock, say
        self._given_up: set[str] = set()
        self.waited_s = 0.0

    def held_in_vain(self, connection: psycopg.Connection[Any]) -> bool:
        """Whether somebody who was waited for in vain is still there."""
        if self._given_up:
            self._given_up &= {holder.name for holder in _holders(connection, _boundary(connection))}
        return bool(self._given_up)

    def wait(self, connection: psycopg.Connection[Any], at_most_s: float, go_on: GoOn) -> str:
        """Wait for what is committed now to be older than every snapshot; who was waited for in vain, or empty."""
        began_s = self._clock.monotonic_s()
        try:
            return self._wait(connection, at_most_s, go_on)
        finally:
            self.waited_s += self._clock.monotonic_s() - began_s

    def _wait(self, connection: psycopg.Connection[Any], at_most_s: float, go_on: GoOn) -> str:
        boundary = _boundary(connection)
        met = _holders(connection, boundary)
        hidden = {holder.name for holder in met if holder.hidden}
        began_s, poll_s, told = self._clock.monotonic_s(), _POLL_FIRST_S, False
        while met and go_on():
            waited_s = self._clock.monotonic_s() - began_s
            if waited_s >= at_most_s:
                self._given_up |= {holder.name for holder in met}
                return met[0].name
            if waited_s >= _SAY_AFTER_S and not told:
                told = True
                self._say(f"waits up to {at_most_s:g} s for {met[0].name}, which holds an old snapshot")
            self._clock.sleep(poll_s)
            poll_s = min(_POLL_MAX_S, poll_s * 1.5)
            # A hidden transaction that was not there at first is younger than the boundary.
            found = _holders(connection, boundary)
            met = [holder for holder in found if not holder.hidden or holder.name in hidden]
        return ""


def _boundary(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute(query("boundary")).fetchone()
    assert row is not None
    return str(row[0])


def _holders(connection: psycopg.Connection[Any], boundary: str) -> list[_Holder]:
    found = connection.execute(query("snapshot_holders"), {"boundary": boundary}).fetchall()
    return [_Holder(str(name), bool(hidden)) for name, hidden in found]
