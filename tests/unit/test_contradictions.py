"""Promises that cannot hold together are refused with the arithmetic, at the line where one of them stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from crossfade.model.contradictions import contradictions
from crossfade.model.errors import CrossfadeError
from crossfade.model.requirement import (
    Config,
    Database,
    Dependency,
    Endpoint,
    Process,
    Requirement,
    Runtime,
    Service,
    Signals,
    Smoke,
    Traffic,
    TrafficCommands,
    Versions,
    Waiver,
)
from crossfade.model.settings.parse import parse_config

ORDER = Endpoint(name="order", match="GET /orders", smoke=Smoke())
GOOD = Config(
    service=Service(name="shop"),
    endpoints=(ORDER,),
    processes={"web": Process(name="web", command=("shop", "{port}"))},
    databases={"main": Database(name="main", app_url="env:A", admin_url="env:B")},
)
BALANCER = TrafficCommands(set_share=("lb", "set"), read_share=("lb", "get"))


def said(config: Config, today: date | None = None) -> list[str]:
    from crossfade.model.settings.problem import dotted

    return [f"{dotted(item.path)}: {item.what}" for item in contradictions(config, today)]


def promise(**changes: float) -> Config:
    return replace(GOOD, requirement=replace(GOOD.requirement, **changes))  # type: ignore[arg-type]


def fader(**changes: object) -> Config:
    return replace(GOOD, traffic=replace(GOOD.traffic, **changes))  # type: ignore[arg-type]


def endpoint(**changes: object) -> Config:
    return replace(GOOD, endpoints=(replace(ORDER, **changes),))  # type: ignore[arg-type]


def own_balancer(traffic_back_s: float = 1.0, **changes: object) -> Config:
    traffic = Traffic(driver="command", command=replace(BALANCER, **changes))  # type: ignore[arg-type]
    signals = Signals(driver="command", command=("lb", "records"))
    return replace(promise(traffic_back_s=traffic_back_s), traffic=traffic, signals=signals)


def test_the_defaults_contradict_nothing() -> None:
    assert said(GOOD) == []
    assert said(own_balancer()) == []


def test_traffic_back_in_a_second_where_a_minute_is_drained_first() -> None:
    assert said(own_balancer(1.0, drain_first_s=60.0)) == [
        "requirement.traffic_back_s: promises traffic back within 1 s, but the load balancer needs drain_first_s"
        " 60 s"
        " + apply_s 0.5 s = 60.5 s; promise 60.5 s or more, or use one that changes shares without draining first"
    ]
    assert said(own_balancer(60.5, drain_first_s=60.0)) == []


def test_one_version_at_a_time() -> None:
    assert said(promise(versions_overlap_max=1)) == [
        "requirement.versions_overlap_max: is 1, but at the shares 1 %, 5 %, 25 %, 50 % the old and the new"
        " version"
        " serve side by side, which is 2; write 2",
        "requirement.traffic_back_s: promises traffic back within 1 s, but with versions_overlap_max = 1 the new"
        " version"
        " is stopped before the old one starts: drain_s 30 s + start_timeout_s 30 s = 60 s; write"
        " versions_overlap_max = 2",
    ]


def test_the_old_version_gone_before_a_hang_is_seen() -> None:
    config = replace(promise(keep_warm_s=2.0), traffic=replace(GOOD.traffic, step_min_s=1.0))
    assert said(config) == [
        'requirement.keep_warm_s: is 2 s, but a hang of "order" is only seen after hang_ms = 10 s, when the old'
        " version"
        " is gone; write 10 or more"
    ]
    assert said(promise(keep_warm_s=2.0)) == []  # each share, the last one too, is held for step_min_s


def test_one_way_back_costs_more_than_the_month_may() -> None:
    config = replace(promise(availability=0.99999), endpoints=(replace(ORDER, hang_ms=28_000, error_ratio_max=1e-5),))
    assert said(config) == [
        "requirement.availability: leaves 30 d x 86400 s x 0.001 % = 25.92 s of failure, but one version that"
        " hangs at"
        ' share 100 % costs "order" at least hang_ms 28 s + traffic_back_s 1 s = 29 s; lower hang_ms or'
        " traffic_back_s, or promise less"
    ]


def test_an_endpoint_may_fail_more_often_than_is_promised() -> None:
    assert said(endpoint(error_ratio_max=0.01)) == [
        "endpoint[0].error_ratio_max: keeps a version that fails 1 % of requests, but availability 0.999 allows"
        " 1 - 0.999 = 0.1 %; write 0.001 or less, or promise 0.99"
    ]


@pytest.mark.parametrize("availability", [0.9, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999])
def test_a_limit_that_is_exactly_what_is_promised_is_no_contradiction(availability: float) -> None:
    limit = round(1 - availability, 9)
    config = replace(promise(availability=availability), traffic=replace(GOOD.traffic, fuse_ratio=0.5))
    assert said(replace(config, endpoints=(replace(ORDER, error_ratio_max=limit),))) == []


def test_slow_after_hanging() -> None:
    assert said(endpoint(slow_ms=10_000)) == [
        "endpoint[0].slow_ms: is 10000 ms, but a request hangs from hang_ms 10000 ms on, so none could be slow;"
        " write"
        " less than hang_ms"
    ]


def test_a_hang_that_the_proxy_never_lets_happen_and_a_drain_that_cuts_it() -> None:
    assert said(endpoint(hang_ms=60_000)) == [
        "endpoint[0].hang_ms: is 60 s, but the proxy gives up on a request after answer_timeout_s 60 s, so no"
        " hang would"
        " be seen; write less, or raise traffic.answer_timeout_s",
        "endpoint[0].hang_ms: lets a request take 60 s, but an instance is stopped after drain_s 30 s, 30 s"
        " earlier;"
        " raise requirement.drain_s, or lower hang_ms",
    ]


def test_a_fuse_that_trips_on_what_a_limit_allows() -> None:
    config = replace(
        promise(availability=0.8),
        endpoints=(replace(ORDER, error_ratio_max=0.2),),
    )
    assert said(config) == [
        'traffic.fuse_ratio: trips the fuse at 10 % of failures, which "order" may have: error_ratio_max 20 %;'
        " write"
        " more than 0.2"
    ]


def test_requests_cut_by_the_stop() -> None:
    assert said(promise(drain_s=60.0)) == [
        "process.web.stop_timeout_s: ends the process after 40 s, but a request may take drain_s 60 s, so it"
        " would be"
        " cut 20 s early; write 60 or more"
    ]


def test_the_shortest_time_is_longer_than_the_longest() -> None:
    assert said(fader(step_min_s=60.0, step_cap_s=30.0)) == [
        "traffic.step_min_s: is 60 s, longer than the longest time at a share, step_cap_s 30 s; write less, or"
        " raise"
        " step_cap_s"
    ]


def test_a_share_the_balancer_cannot_make() -> None:
    assert said(own_balancer(share_grain_percent=2.0)) == [
        f"traffic.shares[{number}]: is {share} %, but the load balancer only makes multiples of"
        " share_grain_percent"
        f" 2 %: {share} / 2 = {share / 2:g}; choose one"
        for number, share in ((0, 1), (1, 5), (2, 25))
    ]


def test_too_few_requests_to_blame_a_version() -> None:
    assert said(endpoint(requests_per_s=0.05)) == [
        'traffic.step_cap_s: is 1800 s: the first share brings "order" 0.05/s x 1 % x 1800 s = 0.9 requests, but'
        " even if"
        " all fail, 2 failures are needed to blame the new version at 0.001 false rollbacks per release; write"
        " 4000 or"
        " more, or begin with a larger share"
    ]


def test_too_few_requests_to_go_on() -> None:
    assert said(endpoint(requests_per_s=10.0)) == [
        'traffic.step_cap_s: is 1800 s: the first share brings "order" 10/s x 1 % x 1800 s = 180 requests, but to'
        " show"
        " that fewer than 0.1 % fail takes at least 6905 without a failure, so every release would hold there;"
        " write"
        " 69050 or more, or begin with a larger share"
    ]
    assert said(endpoint(requests_per_s=400.0)) == []


def test_where_the_cap_advances_few_requests_are_a_choice() -> None:
    config = replace(endpoint(requests_per_s=10.0), traffic=replace(GOOD.traffic, at_cap="advance"))
    assert said(config) == []


def test_parts_that_do_not_fit() -> None:
    config = replace(
        own_balancer(), signals=Signals(), versions=Versions(source="image", image="shop:{version}"), runtime=Runtime()
    )
    assert said(config) == [
        'signals.driver: is "ring", the record of crossfade\'s own HAProxy, but traffic.driver is "command"; write'
        ' driver = "command" and the program that prints your load balancer\'s records',
        'versions.source: is "image", but runtime.driver "supervisor" runs directories; write runtime.driver ='
        ' "command", or another source',
    ]


def test_one_path_for_both_checks() -> None:
    web = Process(name="web", command=("shop", "{port}"), ready="/healthz", env={"DB": "env:DB"})
    config = replace(GOOD, processes={"web": web}, dependencies=(Dependency(name="db", kind="postgresql", env="DB"),))
    assert said(config) == [
        'process.web.ready: is "/healthz", as is alive: it must turn red when "db" is cut, while alive must stay'
        " green,"
        " or a blip empties both lanes; give each its own path"
    ]


def test_a_critical_endpoint_that_nothing_tries_first() -> None:
    bare = endpoint(smoke=None)
    text = (
        'endpoint[0]: "order" is critical, but has no smoke request, so customers would be the first to try'
        " it{ended};"
        ' add [endpoint.smoke], or critical = false, or a waiver for "smoke:order"'
    )
    assert said(bare) == [text.format(ended="")]
    assert said(endpoint(smoke=None, critical=False)) == []
    waived = replace(bare, waivers=(Waiver("smoke:order", "Ada", "soon", date(2030, 1, 31)),))
    assert said(waived) == []
    assert said(waived, date(2030, 1, 31)) == []
    assert said(waived, date(2030, 2, 1)) == [text.format(ended="; the waiver by Ada ended on 2030-01-31")]


def test_a_contradiction_is_a_problem_of_the_file_at_its_line() -> None:
    text = """\
[service]
name = "shop"
[requirement]
drain_s = 60
[process.web]
command = ["shop", "{port}"]
stop_timeout_s = 10
[[endpoint]]
name = "start"
match = "GET /"
[endpoint.smoke]
[database.main]
app_url = "env:A"
admin_url = "env:B"
"""
    with pytest.raises(CrossfadeError) as caught:
        parse_config(text, "crossfade.toml")
    assert caught.value.render() == (
        "error[config-invalid]: crossfade.toml has 1 problem\n"
        "  crossfade.toml:7: process.web.stop_timeout_s: ends the process after 10 s, but a request may take"
        " drain_s"
        " 60 s, so it would be cut 50 s early; write 60 or more\n"
        "hint: mend the lines named above, then: crossfade check"
    )


def test_the_requirement_alone_has_defaults_for_every_promise() -> None:
    assert Requirement().traffic_back_s == 1.0
