"""The ready check is tried before it is believed: a real instance, a real dependency, a real cut.

The version under test is a small web server. Its check is honest (asks the dependency), lies (always 200)
or is red from the start. Beside it runs a child process, as a preloading server's workers would.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.ports import Slot
from crossfade.model.settings.parse import parse_config
from crossfade.model.version import Source, Version
from crossfade.walk import readycheck
from crossfade.walk.clock import SystemClock
from crossfade.walk.lanes import lane_spec
from crossfade.walk.readycheck import ReadyCheck
from crossfade.walk.site import Site

SERVER = """
import http.server, os, pathlib, subprocess, sys, urllib.request
port, kind = int(sys.argv[1]), sys.argv[2]
child = subprocess.Popen(["sleep", "600"])
pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid}")

def stock_answers():
    try:
        url = os.environ["STOCK_URL"]
        with urllib.request.urlopen(url if "//" in url else f"http://{url}", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        green = {"honest": stock_answers, "lying": lambda: True, "red": lambda: False}[kind]()
        self.send_response(200 if green else 503)
        self.end_headers()
    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def stock() -> Iterator[str]:
    """The dependency: answers 200 to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/stock"
    server.shutdown()
    server.server_close()


def ready_check(home: Path, kind: str, stock: str, start_timeout_s: float = 20) -> ReadyCheck:
    """The check of a version of that kind, as the controller would build it."""
    build = home / "v2"
    build.mkdir(exist_ok=True)
    (build / "server.py").write_text(SERVER)
    (build / "crossfade.py").write_text("raise SystemExit('a version may have files of any name')")
    text = f"""\
[service]
name = "shop"
[process.web]
command = {json.dumps([sys.executable, "server.py", "{port}", kind])}
start_timeout_s = {start_timeout_s}
[process.web.env]
PYTHONPATH = "."
STOCK_URL = "{stock}"
[[dependency]]
name = "stock"
kind = "http"
env = "STOCK_URL"
[[endpoint]]
name = "start"
match = "GET /"
[endpoint.smoke]
[versions]
source = "directory"
directories = {{ v2 = "v2" }}
[database.main]
app_url = "env:SHOP_APP_URL"
admin_url = "env:SHOP_ADMIN_URL"
"""
    (home / "crossfade.toml").write_text(text)
    config = parse_config(text)
    site = Site(config, home / "crossfade.toml", SystemClock())
    return ReadyCheck(
        site, lane_spec(config, Slot.RIGHT, Version("v2", f"sha256:{kind}", str(build), Source.DIRECTORY))
    )


def alive(home: Path) -> list[int]:
    """Which of the scratch instance's processes live."""
    pids = [int(pid) for pid in (home / "v2/pids").read_text().split()]
    return [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]


def gone(home: Path) -> bool:
    """Whether they all end; what was killed takes a moment to go."""
    until = time.monotonic() + 10
    while alive(home) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(home)


def test_a_check_that_sees_its_dependency_is_proven_once(tmp_path: Path, stock: str) -> None:
    said = ready_check(tmp_path, "honest", stock).prove()
    assert said == "/ready turned red when cut from: stock"
    assert gone(tmp_path)
    (tmp_path / "v2/pids").unlink()
    assert ready_check(tmp_path, "honest", stock).prove() == said
    assert not (tmp_path / "v2/pids").exists(), "a proof that is known is not made again"


def test_a_check_that_stays_green_is_refused_by_the_dependencys_name(
    tmp_path: Path, stock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readycheck, "RED_WITHIN_S", 1.5)
    with pytest.raises(CrossfadeError) as caught:
        ready_check(tmp_path, "lying", stock).prove()
    assert caught.value.render() == (
        'error[ready-check-blind]: the ready check /ready of v2 does not see "stock"\n'
        '  it stayed green for 1.5 s after "stock" was cut\n'
        'hint: let /ready ask "stock" and answer 503 where that fails, or declare it not critical'
    )
    assert caught.value.exit is Exit.NOT_MET
    assert gone(tmp_path)
    assert not list((tmp_path / ".crossfade").glob("proofs/*"))


def test_a_check_that_is_red_with_everything_reachable_is_refused(tmp_path: Path, stock: str) -> None:
    with pytest.raises(CrossfadeError) as caught:
        ready_check(tmp_path, "red", stock, start_timeout_s=2.5).prove()
    assert caught.value.render() == (
        "error[ready-check-red]: the ready check /ready of v2 was not green with every dependency reachable\n"
        "  its answer after 2.5 s: 503\n"
        "  its output: logs/scratch.log in the state directory\n"
        "hint: start that version by hand and ask /ready"
    )
    assert caught.value.exit is Exit.NOT_MET
    assert gone(tmp_path)


def test_host_and_port_are_an_address(tmp_path: Path, stock: str) -> None:
    said = ready_check(tmp_path, "honest", stock.removeprefix("http://").rstrip("/")).prove()
    assert said == "/ready turned red when cut from: stock"


def test_a_dependency_without_an_address_cannot_be_cut(tmp_path: Path) -> None:
    with pytest.raises(CrossfadeError) as caught:
        ready_check(tmp_path, "honest", "stock.internal").prove()
    assert caught.value.render() == (
        'error[dependency-unreadable]: the dependency "stock" cannot be cut: STOCK_URL holds no address\n'
        "  wanted: a URL in the environment of the web process\n"
        "hint: name the variable that holds its URL: [[dependency]] env = ..."
    )
    assert caught.value.exit is Exit.CONFIG


PROVER = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_ready_check import ready_check
ready_check(Path({home!r}), "red", {stock!r}, start_timeout_s=300).prove()
"""


def test_a_killed_prover_leaves_nothing_behind(tmp_path: Path, stock: str) -> None:
    code = PROVER.format(here=str(Path(__file__).parent), home=str(tmp_path), stock=stock)
    prover = subprocess.Popen([sys.executable, "-c", code])
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "v2/pids").exists() or len((tmp_path / "v2/pids").read_text().split()) < 2:
            assert prover.poll() is None, "the prover ended by itself"
            assert time.monotonic() < until
            time.sleep(0.05)
        assert len(alive(tmp_path)) == 2
    finally:
        os.kill(prover.pid, signal.SIGKILL)
        prover.wait()
    assert gone(tmp_path)
