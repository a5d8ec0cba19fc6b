"""Copies, restores and failovers of the journal's database, on real servers."""

from __future__ import annotations

import shutil
import subprocess
import threading

import psycopg
import pytest

from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.ports import RowKind

STATE = {"position": "shifted"}


def refused(one) -> CrossfadeError:
    with pytest.raises(CrossfadeError) as caught:
        one.journal.bind()
    assert caught.value.id == "journal-foreign"
    assert caught.value.exit == Exit.HELD_BY_OTHER
    return caught.value


def with_rows(one, count=2):
    one.lead()
    for _ in range(count):
        one.journal.append("r1", RowKind.EVENT, STATE, {})
    return one


def dump_into(source: str, cluster, database: str) -> str:
    target = cluster.admin_url().rsplit("/", 1)[0] + f"/{database}"
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{database}"')
    programs = cluster.programs.bin_dir
    dump = subprocess.run([programs / "pg_dump", "-O", "-d", source], capture_output=True, text=True, check=True)
    psql = shutil.which("psql") or str(programs / "psql")
    subprocess.run([psql, "-q", "-d", target], input=dump.stdout, capture_output=True, text=True, check=True)
    return target


def test_fresh_then_bound(walker) -> None:
    assert walker().journal.bind().outcome == "fresh"
    assert walker().journal.bind().outcome == "bound"
    assert with_rows(walker()).journal.bind().outcome == "bound"


def test_two_first_starts_at_once_bind_to_one_installation(walker, home) -> None:
    rivals = [walker() for _ in range(4)]
    gate = threading.Barrier(len(rivals))
    outcomes = []

    def start(one) -> None:
        gate.wait()
        outcomes.append(str(one.journal.bind().outcome))

    threads = [threading.Thread(target=start, args=(one,)) for one in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"fresh", "bound"}
    assert len(outcomes) == 4
    installations = {one.spool.identity.installation for one in rivals}
    assert home.ask("SELECT installation FROM crossfade.binding") == [(installations.pop(),)]
    assert not installations


def test_a_dumped_copy_in_another_cluster_is_refused(walker, home, new_cluster, tmp_path) -> None:
    original = with_rows(walker())
    database = original.spool.identity.database
    copy = dump_into(home.super_url, new_cluster("dumped"), database)
    with_own_spool = refused(walker(admin_url=copy))
    assert with_own_spool.facts["reason"] == "another system identifier"
    refused(walker(admin_url=copy, state=tmp_path / "other"))
    assert original.journal.bind().outcome == "bound"


def test_a_dumped_copy_in_the_same_cluster_is_refused(walker, home, cluster, tmp_path) -> None:
    with_rows(walker())
    copy = dump_into(home.super_url, cluster, home.admin_url.rsplit("/", 1)[1] + "_copy")
    assert refused(walker(admin_url=copy)).facts["reason"] == "another database"
    refused(walker(admin_url=copy, state=tmp_path / "other"))


def test_another_environment_and_another_installation_are_refused(walker, tmp_path) -> None:
    with_rows(walker())
    assert refused(walker(environment="staging")).facts["reason"] == "another environment"
    error = refused(walker(state=tmp_path / "other"))
    assert error.facts["reason"] == "the database has a journal, the state directory has none"


def test_two_copies_of_one_state_directory_cannot_both_go_on(walker, tmp_path) -> None:
    one = with_rows(walker())
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    one.journal.append("r1", RowKind.EVENT, STATE, {})
    assert refused(walker(state=tmp_path / "copy")).facts["reason"] == ("the database holds rows that the spool lacks")


def test_a_database_restored_from_an_older_backup_is_behind_until_adopted(walker, home) -> None:
    one = with_rows(walker(), 3)
    home.ask("DELETE FROM crossfade.journal WHERE seq > 1")
    again = walker(holder=one.holder)
    finding = again.journal.bind()
    assert (finding.outcome, finding.found, finding.expected) == ("behind", "last row 1", "row 3")
    with pytest.raises(CrossfadeError) as caught:
        again.lease.acquire()
    assert (caught.value.id, caught.value.exit) == ("journal-behind", Exit.INCONCLUSIVE)
    back = again.journal.append_local("r1", RowKind.RESULT, {"fader": "old"}, {})
    note = again.journal.adopt("ada")
    assert note.kind == RowKind.NOTE
    assert note.state == {"fader": "old"}
    assert note.data == {
        "adopted": {
            "reason": "the database lacks the last row it was known to hold",
            "found": "last row 1",
            "expected": "row 3",
        },
        "by": "ada",
    }
    assert again.journal.bind().outcome == "bound"
    again.lease.acquire()
    again.journal.copy_up()
    assert again.journal.settled()
    assert [row.seq for row in again.journal.rows()] == [1, 2, 3, back.seq, note.seq]
    assert home.ask("SELECT count(*), max(seq) FROM crossfade.journal") == [(5, 5)]
    again.journal.append("r1", RowKind.EVENT, STATE, {})


