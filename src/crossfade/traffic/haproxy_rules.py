"""The rules of the frontend: who is assigned where, and when the fuse trips.

Rule: the whole fader is ONE map entry, `fader`, so that a change is one atomic `set map`:

    <share of right, bp>|<old slot>|<salt>|<pin secret>|<fuse generation>|<armed>|<failures>|<ratio, ppm>

Two more entries stand beside it: `mark` (the position, for the records) and `tripped` (the generation of
the fuse that tripped). A request reads the entries once, at assignment, and keeps what it read.

Assignment: a draw in 0..9999, hash(salt, unit) where the request carries a routing unit, else random;
right if the draw is below the share of right. One comparison serves both directions: while `right` is
new its share grows and units below stay; while `left` is new the share of right falls and units above stay.

The fuse counts requests and failures (status >= 500, also those the proxy made) of unpinned requests by
fuse generation and assigned slot over a sliding window. Past both limits the failing response writes the
generation to `tripped`; from then on the old slot is assigned whatever the share. The generation is new
each time the fuse is armed, so nothing counted before arming can trip it and a late failure of an earlier
release cannot either. It never sends traffic to an old slot that has no usable instance.
"""

from __future__ import annotations

from crossfade.traffic.haproxy_settings import HaproxySettings

PIN_HEADER = "x-crossfade-pin"
SLOT_HEADER = "x-crossfade-slot"
PIN_MIN = 16  # characters; a shorter secret is never honoured
FUSE_TABLE = "crossfade_fuse"
FLYING_TABLE = "crossfade_flying"
FLYING_KEY_BYTES = 250  # the path comes last, because a long one is cut
FLYING_KEY = "%rt|%[var(txn.at_us)]|%[var(txn.target)]|%[var(txn.pin)]|%[method]|%[path,bytes(0,160)]"
NOTHING = "-"  # stands for an empty field; HAProxy would skip a rule over an empty one
FADER_AT_REST = f"0|left|{NOTHING}|{NOTHING}|0|0|0|0"


def frontend_rules(settings: HaproxySettings) -> list[str]:
    """All rules, in the order in which a request meets them."""
    return [*_read_map(settings), *_pin(), *_assign(settings), *_route(settings), *_count(settings)]


def _set(name: str, expression: str, when: str = "") -> str:
    return f"    http-request set-var(txn.{name}) {expression}" + (f" if {when}" if when else "")


def _read_map(s: HaproxySettings) -> list[str]:
    fields = ("right_bp", "old", "salt", "secret", "generation", "armed", "failures", "ratio_ppm")
    numbers = {"right_bp", "failures", "ratio_ppm"}
    return [
        "    # what is in force now",
        _set("at_us", "date(0,us)"),
        _set("fader", f"str(fader),map({s.map_path},{FADER_AT_REST})"),
        _set("mark", f"str(mark),map({s.map_path},{NOTHING})"),
        _set("tripped", f"str(tripped),map({s.map_path},{NOTHING})"),
        *[
            _set(name, f"var(txn.fader),field({at},|)" + (",add(0)" if name in numbers else ""))
            for at, name in enumerate(fields, 1)
        ],
    ]


def _pin() -> list[str]:
    return [
        "    # a request of the release itself: <secret>:<slot>; the header never reaches an instance",
        _set("pin_asked", f"req.hdr({PIN_HEADER})"),
        f"    http-request del-header {PIN_HEADER}",
        f"    acl pin_is_set var(txn.secret) -m len ge {PIN_MIN}",
        "    acl pin_is_true var(txn.pin_asked),field(1,:),secure_memcmp(txn.secret) -m bool",
        "    acl pin_names_slot var(txn.pin_asked),field(2,:) -m str left right",
        _set("pin", "var(txn.pin_asked),field(2,:)", "pin_is_set pin_is_true pin_names_slot"),
        "    acl pinned var(txn.pin) -m found",
    ]


