"""A drill on real servers: a good copy is served from, and one that lacks anything is named and refused."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from crossfade.backup.proof import Verdict, newest_restore_proof
from crossfade.journal.install import install
from crossfade.model.requirement import Staging
from crossfade.schema.catalog import read_catalog
from crossfade.schema.engine import PostgresSchemaEngine
from crossfade.schema.planning import PlanOptions, Source, plan_change
from crossfade.schema.session import Sessions
from crossfade.walk.clock import SystemClock
from crossfade.walk.scratch_cluster import sweep

from .conftest import Leftovers, Shop


def cmdlines() -> str:
    """The arguments of every process, as anyone on the machine may read them."""
    texts = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            texts.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(texts)


def test_a_good_database_is_restored_compared_and_served_from(shop: Shop, leftovers: Leftovers) -> None:
    orders = shop.ask("SELECT count(*) FROM orders")
    said: list[str] = []
    seen: list[str] = []

    def listen(what: str) -> None:
        said.append(what)
        seen.append(cmdlines())

    drill = shop.drill(say=listen)
    proof = drill.run()
    assert proof.problems == ()
    assert proof.verdict is Verdict.RESTORED
    assert proof.version == "v2"
    assert proof.tables["public.Many Types"] == 3000
    assert proof.tables["public.users"] == 50
    assert proof.tables["large objects"] == 1
    assert set(proof.took_s) == {"dump", "restore", "compare", "boot", "smoke"}
    assert len(proof.schema) == 64
    assert leftovers() == []
    assert newest_restore_proof(shop.home / "state") == proof
    assert shop.ask("SELECT count(*) FROM orders") == orders, "the smoke's order went to the copy"
    secrets = [shop.password, shop.admin_url, shop.cluster.admin_url().split(":")[2].split("@")[0]]
    assert drill.record is not None
    for secret in secrets:
        assert secret not in "".join(seen)
        assert secret not in drill.record.read_text()
        assert secret not in "".join(said)


def test_a_database_with_a_view_before_a_table_is_restored_and_served_from(shop: Shop) -> None:
    clock = SystemClock()
    with Sessions(shop.admin_url, clock).open("reading the catalog") as session:
        install(session)
        session.execute("SELECT set_config('search_path', 'public', false)")
        catalog = read_catalog(session)
    sources = [Source("v7.sql", "ALTER TABLE orders ADD COLUMN label text")]
    change = plan_change("v7.sql", sources, catalog, PlanOptions(has_lane_roles=True, star_queries="some"))
    engine = PostgresSchemaEngine(
        shop.admin_url, "shop", clock, Staging(star_queries="some"), lambda: 0, filler=lambda _: None, fenced=False
    )
    engine.expand(change, "v7", lambda: True, lambda _: None)
    try:
        rows = shop.ask("SELECT count(*) FROM orders")[0][0]
        proof = shop.drill().run()
        assert proof.problems == ()
        assert proof.verdict is Verdict.RESTORED
        assert proof.tables[f"public.cf_{change.id[1:7]}_orders"] == rows
    finally:
        engine.undo(change, lambda: True, lambda _: None)
        shop.ask("DROP SCHEMA crossfade, crossfade_sync, crossfade_attic CASCADE")


DAMAGE = {
    "one value": (
        """UPDATE "Many Types" SET ratio = ratio + 1e-9 WHERE id = 77""",
        "public.Many Types has 3000 rows in both, and other values in the copy",
    ),
    "one missing row": (
        """DELETE FROM parts WHERE id = 12""",
        "public.parts_a has {less} rows in the copy and {rows} in the source",
    ),
    "one row twice, one missing": (
        "DELETE FROM twins WHERE a = 2; INSERT INTO twins VALUES (1)",
        "public.twins has 3 rows in both, and other values in the copy",
    ),
    "a sequence behind": (
        """SELECT setval('public."Many Types_id_seq"', 2999)""",
        "sequence public.Many Types_id_seq is behind: the copy gives 3000 next, the source 3001",
    ),
    "a missing constraint": (
        """ALTER TABLE orders DROP CONSTRAINT orders_once""",
        "constraint orders_once of public.orders is not in the copy",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_copy_that_lacks_anything_is_not_believed(shop: Shop, leftovers: Leftovers, what: str) -> None:
    statement, expected = DAMAGE[what]
    rows = int(str(shop.ask("SELECT count(*) FROM parts_a")[0][0]))

    def damage(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET search_path = public")
            connection.execute(statement)

    proof = shop.drill(between=damage).run()
    assert proof.verdict is Verdict.FAILED
    assert proof.problems[0] == expected.format(rows=rows, less=rows - 1)
    assert newest_restore_proof(shop.home / "state") == proof, "the newest counts, also where it failed"
    assert leftovers() == []


def test_a_dump_that_cannot_be_restored_is_found_out(shop: Shop, leftovers: Leftovers) -> None:
    # Given a constraint that asks another table by its bare name: nobody notices until a restore sets no search_path.
    shop.ask(
        "CREATE FUNCTION some_parts(integer) RETURNS boolean LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM parts)';"
        "CREATE TABLE checked (a integer CHECK (some_parts(a))); INSERT INTO checked VALUES (1)"
    )
    try:
        proof = shop.drill().run()
    finally:
        shop.ask("DROP TABLE checked; DROP FUNCTION some_parts")
    assert proof.verdict is Verdict.FAILED
    assert proof.problems[0] == "pg_restore ended with exit code 1"
    assert 'relation "parts" does not exist' in "\n".join(proof.problems)
    assert leftovers() == []


def test_a_version_that_does_not_start_on_the_copy_is_found_out(shop: Shop) -> None:
    site = shop.site()
    lane = shop.lane(site, "v1")
    (shop.home / "v1/app.py").write_text("raise SystemExit('a library is missing')")
    proof = shop.drill(lane=lane).run()
    assert proof.verdict is Verdict.FAILED
    assert proof.problems == ("v1 did not start on the copy: it ended by itself", "a library is missing")


def test_what_was_not_tried_is_not_called_restored(shop: Shop) -> None:
    nobody_serves = shop.drill(lane=None).run()
    assert nobody_serves.verdict is Verdict.UNKNOWN
    assert nobody_serves.problems == (
        "no version serves here yet; the copy was compared, and nothing was started on it",
    )
    site = shop.site('[schema]\npostgres_bin = "/nowhere"\n')
    no_programs = shop.drill(site=site).run()
    assert no_programs.verdict is Verdict.UNKNOWN
    assert no_programs.problems[1] == "PostgreSQL cannot be run from /nowhere"


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from conftest import Shop
from crossfade.embedded.postgres import Cluster, find_postgres

def say(what):
    if what.startswith({stage!r}):
        Path({home!r}, "there").touch()
        time.sleep(300)

cluster = Cluster(Path({server!r}), {port}, find_postgres(None, {major}))
Shop(Path({home!r}), cluster, "").drill(say=say).run()
"""