def test_a_database_whose_journal_was_dropped_is_behind_until_adopted(walker, home) -> None:
    one = with_rows(walker())
    home.ask("DROP SCHEMA crossfade CASCADE")
    again = walker()
    assert again.journal.bind().outcome == "behind"
    with pytest.raises(CrossfadeError):
        again.lease.acquire()
    again.journal.adopt("ada")
    again.lease.acquire()
    again.journal.copy_up()
    assert again.journal.settled()
    assert again.journal.bind().outcome == "bound"
    one.close()


def test_a_promoted_standby_is_behind_and_noticed_in_mid_release(walker, new_cluster, tmp_path) -> None:
    primary = new_cluster("primary", wal_level="replica", max_wal_senders="4")
    one = with_rows(walker(admin_url=primary.admin_url(), state=tmp_path / "failover"))
    standby = new_cluster("standby", create=False)
    _base_backup(primary, standby)
    standby.start(one.lock._clock)
    refused_as_standby = walker(admin_url=standby.admin_url(), state=tmp_path / "failover")
    with pytest.raises(CrossfadeError) as caught:
        refused_as_standby.journal.bind()
    assert str(caught.value.facts["detail"]).startswith("it is a standby: read only until it is promoted")
    _wait_for_replay(primary, standby)
    primary.stop()
    with psycopg.connect(standby.admin_url(), autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")
    one.journal._link._admin_url = standby.admin_url()  # the address now leads to the promoted standby
    one.journal._unbound_link._admin_url = standby.admin_url()
    one.lease._link._admin_url = standby.admin_url()
    with pytest.raises(CrossfadeError) as caught:
        one.journal.append("r1", RowKind.INTENT, STATE, {})
    assert caught.value.id == "journal-behind"
    assert (caught.value.facts["found"], caught.value.facts["expected"]) == ("timeline 2", "timeline 1")
    assert one.lease.leading()
    assert not one.lease.renew(), "the lease's row is there as well, and nobody has accepted where"
    assert not one.lease.leading()
    with pytest.raises(CrossfadeError) as caught:
        one.lease.acquire()
    assert caught.value.id == "journal-behind"
    physical_copy = refused(walker(admin_url=standby.admin_url(), state=tmp_path / "other"))
    assert physical_copy.facts["reason"] == "the database has a journal, the state directory has none"
    one.journal.append_local("r1", RowKind.RESULT, {"fader": "old"}, {})
    one.journal.adopt("on_failover = continue")
    assert one.journal.bind().outcome == "bound"
    one.lease.acquire()
    assert one.journal.append("r1", RowKind.EVENT, STATE, {}).seq == 5
    one.journal.copy_up()
    assert one.journal.settled()


def _base_backup(primary, standby) -> None:
    run_as = primary.run_as()
    home = standby.directory
    for name in ("password", "crossfade.conf"):
        (home / name).write_text((primary.directory / name).read_text().replace(str(primary.port), str(standby.port)))
    (home / "crossfade.conf").chmod(0o644)
    (home / "server.log").touch()
    data = home / "data"
    data.mkdir(mode=0o700)
    for path in (home / "server.log", data):
        run_as.give(path)
    subprocess.run(
        run_as.argv(
            home,
            [
                str(primary.programs.bin_dir / "pg_basebackup"),
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "-D",
                str(data),
                "-d",
                primary.admin_url(),
            ],
        ),
        check=True,
        capture_output=True,
    )


def _wait_for_replay(primary, standby) -> None:
    with psycopg.connect(primary.admin_url()) as one, psycopg.connect(standby.admin_url(), autocommit=True) as two:
        lsn = one.execute("SELECT pg_current_wal_lsn()").fetchone()[0]
        while not two.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [lsn]).fetchone()[0]:
            pass
