"""A database as a team sets it up: roles and rights by the statements of docs/how-to/prepare-the-database.md."""

from __future__ import annotations

import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from crossfade.embedded.postgres import Cluster

sys.path.insert(0, str(Path(__file__).parent))
from pgbouncer import PgBouncer

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/how-to/prepare-the-database.md"
ROLES = ("shop_admin", "shop_left", "shop_right")


class RealClock:
    """The machine's."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def page_sql() -> list[str]:
    """The page's statements by block: roles, rights, owners, row security, optional rights."""
    return re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M)


@dataclass
class Team:
    """The database `shop` and its roles."""

    cluster: Cluster
    passwords: dict[str, str]

    def url(self, role: str) -> str:
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.cluster.port}/shop"

    @property
    def super_url(self) -> str:
        return self.cluster.admin_url().rsplit("/", 1)[0] + "/shop"

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as superuser."""
        with psycopg.connect(self.super_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url("shop_admin"), autocommit=True)

    @contextmanager
    def pooler(self, **given: Any) -> Iterator[PgBouncer]:
        """PgBouncer before it, for the roles of the slots."""
        directory = Path(tempfile.mkdtemp(prefix="crossfade-pgbouncer-"))
        directory.chmod(0o711)
        lanes = {role: self.passwords[role] for role in ("shop_left", "shop_right")}
        try:
            with PgBouncer(directory, self.cluster.port, lanes, **given) as made:
                yield made
        finally:
            shutil.rmtree(directory)


@contextmanager
def team_of(cluster: Cluster, *, seeing: bool = False) -> Iterator[Team]:
    """The page's roles and rights, on a table that an older role made; with its optional rights where `seeing`."""
    roles, rights, owners, _, optional = page_sql()
    passwords = {role: secrets.token_hex(8) for role in ROLES}
    team = Team(cluster, passwords)
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE shop_before")
        connection.execute("CREATE DATABASE shop")
        connection.execute(roles.encode())
        for role, password in passwords.items():
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), password))
    try:
        team.ask("CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, reference text)")
        team.ask("ALTER TABLE orders OWNER TO shop_before")
        for block in (rights, owners, *([optional] if seeing else [])):
            team.ask(block)
        yield team
    finally:
        with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
            connection.execute("DROP DATABASE shop WITH (FORCE)")
            for role in (*ROLES, "shop_app", "shop_before"):
                connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
