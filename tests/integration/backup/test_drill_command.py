"""What a person reads of a drill, and what a script gets."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from crossfade.cli import main as cli
from crossfade.demo.service.build import materialize
from crossfade.journal.spool import Spool
from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.ports import Row, RowKind
from crossfade.model.walker import Phase, State
from crossfade.walk import scratch_cluster
from crossfade.walk.begin import make_plan
from crossfade.walk.loop import plan_release
from crossfade.walk.scratch_cluster import scratch_programs

from .conftest import Shop


@dataclass
class Told:
    """What a command left behind."""

    code: object
    out: str
    err: str


class SpoolOnly:
    """A journal whose database is out of reach: rows go to the spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def append(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        return self._spool.append(release, 1, kind, state, data, local=True)


@pytest.fixture
def crossfade(shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """The command in the shop's folder, as a shell runs it."""
    shop.site()
    (shop.home / "state/spool.jsonl").unlink(missing_ok=True)
    for version in ("v1", "v2"):
        materialize(version, shop.home / version)
    monkeypatch.chdir(shop.home)

    def run(*arguments: str) -> Told:
        monkeypatch.setattr(sys, "argv", ["crossfade", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Told(ended.value.code, captured.out, captured.err)

    return run


def serves(shop: Shop, version: str) -> None:
    """A release of that version completed."""
    site = shop.site()
    spool = Spool(site.state_dir / "spool.jsonl", site.clock)
    plan = make_plan(site, spool, version)
    plan_release(SpoolOnly(spool), "20260101-001640-ab12", plan.path, plan.data)  # type: ignore[arg-type]
    state = State(Phase.COMPLETED, len(plan.path.steps)).to_json()
    spool.append("20260101-001640-ab12", 1, RowKind.EVENT, state, {}, local=True)
    spool.close()


def error_of(told: Told) -> str:
    """The error in what it said, without the steps before it."""
    return told.err[told.err.index("error[") :]


def test_a_restored_database_is_told_with_its_times(shop: Shop, crossfade: Callable[..., Told]) -> None:
    serves(shop, "v2")
    told = crossfade("drill")
    assert told.code == Exit.DONE
    assert re.fullmatch(
        r"restored: shop, \d+ tables with \d+ rows, all the same; v2 served from the copy\n"
        r"  dump [\d.]+ s, restore [\d.]+ s, compare [\d.]+ s, boot [\d.]+ s, smoke [\d.]+ s\n",
        told.out,
    )
    assert "restore\n" in told.err
    ready = json.loads(crossfade("ready", "--output", "json").out)
    restore = next(line for line in ready["lines"] if line["question"] == "was the backup restored?")
    assert restore["standing"] == "proven"
    data = json.loads(crossfade("drill", "--output", "json").out)
    assert (data["verdict"], data["version"], data["problems"]) == ("restored", "v2", [])


def test_nothing_to_serve_from_the_copy(shop: Shop, crossfade: Callable[..., Told]) -> None:
    told = crossfade("drill")
    record = max((shop.home / "state/proofs").glob("restore-*.json"))
    assert error_of(told) == (
        "error[restore-not-verified]: the restore of shop could not be verified\n"
        "  no version serves here yet; the copy was compared, and nothing was started on it\n"
        f"  record: {record}\n"
        "hint: mend what the first line says, then once more: crossfade drill\n"
    )
    assert told.code == Exit.INCONCLUSIVE
    assert crossfade("drill", "--output", "json").code == Exit.INCONCLUSIVE


def test_a_restore_that_failed(shop: Shop, crossfade: Callable[..., Told]) -> None:
    serves(shop, "v2")
    (shop.home / "v2/app.py").write_text("raise SystemExit('a library is missing')")
    told = crossfade("drill")
    record = max((shop.home / "state/proofs").glob("restore-*.json"))
    assert error_of(told) == (
        "error[restore-failed]: shop was not restored as it is\n"
        "  v2 did not start on the copy: it ended by itself\n"
        "  a library is missing\n"
        f"  record: {record}\n"
        "hint: mend what the first line says, then once more: crossfade drill\n"
    )
    assert told.code == Exit.NOT_MET
    ready = json.loads(crossfade("ready", "--output", "json").out)
    restore = next(line for line in ready["lines"] if line["question"] == "was the backup restored?")
    assert restore["standing"] == "refused", "the newest counts, also where it failed"


def test_no_programs_of_the_databases_version() -> None:
    with pytest.raises(CrossfadeError) as caught:
        scratch_programs("/nowhere", 15, "the restore")
    assert caught.value.render() == (
        "error[scratch-programs-missing]: the restore was not tried: no programs of PostgreSQL 15 fit\n"
        "  PostgreSQL cannot be run from /nowhere\n"
        "  reason: there is no postgres\n"
        "hint: install PostgreSQL 15 on this machine, or name its bin directory: [schema] postgres_bin = ..."
    )
    assert caught.value.exit is Exit.INCONCLUSIVE


def test_a_place_that_others_hold_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path
    monkeypatch.setattr(scratch_cluster.tempfile, "gettempdir", lambda: str(home))
    monkeypatch.setattr(scratch_cluster.os, "geteuid", lambda: 0)
    state = home / "state"
    (state / "scratch").mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    place = scratch_cluster._server_place(state)
    place.chmod(0o777)
    with pytest.raises(CrossfadeError) as caught:
        scratch_cluster._server_place(state)
    assert caught.value.render() == (
        f"error[scratch-place-taken]: no scratch server can be made: {place} is not a directory of root alone\n"
        "  for root the server runs as another user, and the state directory is closed to others\n"
        f"hint: remove {place}, or run crossfade as an ordinary user"
    )
    assert caught.value.exit is Exit.INCONCLUSIVE
