"""The load generator keeps to its schedule whatever the service does, and its ledgers find what was lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from crossfade.demo.ledger import Ledger
from crossfade.demo.load import Load, LoadOptions
from crossfade.demo.shapes import SHAPES
from crossfade.demo.watch import ShapeWatch
from crossfade.model.errors import CrossfadeError


def wait_for_answers(load: Load, number: int) -> None:
    """Wait until so many requests have ended, however busy the machine is."""
    deadline = time.monotonic() + 60
    while load.so_far().requests < number:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def run_on(start: Any, tmp_path: Path) -> Ledger:
    """A ledger of some three seconds on v1."""
    shop = start("v1")
    load = Load(LoadOptions(shop.url, rate_per_s=60, users=10, long_seconds=1), tmp_path / "load")
    with load:
        wait_for_answers(load, 90)
        load.mark("half")
        load.long_request()
        wait_for_answers(load, 180)
    return load.stop()


def test_a_good_service_gets_the_whole_mix_and_loses_nothing(run_on: Ledger, database: Any) -> None:
    assert [(sent.endpoint, sent.status, sent.error) for sent in run_on.failures] == []
    endpoints = {sent.endpoint for sent in run_on.requests_sent}
    assert endpoints == {
        *("POST /login", "GET /products", "GET /products/{id}"),
        *("POST /orders", "GET /orders/{id}", "GET /reports/daily"),
    }
    assert run_on.by_version == {"v1": run_on.requests}
    assert 0.3 < sum(sent.cookie for sent in run_on.requests_sent) / run_on.requests < 0.6
    assert {sent.keep_alive for sent in run_on.requests_sent} == {True, False}
    assert len({sent.request_id for sent in run_on.requests_sent}) == run_on.requests
    assert {write.user_id is None for write in run_on.acknowledged} == {True, False}
    assert run_on.window(until="half").requests + run_on.window("half").requests == run_on.requests
    assert run_on.window("half").of(endpoint="GET /reports/daily")[0].latency_ms >= 1000
    assert run_on.lost_writes(database.admin_url) == []


CHANGES = [
    ("DELETE FROM orders WHERE id = %(id)s", "missing"),
    ("UPDATE orders SET total_cents = total_cents + 1 WHERE id = %(id)s", "changed"),
    ("UPDATE orders SET is_test = true WHERE id = %(id)s", "changed"),
    ("UPDATE orders SET idempotency_key = 'another' WHERE id = %(id)s", "changed"),
    ("UPDATE order_lines SET quantity = quantity + 1 WHERE order_id = %(id)s AND line = 1", "changed"),
    ("DELETE FROM order_lines WHERE order_id = %(id)s", "changed"),
    (
        "INSERT INTO orders (idempotency_key, user_id, reference, total_cents)"
        " SELECT 'again', user_id, reference, total_cents FROM orders WHERE id = %(id)s",
        "doubled",
    ),
    (
        "INSERT INTO orders (idempotency_key, reference, total_cents)"
        " SELECT idempotency_key, 'new', total_cents FROM orders WHERE id = %(id)s",
        "doubled",
    ),
    ("INSERT INTO orders SELECT * FROM orders WHERE id = %(id)s", "doubled"),
    ("UPDATE orders SET reference = '' WHERE id = %(id)s", "changed"),
    ("UPDATE orders SET channel = 'phone' WHERE id = %(id)s", "changed"),
    ("UPDATE order_lines SET gift = NOT gift WHERE order_id = %(id)s AND line = 1", "changed"),
]


def test_an_order_that_is_not_stored_as_acknowledged_is_found(run_on: Ledger, database: Any) -> None:
    victims = run_on.acknowledged[:: len(run_on.acknowledged) // len(CHANGES)][: len(CHANGES)]
    with psycopg.connect(database.admin_url) as connection:
        connection.execute("ALTER TABLE order_lines DROP CONSTRAINT order_lines_order_id_fkey")
        connection.execute("ALTER TABLE orders DROP CONSTRAINT orders_once, DROP CONSTRAINT orders_pkey")
        for victim, (change, _) in zip(victims, CHANGES, strict=True):
            assert connection.execute(change, {"id": victim.order_id}).rowcount >= 1
    found = [(lost.key, lost.problem) for lost in run_on.lost_writes(database.admin_url)]
    assert found == [(victim.key, problem) for victim, (_, problem) in zip(victims, CHANGES, strict=True)]


# What a schema engine does, by hand: the shape that is missing beside the one that is there, filled.
OLD_BESIDE_NEW = """
    ALTER TABLE orders ADD COLUMN reference text, ADD COLUMN channel text NOT NULL DEFAULT 'web';
    UPDATE orders SET reference = customer_reference
