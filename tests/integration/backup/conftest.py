"""Given a shop with a few thousand rows of many types on a real PostgreSQL, and a version that serves it."""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from crossfade.demo.service.build import materialize
from crossfade.demo.service.seed import prepare
from crossfade.embedded.postgres import Cluster, find_postgres
from crossfade.host.files import write_private
from crossfade.host.ports import free_port
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import LaneSpec, Slot
from crossfade.model.settings.parse import parse_config
from crossfade.model.version import Source, Version
from crossfade.walk.clock import SystemClock
from crossfade.walk.compose import smoke_requests
from crossfade.walk.lanes import lane_spec
from crossfade.walk.restore_proof import Drill
from crossfade.walk.site import Site

CONFIG = """\
[service]
name = "shop"
environment = "test"
state_dir = "state"
[process.web]
command = ["<python>", "app.py"]
alive = "/healthz"
ready = "/readyz"
start_timeout_s = 60
[process.web.env]
PORT = "{port}"
DATABASE_URL = "file:<home>/app_url"
[[dependency]]
name = "orders database"
kind = "postgresql"
env = "DATABASE_URL"
[[endpoint]]
name = "place an order"
match = "POST /orders"
critical = true
[endpoint.smoke]
body = '{"lines": [{"product_id": 1, "quantity": 1}], "reference": "smoke"}'
headers = { Content-Type = "application/json", X-Test-Account = "1", Idempotency-Key = "smoke-1" }
expect_status = [200, 201]
harmless = "test account"
[[endpoint]]
name = "list products"
match = "GET /products"
critical = true
[endpoint.smoke]
[versions]
source = "directory"
directories = { v1 = "v1", v2 = "v2" }
[database.main]
app_url = "file:<home>/app_url"
admin_url = "file:<home>/admin_url"
"""

MANY_TYPES = """
CREATE ROLE reports;
CREATE ROLE "Odd Owner";
CREATE TYPE mood AS ENUM ('well', 'so so');
CREATE TABLE "Many Types" (
    id serial PRIMARY KEY, gone integer, amount numeric(20, 6), at timestamptz, day date, span interval, doc jsonb,
    raw bytea, tags text[], ratio double precision, small real, "t" text, feeling mood, cost money, range int4range,
    twice integer GENERATED ALWAYS AS (id * 2) STORED, CHECK ("t" IN ('a', 'b')));
ALTER TABLE "Many Types" DROP COLUMN gone;
INSERT INTO "Many Types" (amount, at, day, span, doc, raw, tags, ratio, small, "t", feeling, cost, range)
SELECT n / 7.0, timestamptz '2026-03-29 00:30+00' + n * interval '1 hour', date '2024-02-29' + n, n * interval '90 min',
       jsonb_build_object('n', n, 'z', NULL), decode(md5(n::text), 'hex'), ARRAY['a', NULL, n::text], n / 3.0,
       n / 9.0, (ARRAY['a', 'b', NULL])[n % 3 + 1], (ARRAY['well', 'so so']::mood[])[n % 2 + 1], n::numeric::money,
       int4range(n, n + 5)
FROM generate_series(1, 3000) n;
UPDATE "Many Types" SET amount = NULL, ratio = 'NaN' WHERE id % 50 = 0;
ALTER TABLE "Many Types" OWNER TO "Odd Owner";
GRANT SELECT ON "Many Types" TO reports;
CREATE TABLE parts (id bigint, at date) PARTITION BY RANGE (at);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE parts_b PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT n, date '2026-01-01' + n FROM generate_series(1, 400) n;
CREATE UNLOGGED TABLE twins (a integer);
INSERT INTO twins VALUES (1), (1), (2);
CREATE MATERIALIZED VIEW report AS SELECT count(*) FROM parts;
SELECT lo_from_bytea(0, 'a large object');
ALTER DATABASE shop SET search_path TO public, "Odd Schema";
ALTER ROLE shop_app SET statement_timeout TO '30s';
"""


@dataclass
class Shop:
    """A service's folder, its database, and what serves."""

    home: Path
    cluster: Cluster
    password: str

    @property
    def admin_url(self) -> str:
        """The superuser's URL of the shop's database."""
        return self.cluster.admin_url().rsplit("/", 1)[0] + "/shop"

    def site(self, more: str = "") -> Site:
        """The site of the configuration, with more of it."""
        text = CONFIG.replace("<python>", sys.executable).replace("<home>", str(self.home)) + more
        (self.home / "crossfade.toml").write_text(text)
        return Site(parse_config(text), self.home / "crossfade.toml", SystemClock())

    def lane(self, site: Site, version: str = "v2") -> LaneSpec:
        """A version's lane."""
        directory = self.home / version
        materialize(version, directory)
        return lane_spec(
            site.config, Slot.LEFT, Version(version, f"sha256:{version}", str(directory), Source.DIRECTORY)
        )

    def drill(self, **given: object) -> Drill:
        """A drill of what serves here."""
        site = self.site()
        values = {
            "site": site,
            "admin_url": self.admin_url,
            "lane": self.lane(site),
            "smokes": smoke_requests(site.config),
            "new_token": lambda: secrets.token_hex(8),
        }
        return Drill(**{**values, **given})  # type: ignore[arg-type]

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        """The superuser asks the source."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


def make_shop(base: Path, cluster: Cluster) -> Shop:
    """The shop of a cluster, filled."""
    home = base / "shop"
    home.mkdir(mode=0o711)
    shop = Shop(home, cluster, secrets.token_hex(12))
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE shop")
    prepare(shop.admin_url, "shop_app", shop.password)
    shop.ask(MANY_TYPES)
    write_private(home / "app_url", f"postgresql://shop_app:{shop.password}@127.0.0.1:{cluster.port}/shop")
    write_private(home / "admin_url", shop.admin_url)
    return shop


@pytest.fixture(scope="session", params=[15, 18])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    try:
        programs = find_postgres(None, request.param)
    except CrossfadeError:
        pytest.skip(f"PostgreSQL {request.param} is not on this machine")
    base = Path(tempfile.mkdtemp(prefix="crossfade-backup-"))  # the server's user can pass; pytest's own is closed
    base.chmod(0o711)
    (base / "server").mkdir(mode=0o711)
    cluster = Cluster(base / "server", free_port(), programs)
    clock = SystemClock()
    try:
        cluster.create({"fsync": "off", "max_connections": "40"}, lambda: secrets.token_hex(8))
        cluster.start(clock)
        yield make_shop(base, cluster)
    finally:
        if cluster.data.exists():
            cluster.stop()
        shutil.rmtree(base)


Leftovers = Callable[[], list[str]]


@pytest.fixture
def leftovers(shop: Shop) -> Leftovers:
    """What a drill would leave: scratch directories."""

    def look() -> list[str]:
        return sorted(path.name for path in (shop.home / "state/scratch").iterdir())

    return look
