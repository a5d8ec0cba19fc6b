"""What a person sets while a backfill runs, over what is configured.

Rule: each word on a knob is a row with its time and who said it; the last one holds, for all backfills of the
service, until it is given back. It is read again and again while a backfill runs, so it is heeded within a batch, from
whichever machine it was said. Whatever holds is shown with its author, so nobody wonders why a backfill is slow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import psycopg
from psycopg import errors

from crossfade.model.settings.field import keys_of
from crossfade.model.settings.staging import Staging
from crossfade.schema.sql import query

PAUSED = "paused"
LIMITS = (
    "workers",
    "batch_ms",
    "rows_per_s_max",
    "wal_mb_per_s_max",
    "latency_max_ms",
    "lock_waiters_max",
    "replay_lag_max_ms",
    "replay_lag_max_mb",
    "slot_lag_max_mb",
    "archive_lag_max_mb",
)
NAMES = (PAUSED, *LIMITS)
Connection = psycopg.Connection[Any]
_KEYS = {key.field_name: key for key in keys_of(Staging)}
_WHOLE = {field.name for field in fields(Staging) if field.type == "int"}


@dataclass(frozen=True)
class Knob:
    """The last word on one limit; `at` is UTC, as text."""

    name: str
    value: float
    who: str
    at: str

    @property
    def said(self) -> str:
        """Who said it, and when."""
        return f"by {self.who} at {self.at}"


def bounds(name: str) -> tuple[float, float]:
    """The least and the greatest value of a limit."""
    about = _KEYS[name].about
    assert about.minimum is not None, name
    assert about.maximum is not None, name
    return about.minimum, about.maximum


def is_whole(name: str) -> bool:
    """Whether a limit is a whole number."""
    return name in _WHOLE


def read(connection: Connection, service: str) -> tuple[Knob, ...]:
    """What holds now; nothing where the database has no place for it yet, or keeps it from this role."""
    try:
        found = connection.execute(query("knobs"), {"service": service}).fetchall()
    except (errors.UndefinedTable, errors.InvalidSchemaName, errors.InsufficientPrivilege):
        return ()
    return tuple(
        Knob(name, float(value), who, at) for name, value, who, at in found if value is not None and name in NAMES
    )


def turn(connection: Connection, service: str, who: str, values: Mapping[str, float | None]) -> None:
    """Set limits, or give them back to what is configured (None); all or none."""
    assert set(values) <= set(NAMES), values
    with connection.transaction():
        for name, value in values.items():
            words = {"service": service, "knob": name, "value": value, "who": who}
            connection.execute(query("turn_knob"), words)


def turned(configured: Staging, knobs: Sequence[Knob]) -> Staging:
    """The limits that hold. A value out of its bounds, which no command sets, counts as the nearest within."""
    values: dict[str, Any] = {}
    for knob in knobs:
        if knob.name in LIMITS:
            least, most = bounds(knob.name)
            value = min(max(knob.value, least), most)
            values[knob.name] = round(value) if is_whole(knob.name) else value
    return replace(configured, **values)


class Live:
    """The limits of a running backfill: what is configured, and over it what was read last. Called, it gives them."""

    def __init__(self, configured: Callable[[], Staging], service: str) -> None:
        self._configured, self._service = configured, service
        self.knobs: tuple[Knob, ...] = ()

    def __call__(self) -> Staging:
        """What holds now."""
        return turned(self._configured(), self.knobs) if self.knobs else self._configured()

    def look(self, connection: Connection) -> str:
        """Read them; a sentence for a person where something changed, else empty."""
        before = {knob.name: knob for knob in self.knobs}
        self.knobs = read(connection, self._service)
        now = {knob.name: knob for knob in self.knobs}
        words = [
            f"{name} = {knob.value:g} ({knob.said})"
            for name, knob in now.items()
            if name != PAUSED and before.get(name) != knob
        ]
        words += [f"{name} as configured" for name in before if name not in now and name != PAUSED]
        return f"throttle: {', '.join(words)}" if words else ""

    @property
    def paused(self) -> Knob | None:
        """The word that keeps backfills from going on, if there is one."""
        return next((knob for knob in self.knobs if knob.name == PAUSED and knob.value > 0), None)
