"""The settings file of a cluster, as text. Pure.

Rule: a cluster listens on 127.0.0.1 only and has no Unix socket, whose path may be at most 107 bytes long.
What the caller sets wins over the other defaults. fsync and the rest of durability stay as PostgreSQL has
them unless the caller says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LOOPBACK = "127.0.0.1"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")
_DEFAULTS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
}
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "''", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def render_settings(port: int, settings: Mapping[str, str]) -> str:
    """The whole file; where a name occurs twice PostgreSQL takes the last, so the fixed ones come last."""
    fixed = {"port": str(port), "listen_addresses": LOOPBACK, "unix_socket_directories": ""}
    lines = ["# Written by crossfade at every preparation; edits are lost."]
    for name, value in {**_DEFAULTS, **settings, **fixed}.items():
        assert _NAME.fullmatch(name), f"not the name of a setting: {name!r}"
        assert "\0" not in value, name
        lines.append(f"{name} = '{value.translate(_ESCAPES)}'")
    return "\n".join(lines) + "\n"