"""
NEWEST_BESIDE_NEW = """
    ALTER TABLE order_lines ADD COLUMN wrapping text;
    UPDATE order_lines SET wrapping = CASE WHEN gift THEN 'gift' ELSE 'plain' END
"""
NEW_BESIDE_OLD = """
    ALTER TABLE orders ADD COLUMN customer_reference text, ADD COLUMN currency text NOT NULL DEFAULT 'EUR';
    UPDATE orders SET customer_reference = reference
"""
NEW_BESIDE_NEWEST = """
    ALTER TABLE order_lines ADD COLUMN gift boolean;
    UPDATE order_lines SET gift = wrapping <> 'plain'
"""


@pytest.mark.parametrize(
    ("needs", "version", "beside", "shapes"),
    [
        ((), "v1", NEW_BESIDE_OLD, {"v1", "v7"}),
        (("v7",), "v7", OLD_BESIDE_NEW + ";" + NEWEST_BESIDE_NEW, {"v1", "v7", "v8"}),
        (("v7", "v8"), "v8b", NEW_BESIDE_NEWEST, {"v7", "v8"}),
    ],
)
def test_what_a_version_took_is_held_against_every_shape_that_is_there(
    start: Any, reshape: Any, database: Any, tmp_path: Path, needs: Any, version: str, beside: str, shapes: set[str]
) -> None:
    reshape(*needs)
    shop = start(version)
    load = Load(LoadOptions(shop.url, rate_per_s=80, users=10), tmp_path / "load")
    with load:
        wait_for_answers(load, 240)
    ledger = load.stop()
    assert ledger.failed == 0
    watch = ShapeWatch(load.directory, database.admin_url)
    watch.look("steady")
    assert watch.compared == {version[:2]: len(ledger.acknowledged)}
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute(beside)
        assert watch.shapes() == tuple(sorted(shapes))
        watch.look("expanded")
        assert watch.compared == {version[:2]: len(ledger.acknowledged)}, "not filled yet, not compared yet"
        watch.look("backfilled")
        assert watch.compared == dict.fromkeys(shapes, len(ledger.acknowledged))
        partial = watch.release_ends()
        assert (watch.lost, ledger.lost_writes(database.admin_url)) == ({}, [])
        recycled = sum((one.wrapping or ()).count("recycled") for one in ledger.acknowledged)
        assert partial == ({"order_lines.gift": recycled} if recycled else {})
        assert bool(recycled) is (version == "v8b")
        for column, shape in (("customer_reference", "v7"), ("reference", "v1"), ("currency", "v7"), ("channel", "v1")):
            if shape not in shapes:
                continue
            (victim,) = admin.execute(f"SELECT id::text FROM orders ORDER BY {column} DESC LIMIT 1").fetchone() or ("",)
            before = admin.execute(f"SELECT {column} FROM orders WHERE id = %s", [victim]).fetchone()
            admin.execute(f"UPDATE orders SET {column} = 'other' WHERE id = %s", [victim])
            (lost,) = ledger.lost_writes(database.admin_url)
            assert (lost.problem, lost.order_id, lost.shape) == ("changed", victim, shape)
            assert lost.found[0][column] == "other"
            admin.execute(f"UPDATE orders SET {column} = %s WHERE id = %s", [*(before or ()), victim])
        admin.execute("ALTER TABLE orders RENAME COLUMN currency TO hidden")
        assert ledger.wrong_values(database.admin_url, SHAPES[1]) is None, "what is out of sight is not compared"


def test_a_service_that_hangs_is_asked_no_less_often_and_its_latency_counts_from_the_schedule(
    silent: str, tmp_path: Path
) -> None:
    load = Load(LoadOptions(silent, rate_per_s=50, users=5, timeout_s=1.5), tmp_path / "load")
    with load:
        wait_for_answers(load, 60)
    ledger = load.stop()
    assert ledger.requests > 100  # as many again were sent while the first waited
    assert ledger.failed == ledger.requests == len(ledger.failed_without_slot)
    assert {sent.error for sent in ledger.failures} == {"timeout after 1.5 s"}
    gaps = [
        later.scheduled_at - sooner.scheduled_at
        for sooner, later in zip(
            *(
                sorted(ledger.requests_sent, key=lambda sent: sent.scheduled_at)[part]
                for part in (slice(-1), slice(1, None))
            ),
            strict=True,
        )
    ]
    assert all(abs(gap - 0.02) < 0.001 for gap in gaps)  # the schedule is arithmetic, not the machine's speed
    for sent in ledger.requests_sent:
        assert sent.latency_ms >= (sent.sent_at - sent.scheduled_at) * 1000 + 1450


def test_a_generator_that_was_held_up_counts_the_delay_as_latency(start: Any, tmp_path: Path) -> None:
    shop = start("v1")
    load = Load(LoadOptions(shop.url, rate_per_s=40, users=5), tmp_path / "load")
    with load:
        wait_for_answers(load, 30)
        assert load.pid is not None
        os.kill(load.pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(load.pid, signal.SIGCONT)
        time.sleep(1)
    ledger = load.stop()
    late = [sent for sent in ledger.requests_sent if sent.latency_ms > 500]
    assert len(late) >= 15
    assert max(sent.latency_ms for sent in late) >= 900


def test_the_rate_can_be_changed_and_paused(start: Any, tmp_path: Path) -> None:
    shop = start("v1")
    load = Load(LoadOptions(shop.url, rate_per_s=0, users=5, arrivals="poisson"), tmp_path / "load")
    with load:
        time.sleep(1)
        load.set_rate(50)
        began = load.mark("on").at
        wait_for_answers(load, 50)
        load.set_rate(0)
        time.sleep(2)
        load.mark("off")
        time.sleep(1)
    ledger = load.stop()
    assert all(sent.scheduled_at >= began - 0.1 for sent in ledger.requests_sent)
    assert ledger.window("on", "off").requests >= 50
    assert ledger.window("off").requests == 0


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_when_whoever_started_it_ends(start: Any, tmp_path: Path, end: signal.Signals) -> None:
    shop = start("v1")
    story = (
        "import signal, sys, time; from pathlib import Path; from crossfade.demo.load import Load, LoadOptions\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background had it ignored\n"
        f"load = Load(LoadOptions({shop.url!r}, rate_per_s=20, users=2), Path({str(tmp_path / 'load')!r}))\n"
        "load.start(); print(load.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", story], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        while Ledger.read(tmp_path / "load").requests < 5:
            time.sleep(0.1)
        os.killpg(parent.pid, end)
    deadline = time.monotonic() + 15
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert Ledger.read(tmp_path / "load").failed == 0


def test_it_ends_at_its_maximum_time(silent: str, tmp_path: Path) -> None:
    load = Load(LoadOptions(silent, rate_per_s=5, users=0, timeout_s=0.5, max_s=1), tmp_path / "load")
    load.start()
    assert load._process is not None
    assert load._process.wait(15) == 0
    assert 1 <= load.stop().requests <= 6


def test_a_generator_that_died_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    load = Load(LoadOptions("http://127.0.0.1:1", users=0), tmp_path / "load")
    load.start()
    assert load.pid is not None
    os.kill(load.pid, signal.SIGKILL)
    with pytest.raises(CrossfadeError) as caught:
        load.stop()
    assert caught.value.id == "load-ended-early"
    assert caught.value.facts["code"] == -9


def test_a_line_that_is_still_being_written_is_left_for_the_next_time(tmp_path: Path) -> None:
    (tmp_path / "marks.jsonl").write_text(json.dumps({"name": "a", "at": 1.0}) + '\n{"name": "b"')
    assert [mark.name for mark in Ledger.read(tmp_path).marks] == ["a"]
