"""Given a real PostgreSQL, a database of one's own, and walkers with state directories."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from crossfade.embedded.postgres import Cluster, find_postgres
from crossfade.journal.epoch import EpochLock
from crossfade.journal.lease import PostgresLease
from crossfade.journal.postgres import PostgresJournal
from crossfade.journal.spool import Spool


class RealClock:
    def monotonic_s(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


NewCluster = Callable[..., Cluster]


@pytest.fixture(scope="session")
def new_cluster() -> Iterator[NewCluster]:
    base = Path(tempfile.mkdtemp(prefix="crossfade-journal-"))  # the server's user can pass; pytest's own is closed
    base.chmod(0o711)
    clusters: list[Cluster] = []

    def make(name: str = "cluster", create: bool = True, **settings: str) -> Cluster:
        directory = base / name
        directory.mkdir(mode=0o711)
        cluster = Cluster(directory, free_port(), find_postgres(os.environ.get("CROSSFADE_TEST_POSTGRES")))
        clusters.append(cluster)
        if create:
            cluster.create({"fsync": "off", "max_connections": "30", **settings}, lambda: secrets.token_hex(8))
            cluster.start(RealClock())
        return cluster

    yield make
    for cluster in clusters:
        if cluster.data.exists():
            cluster.stop()
    shutil.rmtree(base)


@pytest.fixture(scope="session")
def cluster(new_cluster: NewCluster) -> Cluster:
    return new_cluster()


@dataclass
class Home:
    """A database owned by an ordinary role: no superuser, may create a schema."""

    admin_url: str  # the role's
    super_url: str  # the superuser's, in the same database

    def ask(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.super_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


def make_home(cluster: Cluster, database: str) -> Home:
    role, password = f"{database}_admin", secrets.token_hex(8)
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
        )
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(role))
        )
    return Home(
        f"postgresql://{role}:{password}@127.0.0.1:{cluster.port}/{database}",
        cluster.admin_url().rsplit("/", 1)[0] + f"/{database}",
    )


@pytest.fixture
def home(cluster: Cluster) -> Home:
    return make_home(cluster, f"shop_{secrets.token_hex(4)}")


@dataclass
class Walker:
    """The parts of one walker, put together as the composition root does it."""

    state: Path
    admin_url: str
    holder: str = field(default_factory=lambda: secrets.token_hex(4))
    ttl_s: float = 10
    environment: str = "production"

    def __post_init__(self) -> None:
        clock = RealClock()
        self.lock = EpochLock(self.state / "shop.epoch", "shop", clock)
        self.spool = Spool(self.state / "shop.spool", clock)
        self.lease = PostgresLease(
            self.admin_url,
            "shop",
            self.ttl_s,
            clock=clock,
            holder=self.holder,
            epoch_floor=self.lock.current,
            ended=self.lock.ended,
            require_own=lambda connection: self.journal.require_own(connection),
        )
        self.journal = PostgresJournal(
            self.admin_url,
            self.spool,
            "shop",
            clock,
            lambda: self.lease.epoch or self.lock.current(),  # without a lease: as a person's command
            environment=self.environment,
            guard=self.lock.act,
            leading=self.lease.leading,
            new_installation=lambda: secrets.token_hex(8),
        )

    def lead(self) -> Walker:
        self.journal.bind()
        self.lease.acquire()
        return self

    def close(self) -> None:
        self.journal.close()
        self.lease.close()
        self.spool.close()
        self.lock.close()


NewWalker = Callable[..., Walker]


@pytest.fixture
def walker(tmp_path: Path, home: Home) -> Iterator[NewWalker]:
    made: list[Walker] = []

    def make(**given: object) -> Walker:
        one = Walker(**{"state": tmp_path / "state", "admin_url": home.admin_url, **given})
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()
