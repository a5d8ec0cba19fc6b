"""The rendered file: nothing foreign gets in, what a release changes is not in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import Address, Slot
from crossfade.signals.ring_line import FIELDS
from crossfade.traffic.haproxy_config import RECORD_FIELDS, render
from crossfade.traffic.haproxy_settings import HaproxySettings, Route

SETTINGS = HaproxySettings("haproxy", Path("/srv/state"), "127.0.0.1", 8080, 9999, unit_cookie="sid", maxconn=100)


def test_the_proxy_writes_the_fields_the_collector_reads() -> None:
    assert tuple(name for name, _ in RECORD_FIELDS) == FIELDS
    formats = " ".join(text for _, text in RECORD_FIELDS)
    assert "%HU" not in formats, "the query string would be in the record"
    assert "%r " not in formats


@pytest.mark.parametrize(
    "changes",
    [
        {"unit_cookie": "sid\n    bind *:80"},
        {"unit_cookie": "a b"},
        {"unit_header": "x,map(/etc/passwd)"},
        {"health_path": "/x hdr Evil yes"},
        {"health_path": "health"},
        {"host": "0.0.0.0 ssl"},
        {"routes": (Route("/a }", 1),)},
        {"idempotent_methods": ("GET", "get }")},
        {"state_dir": Path("/srv/with space")},
    ],
    ids=str,
)
def test_a_text_that_could_add_a_directive_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(CrossfadeError) as raised:
        render(replace(SETTINGS, **changes), {})  # type: ignore[arg-type]
    assert raised.value.id == "proxy-setting-invalid"


def test_members_stand_in_their_places_and_the_rest_is_free() -> None:
    text = render(replace(SETTINGS, places=3), {Slot.RIGHT: {"place2": Address("127.0.0.1", 7001)}})
    left, right = text.split("backend right")
    assert "    server place2 127.0.0.1:7001\n" in right
    assert right.count("disabled") == 2
    assert left.count("disabled") == 3


def test_a_route_has_its_own_time_in_both_slots() -> None:
    text = render(replace(SETTINGS, routes=(Route("/reports", 120),)), {})
    assert text.count("http-request set-timeout server 120000ms if { path_beg /reports }") == 2


def test_maxconn_fits_the_limit_of_open_files() -> None:
    assert 50 <= replace(SETTINGS, maxconn=None).connections_max() <= 20_000
