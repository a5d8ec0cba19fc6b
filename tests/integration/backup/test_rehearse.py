"""A change walked on a copy of the shop's schema, with the shop's versions started at every stage."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from crossfade.backup.proof import Verdict
from crossfade.journal.install import install
from crossfade.model.change import Backfill, Change, Unit
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.ports import LaneSpec
from crossfade.model.settings.parse import parse_config
from crossfade.schema.catalog import read_catalog
from crossfade.schema.planning import PlanOptions, Source, plan_change
from crossfade.schema.session import Sessions
from crossfade.walk.rehearse import Rehearsal
from crossfade.walk.restore_proof import Drill
from crossfade.walk.site import Site

from .conftest import CONFIG, Leftovers, Shop

PRODUCTS = "public.products"


def new_column(**parts: object) -> Change:
    """A column `label` beside `name`; the old one is hidden at the end."""
    change = Change(
        id="c1",
        name="0007.sql",
        base="base",
        tables=(PRODUCTS,),
        expand=(
            Unit(
                "expand:public.products",
                "add label",
                do=(f"ALTER TABLE {PRODUCTS} ADD COLUMN label text", f"GRANT SELECT ON {PRODUCTS} TO shop_app"),
                undo=(f"ALTER TABLE {PRODUCTS} DROP COLUMN label",),
                locks=((PRODUCTS, "ACCESS EXCLUSIVE"),),
            ),
        ),
        backfill=(
            Backfill("backfill:public.products", PRODUCTS, (("label", "name"),), "label IS NULL", "label <> name"),
        ),
        detach=(
            Unit(
                "detach:public.products",
                "stock goes out of sight",
                do=(f"ALTER TABLE {PRODUCTS} ALTER COLUMN label SET NOT NULL",),
                undo=(f"ALTER TABLE {PRODUCTS} ALTER COLUMN label DROP NOT NULL",),
                locks=((PRODUCTS, "ACCESS EXCLUSIVE"),),
            ),
        ),
    )
    return replace(change, **parts).check_invariants()  # type: ignore[arg-type]


def rehearsal(shop: Shop, change: Change) -> Rehearsal:
    site = shop.site()
    return Rehearsal(site, change, shop.lane(site, "v1"), shop.lane(site, "v2"), shop.admin_url)


def test_a_change_and_its_versions_are_tried_there_and_back_once(shop: Shop, leftovers: Leftovers) -> None:
    said: list[str] = []
    told = rehearsal(shop, new_column()).prove(said.append)
    assert told.startswith("v1 and v2 became ready at every stage of 0007.sql, there and back (copy ")
    started = [line.removeprefix("rehearsal: start ") for line in said if line.startswith("rehearsal: start ")]
    assert started == [
        "v1 at 'base'",
        "v1 at 'both shapes'",
        "v1, v2 at 'both shapes, equal'",
        "v2 at 'old shape hidden'",
        "v1, v2 at 'both shapes, equal'",
        "v1 at 'base'",
    ]
    assert leftovers() == []
    columns = shop.ask("SELECT count(*) FROM information_schema.columns WHERE table_name = 'products'")
    assert columns == [(4,)], "the live one is untouched"
    key = rehearsal(shop, new_column()).key
    record = json.loads((shop.home / f"state/proofs/rehearsal-{key}.json").read_text())
    assert [stage["stage"] for stage in record["stages"]][:3] == ["copy", "base", "both shapes"]
    said.clear()
    assert rehearsal(shop, new_column()).prove(said.append) == told
    assert said == [], "what is proven is not tried again"


def test_a_version_that_a_stage_breaks_is_named_with_its_last_lines(shop: Shop) -> None:
    hides = Unit(
        "detach:public.products",
        "products goes out of sight",
        do=(f"ALTER TABLE {PRODUCTS} RENAME TO hidden_products",),
        undo=("ALTER TABLE public.hidden_products RENAME TO products",),
    )
    breaking = new_column(id="c2", name="0008.sql", detach=(hides,))
    site = shop.site()
    web = replace(site.config.processes["web"], start_timeout_s=8.0)
    site = replace(site, config=replace(site.config, processes={"web": web}))
    trying = replace(rehearsal(shop, breaking), site=site)
    with pytest.raises(CrossfadeError) as caught:
        trying.prove(lambda _: None)
    assert caught.value.facts["version"] == "v2"
    tail = str(caught.value.facts["tail"])
    lines = "\n".join(f"  {line}" for line in tail.splitlines() if line.strip())
    assert caught.value.render() == (
        "error[version-does-not-boot]: v2 does not start at stage 'old shape hidden' of 0008.sql, tried on a copy of"
        " the schema without its rows\n"
        "  /readyz answered 503 after 16 s\n"
        "  the last lines it wrote:\n"
        f"{lines}\n"
        "hint: mend v2, or the change, then: crossfade plan v2"
    )
    assert "v2 listens" in tail
    assert caught.value.exit is Exit.NOT_MET
    assert not list((shop.home / "state/proofs").glob(f"rehearsal-{trying.key}.json"))


def test_a_change_that_the_engine_cannot_walk(shop: Shop) -> None:
    no_table = Unit("expand:x", "change what is not there", do=("ALTER TABLE public.nothing ADD a int",), undo=("X",))
    with pytest.raises(CrossfadeError) as caught:
        rehearsal(shop, new_column(id="c3", name="0009.sql", expand=(no_table,))).prove(lambda _: None)
    cause = str(caught.value.facts["cause"])
    lines = "\n".join(f"  {line}" for line in cause.splitlines())
    assert caught.value.render() == (
        "error[rehearsal-failed]: 0009.sql cannot be walked on a copy of the schema: expand failed\n"
        f"{lines}\n"
        "hint: mend what the facts name, then: crossfade plan v2"
    )
    assert 'relation "public.nothing" does not exist' in cause
    assert caught.value.exit is Exit.NOT_MET


@pytest.fixture
def ordinary(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Given a database whose admin is no superuser, with the journal in it, and a role for each lane; its URL."""
    monkeypatch.setenv("CF_TEST_PASSWORD", "only for this test")
    shop.ask("CREATE ROLE keeper LOGIN PASSWORD 'kept'")
    shop.ask("CREATE DATABASE small OWNER keeper")
    for role in ("lane_left", "lane_right"):
        shop.ask(f"CREATE ROLE {role} LOGIN PASSWORD 'only for this test' CONNECTION LIMIT 20")
    url = f"postgresql://keeper:kept@127.0.0.1:{shop.cluster.port}/small"
    superuser = shop.admin_url.rsplit("/", 1)[0] + "/small"
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("REVOKE ALL ON DATABASE small FROM PUBLIC; ALTER SCHEMA public OWNER TO keeper")
        connection.execute("GRANT CONNECT ON DATABASE small TO lane_left, lane_right")
    with psycopg.connect(url, autocommit=True) as connection:
        install(connection)
        connection.execute("CREATE TABLE products (id bigint PRIMARY KEY, name text NOT NULL)")
        connection.execute("CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('6')")
        connection.execute("GRANT SELECT ON products TO lane_left, lane_right")
    yield url
    shop.ask("DROP DATABASE small WITH (FORCE)")
    for role in ("keeper", "lane_left", "lane_right"):
        shop.ask(f"DROP ROLE {role}")


