"""`crossfade audit` walks a folder of migrations on a server of its own, and its last line says what came of it.

Given a folder of migrations, when it is audited with the installed command, then each file is told, and the line of
JSON counts them; a whole history of a shop and a forum is walked without a crash, a difference or an unsafe lock.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HISTORY = Path(__file__).parent / "history"
REFUSED = [
    "0027_category_slug_fill.sql",
    "0036_address_city_longer.sql",
    "0056_settings_seed.sql",
    "0057_cents_type.sql",
    "0058_prune_posts.sql",
    "0059_rename_topics.sql",
    "0062_cluster_users.sql",
]


def _audit(folder: Path) -> tuple[int, dict[str, object], str]:
    command = [sys.executable, "-m", "crossfade.cli.main", "audit", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_each_file_of_a_folder_is_told_and_counted(tmp_path: Path) -> None:
    for name, text in {
        "1_shop.sql": "CREATE TABLE orders (id bigint PRIMARY KEY, reference text);",
        "2_code.sql": "ALTER TABLE orders RENAME COLUMN reference TO code;",
        "3_rows.sql": "ALTER TABLE orders ADD COLUMN born date NOT NULL;",
        "4_prune.sql": "-- the old ones\nDELETE FROM orders WHERE born IS NULL;",
    }.items():
        (tmp_path / name).write_text(text)
    code, told, said = _audit(tmp_path)
    assert code == 0, said
    refused = told.pop("refused")
    assert told == {
        "files": 3,
        "planned": 2,
        "raw": 0,
        "crashed": 0,
        "schema_equal": True,
        "differences": [],
        "unsafe_locks": 0,
    }
    assert [(Path(one["file"]).name, one["line"]) for one in refused] == [("4_prune.sql", 2)]
    assert "3_rows.sql: refused by the server: " in said


@pytest.mark.long
def test_a_history_of_many_years_is_walked(tmp_path: Path) -> None:
    code, told, said = _audit(HISTORY)
    assert code == 0, said
    assert (told["files"], told["crashed"], told["unsafe_locks"], told["differences"]) == (64, 0, 0, [])
    assert [Path(one["file"]).name for one in told["refused"]] == REFUSED  # type: ignore[attr-defined]
