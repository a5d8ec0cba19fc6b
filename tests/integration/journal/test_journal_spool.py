"""The spool file on a real file system: damage, full disks, stopped writers, several processes."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crossfade.journal import spool as spool_module
from crossfade.journal.spool import Spool
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.ports import RowKind


class Clock:
    monotonic_s = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "state" / "shop.spool"


@pytest.fixture
def new_spool(path):
    made = []

    def make(**given):
        made.append(Spool(path, Clock(), **given))
        return made[-1]

    yield make
    for spool in made:
        spool.close()


def put(spool, release="r1", **data):
    return spool.append(release, 1, RowKind.EVENT, {}, data, local=True)


def test_it_is_private(new_spool, path) -> None:
    new_spool()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_damage_in_the_middle_stops_everything_and_names_the_line(new_spool, path) -> None:
    spool = new_spool()
    for n in range(3):
        put(spool, n=n)
    content = bytearray(path.read_bytes())
    content[content.index(b'"n":1') + 4] = ord("7")
    path.write_bytes(content)
    with pytest.raises(CrossfadeError) as caught:
        Spool(path, Clock())
    assert (caught.value.id, caught.value.facts["line"], caught.value.exit) == ("spool-damaged", 2, Exit.INCONCLUSIVE)


FULL_DISK = """
import importlib.util, pathlib, resource, signal, sys
spec = importlib.util.spec_from_file_location("parts", sys.argv[1])
parts = importlib.util.module_from_spec(spec)
sys.modules["parts"] = parts
spec.loader.exec_module(parts)
from crossfade.journal.spool import Spool
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import RowKind
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(pathlib.Path(sys.argv[2]), parts.RealClock())
spool.append("r1", 1, RowKind.EVENT, {}, {}, local=True)
size = pathlib.Path(sys.argv[2]).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, resource.RLIM_INFINITY))
try:
    spool.append("r1", 1, RowKind.EVENT, {}, {}, local=True)
except CrossfadeError as error:
    print(error.render())
print(len(spool.rows()), pathlib.Path(sys.argv[2]).stat().st_size == size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(spool.append("r1", 1, RowKind.EVENT, {}, {}, local=True).seq)
"""


def test_a_row_that_did_not_fit_leaves_nothing_behind_and_the_next_one_goes_in(path, new_spool) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(Path(__file__).with_name("conftest.py")), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == (
        f"error[spool-unwritable]: the spool {path} cannot be written\n"
        "  the system said: File too large\n"
        "hint: free space or mend its permissions; traffic can go back meanwhile: crossfade rollback\n"
        "1 True\n"
        "2\n"
    )
    assert [row.seq for row in new_spool().rows()] == [1, 2]


def test_a_place_that_cannot_be_made_is_said(tmp_path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(CrossfadeError) as caught:
        Spool(tmp_path / "state" / "shop.spool", Clock())
    assert caught.value.id == "spool-unwritable"


def test_a_stopped_writer_shows_as_busy_and_readers_go_on(new_spool, path, monkeypatch) -> None:
    spool = new_spool()
    put(spool)
    monkeypatch.setattr(spool_module, "LOCK_WAIT_S", 0.05)
    other = os.open(path, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(CrossfadeError) as caught:
        put(spool)
    os.close(other)
    assert (caught.value.id, caught.value.exit) == ("spool-busy", Exit.HELD_BY_OTHER)
    assert len(new_spool().rows()) == 1
    assert put(spool).seq == 2


WRITER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("parts", sys.argv[1])
parts = importlib.util.module_from_spec(spec)
sys.modules["parts"] = parts
spec.loader.exec_module(parts)
from crossfade.journal.spool import Spool
from crossfade.model.ports import RowKind
spool = Spool(pathlib.Path(sys.argv[2]), parts.RealClock())
for n in range(50):
    spool.append(sys.argv[3], 1, RowKind.EVENT, {"n": n}, {"padding": "x" * 3000}, local=True)
"""


def test_two_processes_never_give_a_number_twice_and_a_reader_never_sees_half_a_row(new_spool, path) -> None:
    reader = new_spool(memory_bytes=0)
    conftest = str(Path(__file__).with_name("conftest.py"))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, conftest, str(path), name]) for name in ("r1", "r2")]
    while any(writer.poll() is None for writer in writers):
        seqs = [row.seq for row in reader.rows()]
        assert seqs == list(range(1, len(seqs) + 1))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [row.seq for row in reader.rows()] == list(range(1, 101))
    for release in ("r1", "r2"):
        assert [row.state["n"] for row in reader.rows(release)] == list(range(50))
    assert new_spool().rows() == reader.rows()


def test_memory_of_a_large_spool_is_that_of_the_current_release(new_spool) -> None:
    spool = new_spool(memory_bytes=0)
    for release in ("r1", "r2", "r3"):
        for _ in range(3):
            row = spool.append(release, 1, RowKind.EVENT, {}, {}, local=False)
            spool.confirm(row.seq)
    again = new_spool(memory_bytes=0)
    assert list(again._history.entries) == [7, 8, 9]
    assert [row.seq for row in again.rows("r1")] == [1, 2, 3]
    assert [row.seq for row in again.rows("r3")] == [7, 8, 9]
    assert again.rows("r4") == []
    assert len(again.rows()) == 9