def ordinary_site(shop: Shop) -> Site:
    """The site of that database: its lanes have roles of their own, and the password is a reference."""
    text = CONFIG.replace("<python>", sys.executable).replace('"file:<home>/app_url"\n[[', '"{database.main}"\n[[')
    text = text.replace("file:<home>/app_url", f"postgresql://{{role}}@127.0.0.1:{shop.cluster.port}/small")
    text = text.replace("file:<home>/admin_url", "env:CF_TEST_ADMIN")
    text += 'app_password = "env:CF_TEST_PASSWORD"\napp_roles = ["lane_left", "lane_right"]\n'
    return replace(shop.site(), config=parse_config(text))


def two_lanes(shop: Shop) -> tuple[Site, LaneSpec, LaneSpec]:
    """That site, and a lane for each of its roles."""
    site = ordinary_site(shop)
    old, new = (replace(shop.lane(site, version)) for version in ("v1", "v2"))
    return site, old, replace(new, slot=new.slot.other, processes=_of_right(new))


def test_lanes_with_roles_of_their_own_and_a_change_that_is_under_way(shop: Shop, ordinary: str) -> None:
    site, old, new = two_lanes(shop)
    grants = f"GRANT SELECT ON {PRODUCTS} TO lane_right"
    first = new_column().expand[0]
    change = new_column(expand=(replace(first, do=(first.do[0], grants)),))
    trying = Rehearsal(site, change, old, new, ordinary)
    engine = trying._engine(ordinary)
    engine.expand(change, "v2", lambda: True, lambda _: None)
    said: list[str] = []
    told = trying.prove(said.append)
    assert told.startswith("v1 and v2 became ready at every stage")
    started = [line.removeprefix("rehearsal: start ") for line in said if line.startswith("rehearsal: start ")]
    assert started[0] == "v1 at 'both shapes'", "it stands there already: the stage before is not tried"
    assert started[-1] == "v1 at 'base'"
    facts = engine.facts()
    assert facts.open is not None
    assert facts.open.stage == "both shapes", "the live one stands where it stood"


