"""The change walked on a scratch copy of the schema, there and back, with every version started at every stage.

Rule: before anything is expanded on the live database, each version that is live at a stage has become ready at that
stage, as the role it will have. The copy has the live schema, and no rows but those by which crossfade and migration
tools know where they stand; so what is rehearsed is the change and the versions, not the data.

The answer is kept by what it depends on (change, both versions, configuration): unchanged means proven.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from crossfade.backup.copy import NAME, Login, Surroundings, apply_settings, make_copy_database, read_surroundings
from crossfade.backup.dump import environment_of, restore_argv, rows_dump_argv, schema_dump_argv, without_secrets
from crossfade.backup.session import Connection, export_snapshot, reading
from crossfade.host.files import read_json, write_json
from crossfade.journal.install import install
from crossfade.model.change import Change, Stage
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import LaneSpec, SchemaEngine, Standing
from crossfade.runtime.secrets import resolve
from crossfade.schema.version_tables import TELLING_NAMES
from crossfade.walk.at_copy import CopyAddress, Pointed, point_at_copy
from crossfade.walk.guarded import child, tail, wait
from crossfade.walk.schema_engine import Where, engine_at
from crossfade.walk.scratch_cluster import SUPERUSER, ScratchCluster, scratch_cluster, scratch_programs
from crossfade.walk.scratch_instance import (
    PATIENCE,
    ScratchInstance,
    digest_of,
    environment,
    scratch_instance,
    web_process,
)
from crossfade.walk.site import Site

WAIVER = "schema:rehearsal"
LIMIT_S = 600.0  # of one dump or restore: there are next to no rows in it
# Where crossfade and migration tools note how far a schema is; without these rows a version may refuse to start.
TRACK = ("change", "schema_act", "attic", "migration")
_FIND_TABLES = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND ((n.nspname = 'crossfade' AND c.relname = ANY (%s)) OR (n.nspname !~ '^(pg_|crossfade)'
      AND c.relname ~* %s)) ORDER BY 1, 2
"""
MakeEngine = Callable[[str], SchemaEngine]  # given the admin's URL of the copy
Say = Callable[[str], None]


