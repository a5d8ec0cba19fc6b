"""The basic restore proof: dump the service's database, restore it elsewhere, compare all of it, serve from it.

Rule: a backup is restored, not assumed. One snapshot is dumped and measured at once; the dump is restored into a
server of another identity; every table's rows, every sequence and every object must be the same; then the version
that serves now is started on the copy and must answer its ready check and the smoke of each critical endpoint.

A drill that found something wrong says `failed`; one that could not look says `could not verify`, which proves as
little. Both are kept, and the newest record counts. Only the database is a copy: whatever else the version speaks to
is the real one, so what a smoke does must be harmless, as it must be in a release.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from crossfade.backup.compare import differences
from crossfade.backup.content import Content, SequenceAt, read_content, read_objects, read_sequences, read_tables
from crossfade.backup.copy import NAME, Login, Surroundings, apply_settings, make_copy_database, read_surroundings
from crossfade.backup.dump import dump_argv, environment_of, fingerprint, restore_argv, script_argv, without_secrets
from crossfade.backup.proof import RestoreProof, Verdict, write_proof
from crossfade.backup.session import Connection, export_snapshot, reading
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import LaneSpec
from crossfade.runtime.secrets import resolve
from crossfade.walk.at_copy import CopyAddress, Pointed, point_at_copy
from crossfade.walk.guarded import child, tail, wait
from crossfade.walk.scratch_cluster import (
    SUPERUSER,
    ScratchCluster,
    scratch_cluster,
    scratch_programs,
    system_identifier,
)
from crossfade.walk.scratch_instance import PATIENCE, environment, scratch_instance, web_process
from crossfade.walk.site import Site
from crossfade.walk.smoke import SmokeRequest, smoke_directly

LIMIT_S = 6 * 3600.0  # of one dump, one restore, one statement
ROOM = 1.5  # dump and copy need this times the source's size
SMOKE_S = 10.0
SEEN_WITHIN_S = 5.0


class _Unknown(Exception):
    """It could not be looked at; the text says why."""


class _Failed(Exception):
    """It was looked at, and is not as it must be: a sentence each."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems


@dataclass(frozen=True)
class Source:
    """What the source held when it was dumped."""

    content: Content
    sequences_after: Mapping[str, SequenceAt]
    around: Surroundings


