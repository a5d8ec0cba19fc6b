"""A whole history of migrations, walked file by file by the engine beside a twin that gets the raw SQL.

Rule: two databases on a scratch server. `raw` gets each file as psql runs it; `walked` gets what the planner makes of
it, through every stage and back. Both are filled before each file, so that nothing counts as empty. After each file
the two schemas are compared, and where they differ, or where the engine failed, `walked` is made anew from `raw`: one
fault is counted once.

*planned*: walked, and the oracle saw no rewrite and no scan under a lock that blocks readers or writers, no such lock
that the plan does not name or that was held for longer than the limit, and the statements of the schema before ended
as before at each stage at which the old version lives, on the way there and after the way back. *raw*: applied as
written, since it closed no table that was there, wrote no row of one, and changed nothing that was there. *refused*:
with the planner's reason; the raw file is applied, so that the history goes on. What the server itself refuses is no
part of the count; it is applied to empty tables, if they take it, so that later files find what it makes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from crossfade.journal.install import install
from crossfade.model.change import Change
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import Clock, GoOn, Say
from crossfade.model.requirement import Staging
from crossfade.schema.catalog import Catalog
from crossfade.schema.inputs.migration import Migration
from crossfade.schema.naming import quote_table
from crossfade.schema.oracle.differences import Schema, differences, read_schema
from crossfade.schema.oracle.rows import fill
from crossfade.schema.oracle.statements import broken, outcomes, statements_of
from crossfade.schema.oracle.witness import Finding, Witness, look, tables
from crossfade.schema.planning import PlanOptions, plan_change
from crossfade.walk.psql import find_psql, run_psql
from crossfade.walk.schema_engine import Where, catalog_at, engine_at
from crossfade.walk.scratch_cluster import ScratchCluster

RAW, WALKED, SPARE = "raw", "walked", "spare"
OLD, NEW = "crossfade_audit_old", "crossfade_audit_new"
SETTINGS = Staging(star_queries="none", passes=1, pass_wait_s=0.0, lock_tries_s=5.0)
_SHOWN = 20  # differences of one file
_WRITTEN = """
SELECT relation FROM pg_catalog.pg_locks
WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND mode = 'RowExclusiveLock'
"""  # also where the generated rows held none that it would have changed


_EMPTIED = "SELECT schemaname, tablename FROM pg_catalog.pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"


@dataclass
class Report:
    """What has come of the files so far."""

    files: int = 0
    planned: int = 0
    raw: int = 0
    rejected: int = 0  # by the server itself; not among `files`
    refused: list[Mapping[str, object]] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    unsafe: list[str] = field(default_factory=list)  # what the oracle saw, lock by lock
    broken: list[str] = field(default_factory=list)  # statements of the version before that ended otherwise
    unfilled: set[str] = field(default_factory=set)

    def to_json(self) -> dict[str, object]:
        """The last line of an audit."""
        return {
            "files": self.files,
            "planned": self.planned,
            "raw": self.raw,
            "refused": self.refused,
            "crashed": len(self.crashed),
            "schema_equal": not self.differences,
            "differences": [*self.differences, *self.broken],
            "unsafe_locks": len(self.unsafe),
        }


@dataclass
class Audit:
    """One history on one scratch server. `held_max_ms`: how long a lock that blocks others may be held."""

    scratch: ScratchCluster
    clock: Clock
    tell: Say  # a line a file
    held_max_ms: float = 1000.0
    report: Report = field(default_factory=Report)
    _psql: Path = field(default=Path(), init=False)
    _password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def run(self, migrations: Sequence[Migration], go_on: GoOn) -> Report:
        """Walk them in order, until `go_on` says no. Raises `scratch-programs-missing`."""
        self._psql = find_psql(self.scratch.bin_dir)
        with self._maintenance() as connection:
            for role in (OLD, NEW):
                made = sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}")
                connection.execute(made.format(sql.Identifier(role), sql.Literal(self._password)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(RAW)))
        self._walked_anew()
        for migration in migrations:
            if not go_on():
                break
            self.tell(f"{migration.name}: {self._one(migration)}")
        return self.report

    # -- one file -------------------------------------------------------------------------------------

    def _one(self, migration: Migration) -> str:
        before = catalog_at(self._url(RAW), self.clock)
        for database in (RAW, WALKED):
            with psycopg.connect(self._url(database), autocommit=True) as connection:
                self.report.unfilled = set(fill(connection, before))
        text = "\n".join(source.text for source in migration.sources)
        here = catalog_at(self._url(WALKED), self.clock)
        refusal = self._raw(text)
        if refusal:
            self.report.rejected += 1
            self._without_rows(text)
            return f"refused by the server: {refusal}"
        self.report.files += 1
        options = PlanOptions(has_lane_roles=True, star_queries="none")
        try:
            change = plan_change(migration.name, migration.sources, here, options)
        except CrossfadeError as exc:
            return self._not_planned(migration, text, exc)
        except Exception as exc:  # the count of these is what an audit is for
            return self._crashed(migration, f"planning: {exc!r}")
        try:
            seen = _Walk(self, change, here).there_and_back()
        except CrossfadeError as exc:
            return self._crashed(migration, exc.render())
        except Exception as exc:
            return self._crashed(migration, repr(exc))
        same = self._compare(migration)
        self.report.unsafe += [f"{migration.name}: {one.unit}: {one.says}" for one in seen.findings]
        self.report.broken += [f"{migration.name}: {one}" for one in seen.broken]
        if seen.findings or seen.broken:
            return "; ".join(["not safe", *(one.says for one in seen.findings), *seen.broken])
        self.report.planned += 1
        return "planned" if same else "planned, and the schema is not what the raw SQL gives"

    def _not_planned(self, migration: Migration, text: str, why: CrossfadeError) -> str:
        if self._touches_nothing(text):
            self.report.raw += 1
            said = "raw"
        else:
            name, _, line = str(why.facts.get("where", migration.sources[0].name)).rpartition(":")
            reason = why.message + (f": {why.facts['reason']}" if "reason" in why.facts else "")
            self.report.refused.append(
                {"file": name or migration.name, "line": int(line) if line.isdigit() else 1, "reason": reason}
            )
            said = f"refused: {reason}"
            refusal = run_psql(self._psql, self._url(WALKED), text)
            if refusal:  # the two databases were not the same for this file
                self.report.differences.append(f"{migration.name}: only one of the two took the raw file: {refusal}")
                self._walked_anew()
        self._compare(migration)
        return said

    def _touches_nothing(self, text: str) -> bool:
        """Apply it, if it closes nothing, writes to nothing and changes nothing that was there."""
        with psycopg.connect(self._url(WALKED)) as connection:
            known, here = tables(connection), read_schema(connection)
            try:
                connection.execute(text.encode())
                locked = look(connection, "raw", known, tables(connection), {})
                written = {int(oid) for (oid,) in connection.execute(_WRITTEN).fetchall()} & set(known)
            except psycopg.Error:
                connection.rollback()
                return False
            lines = differences(read_schema(connection), here)
            if locked or written or any(not line.endswith("is there, and should not be") for line in lines):
                connection.rollback()
                return False
            connection.commit()
        return True

    def _raw(self, text: str) -> str:
        """Apply it to `raw` as psql does; what the server said against it, and then nothing is changed."""
        refusal = run_psql(self._psql, self._url(RAW), text, single_transaction=True)
        if not refusal or not refusal.needs_no_transaction:
            return str(refusal or "")
        self._copy_database(RAW, SPARE)
        refusal = run_psql(self._psql, self._url(RAW), text)
        if refusal:
            self._copy_database(SPARE, RAW)
        return str(refusal or "")

    # -- what becomes of it ---------------------------------------------------------------------------

    def _crashed(self, migration: Migration, why: str) -> str:
        self.report.crashed.append(f"{migration.name}: {why}")
        self._walked_anew()
        return f"crashed: {why}"

    def _compare(self, migration: Migration) -> bool:
        found = differences(_schema_at(self._url(WALKED)), _schema_at(self._url(RAW)))
        self.report.differences += [f"{migration.name}: {line}" for line in found[:_SHOWN]]
        if found:
            self._walked_anew()
        return not found

    def _walked_anew(self) -> None:
        self._copy_database(RAW, WALKED)
        with psycopg.connect(self._url(WALKED), autocommit=True) as connection:
            install(connection)

    def _without_rows(self, text: str) -> None:
        """Let the history go on where it was the rows that a file could not stand: with empty tables, on both."""
        with psycopg.connect(self._url(RAW), autocommit=True) as connection:
            names = [quote_table(str(schema), str(name)) for schema, name in connection.execute(_EMPTIED).fetchall()]
            if names:
                connection.execute(f"TRUNCATE {', '.join(names)} CASCADE".encode())
        self._raw(text)
        self._walked_anew()

    def _copy_database(self, source: str, target: str) -> None:
        with self._maintenance() as connection:
            for statement in ("DROP DATABASE IF EXISTS {1} WITH (FORCE)", "CREATE DATABASE {1} TEMPLATE {0}"):
                connection.execute(sql.SQL(statement).format(sql.Identifier(source), sql.Identifier(target)))

    def _maintenance(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.scratch.admin_url(), autocommit=True)

    def _url(self, database: str) -> str:
        return self.scratch.admin_url(database)

    def url_of(self, role: str) -> str:
        """Where a version's role connects."""
        return f"postgresql://{role}:{quote(self._password)}@127.0.0.1:{self.scratch.port}/{WALKED}"