@dataclass
class Rehearsal:
    """One change and the two versions that live through it; `old` is None where nothing serves yet."""

    site: Site
    change: Change
    old: LaneSpec | None
    new: LaneSpec
    admin_url: str  # of the live database, resolved
    engine: MakeEngine | None = None
    _fresh: str = field(default_factory=lambda: secrets.token_hex(16))  # for a role that has no password of its own

    @property
    def key(self) -> str:
        """What the answer depends on."""
        lanes = [asdict(lane) for lane in (self.old, self.new) if lane is not None]
        return digest_of(self.change.digest, lanes, asdict(self.site.config))

    def prove(self, say: Say) -> str:
        """Walk it, or read the proof; blocks.

        Raises `version-does-not-boot`, `rehearsal-failed`, `scratch-programs-missing`, `schema-unreachable`.
        """
        today = self.site.clock.now().date()
        for waiver in self.site.config.waivers:
            if waiver.what == WAIVER and today <= waiver.expires:
                return f"not rehearsed; waived by {waiver.name} until {waiver.expires}: {waiver.reason}"
        file = self.site.state_dir / "proofs" / f"rehearsal-{self.key}.json"
        known = read_json(file)
        if known is not None:
            return str(known["said"])
        clock = self.site.clock
        took: list[tuple[str, float]] = []
        began_s = clock.monotonic_s()
        with self._copy(say) as (scratch, admin, around):
            took.append(("copy", clock.monotonic_s() - began_s))
            try:
                self._walk(scratch, admin, around, say, took)
            except psycopg.Error as exc:
                raise self._failed("the copy", _first_line(exc)) from exc
        versions = " and ".join(lane.version for lane in (self.old, self.new) if lane is not None)
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took)
        said = f"{versions} became ready at every stage of {self.change.name}, there and back ({times})"
        at = clock.now().isoformat(timespec="seconds")
        stages = [{"stage": name, "took_s": round(seconds, 3)} for name, seconds in took]
        content = {"change": self.change.digest, "new": self.new.digest, "old": self.old.digest if self.old else None}
        write_json(file, {"said": said, "at": at, **content, "stages": stages}, durable=True)
        return said

    # -- the walk -------------------------------------------------------------------------------------

    def _walk(
        self, scratch: ScratchCluster, admin: str, around: Surroundings, say: Say, took: list[tuple[str, float]]
    ) -> None:
        olds = [self._at_copy(scratch, self.old)] if self.old is not None else []
        news = [self._at_copy(scratch, self.new)]
        apply_settings(scratch.admin_url(), around)
        engine, change, version = (self.engine or self._engine)(admin), self.change, self.new.version
        begun = any(one.change.id == change.id for one in _standing(engine))

        def go_on() -> bool:
            return True

        def at(stage: Stage, way: str, boots: Sequence[_Booted], *acts: tuple[str, Callable[[], object]]) -> None:
            began_s = self.site.clock.monotonic_s()
            for name, act in acts:
                say(f"rehearsal: {name}")
                try:
                    act()
                except CrossfadeError as exc:
                    raise self._failed(name, exc.render()) from exc
            say(f"rehearsal: start {', '.join(one.lane.version for one in boots)} at '{stage}'")
            self._boot(stage, boots)
            took.append((f"{stage}{way}", self.site.clock.monotonic_s() - began_s))

        roles = self._roles(olds, news)
        if roles:
            engine.lanes(roles)
        if not begun:
            at(Stage.BASE, "", olds)
        at(Stage.BOTH, "", olds, ("expand", lambda: engine.expand(change, version, go_on, say)))
        fill = ("backfill", lambda: engine.backfill(change, go_on, say))
        note = ("record", lambda: engine.record(change, go_on, say))
        at(Stage.EQUAL, "", [*olds, *news], fill, note)
        at(Stage.HIDDEN, "", news, ("detach", lambda: engine.detach(change, go_on, say)))
        at(Stage.EQUAL, " again", [*olds, *news], ("attach", lambda: engine.attach(change, go_on, say)))
        at(Stage.BASE, " again", olds, ("undo", lambda: engine.undo(change, go_on, say)))

    def _boot(self, stage: Stage, boots: Sequence[_Booted]) -> None:
        """Start all of them at the same time, and wait for each."""
        web = self.site.config.processes_of("web")[0]
        with ExitStack() as running:
            started: list[tuple[str, ScratchInstance]] = []
            for one in boots:
                log = self.site.state_dir / "logs" / f"rehearsal-{one.lane.slot}.log"
                instance = running.enter_context(scratch_instance(one.lane, one.pointed.env, log))
                started.append((one.lane.version, instance))
            for version, instance in started:
                why = instance.wait_green(web.ready, web.start_timeout_s * PATIENCE, self.site.clock)
                if why:
                    raise fail(
                        "version-does-not-boot",
                        version=version,
                        stage=stage,
                        change=self.change.name,
                        why=why,
                        tail=instance.log_tail(),
                        new=self.new.version,
                    )

    def _roles(self, olds: Sequence[_Booted], news: Sequence[_Booted]) -> dict[str, str]:
        """Which shape each lane's role writes, where the two have roles of their own."""
        old, new = {one.pointed.role for one in olds}, {one.pointed.role for one in news}
        if old & new:
            return {}
        return {**dict.fromkeys(old, "old"), **dict.fromkeys(new, "new")}

    def _engine(self, admin: str) -> SchemaEngine:
        settings = replace(self.site.config.schema, passes=1, pass_wait_s=0.0)
        where = Where(admin, self.site.config.service.name, settings)
        return engine_at(where, self.site.clock, fenced=False)

    # -- the copy -------------------------------------------------------------------------------------

    @contextmanager
    def _copy(self, say: Say) -> Iterator[tuple[ScratchCluster, str, Surroundings]]:
        """A scratch cluster with the live schema, and the admin's URL in it: the same role, another password."""
        say("rehearsal: copy the schema")
        self.site.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        programs = scratch_programs(self.site.config.schema.postgres_bin, self._major(), "the rehearsal")
        with scratch_cluster(self.site.state_dir, programs, self.site.clock) as scratch:
            with self._live() as source:  # let go before anything is walked
                around, user = read_surroundings(source), str(source.info.user)
                dumps = self._dump(scratch, source)
            admin, logins = self._logins(scratch, user)
            try:
                make_copy_database(scratch.admin_url(), around, logins)
                for dump in dumps:
                    argv = restore_argv(scratch.bin_dir, dump, NAME, 1)
                    self._run(scratch, argv, environment_of(scratch.admin_url()))
                with psycopg.connect(admin, autocommit=True) as connection:
                    install(connection)
            except psycopg.Error as exc:
                raise self._failed("the copy", _first_line(exc)) from exc
            yield scratch, admin, around

    @contextmanager
    def _live(self) -> Iterator[Connection]:
        try:
            with reading(self.admin_url, LIMIT_S) as source:
                yield source
        except psycopg.Error as exc:
            raise fail("schema-unreachable", database="of database.admin_url", detail=_first_line(exc)) from exc

    def _major(self) -> int:
        with self._live() as source:
            return source.info.server_version // 10000

    def _logins(self, scratch: ScratchCluster, admin: str) -> tuple[str, list[Login]]:
        password = secrets.token_hex(16)
        logins = {}
        for lane in (self.old, self.new):
            if lane is not None:
                pointed = self._at_copy(scratch, lane).pointed
                logins[pointed.role] = pointed.password
        if admin == SUPERUSER:
            password = scratch.password()
        password = logins.setdefault(admin, password)
        url = f"postgresql://{quote(admin, safe='')}:{quote(password, safe='')}@127.0.0.1:{scratch.port}/{NAME}"
        return url, [Login(role, secret) for role, secret in logins.items()]

    def _at_copy(self, scratch: ScratchCluster, lane: LaneSpec) -> _Booted:
        copy = CopyAddress(scratch.port, NAME, SUPERUSER, scratch.password())
        env = environment(web_process(lane))
        app_url = resolve(self.site.config.database.app_url_for(lane.slot))
        pointed = point_at_copy(env, app_url, copy, self._fresh)
        if not pointed.variables or not pointed.role:
            cause = "no variable of the web process holds the address that app_url holds"
            raise self._failed(f"pointing {lane.version} at the copy", cause)
        return _Booted(lane, pointed)

    def _dump(self, scratch: ScratchCluster, source: Connection) -> list[Path]:
        """The schema, and the rows that say how far it is: one snapshot."""
        snapshot, env = export_snapshot(source), environment_of(self.admin_url)
        schema, rows = scratch.directory / "schema", scratch.directory / "rows"
        self._run(scratch, schema_dump_argv(scratch.bin_dir, schema, snapshot), env)
        found = source.execute(_FIND_TABLES, [list(TRACK), TELLING_NAMES]).fetchall()
        if not found:
            return [schema]
        tables = [sql.Identifier(str(place), str(name)).as_string(source) for place, name in found]
        self._run(scratch, rows_dump_argv(scratch.bin_dir, rows, snapshot, tables), env)
        return [schema, rows]

    def _run(self, scratch: ScratchCluster, argv: Sequence[str], env: Mapping[str, str]) -> None:
        log = scratch.directory / "program.log"
        with child(argv, env=env, log=log) as running:
            code = wait(running, LIMIT_S, self.site.clock)
        if code != 0:
            said = [line for line in tail(log, 200).splitlines() if ": error: " in line]
            program = argv[0].rpartition("/")[2]
            raise self._failed(program, without_secrets("\n".join(said[:5]) or tail(log, 5), env))

    def _failed(self, act: str, cause: str) -> CrossfadeError:
        return fail("rehearsal-failed", change=self.change.name, act=act, cause=cause, new=self.new.version)


@dataclass(frozen=True)
class _Booted:
    lane: LaneSpec
    pointed: Pointed


def _standing(engine: SchemaEngine) -> list[Standing]:
    facts = engine.facts()
    return [*([facts.open] if facts.open else []), *facts.detached]


def _first_line(exc: psycopg.Error) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[0] if lines else type(exc).__name__
