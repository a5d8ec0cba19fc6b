"""`crossfade schema` on a PostgreSQL and nothing else: no service, no controller, one command after the other."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from crossfade.embedded.postgres import Cluster, find_postgres
from crossfade.host.ports import free_port
from crossfade.schema.catalog import read_catalog
from crossfade.walk.clock import SystemClock

CROSSFADE = str(Path(sys.executable).with_name("crossfade"))
TABLE = """
CREATE TABLE orders (id bigint PRIMARY KEY, reference text NOT NULL, channel text NOT NULL DEFAULT 'web');
INSERT INTO orders SELECT n, 'r' || n FROM generate_series(1, 300) AS n;
CREATE TABLE users (id bigint PRIMARY KEY, name text);
"""
CHANGE = """
BEGIN;
ALTER TABLE orders RENAME COLUMN reference TO code;
CREATE INDEX orders_code ON orders (code);
ALTER TABLE orders DROP COLUMN channel;
COMMIT;
"""
WAIVERS = """
[requirement]
purge_after_s = 0

[schema]
star_queries = "none"
"""
WAIVER = """
[[waiver]]
what = "purge:restore-{what}"
name = "Ada"
reason = "restored and compared by hand"
expires = 2999-12-31
"""


SERVICE = """
[service]
name = "shop"

[[endpoint]]
name = "orders"
match = "GET /orders"

[endpoint.smoke]
path = "/orders"

[process.web]
command = ["serve", "--port", "{port}"]

[database.main]
app_url = "env:CROSSFADE_ADMIN_URL"
admin_url = "env:CROSSFADE_ADMIN_URL"

