"""A second change goes out while the first one's old shape waits for its purge; then both are purged.

One stage, four scenes in a row, since each begins where the one before has ended.
"""

from __future__ import annotations

import shutil
import time

import psycopg
import pytest

from crossfade.demo.service.seed import prepare
from crossfade.demo.stage import ROLES
from crossfade.schema.catalog import read_catalog

MORE_VERSIONS = {'v8b = "versions/v8b"': 'v8b = "versions/v8b", v9 = "versions/v9", again = "versions/again"'}
SOAK = {"purge_after_s = 0": "purge_after_s = 3600"}
NOTED = "public.order_lines: no counterpart"
NO_WAIVER = {'what = "purge:restore-point"': 'what = "of something else"'}


def add_versions(service) -> None:
    """v9 is v8b under another name, with no change; `again` changes the table that v7 has changed."""
    versions = service.stage.directory / "versions"
    shutil.copytree(versions / "v8b", versions / "v9")
    shutil.rmtree(versions / "v9" / "migrations")
    shutil.copytree(versions / "v7", versions / "again")
    shutil.rmtree(versions / "again" / "migrations")
    (versions / "again" / "migrations").mkdir()
    (versions / "again" / "migrations" / "again.sql").write_text("ALTER TABLE orders ADD COLUMN note text;\n")
    for name in ("v9", "again"):
        (versions / name / "shop" / "NAME").write_text(name)
    service.edits = {**service.edits, **MORE_VERSIONS}
    service.configure()


def raw_fingerprint(shaped) -> str:
    """The schema that the developers' own SQL gives, run as it is on a database of its own."""
    service = shaped.service
    password = (service.stage.directory / "app_password").read_text().strip()
    url = service.stage.admin_url.rsplit("/", 1)[0] + "/raw"
    shaped.do("CREATE DATABASE raw")
    try:
        for role in ROLES:
            prepare(url, role, password)
        with psycopg.connect(url, autocommit=True) as connection:
            for version in ("v7", "v8"):
                change = service.stage.directory / f"versions/{version}/migrations/{version}.sql"
                connection.execute(change.read_bytes())
            return read_catalog(connection).fingerprint()
    finally:
        shaped.do("DROP DATABASE raw WITH (FORCE)")


def shift_and_come_back(story, release: str) -> None:
    """v8 serves a half until orders on recycled paper are there; then it comes back."""
    story.to(release, "shifted(50)")
    until_s = time.monotonic() + 30
    while not any(
        write.version == "v8" and "recycled" in write.wrapping and write.sent_at > story.began_at
        for write in story.traffic.load.so_far().acknowledged
    ):
        assert time.monotonic() < until_s, "nobody bought recycled paper"
        time.sleep(0.2)
    story.back(release)


def the_faulty_version_comes_back_and_is_abandoned(shaped) -> None:
    """v8 fails some orders by itself; nothing else fails, and v7's shape is as it was."""
    service = shaped.service
    before = shaped.fingerprint()
    with shaped.customers(failed_by="v8") as story:
        release = story.begin("v8")
        shift_and_come_back(story, release)
        (open_one, waiting) = shaped.changes()
        assert (open_one["version"], waiting["stage"]) == ("v8", "old shape hidden")
        assert open_one["no_counterpart"].get(NOTED, 0) >= 1, open_one
        told = service.crossfade("abandon")
        assert told.code == 0, told.err
        assert story.to(release, "abandoned").outcome == "abandoned"
        story.watch.give_up("wrapping", time.time())
        time.sleep(1)
    assert shaped.partial["order_lines.wrapping"] >= 1
    assert shaped.fingerprint() == before
    (undone,) = [row for row in shaped.results(release) if row.data["act"] == "undo change"]
    assert 'rows of "public"."order_lines"' in str(undone.data["detail"])
    assert [change["version"] for change in shaped.changes()] == ["v7"]


def the_fixed_version_goes_out_from_the_expanded_schema(shaped) -> None:
    """Meanwhile v7's old shape waits: a change of another table completes, one of the same table is refused."""
    service = shaped.service
    with shaped.customers(failed_by="v8") as story:
        release = story.begin("v8")
        shift_and_come_back(story, release)
        shown = service.crossfade("plan", "v8b")
        assert "expand the schema" not in shown.out, shown.out + shown.err
        release = story.begin("v8b")
        done = story.ended(release)
        assert (done.outcome, done.position) == ("completed", "detached")
        time.sleep(1.5)
        listed = shaped.changes()
        assert [(one["version"], one["stage"]) for one in listed] == [
            ("v7", "old shape hidden"),
            ("v8b", "old shape hidden"),  # it has taken the change over from v8
        ]
        assert listed[1]["no_counterpart"][NOTED] >= 1
    refused = service.crossfade("release", "again")
    assert refused.code == 5
    assert refused.err.startswith(
        "error[change-queued]: again changes public.orders, where the old shape of an earlier change still waits"
    )


def purge_is_refused_and_then_done(shaped) -> None:
    """Too early, unproven, unarchived: each by itself; then both old shapes go, and their data is in the attic."""
    service = shaped.service
    edits = service.EASY
    for more, error in ((SOAK, "purge-too-early"), ({}, "purge-unproven")):
        service.configure(edits={**edits, **more})
        refused = service.crossfade("schema", "purge")
        assert (refused.code, refused.err.split("]")[0]) == (1, f"error[{error}"), refused.err
    drilled = service.crossfade("drill", timeout_s=180)
    assert drilled.code == 0, drilled.err
    service.configure(edits={**edits, **NO_WAIVER})
    refused = service.crossfade("schema", "purge")
    assert (refused.code, refused.err.split("]")[0]) == (1, "error[purge-unarchived"), refused.err
    service.configure()
    orders = shaped.ask("SELECT count(*) FROM orders")[0][0]
    with shaped.customers(20):
        for _ in range(2):
            purged = service.crossfade("schema", "purge", timeout_s=120)
            assert purged.code == 0, purged.err
            assert "waived by the demo" in purged.err
    assert shaped.changes() == []
    said = service.crossfade("status").out
    assert "completed  purged" in said
    assert "share wanted" not in said, "the fader has nothing to do with it"
    # The reference and the gift are told by what stays; the channel is not, and is kept for each order.
    kept = {name: rows for name, rows in shaped.attic().items() if "_purge_" in name}
    assert len(kept) == 1, kept
    assert min(kept.values()) >= orders, kept
    assert shaped.fingerprint() == raw_fingerprint(shaped)


@pytest.mark.timeout(1200)
def test_a_second_change_while_the_first_waits_for_its_purge(own_shaped) -> None:
    shaped, service = own_shaped, own_shaped.service
    add_versions(service)
    with shaped.customers() as story:
        assert story.ended(story.begin("v7")).outcome == "completed"
    the_faulty_version_comes_back_and_is_abandoned(shaped)
    the_fixed_version_goes_out_from_the_expanded_schema(shaped)
    purge_is_refused_and_then_done(shaped)
    with shaped.customers() as story:
        assert story.ended(story.begin("v9")).outcome == "completed"
    assert service.serving() == "v9"
