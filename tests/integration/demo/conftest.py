"""A real PostgreSQL with a database for each test, instances of the shop, and a line to cut between them."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import urllib3
from psycopg import sql

from crossfade.demo.service import build, materialize, prepare
from crossfade.embedded.postgres import Cluster, find_postgres

MAX_CONNECTIONS = 60
CHANGES = Path(build.__file__).parent / "versions"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(true: Callable[[], bool], seconds: float, what: str) -> float:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - began


class RealClock:
    def monotonic_s(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that takes 60 connections."""
    home = Path(tempfile.mkdtemp(prefix="shop-pg-"))
    it = Cluster(home, free_port(), find_postgres())
    it.create({"max_connections": str(MAX_CONNECTIONS), "fsync": "off"}, lambda: secrets.token_hex(8))
    try:
        it.start(RealClock())
        yield it
    finally:
        it.stop()
        shutil.rmtree(home)


@dataclass(frozen=True)
class Database:
    admin_url: str
    app_url: str


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """The shop's database, fresh, and gone after the test."""
    name = f"shop_{time.monotonic_ns()}"
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    admin_url = cluster.admin_url().removesuffix("postgres") + name
    prepare(admin_url, "shop_app", "a password")
    yield Database(admin_url, f"postgresql://shop_app:a%20password@127.0.0.1:{cluster.port}/{name}")
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def reshape(database: Database) -> Callable[..., None]:
    """Run versions' own SQL on the database, as it is written: `reshape("v7", "v8")`."""

    def run(*versions: str) -> None:
        with psycopg.connect(database.admin_url) as connection:
            for version in versions:
                connection.execute((CHANGES / f"{version}.sql").read_bytes())

    return run


@dataclass
class Instance:
    """One running instance, asked over one connection that is kept alive."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    http: urllib3.HTTPConnectionPool

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, timeout_s: float = 8, **more: Any) -> urllib3.BaseHTTPResponse:
        return self.http.request(method, path, retries=False, timeout=timeout_s, **more)

    def order(self, key: str, cookie: str = "", test: bool = False, quantity: int = 1, **more: Any) -> Any:
        headers = {"Idempotency-Key": key} | ({"Cookie": cookie} if cookie else {})
        headers |= {"X-Test-Account": "1"} if test else {}
        body = {"reference": f"for {key}", "lines": [{"product_id": 1, "quantity": quantity}]}
        return self.ask("POST", "/orders", headers=headers, json=body, **more)

    def is_up(self) -> bool:
        try:
            return self.ask("GET", "/healthz").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def is_ready(self) -> bool:
        return self.is_up() and self.ask("GET", "/readyz").status == 200

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(40)


Start = Callable[..., Instance]


@pytest.fixture
def start(database: Database, tmp_path: Path) -> Iterator[Start]:
    """Start an instance of a version: `start("v2", SHOP_ERROR_RATIO="0.5")`."""
    running: list[Instance] = []

    def start_one(version: str, ready: bool = True, parent: str = "v2", **environment: str) -> Instance:
        port = free_port()
        directory = tmp_path / f"{version}-{port}"
        launcher = materialize(version, directory, parent)
        given: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "PORT": str(port),
            "DATABASE_URL": database.app_url,
            "APPLICATION_NAME": f"shop-{version}",
            **environment,
        }
        log = directory / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, launcher.name], cwd=directory, env=given, stdout=file, stderr=file
            )
        pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=50, block=False)
        instance = Instance(port, process, log, pool)
        running.append(instance)

        def has_started() -> bool:
            assert process.poll() is None, log.read_text()
            return instance.is_ready() if ready else instance.is_up()

        wait_for(has_started, 20, f"start of {version}")
        return instance

    yield start_one
    for instance in running:
        if instance.process.poll() is None:
            instance.process.kill()
        instance.process.wait()
        instance.http.close()


class Line:
    """A line to a server that can be cut (`refuse`), fall silent (`hang`) and be mended."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._flows = threading.Event()
        self._flows.set()
        self._open: set[socket.socket] = set()
        self._refuses = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def hang(self) -> None:
        self._flows.clear()

    def refuse(self) -> None:
        self._refuses = True
        for end in tuple(self._open):
            self._drop(end)

    def mend(self) -> None:
        self._refuses = False
        self._flows.set()

    def close(self) -> None:
        # shutdown wakes the thread that accepts; close alone leaves it waiting
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.refuse()
        self._flows.set()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._refuses:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        except OSError:
            pass
        self._drop(source)
        self._drop(sink)

    def _drop(self, end: socket.socket) -> None:
        self._open.discard(end)
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        end.close()


@pytest.fixture
def line(cluster: Cluster) -> Iterator[Line]:
    """A line to the PostgreSQL."""
    it = Line(cluster.port)
    yield it
    it.close()
