"""A release that changes the schema goes out and comes back; customers and their orders notice neither."""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

from crossfade.demo.stage import ROLES

ALL_ACTS = ["expand", "backfill", "start new", "smoke", "set share", "set share", "retire old", "detach"]
HELD_MAX_MS = 100  # a lock that blocks others; what the requirement allows
V1 = ("reference", "channel")  # columns of orders that only the old version knows
V7 = ("customer_reference", "currency")
LOCK_S = 2.0  # how long it is asked for in vain


@contextmanager
def old_session(shaped, release: str):
    """A session of the old version's role that is none of its instances': a console somebody left open."""
    service = shaped.service
    role = dict(zip(("left", "right"), ROLES, strict=True))[str(service.rows(release)[0].data["old_slot"])]
    password = (service.stage.directory / "app_password").read_text().strip()
    url = f"postgresql://{role}@127.0.0.1:{service.stage.cluster.port}/postgres"
    with psycopg.connect(url, password=password, application_name="a console", autocommit=True) as connection:
        yield connection


def assert_each_step_is_shown(shown) -> None:
    """The plan says of every step of the schema which locks it takes and what SELECT * gives after it."""
    assert shown.code == 0, shown.err
    steps = [
        line.strip() for line in shown.out.splitlines() if line.startswith(("  expand  ", "  detach  ", "  purge  "))
    ]
    steps = [line for line in steps if "[" in line]
    assert {line.split()[0] for line in steps} == {"expand", "detach", "purge"}, shown.out
    for line in steps:
        assert "; SELECT * " in line, line
        assert 'ACCESS EXCLUSIVE on "public"."orders"' in line or "no lock that blocks" in line, line
    assert "SELECT * changes; declared: nobody asks for it" in shown.out


def shown_of_v1(shaped) -> set[str]:
    return orders_columns(shaped) & set(V1)


def shown_of_v7(shaped) -> set[str]:
    return orders_columns(shaped) & set(V7)


def orders_columns(shaped) -> set[str]:
    rows = shaped.ask(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'orders'"
    )
    return {str(name) for (name,) in rows}


def waits_for_a_lock(shaped) -> str:
    """What the status says of it, once it does."""
    why = shaped.service.status().why
    return why if "waits for its locks" in why and "a long report" in why else ""


