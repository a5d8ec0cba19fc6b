"""The attic: what is about to be dropped is copied first, and kept.

Rule: a copy is one statement, so one snapshot; its row in crossfade.attic and the one in crossfade.schema_act are
written in its transaction. Before a purge every value that is to be dropped is looked up in the copy; one that is
missing, and nothing is dropped. An attic table belongs to the role that walks, and nobody else may read it.

A change may be undone, expanded and undone again: each round has its own copy, and an earlier one is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from crossfade.model.change import Kept
from crossfade.model.errors import fail
from crossfade.model.ports import GoOn
from crossfade.schema.naming import NAME_BYTES, quote
from crossfade.schema.session import Session, Sessions
from crossfade.schema.sql import query, rendered
from crossfade.schema.track import KEEP, Track


@dataclass(frozen=True)
class Attic:
    """Copies for one service."""

    sessions: Sessions
    track: Track

    def keep(
        self, change: str, kept: Kept, go_on: GoOn, *, frozen: bool = False, if_there: bool = False
    ) -> Mapping[str, object]:
        """Copy what `kept` names, unless it is kept already in this round; returns table, attic, rows, values.

        `frozen` says that nobody writes those columns any more, so the copy can be held against the table.
        `if_there`: the expansion was not finished, and what was never added holds nothing.
        Raises `schema-attic-short`, `lease-lost`, `schema-refused`, `schema-unreachable`, and `Stopped`.
        """
        unit = f"{KEEP}{kept.attic}"
        with self.sessions.open(f"keeping {kept.table} in the attic for change {change}") as session:
            with session.transaction():
                self.track.require_leading(session)
                done = self.track.place_alone(session, change).in_place.get(unit)
                if done is not None:
                    return done
                session.run("SET LOCAL statement_timeout = 0")
                with self.sessions.watching(session, go_on):
                    there = not if_there or _there(session, kept)
                    before = str(session.one("snapshot")[0])
                    data = self._copy(session, change, kept) if there else _nothing(kept)
                    row = self.track.put(session, change, unit, "do", data)
                    if frozen and data["rows"]:
                        _verify(session, kept, str(data["attic"]), before)
            self.track.committed(session, row, unit, {})
        return data

    def _copy(self, session: Session, change: str, kept: Kept) -> dict[str, object]:
        attic = _free_name(session, kept.attic)
        parts = {**_parts(kept), "attic": rendered(attic)}
        rows = session.execute(sql.SQL(query("copy_to_attic")).format(**parts)).rowcount
        if not rows:
            session.run(f"DROP TABLE {attic}")
            return _nothing(kept)
        session.run(f"REVOKE ALL ON {attic} FROM PUBLIC")
        counts = [sql.SQL("count({})").format(rendered(column)) for column in kept.columns]
        found = session.execute(
            sql.SQL(query("count_attic")).format(counts=sql.SQL(", ").join([sql.SQL("count(*)"), *counts]), **parts)
        ).fetchone()
        assert found is not None
        assert found[0] == rows, (found, rows)
        what = f"{', '.join(kept.columns) or 'every column'} of {kept.table}"
        self.track.put_attic(session, change, attic, what, rows)
        values = dict(zip(kept.columns, found[1:], strict=True))
        return {"table": kept.table, "attic": attic, "rows": rows, "values": values}


def _nothing(kept: Kept) -> dict[str, object]:
    return {"table": kept.table, "attic": "", "rows": 0, "values": {}}


def _there(session: Session, kept: Kept) -> bool:
    if not kept.columns:
        return bool(session.one("table_there", table=kept.table)[0])
    columns = list(kept.columns)
    found = session.rows("columns_there", table=kept.table, columns=columns, wanted=len(columns))
    return bool(found) and bool(found[0][0])


def _parts(kept: Kept) -> dict[str, sql.Composable]:
    everything = sql.SQL("*")
    named = sql.SQL(", ").join(rendered(one) for one in (*kept.key, *kept.columns))
    holds = (
        sql.SQL("num_nonnulls({}) > 0").format(sql.SQL(", ").join(map(rendered, kept.columns)))
        if kept.columns
        else sql.SQL("true")
    )
    return {
        "table": rendered(kept.table),
        "columns": named if kept.columns and kept.key else everything,
        "compared": named if kept.columns else everything,  # without a key: what is dropped; the rest may change
        "holds": holds,
        "only_new": rendered(kept.only_new),
    }


def _verify(session: Session, kept: Kept, attic: str, before: str) -> None:
    """Every row of the table that holds something is in the attic, with the same values.

    Where columns that stay decide which rows are kept, writes to those go on, and rows written since the snapshot
    `before` the copy are not asked about: what they hold had its counterpart then, and was written anew.
    """
    all_rows = kept.only_new in ("true", " OR ".join(f"{column} IS NOT NULL" for column in kept.columns))
    since = sql.SQL("true") if all_rows else sql.SQL(query("written_before")).format(before=sql.Literal(before))
    parts = {**_parts(kept), "attic": rendered(attic), "written_before": since}
    row = session.execute(sql.SQL(query("missing_in_attic")).format(**parts)).fetchone()
    assert row is not None
    if row[0]:
        raise fail("schema-attic-short", table=kept.table, attic=attic, missing=row[0])


def _free_name(session: Session, attic: str) -> str:
    """The name, or the first of name_2, name_3 ... that no earlier round has taken."""
    name, number = attic, 1
    while session.one("table_there", table=name)[0]:
        number += 1
        end = f"_{number}"
        schema, _, table = attic.partition(".")  # of the two only the table's own name can have a dot
        bare = table[1:-1].replace('""', '"') if table.startswith('"') else table
        short = bare.encode()[: NAME_BYTES - len(end)].decode(errors="ignore")
        name = f"{schema}.{quote(short + end)}"
    return name
