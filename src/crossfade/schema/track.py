"""The track in the database: where each change stands, and which of its units are in place.

Rule: a unit is in place when its last row in crossfade.schema_act says `do`. Each row is written in the transaction
of what it tells of, so nothing else has to be asked after a crash. Three pseudo-units: `begin` says that a change
has begun, and its `undo` that it is undone whole; `try:` and a unit's key, that a unit which may not run in a
transaction was tried and may have left something; `keep:` and a name, that the attic has its copy.

Going forward the stage is written last; an undo writes it first, so that a half-undone change claims the base.

Fencing (I8): a row is written only while our epoch leads, and the lease cannot change hands before that transaction
has ended: its row is locked FOR SHARE. On a copy of the database there is no lease; then nothing is fenced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from crossfade.model.change import Change, Stage
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import SchemaFacts, Standing
from crossfade.schema.session import Session
from crossfade.schema.sql import query

BEGIN = "begin"
KEEP = "keep:"
TRY = "try:"
Data = Mapping[str, object]


@dataclass(frozen=True)
class Place:
    """Where one change is: its stage, and the data of the last row of each unit that is in place."""

    stage: Stage
    plan: Change | None
    in_place: Mapping[str, Data]

    @property
    def begun(self) -> bool:
        """Whether anything of it may be in the database."""
        return self.stage is not Stage.BASE or BEGIN in self.in_place


class Track:
    """Reads and writes the track of one service, on sessions it is handed."""

    def __init__(
        self,
        service: str,
        epoch: Callable[[], int],
        *,
        fenced: bool = True,
        before_row: Callable[[str], None] = lambda _unit: None,
        after_row: Callable[[str], None] = lambda _unit: None,
    ) -> None:
        self._service = service
        self._epoch = epoch if fenced else lambda: 0
        self._fenced = fenced
        self._before_row, self._after_row = before_row, after_row

    # -- the lease ------------------------------------------------------------------------------------

    def fence(self, connection: psycopg.Connection[Any]) -> None:
        """Raise `lease-lost` unless we lead, and keep the lease from changing hands until this transaction ends."""
        self._require(connection, "leads_until_commit")

    def require_leading(self, connection: psycopg.Connection[Any]) -> None:
        """Raise `lease-lost` unless we lead now; locks nothing."""
        self._require(connection, "leads")

    def _require(self, connection: psycopg.Connection[Any], name: str) -> None:
        if not self._fenced:
            return
        epoch = self._epoch()
        values = {"service": self._service, "epoch": epoch}
        if connection.execute(query(name), values).fetchone() is None:
            raise self._lost(connection, epoch)

    def _lost(self, connection: psycopg.Connection[Any], epoch: int) -> CrossfadeError:
        row = connection.execute(query("leader"), {"service": self._service}).fetchone()
        leader = row[0] if row else None
        found = "no lease in the database" if leader is None else f"epoch {leader} in the database"
        return fail("lease-lost", service=self._service, epoch=epoch, found=found)

    # -- reading --------------------------------------------------------------------------------------

    def place(self, session: Session, change: str) -> Place:
        """Where the change is."""
        values = {"service": self._service, "change": change}
        row = session.execute(query("read_change"), values).fetchone()
        acts = session.rows("last_acts", **values)
        in_place = {unit: data for unit, way, data in acts if way == "do"}
        if row is None:
            return Place(Stage.BASE, None, in_place)
        return Place(Stage(row[0]), Change.from_json(row[1]), in_place)

    def facts(self, session: Session, *, counted: bool = False) -> SchemaFacts:
        """Where every change stands. A database without the track has seen no change."""
        if not session.one("installed")[0]:
            return SchemaFacts(None)
        found = session.rows("standings", service=self._service, gone=Stage.GONE, base=Stage.BASE)
        standings = [self._standing(session, counted, *row) for row in found]
        opened = [one for one in standings if one.stage is not Stage.HIDDEN]
        assert len(opened) <= 1, [one.change.id for one in opened]
        gone = tuple(change for (change,) in session.rows("gone", service=self._service, gone=Stage.GONE))
        hidden = tuple(one for one in standings if one.stage is Stage.HIDDEN)
        return SchemaFacts(opened[0] if opened else None, hidden, gone)

    def _standing(self, session: Session, counted: bool, plan: Any, stage: str, version: str, since: Any) -> Standing:
        change = Change.from_json(plan)
        return Standing(change, Stage(stage), version, since, self.mismatches(session, change.id) if counted else {})

    def mismatches(self, session: Session, change: str) -> dict[str, int]:
        """How many rows were recorded since the change began, by "table: kind"."""
        return dict(session.rows("mismatches", service=self._service, change=change))

    def place_alone(self, session: Session, change: str) -> Place:
        """Where the change is, and nobody else moves it before this transaction has ended."""
        session.one("one_at_a_time", key=f"crossfade schema {self._service} {change}")
        return self.place(session, change)

    # -- writing, always in a transaction ---------------------------------------------------------------

    def put(self, session: Session, change: str, unit: str, way: str, data: Data) -> int:
        """Write the row that says a unit was done or undone; raises `lease-lost`. Returns the row's id."""
        self._before_row(unit)
        self.fence(session)
        row = session.one(
            "put_act",
            service=self._service,
            change=change,
            unit=unit,
            way=way,
            epoch=self._epoch(),
            data=json.dumps(data),
        )
        return int(row[0])

    def put_taken(self, session: Session, change: str, units: Sequence[str]) -> None:
        """Write that the effect of these is gone with that of the unit whose row has just been written."""
        for unit in units:
            values = {"service": self._service, "change": change, "unit": unit, "epoch": self._epoch()}
            session.one("put_act", **values, way="undo", data="{}")

    def committed(self, session: Session, row: int, unit: str, measured: Data) -> None:
        """Add what is known after the commit only. Lost when the process dies in between; nothing hangs on it."""
        self._after_row(unit)
        if measured:
            session.execute(query("note_commit"), {"id": row, "measured": json.dumps(measured)})

    def begin(self, session: Session, change: Change, version: str) -> None:
        """Store the change at the base, begun; in a transaction of its own."""
        plan = json.dumps(change.to_json())
        values = {"service": self._service, "change": change.id, "version": version, "plan": plan, "stage": Stage.BASE}
        with session.transaction():
            session.execute(query("begin_change"), values)
            row = self.put(session, change.id, BEGIN, "do", {"version": version, "digest": change.digest})
        self.committed(session, row, BEGIN, {})

    def take_over(self, session: Session, place: Place, change: str, version: str) -> None:
        """Say that a later version makes the same change, or that a half-undone one goes forward again."""
        if place.stage is Stage.BASE:
            self._forget(session, change, place, KEEP)
        self.fence(session)
        values = {"service": self._service, "change": change, "version": version}
        session.execute(query("take_over"), values)

    def turn_back(self, session: Session, change: str) -> None:
        """Claim the base before anything is taken back; what was filled goes with its columns."""
        self.fence(session)
        session.execute(query("forget_progress"), {"service": self._service, "change": change})
        self.set_stage(session, change, Stage.BASE)

    def set_stage(self, session: Session, change: str, stage: Stage) -> None:
        """Write the stage; the caller has fenced this transaction."""
        values = {"service": self._service, "change": change, "stage": stage}
        session.execute(query("set_stage"), values)

    def end(self, session: Session, change: str) -> None:
        """Say that the change is undone whole; what the attic kept in this round is no longer of a round."""
        self._forget(session, change, self.place(session, change), KEEP)
        self.put(session, change, BEGIN, "undo", {})

    def _forget(self, session: Session, change: str, place: Place, kind: str) -> None:
        for unit in place.in_place:
            if unit.startswith(kind):
                self.put(session, change, unit, "undo", {})

    def put_attic(self, session: Session, change: str, attic: str, kept: str, rows: int) -> None:
        """Record an attic table."""
        values = {"service": self._service, "change": change, "attic": attic, "kept": kept, "rows": rows}
        session.execute(query("put_attic"), values)

    def put_lanes(self, session: Session, roles: Mapping[str, str]) -> None:
        """Say which shape each role writes."""
        self.fence(session)
        for role, shape in sorted(roles.items()):
            session.execute(query("put_lane"), {"role": role, "shape": shape})