[schema]
star_queries = "none"
"""


EXPAND = ("expand", "0042.sql", "--star-queries", "none")
ROUND_TRIP = (EXPAND, ("backfill",), ("detach",), ("attach",), ("undo",))


@dataclass
class Shown:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass
class Bare:
    """A database and a folder with SQL files."""

    url: str
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def env(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "CROSSFADE_"))}
        return {**plain, "CROSSFADE_ADMIN_URL": self.url, **self.environ}

    def start(self, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [CROSSFADE, "schema", *argv],
            cwd=self.folder,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *argv: str) -> Shown:
        started = self.start(*argv)
        out, err = started.communicate(timeout=60)
        return Shown(started.returncode, out, err)

    def done(self, *argv: str) -> str:
        """Run what must come through; its output."""
        told = self.run(*argv)
        assert told.code == 0, told.err
        return told.out

    def refused(self, *argv: str) -> str:
        """Run what is refused: its exit code and its error."""
        told = self.run(*argv)
        return f"{told.code} {told.err[told.err.find('error[') :].rstrip()}"

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def fingerprint(self) -> str:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return read_catalog(connection).fingerprint()

    def stage(self) -> str:
        changes = json.loads(self.done("status", "--output", "json"))["changes"]
        return str(changes[0]["stage"]) if changes else "none"

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    base = Path(tempfile.mkdtemp(prefix="crossfade-alone-"))
    base.chmod(0o711)
    (base / "pg").mkdir(mode=0o711)
    one = Cluster(base / "pg", free_port(), find_postgres(os.environ.get("CROSSFADE_TEST_POSTGRES")))
    one.create({"fsync": "off"}, lambda: secrets.token_hex(8))
    one.start(SystemClock())
    yield one
    one.stop()
    shutil.rmtree(base)


@pytest.fixture
def bare(cluster: Cluster, tmp_path: Path) -> Bare:
    name, password = f"shop_{secrets.token_hex(4)}", secrets.token_hex(8)
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'".encode())
        connection.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
    with psycopg.connect(cluster.admin_url().rsplit("/", 1)[0] + f"/{name}", autocommit=True) as connection:
        connection.execute(f"ALTER SCHEMA public OWNER TO {name}".encode())
    one = Bare(f"postgresql://{name}:{password}@127.0.0.1:{cluster.port}/{name}", tmp_path)
    one.ask(TABLE)
    one.write("0042.sql", CHANGE)
    return one


def test_there_and_back_and_to_the_end_without_a_service(bare: Bare) -> None:
    base = bare.fingerprint()
    raw = raw_fingerprint(bare)
    bare.write("plan.json", bare.done("plan", "0042.sql", "--star-queries", "none", "--output", "json"))
    assert bare.ask("SELECT to_regnamespace('crossfade')::text") == [(None,)], "a plan changes nothing"

    expand = (*EXPAND, "--plan", "plan.json")
    assert bare.done(*expand).startswith("0042.sql: both shapes are there and kept in step\n")
    bare.ask("INSERT INTO orders (id, reference) VALUES (1001, 'from the version before')")
    bare.ask("INSERT INTO orders (id, code) VALUES (1002, 'from the version after')")
    bare.ask("INSERT INTO orders (id, reference, code) VALUES (1003, 'by itself', 'by itself')")
    assert bare.ask("SELECT count(*) FROM orders WHERE id > 1000 AND reference = code") == [(3,)]
    assert bare.done(*expand) == "0042.sql is there already: it stands at 'both shapes'\n"

    bare.done("backfill")
    assert bare.ask("SELECT count(*) FROM orders WHERE code IS DISTINCT FROM reference") == [(0,)]
    bare.done("detach")
    assert bare.done("detach") == "0042.sql: the old shape is out of sight\n", "done twice, nothing happens"
    assert bare.stage() == "old shape hidden"
    bare.ask("INSERT INTO orders (id, code) VALUES (1004, 'while the old one is hidden')")
    bare.done("attach")
    assert bare.ask("SELECT reference FROM orders WHERE id = 1004") == [("while the old one is hidden",)]
    bare.done("undo")
    assert bare.fingerprint() == base
    assert bare.done("undo") == "nothing to undo: no schema change is open\n"
    assert bare.ask("SELECT count(*), count(DISTINCT reference) FROM orders") == [(304, 304)]

    for act in (EXPAND, ("backfill",), ("detach",)):
        bare.done(*act)
    assert bare.refused("purge").startswith("1 error[purge-too-early]")
    bare.write("crossfade.toml", WAIVERS)
    assert bare.refused("purge").startswith("1 error[schema-purge-unproven]")
    bare.write("crossfade.toml", WAIVERS + WAIVER.format(what="proof") + WAIVER.format(what="point"))
    told = bare.run("purge")
    assert told.code == 0, told.err
    assert "purge:restore-proof  waived by Ada until 2999-12-31: restored and compared by hand" in told.err
    assert bare.fingerprint() == raw
    assert bare.done("expand", "0042.sql") == "0042.sql is purged already: what it wanted is there\n"
    assert bare.done("status") == "no schema change is under way\n"


def raw_fingerprint(bare: Bare) -> str:
    """What the raw SQL gives, taken back at once."""
    with psycopg.connect(bare.url) as connection:
        connection.execute(CHANGE.replace("BEGIN;", "").replace("COMMIT;", "").encode())
        found = read_catalog(connection).fingerprint()
        connection.rollback()
    return found


def test_what_does_not_fit_is_refused_with_the_way_on(bare: Bare) -> None:
    none = ("--star-queries", "none")
    kept = bare.write("plan.json", bare.done("plan", "0042.sql", *none, "--output", "json"))
    shown = json.loads((bare.folder / kept).read_text())["plan"]
    bare.ask("ALTER TABLE orders ADD COLUMN note text")
    err = bare.refused(*EXPAND, "--plan", kept)
    now = err.partition("found: ")[2].split()[0]
    assert now != shown
    assert re.sub(r" \(\w{4}\)", "", err) == (
        "1 error[schema-plan-moved]: the plan for 0042.sql is not the one that was shown; nothing was done\n"
        f"  shown: {shown}\n"
        f"  found: {now}\n"
        "  moved: public.orders: + column note text\n"
        "hint: look at the new one: crossfade schema plan 0042.sql"
    )
    bare.done("expand", "0042.sql", *none, "--plan", now)
    other = bare.write("0043.sql", "ALTER TABLE users ADD COLUMN nick text;")
    assert bare.refused("expand", other, *none) == (
        "5 error[schema-another-open]: expand of 0043.sql was not begun: another change is open\n"
        "  open: 0042.sql at 'both shapes'\n"
        "hint: finish it: crossfade schema backfill; or take it back: crossfade schema undo"
    )
    bare.done("backfill")
    bare.done("detach")
    again = bare.write("0044.sql", "ALTER TABLE orders ADD COLUMN gift boolean;")
    err = bare.refused("plan", again, *none)
    assert err.startswith("5 error[change-queued]: 0044.sql changes public.orders, where the old shape of an earlier")
    assert err.endswith("hint: crossfade schema purge, then crossfade schema plan 0044.sql again")
    assert "add column nick" in bare.done("plan", other, *none), "a change of another table goes on meanwhile"


def test_the_releases_of_a_service_own_the_schema_from_the_first_one_on(bare: Bare) -> None:
    bare.write("crossfade.toml", SERVICE)
    bare.done("expand", "0042.sql")
    assert "next: crossfade schema backfill; or back: crossfade schema undo" in bare.done("status")
    assert bare.ask("SELECT DISTINCT service FROM crossfade.change") == [("shop",)]
    bare.ask(
        "INSERT INTO crossfade.binding (service, installation, environment, database) VALUES ('shop', 'i', 'e', 'd')"
    )
    assert bare.refused("backfill").startswith(
        "5 error[schema-of-service]: backfill was not begun: the releases of shop move the schema of this database"
    )
    assert "crossfade release VERSION goes on" in bare.done("status")
    asked = bare.refused("undo", "--dry-run")
    assert asked.startswith("2 error[nothing-to-move]: there is no schema change to undo\n  no version of this service")
    (bare.folder / "crossfade.toml").unlink()
    assert bare.refused("undo").startswith("5 error[schema-of-service]"), "the database knows it, whatever the folder"


def test_without_a_database_it_says_where_it_looked(bare: Bare) -> None:
    url = bare.env()["CROSSFADE_ADMIN_URL"]
    bare.environ = {"CROSSFADE_ADMIN_URL": ""}
    folder = bare.folder.resolve()
    assert bare.refused("status") == (
        "3 error[database-unnamed]: no database is named\n"
        f"  looked for: admin_url in a crossfade.toml in {folder} or above it\n"
        "              the variable CROSSFADE_ADMIN_URL\n"
        "              libpq's own: PGSERVICE, PGHOST, PGDATABASE\n"
        "hint: export CROSSFADE_ADMIN_URL=postgresql://USER@HOST/DATABASE, and the password as PGPASSWORD or in"
        " ~/.pgpass"
    )
    given = psycopg.conninfo.conninfo_to_dict(url)
    names = {"PGHOST": "host", "PGPORT": "port", "PGDATABASE": "dbname", "PGUSER": "user", "PGPASSWORD": "password"}
    bare.environ = {"CROSSFADE_ADMIN_URL": "", **{name: str(given[key]) for name, key in names.items()}}
    assert bare.done("status") == "no schema change is under way\n"


def test_ctrl_c_stops_soon_and_the_same_command_goes_on(bare: Bare) -> None:
    with psycopg.connect(bare.url) as blocker:
        blocker.execute("SELECT FROM orders")
        waiting = bare.start(*EXPAND)
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("expand:public.orders: ")
        time.sleep(0.5)
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=20)
        blocker.rollback()
    assert waiting.returncode == 4
    assert err[err.index("error[") :] == (
        "error[schema-act-stopped]: expand of 0042.sql was stopped; the schema stands at 'base'\n"
        "  done so far: 0 of 1 steps\n"
        "hint: what is done stays; to go on: crossfade schema expand FILE; to come back: crossfade schema undo\n"
    )
    bare.done(*EXPAND)
    assert bare.stage() == "both shapes"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_after_every_row_the_same_command_goes_on(bare: Bare) -> None:
    base, killed = bare.fingerprint(), 0
    for act in (*ROUND_TRIP, *ROUND_TRIP[:3], ("purge",)):
        if act == ("purge",):
            bare.write("crossfade.toml", WAIVERS + WAIVER.format(what="proof") + WAIVER.format(what="point"))
        while (told := bare.run("--die-after-act", "1", *act)).code != 0:
            assert told.code == -signal.SIGKILL, told.err
            killed += 1
            assert killed < 100
        if act == ("undo",):
            assert bare.fingerprint() == base
    assert killed >= 12, killed
    assert bare.ask("SELECT count(*), count(DISTINCT code) FROM orders") == [(300, 300)]
    assert bare.stage() == "none"


def test_a_backfill_is_paused_and_let_go_on_from_another_terminal(bare: Bare) -> None:
    bare.ask("INSERT INTO orders SELECT n, 'r' || n FROM generate_series(301, 30000) AS n")
    bare.done("expand", "0042.sql", "--star-queries", "none")
    assert bare.done("throttle", "--pause", "--workers", "2", "--batch-ms", "5").startswith("paused by ")
    filling = bare.start("backfill")
    try:
        assert filling.stderr is not None
        said = iter(filling.stderr.readline, "")
        resting = next(line for line in said if line.startswith("rests: paused by "))
        assert resting.endswith("to go on: crossfade schema throttle --resume\n")
        held = json.loads(bare.done("throttle", "--output", "json"))
        assert (held["paused"], held["limits"]["workers"], held["limits"]["batch_ms"]) == (True, 2, 5)
        assert [(one["task"], one["rows"]) for one in held["filling"]] == [("public.orders", 0)]
        assert filling.poll() is None
        bare.done("throttle", "--resume")
        _, err = filling.communicate(timeout=60)
    finally:
        filling.kill()
    assert filling.returncode == 0, err
    assert bare.stage() == "both shapes, equal"
    told = bare.done("throttle", "--reset").splitlines()
    assert told[0].split() == ["workers", "1,", "as", "configured"]
    assert told[-1] == "nothing is being filled"
    assert len(bare.ask("SELECT knob FROM crossfade.throttle")) == 3 + 1 + 11, "each word is kept"


def test_a_limit_out_of_its_bounds_is_refused_with_them(bare: Bare) -> None:
    told = bare.run("throttle", "--workers", "99")
    assert (told.code, told.err.splitlines()[-1]) == (
        2,
        "Error: Invalid value for '--workers': '99' is not a whole number from 1 to 16, nor configured",
    )
    told = bare.run("throttle", "--pause", "--resume")
    assert told.err.splitlines()[-1] == "Error: --pause, --resume and --reset exclude each other"
    assert bare.ask("SELECT to_regnamespace('crossfade')::text") == [(None,)], "nothing was set"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_at_any_moment_the_same_command_goes_on(bare: Bare, rng: random.Random) -> None:
    """A round undisturbed, to know how long each act takes; then each act is killed until it outruns that."""
    bare.ask("INSERT INTO orders SELECT n, 'r' || n FROM generate_series(301, 60000) AS n")
    base, killed, takes_s = bare.fingerprint(), 0, []
    for act in ROUND_TRIP:
        began_s = time.monotonic()
        _, err = bare.start(*act).communicate(timeout=120)
        takes_s.append(time.monotonic() - began_s)
    assert bare.fingerprint() == base, err
    for _ in range(3):
        for act, longest_s in zip(ROUND_TRIP, takes_s, strict=True):
            while True:
                started = bare.start(*act)
                try:
                    _, err = started.communicate(timeout=rng.uniform(0.1, 1.0) * longest_s)
                except subprocess.TimeoutExpired:
                    started.kill()
                    started.communicate(timeout=20)
                    killed += 1
                    longest_s *= 1.5
                    continue
                assert started.returncode == 0, err
                break
        assert bare.fingerprint() == base
        assert bare.ask("SELECT count(*), count(DISTINCT reference) FROM orders") == [(60000, 60000)]
    assert killed >= 5, killed
