"""What the installed command says on a live service, and the exit codes a script relies on."""

from __future__ import annotations

import json

import pytest

from crossfade.walk.begin import make_plan


@pytest.fixture
def half_way(service):
    """A good version at share 50, without customers: it stands there for as long as the test looks at it."""
    old, new = service.pair()
    release = service.begin(new)
    service.until(release, "shifted(50)")
    return release, old, new


def test_pause_resume_and_rollback(service, half_way) -> None:
    release, old, new = half_way
    told = service.crossfade("pause")
    assert (told.code, told.out) == (0, "asked for by a person: pause\n")
    assert service.until(release, "paused").position == "shifted(50)"
    again = service.crossfade("pause")
    assert again.code == 1
    assert again.err == (
        "error[ask-refused]: pause was refused\n  a release that is paused cannot take: pause\nhint: crossfade status\n"
    )
    told = service.crossfade("resume")
    assert (told.code, told.out) == (0, "asked for by a person: resume\n")
    service.until(release, "standing")
    told = service.crossfade("rollback", "--output", "json")
    assert told.code == 0
    assert told.data["asked"] == "rollback"
    status = service.ended(release)
    assert (status.outcome, status.by, status.cause) == ("rolled_back", "person", "asked for by a person: rollback")
    late = service.crossfade("pause")
    assert late.code == 1
    assert "a release that is rolled_back cannot take: pause" in late.err
    assert service.serving() == old
    assert new != old


def test_abandon_goes_all_the_way(service, half_way) -> None:
    release, old, _ = half_way
    told = service.crossfade("abandon")
    assert (told.code, told.out) == (0, "asked for by a person: abandon\n")
    assert "the way back from shifted(50): fader to the old slot, at once, predicted 0.25 s" in told.err
    assert service.ended(release).outcome == "abandoned"
    assert service.serving() == old


def test_status_tells_where_it_stands_and_what_releases_it(service, half_way) -> None:
    release, old, new = half_way
    told = service.crossfade("status")
    assert told.code == 0
    for text in (
        "standing  shifted(50)",
        f"release {release}",
        old,
        new,
        "share wanted 50 %, in force 50 %",
        "old 2/2  new 2/2  fuse armed",
        "why: ",
        "released by: shifted(100) ",
        "way back: fader to the old slot, at once (predicted 0.25 s)",
    ):
        assert text in told.out, told.out
    data = service.crossfade("status", "--output", "json").data
    assert {key: data[key] for key in ("release", "old_version", "new_version", "phase", "position", "outcome")} == {
        "release": release,
        "old_version": old,
        "new_version": new,
        "phase": "standing",
        "position": "shifted(50)",
        "outcome": None,
    }
    assert (data["wanted_share"], data["set_share"], data["controller_alive"]) == (50.0, 50.0, True)


def test_while_one_release_is_under_way_no_other_begins(service, half_way) -> None:
    release, old, new = half_way
    rows = len(service.rows())
    told = service.crossfade("release", "v30", "--output", "json")
    assert told.code == 5
    assert told.data["error"] == "release-in-progress"
    assert f"error[release-in-progress]: release {release} ({old} -> {new}) is under way" in told.err
    assert len(service.rows()) == rows


def test_what_serves_is_not_released_again_and_only_the_plan_that_was_shown(service) -> None:
    old, new = service.pair()
    told = service.crossfade("release", old)
    assert told.code == 2
    assert told.err.startswith(f"error[release-changes-nothing]: {old} serves already\n")
    shown = service.crossfade("plan", new, "--output", "json").data["digest"]
    service.configure((25, 100))
    told = service.crossfade("release", new, "--plan", shown)
    spool = service.spool()
    found = make_plan(service.site, spool, new).path.digest
    spool.close()
    assert told.code == 1
    assert told.err == (
        f"error[plan-changed]: the plan for {new} is not the one that was shown\n"
        f"  shown: {shown}\n"
        f"  found: {found}\n"
        f"hint: crossfade plan {new}, look at it, then release again\n"
    )
    told = service.crossfade("release", "v99")
    assert told.code == 3
    assert "error[version-unknown]: there is no version v99" in told.err


def test_plan_says_what_will_happen(service) -> None:
    old, new = service.pair()
    told = service.crossfade("plan", new)
    assert told.code == 0
    assert told.out.startswith(f"shop: {old} -> {new}  plan ")
    for text in (
        f"start {new}; ready check proven and green",
        "smoke each critical endpoint through the pinned new lane",
        f"share of {new}: 50 %",
        f"drain and stop {old}",
        "traffic back     within 1 s while the old version is warm",
        f"to start {old}, then the fader",
        "irreversible     nothing",
        "fuse             20 failures and 10% in 10 s, in the proxy",
    ):
        assert text in told.out, told.out
    data = service.crossfade("plan", new, "--output", "json").data
    assert data["digest"] in told.out
    assert [step["act"] for step in data["steps"]] == ["start new", "smoke", "set share", "set share", "retire old"]


def test_check_doctor_and_ready_on_a_live_service(service) -> None:
    told = service.crossfade("check")
    assert told.code == 0
    assert "crossfade.toml: the requirement of shop (demo) holds together" in told.out
    assert "next: crossfade doctor" in told.out
    told = service.crossfade("doctor")
    assert (told.code, told.err) == (0, ""), told.out + told.err
    assert "BAD" not in told.out
    assert f"127.0.0.1:{service.stage.cluster.port} takes connections" in told.out
    told = service.crossfade("ready")
    assert told.code in (0, 4), told.out + told.err
    assert "/readyz turned red when cut from: orders database" in told.out
    data = service.crossfade("ready", "--output", "json").data
    assert {line["standing"] for line in data["lines"]} <= {"proven", "waived", "unknown"}


def test_doctor_says_that_the_database_is_down(service) -> None:
    service.supervisord.stop_part("postgres")
    told = service.crossfade("doctor", "--output", "json")
    assert told.code == 6
    assert told.data["ready"] is False
    bad = [finding for finding in told.data["findings"] if finding["state"] == "bad"]
    assert [finding["what"] for finding in bad] == ["database main"], json.dumps(bad)
    _, new = service.pair()
    refused = service.crossfade("release", new, "--detach")
    assert refused.code == 6
    assert "error[schema-unreachable]" in refused.err, "the plan asks first where the schema stands"
    assert not service.crossfade("status").code


def test_release_follows_to_the_end_and_its_exit_code_says_how_it_went(service) -> None:
    _, new = service.pair()
    with service.customers():
        good = service.crossfade("release", new, "--output", "json", timeout_s=120)
        bad = service.crossfade("release", "v30", timeout_s=120)
    assert (good.code, good.data["outcome"], good.data["by"]) == (0, "completed", "")
    for position in ("standby", "shifted(50)", "shifted(100)", "retired"):
        assert position in good.err, good.err
    assert f"completed   retired       {new} serves alone" in good.err
    assert bad.code == 1
    assert "rolled_back" in bad.err
    assert "place an order" in bad.err.splitlines()[-1], "and why"
    assert service.serving() == new