@dataclass
class Drill:
    """One restore proof. `admin_url` is resolved: it holds the password, and is for the driver only."""

    site: Site
    admin_url: str
    lane: LaneSpec | None  # what serves now
    smokes: Sequence[SmokeRequest]
    new_token: Callable[[], str]
    say: Callable[[str], None] = lambda _: None
    between: Callable[[str], None] = lambda _: None  # after the restore, before the comparison; takes the copy's URL
    record: Path | None = None  # where the result was written
    _took_s: dict[str, float] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)

    def run(self) -> RestoreProof:
        """Do it, and keep the record whatever it says."""
        service = self.site.config.service
        self.site.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        proof = RestoreProof(
            verdict=Verdict.UNKNOWN,
            at=self.site.clock.now(),
            service=service.name,
            environment=service.environment,
            version=self.lane.version if self.lane else "",
            database="",
            system_identifier=None,
            schema="",
        )
        facts: dict[str, object] = {}
        try:
            self._walk(facts)
            found: dict[str, object] = {"verdict": Verdict.RESTORED}
        except _Failed as exc:
            found = {"verdict": Verdict.FAILED, "problems": exc.problems}
        except CrossfadeError as exc:
            text = exc.kind.facts.format(**exc.facts)
            found = {"problems": (exc.message, *text.splitlines())}
        except psycopg.Error as exc:
            found = {"problems": (_first_line(exc),)}
        except _Unknown as exc:
            found = {"problems": (str(exc),)}
        rest = {"took_s": dict(self._took_s), "notes": tuple(self._notes)}
        proof = replace(proof, **{**facts, **found, **rest})  # type: ignore[arg-type]
        self.record = write_proof(self.site.state_dir, proof)
        return proof

    def _walk(self, facts: dict[str, object]) -> None:
        major, size = self._ask_source(facts)
        bin_dir = self.site.config.schema.postgres_bin
        programs = scratch_programs(bin_dir, major, "the restore")
        self._require_room(size)
        self.say("start a scratch server")
        with scratch_cluster(self.site.state_dir, programs, self.site.clock) as scratch:
            if facts["system_identifier"] is not None:
                other = system_identifier(scratch.admin_url())
                assert other != facts["system_identifier"], "the copy would be in the source's own cluster"
            pointed, unknown = self._point(scratch)
            dump = scratch.directory / "dump"
            source = self._dump(scratch, dump)
            facts["tables"] = {name: table.rows for name, table in source.content.tables.items()}
            facts["schema"] = self._fingerprint(scratch, dump)
            self._restore(scratch, dump, source, pointed)
            dump.unlink()
            url = scratch.admin_url(NAME)
            self.between(url)
            self._compare(url, source)
            if pointed is None:
                raise _Unknown(unknown)
            self._notes += apply_settings(scratch.admin_url(), source.around)
            self._serve(scratch, pointed)

    # -- the source -----------------------------------------------------------------------------------

    def _ask_source(self, facts: dict[str, object]) -> tuple[int, int]:
        """Its major version and size in bytes."""
        try:
            conninfo_to_dict(self.admin_url)
        except psycopg.Error:
            raise _Unknown("admin_url is not a PostgreSQL address") from None  # the error would quote it
        with psycopg.connect(self.admin_url, autocommit=True, connect_timeout=10) as connection:
            row = connection.execute(
                "SELECT pg_catalog.current_database()::text, pg_catalog.pg_database_size(pg_catalog.current_database())"
            ).fetchone()
            assert row is not None
            facts["database"] = str(row[0])
            major = connection.info.server_version // 10000
        facts["system_identifier"] = system_identifier(self.admin_url)
        if facts["system_identifier"] is None:
            self._notes.append("the source hides its system identifier")
        return major, int(row[1])

    def _require_room(self, size: int) -> None:
        free = shutil.disk_usage(self.site.state_dir).free
        if free < size * ROOM:
            wanted, there = (f"{count / 1e9:.1f} GB" for count in (size * ROOM, free))
            raise _Unknown(f"a copy needs {wanted} in {self.site.state_dir}, and {there} are free")

    def _point(self, scratch: ScratchCluster) -> tuple[Pointed | None, str]:
        """The environment of what serves now, with the copy as its database; else why there is none."""
        if self.lane is None:
            return None, "no version serves here yet; the copy was compared, and nothing was started on it"
        cluster = scratch.cluster
        copy = CopyAddress(cluster.port, NAME, SUPERUSER, scratch.password())
        try:
            env = environment(web_process(self.lane))
            app_url = resolve(self.site.config.database.app_url_for(self.lane.slot))
        except CrossfadeError as exc:
            return None, exc.message
        pointed = point_at_copy(env, app_url, copy, self.new_token())
        if not pointed.variables or not pointed.role:
            return None, "no variable of the web process holds the address that app_url holds; nothing was started"
        return pointed, ""

    # -- dump and restore -----------------------------------------------------------------------------

    def _dump(self, scratch: ScratchCluster, file: Path) -> Source:
        env = environment_of(self.admin_url)
        log = scratch.directory / "pg_dump.log"
        with self._phase("dump"), reading(self.admin_url, LIMIT_S) as source:
            around = read_surroundings(source)
            sequences, objects = read_sequences(source), read_objects(source)
            argv = dump_argv(scratch.bin_dir, file, export_snapshot(source))
            with child(argv, env=env, log=log) as dumping:
                tables = read_tables(source, lambda name: self.say(f"dump, and measure {name}"))
                self._require_end(wait(dumping, LIMIT_S, self.site.clock), "pg_dump", log, env)
            after = read_sequences(source)
        return Source(Content(tables, sequences, objects), after, around)

    def _fingerprint(self, scratch: ScratchCluster, dump: Path) -> str:
        script, log = scratch.directory / "schema.sql", scratch.directory / "script.log"
        with child(script_argv(scratch.bin_dir, dump, script), env={}, log=log) as writing:
            self._require_end(wait(writing, LIMIT_S, self.site.clock), "pg_restore", log, {})
        return fingerprint(script.read_text(encoding="utf-8", errors="replace"))

    def _restore(self, scratch: ScratchCluster, dump: Path, source: Source, pointed: Pointed | None) -> None:
        self.say("restore")
        logins = [Login(pointed.role, pointed.password)] if pointed else []
        env, log = environment_of(scratch.admin_url()), scratch.directory / "pg_restore.log"
        jobs = min(4, os.cpu_count() or 1)
        with self._phase("restore"):
            self._notes += make_copy_database(scratch.admin_url(), source.around, logins)
            with child(restore_argv(scratch.bin_dir, dump, NAME, jobs), env=env, log=log) as restoring:
                self._require_end(wait(restoring, LIMIT_S, self.site.clock), "pg_restore", log, env)

    def _require_end(self, code: int | None, program: str, log: Path, env: Mapping[str, str]) -> None:
        if code == 0:
            return
        how = "did not end in time" if code is None else f"ended with exit code {code}"
        said = without_secrets(tail(log, 200), env).splitlines()
        errors = [line for line in said if ": error: " in line]  # the lines between them quote rows
        if "lock timeout" in "".join(errors):  # the source was busy; that says nothing of its backup
            raise _Unknown("\n".join(errors[:5]))
        raise _Failed(f"{program} {how}", *(errors or said)[:5])

    # -- the copy -------------------------------------------------------------------------------------

    def _compare(self, url: str, source: Source) -> None:
        with self._phase("compare"), reading(url, LIMIT_S) as copy:
            held = read_content(copy, lambda name: self.say(f"compare {name}"))
        found = differences(source.content, source.sequences_after, held)
        if found:
            raise _Failed(*found)

    def _serve(self, scratch: ScratchCluster, pointed: Pointed) -> None:
        lane, web = self.lane, self.site.config.processes_of("web")[0]
        assert lane is not None
        self.say(f"start {lane.version} on the copy")
        log = self.site.state_dir / "logs" / "drill.log"
        with psycopg.connect(scratch.admin_url(), autocommit=True) as watching:
            before = _sessions(watching, pointed.role)
            with scratch_instance(lane, pointed.env, log) as instance:
                with self._phase("boot"):
                    red = instance.wait_green(web.ready, web.start_timeout_s * PATIENCE, self.site.clock)
                if red:
                    raise _Failed(f"{lane.version} did not start on the copy: {red}", *instance.log_tail().splitlines())
                self.say("smoke")
                with self._phase("smoke"):
                    problems = smoke_directly(instance.address, self.smokes, SMOKE_S)
                if problems:
                    raise _Failed(*problems)
                self._require_seen(watching, pointed.role, before)

    def _require_seen(self, watching: Connection, role: str, before: tuple[int, int]) -> None:
        """That it was the copy which answered, and not some other database."""
        until_s = self.site.clock.monotonic_s() + SEEN_WITHIN_S
        while True:
            now = _sessions(watching, role)
            if now[0] > before[0] or now[1] > before[1]:
                return
            if self.site.clock.monotonic_s() >= until_s:
                raise _Unknown("the instance answered without asking the copy: what it asked is not known")
            self.site.clock.sleep(0.2)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self.say(name)
        began_s = self.site.clock.monotonic_s()
        try:
            yield
        finally:
            self._took_s[name] = round(self.site.clock.monotonic_s() - began_s, 3)


def _sessions(watching: Connection, role: str) -> tuple[int, int]:
    """Sessions of the role in the copy now, and sessions there so far (counted once they did something)."""
    row = watching.execute(
        "SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = %s AND usename = %s),"
        " (SELECT coalesce(sum(sessions), 0) FROM pg_catalog.pg_stat_database WHERE datname = %s)",
        [NAME, role, NAME],
    ).fetchone()
    assert row is not None
    return int(str(row[0])), int(str(row[1]))


def _first_line(exc: psycopg.Error) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__
