"""The journal on a real PostgreSQL: what is durable, what never happened, and how long it may take."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import nullcontext

import psycopg
import pytest

from crossfade.journal.postgres import PostgresJournal
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.ports import RowKind

INTENT, RESULT, EVENT = RowKind.INTENT, RowKind.RESULT, RowKind.EVENT
STATE = {"position": "shifted", "share_bp": 500}


def held(home, void=False):
    return [r[0] for r in home.ask("SELECT seq FROM crossfade.journal WHERE void = %s ORDER BY seq", void)]


def test_a_row_is_in_the_spool_and_in_the_database(walker, home) -> None:
    one = walker().lead()
    row = one.journal.append("r1", INTENT, STATE, {"tail": "bad \0 byte \ud800", "list": [1, 2.5, None]})
    assert (row.seq, row.epoch) == (1, 1)
    assert row.data["tail"] == "bad \ufffd byte \ufffd"
    stored = home.ask("SELECT seq, at, release, epoch, kind, state, data, void FROM crossfade.journal")
    assert stored == [(1, row.at, "r1", 1, "intent", dict(row.state), dict(row.data), False)]
    assert walker().journal.rows() == [row], "a new process reads the same row from the spool"


def test_an_ordinary_role_is_enough_and_what_it_needs_is_read(walker, home) -> None:
    one = walker().lead()
    assert home.ask(
        "SELECT rolsuper FROM pg_roles WHERE rolname = %s",
        psycopg.conninfo.conninfo_to_dict(home.admin_url)["user"],
    ) == [(False,)]
    identity = one.spool.identity
    assert (identity.timeline, identity.environment) == (1, "production")
    assert [(identity.system_identifier,)] == home.ask("SELECT system_identifier::text FROM pg_control_system()")


def test_a_server_that_hides_its_identity_is_still_bound(walker, home) -> None:
    for function in ("pg_control_system()", "pg_walfile_name(pg_lsn)"):
        home.ask(f"REVOKE EXECUTE ON FUNCTION {function} FROM public")
    assert walker().journal.bind().outcome == "fresh"
    assert walker().journal.bind().outcome == "bound"
    assert walker().spool.identity.system_identifier is None


def test_the_connection_names_itself_and_is_never_idle_in_a_transaction(walker, home) -> None:
    one = walker().lead()
    one.journal.append("r1", INTENT, STATE, {})
    found = home.ask(
        "SELECT application_name, state FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
    )
    assert set(found) == {("crossfade walker", "idle")}


def test_a_stale_epoch_stores_nothing_even_where_the_local_checks_are_passed(walker, home) -> None:
    stale = walker(holder="stale").lead()
    blind = PostgresJournal(
        home.admin_url,
        stale.spool,
        "shop",
        stale.lock._clock,
        lambda: 1,
        environment="production",
        guard=lambda _: nullcontext(),
        leading=lambda: True,
        new_installation=lambda: "x",
    )
    kept = blind.append("r1", EVENT, STATE, {})
    home.ask("UPDATE crossfade.lease SET expires_at = now() - interval '1 s'")
    new = walker(holder="new").lead()
    with pytest.raises(CrossfadeError) as caught:
        blind.append("r1", INTENT, STATE, {})
    blind.close()
    assert caught.value.id == "lease-lost"
    assert held(home) == [1]
    assert new.journal.rows() == [kept]
    after = new.journal.append("r1", EVENT, STATE, {})
    assert (after.seq, new.journal.rows()) == (3, [kept, after])
    assert not new.journal.settled()
    new.journal.copy_up()
    assert new.journal.settled()
    assert (held(home), held(home, void=True)) == ([1, 3], [2]), "the refused attempt is kept as void"


def test_a_stale_walker_writes_nothing_once_a_new_leader_has_acted(walker, home) -> None:
    stale = walker(holder="stale").lead()
    stale.journal.append("r1", EVENT, STATE, {})
    home.ask("UPDATE crossfade.lease SET expires_at = now() - interval '1 s'")
    new = walker(holder="new").lead()
    new.journal.append("r1", EVENT, STATE, {})
    assert stale.lease.leading(), "its own clock says that it leads"
    for write in (stale.journal.append, stale.journal.append_local):
        with pytest.raises(CrossfadeError) as caught:
            write("r1", INTENT, STATE, {})
        assert (caught.value.id, caught.value.exit) == ("lease-lost", Exit.HELD_BY_OTHER)
    assert (stale.spool.last_seq, held(home)) == (2, [1, 2])


def test_a_stopped_database_ends_append_in_time_and_copy_up_heals(walker, new_cluster, tmp_path) -> None:
    own = new_cluster("stopped")
    one = walker(admin_url=own.admin_url(), state=tmp_path / "own").lead()
    first = one.journal.append("r1", INTENT, STATE, {})
    own.stop()
    with pytest.raises(CrossfadeError) as caught:
        one.journal.append("r1", RESULT, STATE, {})
    assert (caught.value.id, caught.value.exit) == ("journal-unreachable", Exit.UNREACHABLE)
    assert own.admin_url().split(":")[2].split("@")[0] not in caught.value.render(), "no password is shown"
    assert not one.lease.renew()
    back = one.journal.append_local("r1", RESULT, {"fader": "old"}, {})
    assert one.journal.rows() == [first, back]
    own.start(one.lock._clock)
    assert one.lease.renew()
    assert not one.journal.settled()
    one.journal.copy_up()
    one.journal.copy_up()
    assert one.journal.settled()
    with psycopg.connect(own.admin_url()) as connection:
        assert connection.execute("SELECT seq, state FROM crossfade.journal ORDER BY 1").fetchall() == [
            (1, dict(first.state)),
            (2, {"fader": "old"}),
        ]
    assert one.journal.append("r1", EVENT, STATE, {}).seq == 3


def test_a_hanging_database_ends_append_in_time_and_never_holds_up_the_fader_to_old(walker, home) -> None:
    one = walker().lead()
    first = one.journal.append("r1", EVENT, STATE, {})
    backend = home.ask(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'crossfade walker' "
        "AND datname = current_database() AND query LIKE '%%put AS%%'"
    )[0][0]
    failed: list[CrossfadeError] = []

    def append() -> None:
        try:
            one.journal.append("r1", INTENT, STATE, {})
        except CrossfadeError as error:
            failed.append(error)

    os.kill(backend, signal.SIGSTOP)
    try:
        waiting = threading.Thread(target=append)
        waiting.start()
        time.sleep(0.2)
        back = one.journal.append_local("r1", RESULT, {"fader": "old"}, {})
        assert waiting.is_alive(), "the append still waits, the fader to old did not"
        waiting.join(30)
        assert not waiting.is_alive(), "it ended although the server never answered"
    finally:
        os.kill(backend, signal.SIGCONT)
    assert failed[0].id == "journal-unreachable"
    assert one.journal.rows() == [first, back]


def test_a_server_that_accepts_and_never_speaks_ends_append_in_time(walker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        one = walker(admin_url=f"postgresql://shop@127.0.0.1:{mute.getsockname()[1]}/shop")
        with pytest.raises(CrossfadeError) as caught:
            one.journal.bind()
        assert caught.value.id == "journal-unreachable"


def test_an_intent_overtaken_by_the_fader_to_old_never_happened(walker, home) -> None:
    one = walker().lead()
    with psycopg.connect(home.super_url) as blocker:
        blocker.execute("SELECT * FROM crossfade.lease FOR UPDATE")
        failed: list[CrossfadeError] = []

        def append() -> None:
            try:
                one.journal.append("r1", INTENT, STATE, {})
            except CrossfadeError as error:
                failed.append(error)

        waiting = threading.Thread(target=append)
        waiting.start()
        while one.spool.last_seq == 0:
            time.sleep(0.01)
        back = one.journal.append_local("r1", RESULT, {"fader": "old"}, {})
    waiting.join(10)
    assert failed[0].id == "journal-overtaken"
    assert one.journal.rows() == [back]
    assert held(home) == [1], "the database took it before it was known to be overtaken"
    one.journal.copy_up()
    assert (held(home), held(home, void=True)) == ([2], [1])


def test_what_a_killed_append_left_behind_never_happened(walker, home) -> None:
    one = walker().lead()
    first = one.journal.append("r1", EVENT, STATE, {})
    one.spool.append("r1", 1, INTENT, STATE, {}, local=False)  # killed before the database was told
    again = walker(holder=one.holder).lead()
    assert again.journal.rows() == [first]
    assert again.journal.append("r1", EVENT, STATE, {}).seq == 3
    again.journal.copy_up()
    assert (held(home), held(home, void=True)) == ([1, 3], [2])


def test_a_row_that_was_edited_in_the_database_is_a_conflict(walker, home) -> None:
    one = walker().lead()
    one.journal.append_local("r1", EVENT, STATE, {})
    home.ask("INSERT INTO crossfade.journal VALUES ('shop', 1, now(), 'r9', 1, 'event', '{}', '{}', false)")
    with pytest.raises(CrossfadeError) as caught:
        one.journal.copy_up()
    assert (caught.value.id, caught.value.exit) == ("journal-conflict", Exit.HELD_BY_OTHER)


def test_a_lost_connection_is_opened_again_for_the_next_row(walker, home) -> None:
    one = walker().lead()
    one.journal.append("r1", EVENT, STATE, {})
    home.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
    )
    assert one.journal.append("r1", EVENT, STATE, {}).seq == 2
    assert one.lease.renew()


def test_a_full_server_is_unreachable_for_an_ordinary_role_and_open_to_a_privileged_one(
    walker, home, cluster, tmp_path
) -> None:
    crowd = []
    try:
        while True:
            try:
                crowd.append(psycopg.connect(home.admin_url))
            except psycopg.OperationalError:
                break
        with pytest.raises(CrossfadeError) as caught:
            walker().journal.bind()
        assert caught.value.id == "journal-unreachable"
        privileged = walker(admin_url=home.super_url, state=tmp_path / "privileged").lead()
        assert privileged.journal.append("r1", EVENT, STATE, {}).seq == 1
    finally:
        for connection in crowd:
            connection.close()


def test_a_walker_that_is_connected_goes_on_when_the_server_is_full(walker, home) -> None:
    one = walker().lead()
    one.journal.append("r1", EVENT, STATE, {})
    crowd = []
    try:
        while len(crowd) < 100:
            try:
                crowd.append(psycopg.connect(home.admin_url))
            except psycopg.OperationalError:
                break
        assert one.journal.bind().outcome == "bound"
        assert one.lease.renew()
        assert one.journal.append("r1", EVENT, STATE, {}).seq == 2
    finally:
        for connection in crowd:
            connection.close()


def test_a_password_in_a_broken_address_is_not_shown(walker) -> None:
    with pytest.raises(CrossfadeError) as caught:
        walker(admin_url="postgresql://shop:pa/ss:word@db/shop").journal.bind()
    assert caught.value.render() == (
        "error[journal-unreachable]: the journal's database cannot be used; nothing was done that would need it\n"
        "  database: admin_url\n"
        "  cause:    admin_url is not a PostgreSQL address (it was asked to say whose it is)\n"
        "hint: traffic can go back without the database: crossfade rollback; to find the cause: crossfade doctor"
    )
