"""The share in force is the share customers get: exact at its ends, within its interval between."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from crossfade.model.ports import FULL_BP, Slot
from crossfade.traffic.haproxy import HaproxyProxy
from crossfade.walk.clock import SystemClock

SIDES = [Slot.LEFT, Slot.RIGHT]


def lanes_of(town: Any, count: int, *, sticky: bool) -> Counter[str]:
    """Which lane answered `count` requests, each of another customer."""
    seen: Counter[str] = Counter()
    for n in range(count):
        answer = town.get("/", unit=f"customer-{n}" if sticky else None)
        assert answer.status == 200
        seen[answer.text.rstrip("0123456789")] += 1
    return seen


@pytest.mark.parametrize("old", SIDES)
@pytest.mark.parametrize("sticky", [False, True], ids=["no cookie", "cookie"])
def test_nobody_strays_at_either_end(town: Any, old: Slot, sticky: bool) -> None:
    town.lanes()
    town.fade(old, 0)
    assert lanes_of(town, 300, sticky=sticky) == {str(old): 300}
    town.fade(old, FULL_BP)
    assert lanes_of(town, 300, sticky=sticky) == {str(old.other): 300}


@pytest.mark.parametrize("old", SIDES)
@pytest.mark.parametrize("sticky", [False, True], ids=["no cookie", "cookie"])
def test_the_measured_share_lies_in_its_interval(town: Any, old: Slot, sticky: bool) -> None:
    town.lanes()
    count = 1500
    for share_bp in (100, 1000, 5000):
        town.fade(old, share_bp)
        new = lanes_of(town, count, sticky=sticky)[str(old.other)]
        assert abs(new - count * share_bp / FULL_BP) <= interval_999(count, share_bp / FULL_BP), share_bp


def interval_999(count: int, share: float) -> float:
    """Half the width of the interval a right share leaves once in a thousand times."""
    return NormalDist().inv_cdf(0.9995) * (count * share * (1 - share)) ** 0.5 + 1.5


@pytest.mark.parametrize("old", SIDES)
def test_a_customer_once_on_the_new_lane_stays_while_its_share_grows(town: Any, old: Slot) -> None:
    town.lanes()
    customers = [f"c{n}" for n in range(120)]
    on_new: set[str] = set()
    for share_bp in (500, 2000, 5000, 9000, FULL_BP):
        town.fade(old, share_bp)
        now = {c for c in customers if town.get("/", unit=c).text.startswith(str(old.other))}
        again = {c for c in customers if town.get("/", fresh=True, x_account=c).text.startswith(str(old.other))}
        assert now == again, "the header names the same unit as the cookie"
        assert on_new <= now
        on_new = now
    assert on_new == set(customers)


def test_another_salt_draws_other_customers(town: Any) -> None:
    town.lanes()
    customers = [f"c{n}" for n in range(200)]
    drawn = []
    for salt in ("first", "second"):
        town.fade(Slot.LEFT, 2000, salt=salt)
        drawn.append({c for c in customers if town.get("/", unit=c).text == "right1"})
    assert drawn[0] != drawn[1]
    assert all(20 <= len(d) <= 65 for d in drawn)


def test_an_empty_cookie_is_no_unit(town: Any) -> None:
    town.lanes()
    town.fade(Slot.LEFT, 5000)
    seen = Counter(town.get("/", unit="").text for _ in range(200))
    assert set(seen) == {"left1", "right1"}, "all who carry an empty cookie would share one draw"


def test_three_releases_in_a_row_without_a_reload(town: Any) -> None:
    town.lanes()
    before = town.facts()
    pid, old = town.proxy.pid(), Slot.LEFT
    for release in range(3):
        for share_bp in (0, 100, 5000, FULL_BP):
            town.fade(old, share_bp, salt=f"release-{release}")
            assert town.get().status == 200
        assert lanes_of(town, 50, sticky=True) == {str(old.other): 50}
        old = old.other
        town.fade(old, 0, salt=f"release-{release}")  # the new slot is the old one of the next release
        assert lanes_of(town, 50, sticky=False) == {str(old): 50}, "who is old changed; where requests go did not"
    assert town.proxy.pid() == pid
    assert town.facts().started_at == before.started_at
    assert old is Slot.RIGHT


def test_a_second_proxy_on_the_same_port_does_not_start(town: Any, tmp_path: Path) -> None:
    town.lanes()
    copied = replace(town.settings, state_dir=tmp_path / "copied")
    argv = HaproxyProxy(copied, SystemClock()).install()
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode != 0
    assert "Address already in use" in ended.stderr
    assert town.get("/").status == 200