def _assign(s: HaproxySettings) -> list[str]:
    has_unit = "{ var(txn.unit) -m len ge 1 }"
    units = []
    if s.unit_cookie:
        units.append(_set("unit", f"req.cook({s.unit_cookie})"))
    if s.unit_header:
        units.append(_set("unit", f"req.hdr({s.unit_header})", f"!{has_unit}"))
    return [
        "    # the draw",
        *units,
        _set("unit_hash", "var(txn.salt),concat(:,txn.unit),xxh64", has_unit),
        _set("draw", "rand(10000)"),
        _set("draw", "var(txn.salt),concat(:,txn.unit),xxh32,mod(10000)", has_unit),
        _set("assigned", "str(left)"),
        _set("assigned", "str(right)", "{ var(txn.draw),sub(txn.right_bp) lt 0 }"),
        _set("assigned", "str(left)", "{ var(txn.right_bp) -m int le 0 }"),
        _set("assigned", "str(right)", "{ var(txn.right_bp) -m int ge 10000 }"),
        _set("new_bp", "var(txn.right_bp)"),
        _set("new_bp", "int(10000),sub(txn.right_bp)", "{ var(txn.old) -m str right }"),
        "    # the fuse, latched",
        "    acl armed var(txn.armed) -m str 1",
        "    acl tripped var(txn.tripped),strcmp(txn.generation) eq 0",
        "    acl old_is_usable var(txn.old),nbsrv gt 0",
        _set("assigned", "var(txn.old)", "armed tripped old_is_usable"),
        _set("new_bp", "int(0)", "armed tripped old_is_usable"),
        _set("assigned", "var(txn.pin)", "pinned"),
    ]


def _route(s: HaproxySettings) -> list[str]:
    return [
        "    # where it goes; a new slot without a usable instance gives its requests to the old one",
        f"    http-request disable-l7-retry unless {{ method {' '.join(s.idempotent_methods)} }}",
        _set("fuse_key", "var(txn.generation),concat(:,txn.assigned)"),
        f"    http-request track-sc0 var(txn.fuse_key) table {FUSE_TABLE} if armed !pinned",
        "    acl assigned_old var(txn.assigned),strcmp(txn.old) eq 0",
        "    acl assigned_is_usable var(txn.assigned),nbsrv gt 0",
        _set("target", "var(txn.assigned)"),
        _set("target", "var(txn.old)", "!pinned !assigned_old !assigned_is_usable old_is_usable"),
        "    # a line in the table of requests in flight, for as long as it is",
        f"    http-request set-var-fmt(txn.flying) {FLYING_KEY}",
        f"    http-request track-sc1 var(txn.flying) table {FLYING_TABLE}",
        "    use_backend %[var(txn.target)]",
    ]


def _count(s: HaproxySettings) -> list[str]:
    suspect = "armed !pinned failed"
    return [
        "    # what came of it",
        "    acl failed status ge 500",
        f"    acl still_armed str(fader),map({s.map_path}),field(5,|),strcmp(txn.generation) eq 0",
        f"    acl over_failures sc0_gpc1_rate({FUSE_TABLE}),sub(txn.failures) ge 0",
        "    acl over_ratio var(txn.failed_ppm),sub(txn.allowed_ppm) ge 0",
        "    http-response set-var(txn.answered) int(1)",
        "    http-after-response set-var(txn.headers_us) date(0,us),sub(txn.at_us)",
        f"    http-after-response set-header {SLOT_HEADER} %[var(txn.assigned)]",  # whose draw it was, for whoever asks
        "    http-after-response sc-inc-gpc0(1)",  # in flight still, but its headers are sent
        "    http-after-response sc-inc-gpc0(0) if armed !pinned",
        f"    http-after-response sc-inc-gpc1(0) if {suspect}",
        f"    http-after-response set-var(txn.failed_ppm) sc0_gpc1_rate({FUSE_TABLE}),mul(1000000) if {suspect}",
        f"    http-after-response set-var(txn.allowed_ppm) sc0_gpc0_rate({FUSE_TABLE}),mul(txn.ratio_ppm) if {suspect}",
        f"    http-after-response set-map({s.map_path}) tripped %[var(txn.generation)]"
        f" if {suspect} !assigned_old !tripped still_armed over_failures over_ratio",
    ]
