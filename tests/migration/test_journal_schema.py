"""schema.sql is what the migrations add up to, installing is idempotent, and old rows survive an update."""

from __future__ import annotations

import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from crossfade.embedded.postgres import Cluster, find_postgres
from crossfade.journal import install as install_module
from crossfade.journal.install import install
from crossfade.journal.sql import migrations, read


class Clock:
    monotonic_s = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
    now = None


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    base = Path(tempfile.mkdtemp(prefix="crossfade-schema-"))
    base.chmod(0o711)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    made = Cluster(base / "cluster", port, find_postgres())
    made.create({"fsync": "off", "max_connections": "20"}, lambda: secrets.token_hex(8))
    made.start(Clock())
    yield made
    made.stop()
    shutil.rmtree(base)


@pytest.fixture
def url(cluster) -> str:
    name = f"db_{secrets.token_hex(4)}"
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return cluster.admin_url().rsplit("/", 1)[0] + f"/{name}"


def dump(cluster: Cluster, url: str) -> str:
    text = subprocess.run(
        [cluster.programs.bin_dir / "pg_dump", "--schema-only", "-n", "crossfade*", "-d", url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return "\n".join(line for line in text.splitlines() if not re.match(r"--|\\(un)?restrict", line))


def test_schema_sql_equals_the_sum_of_the_migrations(cluster, url) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(read("schema.sql"))
        whole = dump(cluster, url)
        connection.execute("DROP SCHEMA crossfade, crossfade_sync, crossfade_attic CASCADE")
        for name in migrations():
            connection.execute(read(f"migrations/{name}"))
        assert dump(cluster, url) == whole
    assert "CREATE TABLE crossfade.journal" in whole


def test_installing_twice_changes_nothing(url) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        assert install(connection, post=True) == migrations()
        assert install(connection, post=True) == []
        found = connection.execute("SELECT version FROM crossfade.migration ORDER BY 1").fetchall()
        assert [version for (version,) in found] == migrations()


def test_of_several_installers_at_once_one_installs(url) -> None:
    done: list[list[str]] = []
    gate = threading.Barrier(4)

    def run() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            gate.wait()
            done.append(install(connection))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [[], [], [], migrations()]


def test_a_role_without_rights_to_create_is_enough_once_it_is_installed(cluster, url) -> None:
    role = f"plain_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role}")
        connection.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            install(connection)
        connection.execute("RESET ROLE")
        install(connection)
        connection.execute(f"GRANT USAGE ON SCHEMA crossfade TO {role}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO {role}")
        connection.execute(f"SET ROLE {role}")
        assert install(connection) == []


def test_an_older_installation_gets_what_it_lacks_and_post_waits(url, monkeypatch) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        install(connection)
        connection.execute("INSERT INTO crossfade.journal VALUES ('shop', 1, now(), 'r1', 1, 'event', '{}', '{}')")
        added = {
            "99.00.00_01_add.sql": "ALTER TABLE crossfade.journal ADD COLUMN added text",
            "99.00.00_50_drop.sql": "ALTER TABLE crossfade.journal DROP COLUMN added",
        }
        monkeypatch.setattr(install_module, "migrations", lambda: [*migrations(), *sorted(added)])
        monkeypatch.setattr(install_module, "read", lambda name: added[name.removeprefix("migrations/")])
        assert install(connection) == ["99.00.00_01_add.sql"]
        assert install(connection) == []
        assert connection.execute("SELECT seq, added FROM crossfade.journal").fetchall() == [(1, None)]
        assert install(connection, post=True) == ["99.00.00_50_drop.sql"]


def test_a_migration_that_fails_leaves_nothing_half_done(url, monkeypatch) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        install(connection)
        added = {"99.00.00_01_a.sql": "CREATE TABLE crossfade.a ()", "99.00.00_02_b.sql": "SELECT 1/0"}
        monkeypatch.setattr(install_module, "migrations", lambda: [*migrations(), *sorted(added)])
        monkeypatch.setattr(install_module, "read", lambda name: added[name.removeprefix("migrations/")])
        with pytest.raises(psycopg.errors.DivisionByZero):
            install(connection)
        assert connection.execute("SELECT to_regclass('crossfade.a')").fetchone() == (None,)
        assert connection.execute("SELECT count(*) FROM crossfade.migration").fetchone() == (len(migrations()),)