def test_each_version_finds_its_own_shape_through_views(shop: Shop, ordinary: str) -> None:
    site, old, new = two_lanes(shop)
    for role in ("lane_left", "lane_right"):
        shop.ask(f"GRANT {role} TO keeper WITH ADMIN OPTION")
    shop.ask("ALTER ROLE keeper CREATEROLE")
    with psycopg.connect(ordinary) as connection:
        catalog = read_catalog(connection)
    sources = [Source("v7.sql", "ALTER TABLE products ADD COLUMN label text; ALTER TABLE products ADD COLUMN n int")]
    change = plan_change("v7.sql", sources, catalog, PlanOptions(has_lane_roles=True, star_queries="some"))
    said: list[str] = []
    told = Rehearsal(site, change, old, new, ordinary).prove(said.append)
    assert told.startswith("v1 and v2 became ready at every stage of v7.sql, there and back (copy ")
    asked = "SELECT count(*) FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) one WHERE one LIKE '%crossfade%'"
    assert shop.ask(asked) == [(0,)], "the live roles are as they were"


def _of_right(lane: object) -> list[object]:
    processes = list(lane.processes)  # type: ignore[attr-defined]
    return [
        replace(one, env={name: value.replace("lane_left", "lane_right") for name, value in one.env.items()})
        for one in processes
    ]


def test_the_shops_own_change_is_rehearsed_as_it_is_planned(shop: Shop) -> None:
    file = shop.home / "v7/migrations/v7.sql"
    site = shop.site()
    old, new = shop.lane(site, "v2"), shop.lane(site, "v7")
    with Sessions(shop.admin_url, site.clock).open("reading the catalog") as session:
        session.execute("SELECT set_config('search_path', 'public', false)")
        catalog = read_catalog(session)
    sources = [Source("v7.sql", file.read_text())]
    change = plan_change("v7.sql", sources, catalog, PlanOptions(has_lane_roles=True, star_queries="none"))
    told = Rehearsal(site, change, old, new, shop.admin_url).prove(lambda _: None)
    assert told.startswith("v2 and v7 became ready at every stage of v7.sql, there and back (copy ")


def test_an_admin_without_a_superusers_rights_can_have_a_restore_proof(shop: Shop, ordinary: str) -> None:
    site = ordinary_site(shop)
    proof = Drill(site, ordinary, shop.lane(site, "v1"), [], lambda: "fresh").run()
    assert (proof.verdict, proof.problems) == (Verdict.RESTORED, ())
    assert proof.system_identifier is not None
    assert proof.tables["public.alembic_version"] == 1
    assert proof.tables["crossfade.migration"] > 0
