"""Renders haproxy.cfg: two slots, one fader, one fuse, one record for each request.

Rule: what changes during a release is in the fader map, which the rules read for each request
(`haproxy_rules`); what stands here changes only with the settings, except the members, which are rendered
for the next start and told to the running process.

What a restart keeps: share, old slot, salt, pin, limits, position (the map file is written before the
running process is told) and the members (the file is rendered before the process is told). A trip is
kept once `observe` has seen it, which writes it to the map file; a proxy that dies between the trip and
the next `observe` counts anew, and trips again after as many failures as the limit says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crossfade.model.ports import Address, Slot
from crossfade.traffic.haproxy_rules import FLYING_KEY_BYTES, FLYING_TABLE, FUSE_TABLE, frontend_rules
from crossfade.traffic.haproxy_settings import HaproxySettings

FRONTEND = "crossfade"
RING = "crossfade_records"
FREE_ADDRESS = "127.0.0.1:1"  # a free place is disabled; nothing is ever sent there

# One line for each request; tab-separated; the path comes last because a long one is cut.
RECORD_FIELDS: tuple[tuple[str, str], ...] = (
    ("pid", "%pid"),
    ("at_us", "%[var(txn.at_us)]"),
    ("assigned", "%[var(txn.assigned)]"),
    ("backend", "%b"),
    ("answered", "%[var(txn.answered)]"),
    ("instance", "%si:%sp"),
    ("share_bp", "%[var(txn.new_bp)]"),
    ("unit", "%[var(txn.unit_hash)]"),
    ("status", "%ST"),
    ("ended_by", "%ts"),
    ("headers_us", "%[var(txn.headers_us)]"),
    ("total_ms", "%Ta"),
    ("retries", "%rc"),
    ("pinned", "%[var(txn.pin)]"),
    ("key", "%rt"),
    ("position", "%[var(txn.mark)]"),
    ("method", "%HM"),
    ("path", "%HPO"),
)

Layout = Mapping[Slot, Mapping[str, Address]]


def render(settings: HaproxySettings, layout: Layout) -> str:
    """The whole file. `layout` says which address each place holds."""
    settings.check()
    return "\n".join(
        [
            "# Written by crossfade. Do not edit: the next change of members overwrites it.",
            *_global(settings),
            *shared_sections(settings, layout),
            "",
        ]
    )


def shared_sections(settings: HaproxySettings, layout: Layout) -> list[str]:
    """All sections but `global`: those a hand-written file takes over unchanged."""
    lines = [*_ring(settings), *_defaults(settings), *_tables(settings), *_frontend(settings)]
    for slot in Slot:
        lines += _slot(settings, slot, layout.get(slot, {}))
    return lines


def _global(s: HaproxySettings) -> list[str]:
    return [
        "global",
        f"    maxconn {s.connections_max()}",
        f"    nbthread {s.threads}",
        "    noreuseport",  # else a second proxy on the same port starts, and takes a part of the customers unseen
        f"    stats socket unix@{s.socket_path.name} mode 600 level admin",  # relative: AF_UNIX takes 107 bytes
        "    stats timeout 30s",
        f"    hard-stop-after {_ms(s.drain_cap_s)}",
        "    no strict-limits",  # a proxy with fewer connections than asked for is better than none
    ]


def _ring(s: HaproxySettings) -> list[str]:
    return [
        "",
        f"ring {RING}",
        "    format raw",
        "    maxlen 4096",
        f"    size {s.ring_bytes}",
        "    timeout connect 500ms",
        "    timeout server 10s",
        f"    server collector 127.0.0.1:{s.collector_port} log-proto legacy",
    ]


def _defaults(s: HaproxySettings) -> list[str]:
    return [
        "",
        "defaults crossfade",
        "    mode http",
        f"    timeout connect {s.connect_timeout_ms}ms",
        f"    timeout server {_ms(s.server_timeout_s)}",
        f"    timeout client {_ms(s.client_timeout_s)}",
        "    timeout http-request 10s",
        "    timeout http-keep-alive 60s",
        "    timeout queue 5s",
        "    timeout tunnel 1h",
        "    option forwardfor",
        "    option idle-close-on-response",
        *([] if s.keep_server_connections else ["    option http-server-close"]),
        # A refused connection sent nothing, so it is retried for every method; see disable-l7-retry below.
        "    retries 3",
        "    retry-on conn-failure empty-response",
        "    option redispatch 1",
    ]


def _tables(s: HaproxySettings) -> list[str]:
    window = f"{s.fuse_window_s}s"
    return [
        "",
        f"backend {FUSE_TABLE} from crossfade",
        "    stick-table type string len 64 size 1k expire 10m"
        f" store gpc0,gpc0_rate({window}),gpc1,gpc1_rate({window})",
        "",
        f"backend {FLYING_TABLE} from crossfade",
        # A request's line stays while it is in flight, whatever it lasts, and goes soon after.
        f"    stick-table type string len {FLYING_KEY_BYTES} size {s.connections_max() + 20_000} expire 2s"
        " store conn_cur,gpc0",
    ]


def _frontend(s: HaproxySettings) -> list[str]:
    return [
        "",
        f"frontend {FRONTEND} from crossfade",
        f"    bind {s.host}:{s.port}",
        f"    log ring@{RING} len 4096 format raw local0 info",
        '    log-format "' + r"\t".join(field for _, field in RECORD_FIELDS) + '"',
        *frontend_rules(s),
    ]


def _slot(s: HaproxySettings, slot: Slot, places: Mapping[str, Address]) -> list[str]:
    timeouts: Sequence[str] = [
        f"    http-request set-timeout server {_ms(route.server_timeout_s)} if {{ path_beg {route.prefix} }}"
        for route in s.routes
    ]
    servers = []
    for name in s.place_names:
        held = places.get(name)
        servers.append(f"    server {name} " + (f"{held.host}:{held.port}" if held else f"{FREE_ADDRESS} disabled"))
    return [
        "",
        f"backend {slot} from crossfade",
        "    balance roundrobin",
        "    option httpchk",
        f"    http-check send meth GET uri {s.health_path} ver HTTP/1.1 hdr Host localhost hdr Connection close",
        "    http-check expect status 200-399",
        f"    default-server check inter {s.health_interval_ms}ms fastinter 100ms downinter 250ms rise 1 fall 2"
        " observe layer4 error-limit 1 on-error fastinter",
        *timeouts,
        *servers,
    ]


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
