"""A walker killed at any moment: whatever it was told is durable is there, whatever it was not is not half there."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

WRITER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("parts", sys.argv[1])
parts = importlib.util.module_from_spec(spec)
sys.modules["parts"] = parts
spec.loader.exec_module(parts)
from crossfade.model.ports import RowKind
one = parts.Walker(pathlib.Path(sys.argv[2]), sys.stdin.readline().strip(), "writer").lead()
print("leads", flush=True)
for n in range(10000):
    write = one.journal.append_local if n % 5 == 4 else one.journal.append
    print(write("r1", RowKind.EVENT, {"n": n}, {"padding": "x" * 500}).seq, flush=True)
    if n % 7 == 6:
        one.journal.copy_up()
"""


@pytest.mark.parametrize("seed", range(4))
def test_what_was_told_is_there_and_both_records_agree(walker, home, tmp_path, seed) -> None:
    draw = random.Random(seed)
    told: set[int] = set()
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(Path(__file__).with_name("conftest.py")), str(tmp_path / "state")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        print(home.admin_url, file=writer.stdin, flush=True)
        assert writer.stdout.readline() == "leads\n"
        time.sleep(draw.uniform(0.02, 0.4))
        writer.kill()
        lines, _ = writer.communicate()
        whole = lines.splitlines() if lines.endswith("\n") else lines.splitlines()[:-1]
        told |= {int(line) for line in whole}
        after = walker(holder="writer").lead()
        rows = {row.seq for row in after.journal.rows()}
        assert told <= rows, "told, yet lost"
        assert len(rows - told) <= 3, "at most one row for each kill was durable before it could be told"
        after.journal.copy_up()
        assert after.journal.settled()
        stored = home.ask("SELECT seq, (state->>'n')::int FROM crossfade.journal WHERE NOT void ORDER BY seq")
        assert stored == [(row.seq, row.state["n"]) for row in after.journal.rows()]
    assert len(told) > 3