@contextmanager
def held_lock(shaped):
    """Somebody holds a lock on orders that no customer minds and every change of the table waits for."""
    ended = threading.Event()

    def hold() -> None:
        with psycopg.connect(shaped.service.stage.admin_url, application_name="a long report") as connection:
            connection.execute("LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
            holding.set()
            ended.wait(120)
            connection.rollback()

    holding = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(10)
    try:
        yield
    finally:
        ended.set()
        thread.join()


def assert_held_shortly(shaped, *releases: str) -> None:
    """The median of what each step held; what stands out is named, since it may be the machine's."""
    steps = [step for step in shaped.steps(*releases) if step.get("held_ms") is not None and not step.get("scans")]
    assert steps, "the steps say how long they held their locks"
    held = {str(step.get("unit") or step.get("key")): float(step["held_ms"]) for step in steps}
    print("held, ms:", held, "waited, ms:", [step.get("lock_wait_ms") for step in steps])
    outliers = {unit: ms for unit, ms in held.items() if ms > HELD_MAX_MS}
    assert statistics.median(float(step["held_ms"]) for step in steps) < HELD_MAX_MS, outliers


@pytest.mark.timeout(600)
def test_there_and_back_again(shaped, eventually) -> None:
    """Rehearsed, through every position, held up by a lock and by an old session, and back from the end."""
    service = shaped.service
    service.tail = ""
    service.configure()
    old = service.serving()
    assert_each_step_is_shown(service.crossfade("plan", "v7"))
    with shaped.customers() as story:
        with held_lock(shaped):
            release = story.begin("v7")
            eventually(lambda: waits_for_a_lock(shaped), 120, lambda: service.status())
            time.sleep(LOCK_S)
        story.to(release, "shifted(50)")
        assert "v7.sql: both shapes, equal" in service.crossfade("status").out
        (change,) = shaped.changes()
        assert (change["stage"], change["version"]) == ("both shapes, equal", "v7")
        assert change["tables"] == ["public.orders"]
        with old_session(shaped, release):
            assert story.to(release, "halted").position == "retired"
            said = service.crossfade("status").out
            assert f"{old} still has 1 connection to the database" in " ".join(said.split())
            assert " ".join(said.split()).count("'a console', idle for") == 1, said
        told = service.crossfade("resume")
        assert told.code == 0, told.err
        done = story.ended(release)
        assert (done.outcome, done.position) == ("completed", "detached"), done
        time.sleep(1.5)
        assert (shown_of_v1(shaped), shown_of_v7(shaped)) == (set(), set(V7))
        assert [change["stage"] for change in shaped.changes()] == ["old shape hidden"]
        assert f"way back: attach the old shape, start {old}" in service.crossfade("status").out
        story.back(release)
        time.sleep(1.5)
    assert shaped.acts(release) == [*ALL_ACTS, "attach", "start old", "fader to old", "stop new"]
    assert_held_shortly(shaped, release)
    waited_ms = max(float(step["lock_wait_ms"]) for step in shaped.steps(release))
    assert waited_ms > LOCK_S * 1000, "the journal has the wait for the lock"
    assert service.serving() == old
    assert (shown_of_v1(shaped), shown_of_v7(shaped)) == (set(V1), set(V7)), "the schema still stands expanded"
    assert [change["stage"] for change in shaped.changes()] == ["both shapes, equal"]
    assert {old, "v7"} <= {write.version for write in story.traffic.ledger.acknowledged}


@pytest.mark.timeout(900)
def test_the_way_back_from_each_position(shaped) -> None:
    """By rollback, and each next attempt goes on from the expanded schema; the last by abandon, to the beginning."""
    service = shaped.service
    old = service.serving()
    with shaped.customers() as story:
        release = story.begin("v7")
        story.to(release, "backfilled")  # v7 is being started
        story.back(release)
        for position in ("shifted(50)", "shifted(100)"):
            assert "expand " not in service.crossfade("plan", "v7").out.split("schema change")[0]
            release = story.begin("v7")
            story.to(release, position)
            story.back(release)
            assert "expand" not in shaped.acts(release)
            assert (shown_of_v1(shaped), shown_of_v7(shaped)) == (set(V1), set(V7))
        release = story.begin("v7")
        story.to(release, "shifted(100)")
        with old_session(shaped, release):  # so that it stands at `retired`
            story.to(release, "retired")
            story.back(release, "abandon")
            story.watch.give_up("currency", time.time())
        time.sleep(1.5)
    assert service.serving() == old
    assert shaped.fingerprint() == shaped.base, "the schema is as before"
    assert shaped.changes() == []
    (undone,) = [row for row in shaped.results(release) if row.data["act"] == "undo change"]
    print(undone.data["detail"])
    foreign = [
        write for write in story.traffic.ledger.acknowledged if write.version == "v7" and write.currency != "EUR"
    ]
    assert foreign, "customers paid in what only v7 knows"
    assert "kept in the attic, since only the new version wrote it:" in str(undone.data["detail"])
    assert f'{len(foreign)} rows of "public"."orders"' in str(undone.data["detail"])
    assert len(foreign) in shaped.attic().values(), shaped.attic()


@pytest.mark.timeout(900)
def test_a_hotfix_goes_out_in_the_middle_of_a_shift(shaped) -> None:
    """Back from 50 %, the hotfix on the expanded schema as its own path, and the release goes on from there."""
    service = shaped.service
    old = service.serving()
    fix = "v1b" if old == "v1" else "v1"
    with shaped.customers() as story:
        release = story.begin("v7")
        story.to(release, "shifted(50)")
        story.back(release)
        shown = service.crossfade("plan", fix)
        assert shown.code == 0, shown.err
        assert "both shapes, equal" in shown.out
        assert "expand the schema" not in shown.out
        hotfix = story.begin(fix)
        assert story.ended(hotfix).outcome == "completed"
        assert shaped.acts(hotfix) == ALL_ACTS[2:-1]
        assert [change["stage"] for change in shaped.changes()] == ["both shapes, equal"]
        shown = service.crossfade("plan", "v7")
        assert "expand the schema" not in shown.out
        assert "then compare the shapes" in shown.out
        release = story.begin("v7")
        done = story.ended(release)
        assert (done.outcome, done.old_version, done.position) == ("completed", fix, "detached"), done
        assert shaped.acts(release) == ALL_ACTS[1:]
        time.sleep(1.5)
        story.traffic.load.mark("over")
        time.sleep(1.5)
    assert set(story.traffic.ledger.window("over").by_version) == {"v7"}
    assert {old, fix, "v7"} <= {write.version for write in story.traffic.ledger.acknowledged}
    assert_held_shortly(shaped, release)
