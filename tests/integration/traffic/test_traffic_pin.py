"""A request of the release reaches the slot it names, and nobody else can name one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossfade.model.ports import FULL_BP, Slot

SECRET = "b0tAHm.x9-secret-of-the-release"


def test_the_pin_is_honoured_at_any_share_and_marked(town: Any) -> None:
    town.lanes()
    collector = town.collector()
    for share_bp in (0, 5000, FULL_BP):
        town.fade(Slot.LEFT, share_bp, pin=SECRET)
        assert town.get(x_crossfade_pin=f"{SECRET}:right").text == "right1"
        assert town.get(x_crossfade_pin=f"{SECRET}:left").text == "left1"
    records = town.records(collector, 6)
    assert [r.pinned for r in records] == [True] * 6
    assert [r.served for r in records] == [Slot.RIGHT, Slot.LEFT] * 3


@pytest.mark.parametrize(
    "value",
    [
        f"{SECRET}x:right",
        f"{SECRET[:-1]}:right",
        f"{SECRET}:middle",
        f"{SECRET}:",
        f"{SECRET}",
        ":right",
        "-:right",
        "",
        f"right:{SECRET}",
    ],
)
def test_a_forged_pin_is_a_request_like_any_other(town: Any, value: str) -> None:
    town.lanes()
    collector = town.collector()
    town.fade(Slot.LEFT, 0, pin=SECRET)
    assert town.get(x_crossfade_pin=value).text == "left1"
    assert not town.records(collector, 1)[0].pinned


@pytest.mark.parametrize("pin", ["", SECRET], ids=["no pin set", "pin set"])
def test_without_the_secret_in_force_nothing_is_pinned_and_the_header_never_arrives(town: Any, pin: str) -> None:
    town.lanes()
    town.fade(Slot.LEFT, 0, pin=pin)
    for value in (f"{SECRET}:left", "-:right", "wrong:right"):
        answer = town.get("/headers", x_crossfade_pin=value)
        headers = json.loads(answer.text)
        assert "x-crossfade-pin" not in headers
        assert headers["x-forwarded-for"] == "127.0.0.1"
    if not pin:
        assert town.get(x_crossfade_pin=f"{SECRET}:right").text == "left1"


def test_a_pinned_request_never_falls_back(town: Any) -> None:
    town.lanes(left=1, right=0)
    collector = town.collector()
    town.fade(Slot.LEFT, 0, pin=SECRET)
    assert town.get(x_crossfade_pin=f"{SECRET}:right").status == 503, "smoke must not be answered by the old lane"
    record = town.records(collector, 1)[0]
    assert (record.assigned, record.served, record.status) == (Slot.RIGHT, None, 503)
