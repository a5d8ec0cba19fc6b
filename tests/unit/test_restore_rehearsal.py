"""When nothing is rehearsed: a person answers for it."""

from __future__ import annotations

from pathlib import Path

from crossfade.model.change import Change
from crossfade.model.ports import LaneSpec, Slot
from crossfade.model.settings.parse import parse_config
from crossfade.testing.clock import FakeClock
from crossfade.walk.rehearse import Rehearsal
from crossfade.walk.site import Site

CONFIG = """\
[service]
name = "shop"
[process.web]
command = ["shop", "{port}"]
[[endpoint]]
name = "start"
match = "GET /"
[endpoint.smoke]
[database.main]
app_url = "env:SHOP_URL"
admin_url = "env:SHOP_ADMIN"
[[waiver]]
what = "schema:rehearsal"
name = "Ada"
reason = "no programs of that version here"
expires = 2999-12-31
"""


def test_a_waiver_lets_a_change_go_unrehearsed_and_is_said() -> None:
    site = Site(parse_config(CONFIG), Path("/nowhere/crossfade.toml"), FakeClock())
    change = Change("c1", "0007.sql", "base", ())
    said = Rehearsal(site, change, None, LaneSpec(Slot.RIGHT, "v2", "d", ()), "").prove(lambda _: None)
    assert said == "not rehearsed; waived by Ada until 2999-12-31: no programs of that version here"
