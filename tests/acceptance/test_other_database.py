"""A copy of the database acts on nothing; a failover in mid-release holds until a person accepts it."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess

import psycopg
import pytest

from crossfade.embedded.cluster import Cluster


@pytest.fixture
def copied_url(service, own_directory):
    """The journal, dumped and restored into another cluster."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    original = service.stage.cluster
    copy = Cluster(own_directory / "copy", port, original.programs)
    copy.create({"fsync": "off"}, lambda: secrets.token_hex(16))
    copy.start(service.stage.clock)
    try:
        programs = original.programs.bin_dir
        dumped = subprocess.run(
            [programs / "pg_dump", "--schema=crossfade", "--no-owner", original.admin_url()],
            capture_output=True,
            check=True,
        )
        subprocess.run(
            [programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", copy.admin_url()],
            input=dumped.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        yield copy.admin_url()
    finally:
        copy.stop()


def elsewhere(service, directory, admin_url, state_dir):
    """The configuration as somebody has it who restored the backup: another database, this state directory."""
    directory.mkdir(exist_ok=True)
    (directory / "admin_url").write_text(admin_url)
    (directory / "admin_url").chmod(0o600)
    text = service.stage.config_file.read_text()
    text = text.replace(str(service.stage.directory / "admin_url"), str(directory / "admin_url"))
    text = text.replace('state_dir = "state"', f'state_dir = "{state_dir}"')
    text = text.replace('"versions/', f'"{service.stage.directory}/versions/')
    (directory / "crossfade.toml").write_text(text)
    return str(directory / "crossfade.toml")


@pytest.mark.parametrize("state", ["its own state directory", "the same state directory"])
def test_a_copy_of_the_database_does_not_touch_the_proxy(service, own_directory, copied_url, state) -> None:
    old, new = service.pair()
    own = own_directory / "other-state"
    state_dir = own if state.startswith("its own") else service.state_dir
    file = elsewhere(service, own_directory / "elsewhere", copied_url, state_dir)
    before, rows = service.proxy(), len(service.rows())
    told = [
        service.crossfade("controller", config=file),
        service.crossfade("controller", "--no-wait", config=file),
    ]
    if state_dir == own:
        told.append(service.crossfade("release", "v1", "--detach", config=file))
    for one in told:
        assert one.code == 5, one.err
        said = "error[journal-foreign]: the journal in this database is not the one of service 'shop' here"
        assert said in one.err
    after = service.proxy()
    assert (after.fader, after.members, after.started_at) == (before.fader, before.members, before.started_at)
    assert not (own / "supervisor").exists(), "nothing was started beside it"
    assert len(service.rows()) == rows
    with psycopg.connect(copied_url) as copy:
        held = copy.execute("SELECT count(*), max(epoch) FROM crossfade.journal").fetchone()
        assert held == (rows, max(row.epoch for row in service.rows()))
    assert service.crossfade("plan", new).code == 0
    assert service.serving() == old


def fail_over(service) -> None:
    """What a promotion leaves: the same cluster, on the next timeline."""
    cluster = service.stage.cluster
    service.supervisord.stop_part("postgres")
    auto = cluster.data / "postgresql.auto.conf"
    with auto.open("a") as conf:
        conf.write("restore_command = '/bin/false'\n")
    signal_file = cluster.data / "recovery.signal"
    shutil.copy2(auto, signal_file)
    signal_file.write_text("")
    owner = auto.stat()
    shutil.chown(signal_file, owner.st_uid, owner.st_gid)
    service.supervisord.start_part("postgres")
    cluster.wait_ready(60, service.stage.clock)


def test_a_failover_in_mid_release_holds_until_a_person_accepts_it(service, eventually) -> None:
    _, new = service.pair()
    pid = service.controller()
    release = service.begin(new)
    service.until(release, "shifted(50)")
    try:
        fail_over(service)
        service.answering()
        with service.customers() as traffic:  # with them comes the verdict that would go on
            eventually(lambda: "another timeline" in service.status().journal, 60, lambda: service.status())
            status = service.status()
            assert status.position == "shifted(50)"
            assert not status.leading
            assert "crossfade resume --adopt accepts it" in status.why
            assert service.proxy().fader.new_share_bp == 5000
            assert service.controller() == pid, "it holds; it does not die"
            told = service.crossfade("resume", "--adopt")
            assert (told.code, told.out) == (0, "the database is this service's journal from here on\n")
            assert service.ended(release).outcome == "completed"
        assert list(traffic.ledger.failures) == []
    finally:
        with psycopg.connect(service.stage.admin_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM RESET restore_command")
    notes = [row.data for row in service.rows(release) if row.kind == "note"]
    assert [note["adopted"]["reason"] for note in notes] == [
        "the database is on another timeline: a failover or a restore"
    ]
