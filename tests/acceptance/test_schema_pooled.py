"""A release with a schema change as a careful team runs it: a pooler before the application, and no superuser."""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path

import psycopg
import pytest

from crossfade.demo.stage import ROLES
from crossfade.host.files import write_private

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "schema"))
from pgbouncer import PgBouncer, needs_pgbouncer
from team import page_sql

TABLES = ("users", "sessions", "products", "orders", "order_lines")


def give_to_an_ordinary_admin(service) -> None:
    """The page's roles and rights, without its optional ones: shop_admin owns the tables and is no superuser."""
    password = secrets.token_hex(8)
    _, rights, *_ = page_sql()
    with psycopg.connect(service.stage.admin_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE shop_admin LOGIN")
        connection.execute(f"ALTER ROLE shop_admin PASSWORD '{password}'".encode())
        connection.execute("CREATE ROLE shop_app NOLOGIN")
        connection.execute(rights.replace("DATABASE shop ", "DATABASE postgres ").encode())
        for table in TABLES:
            connection.execute(f"ALTER TABLE {table} OWNER TO shop_admin".encode())
    url = f"postgresql://shop_admin:{password}@127.0.0.1:{service.stage.cluster.port}/postgres"
    write_private(service.stage.directory / "admin_url", url)


@needs_pgbouncer
@pytest.mark.timeout(900)
def test_behind_a_pooler_and_without_a_superuser(new_shaped) -> None:
    shaped, service, stage = new_shaped, new_shaped.service, new_shaped.service.stage
    shaped.set_the_stage()
    give_to_an_ordinary_admin(service)
    app_password = (stage.directory / "app_password").read_text().strip()
    pooler = PgBouncer(
        stage.directory / "pgbouncer",
        stage.cluster.port,
        dict.fromkeys(ROLES, app_password),
        settings={"ignore_startup_parameters": "options"},
    )
    with pooler:
        write_private(stage.directory / "pooler_url", pooler.console_url)
        service.edits = {
            **service.edits,
            f"{{role}}@127.0.0.1:{stage.cluster.port}/": f"{{role}}@127.0.0.1:{pooler.port}/",
            'admin_url = "file:': f'pooler_url = "file:{stage.directory}/pooler_url"\nadmin_url = "file:',
            "env = { PORT": 'env = { SHOP_PREPARE = "never", PORT',
        }
        shaped.first_release()
        supers = shaped.ask("SELECT rolname FROM pg_roles WHERE rolsuper AND rolname LIKE 'shop%'")
        assert supers == []
        with shaped.customers() as story:
            release = story.begin("v7")
            story.to(release, "shifted(50)")
            pooled = shaped.ask("SELECT DISTINCT usename FROM pg_stat_activity WHERE usename LIKE 'shop_%'")
            assert {name for (name,) in pooled} >= set(ROLES)
            done = story.ended(release)
            assert (done.outcome, done.position) == ("completed", "detached"), done
            time.sleep(1.5)
            story.back(release)
            time.sleep(1.5)
            assert [change["stage"] for change in shaped.changes()] == ["both shapes, equal"]
            told = service.crossfade("abandon")
            assert told.code == 0, told.err
            assert story.to(release, "abandoned").outcome == "abandoned"
            story.watch.give_up("currency", time.time())
        assert {"v1", "v7"} <= {write.version for write in story.traffic.ledger.acknowledged}
        assert shaped.fingerprint() == shaped.base