@pytest.mark.parametrize("stage", [*(pytest.param(at, marks=pytest.mark.long) for at in ("dump", "compare")), "smoke"])
def test_a_killed_drill_leaves_nothing_running_and_the_next_removes_its_files(
    shop: Shop, leftovers: Leftovers, stage: str
) -> None:
    there = shop.home / "there"
    there.unlink(missing_ok=True)
    code = KILLED.format(
        here=str(Path(__file__).parent),
        stage=stage,
        home=str(shop.home),
        server=str(shop.cluster.directory),
        port=shop.cluster.port,
        major=shop.cluster.programs.major,
    )
    drilling = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 60
    while not there.exists():
        assert drilling.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    started = psutil.Process(drilling.pid).children(recursive=True)
    data = next(Path(one.cwd()) for one in started if (Path(one.cwd()) / "postmaster.pid").exists())
    segment = (data / "postmaster.pid").read_text().splitlines()[6].split()[1]
    drilling.kill()
    drilling.wait()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
    held = [line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    assert segment not in held, "the server gave its shared memory back"
    assert len(leftovers()) == 1
    proof = shop.drill().run()
    assert proof.verdict is Verdict.RESTORED
    assert leftovers() == []


def test_a_sweep_leaves_a_drill_that_runs_alone(shop: Shop, leftovers: Leftovers) -> None:
    swept: list[str] = []

    def look(url: str) -> None:
        assert len(leftovers()) == 1
        swept.extend(sweep(shop.home / "state", shop.site().clock))

    assert shop.drill(between=look).run().verdict is Verdict.RESTORED
    assert swept == []


def test_a_table_that_somebody_holds_is_no_failed_restore(shop: Shop, leftovers: Leftovers) -> None:
    with psycopg.connect(shop.admin_url) as holding:
        holding.execute("LOCK TABLE public.orders")
        proof = shop.drill().run()
        holding.rollback()
    assert proof.verdict is Verdict.UNKNOWN
    assert "lock timeout" in proof.problems[0]
    assert leftovers() == []