class _Walk:
    """One change on the `walked` database: there and back, and there for good."""

    def __init__(self, audit: Audit, change: Change, before: Catalog) -> None:
        self._audit, self._change, self._before = audit, change, before
        self._where = Where(audit.scratch.admin_url(WALKED), "audit", SETTINGS)
        self._said = statements_of(before, change.tables)
        self._base: Mapping[str, str] = {}
        self.findings: list[Finding] = []
        self.broken: list[str] = []

    def there_and_back(self) -> _Walk:
        """Walk it. Raises what the engine raises."""
        with psycopg.connect(self._where.admin_url) as connection:
            witness = Witness(tables(connection))
        engine, change = engine_at(self._where, self._audit.clock, witness=witness, fenced=False), self._change
        engine.lanes({OLD: "old", NEW: "new"})
        self._base = self._outcomes()
        schema = _schema_at(self._where.admin_url)
        self._do(lambda: engine.expand(change, "new", _on, _quiet), "both shapes")
        self._do(lambda: engine.backfill(change, _on, _quiet))
        self._do(lambda: engine.record(change, _on, _quiet), "both shapes, equal")
        self._do(lambda: engine.detach(change, _on, _quiet))
        self._do(lambda: engine.attach(change, _on, _quiet), "both shapes, equal again")
        self._do(lambda: engine.undo(change, _on, _quiet), "the way back")
        back = differences(_schema_at(self._where.admin_url), schema)
        self.broken += [f"after the way back: {line}" for line in back if not _stays(line)]
        self._do(lambda: engine.expand(change, "new", _on, _quiet))
        self._do(lambda: engine.backfill(change, _on, _quiet))
        self._do(lambda: engine.record(change, _on, _quiet))
        self._do(lambda: engine.detach(change, _on, _quiet))
        self._do(lambda: engine.purge(change, _on, _quiet))
        self.findings += witness.findings
        with suppress(CrossfadeError):
            engine.lanes({})
        return self

    def _do(self, act: Callable[[], Mapping[str, object]], stage: str = "") -> None:
        steps = act().get("steps") or []
        assert isinstance(steps, Sequence)
        for step in steps:
            if step["held_ms"] > self._audit.held_max_ms:
                says = f"held its locks for {step['held_ms']:.0f} ms"
                self.findings.append(Finding(f"{step['way']} {step['unit']}", "held", "", says))
        if stage:
            self.broken += [f"at '{stage}': {one}" for one in broken(self._base, self._outcomes())]

    def _outcomes(self) -> Mapping[str, str]:
        with psycopg.connect(self._audit.url_of(OLD)) as connection:
            return outcomes(connection, self._said)


def _schema_at(url: str) -> Schema:
    with psycopg.connect(url, autocommit=True) as connection:
        return read_schema(connection)


def _stays(line: str) -> bool:
    """What a way back cannot take away, and says so in its plan: a value of an enumeration."""
    return line.startswith("enumeration ")


def _on() -> bool:
    return True


def _quiet(_what: str) -> None:
    pass
