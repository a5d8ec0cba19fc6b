"""v6 brings the database to its knees for every version, and all heals when its processes are gone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
import urllib3

from crossfade.demo.load import Load, LoadOptions

SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
BY_V6 = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shop-v6'"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_v6_takes_the_database_from_both_versions_until_it_is_gone(
    start: Any, database: Any, tmp_path: Path, end: str
) -> None:
    old, bad = start("v1"), start("v6")
    assert bad.order("smoke", test=True).status == 201  # a test order reserves nothing
    with psycopg.connect(database.admin_url, autocommit=True) as admin:

        def count(query: str) -> int:
            row = admin.execute(query).fetchone()
            assert row is not None
            return int(row[0])

        assert count(WAITING) == 0
        load_on_bad = Load(LoadOptions(bad.url, rate_per_s=60, users=5), tmp_path / "on-bad")
        load_on_old = Load(LoadOptions(old.url, rate_per_s=30, users=5), tmp_path / "on-old")
        with load_on_old, load_on_bad:
            began = time.monotonic()
            while count(SESSIONS) < 57:  # 60 without the three kept for superusers
                assert time.monotonic() - began < 30
                time.sleep(0.2)
            assert count(WAITING) > 10
            with pytest.raises(psycopg.OperationalError, match=r"connection slots|too many clients"):
                psycopg.connect(database.app_url).close()
            load_on_old.mark("knees")
            load_on_bad.set_rate(0)
            time.sleep(5)
            assert not old.is_ready() or old.order("now").status == 503
            getattr(bad.process, end)()
            bad.process.wait(20)
            began = time.monotonic()
            while count(BY_V6) or count(WAITING):
                assert time.monotonic() - began < 10
                time.sleep(0.1)
            time.sleep(4.5)  # what had begun to wait before has ended, one way or the other
            load_on_old.mark("healed")
            time.sleep(3)
        ledger = load_on_old.stop()
        assert ledger.window("knees", "healed").failed > 10
        assert {sent.status for sent in ledger.window("knees", "healed").failures} >= {503}
        healed = ledger.window("healed")
        assert healed.requests > 50
        assert [(sent.endpoint, sent.error) for sent in healed.failures] == []
        assert ledger.lost_writes(database.admin_url) == []
        assert load_on_bad.stop().lost_writes(database.admin_url) == []
    assert old.is_ready()
    with pytest.raises(urllib3.exceptions.HTTPError):
        bad.ask("GET", "/healthz")
