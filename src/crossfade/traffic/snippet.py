"""The HAProxy configuration for those who own the file.

Rule: one renderer. The snippet is the file crossfade would write, without its `global` section: named
`defaults`, so nothing of the reader's own changes, and the places all free.
"""

from __future__ import annotations

from crossfade.traffic.haproxy_config import shared_sections
from crossfade.traffic.haproxy_rules import FADER_AT_REST, NOTHING
from crossfade.traffic.haproxy_settings import HaproxySettings


def snippet(settings: HaproxySettings) -> str:
    """The sections to paste, with what must be done around them as comments."""
    settings.check()
    around = [
        "# For your haproxy.cfg (HAProxy 2.8 or newer). Printed by crossfade.",
        "#",
        "# 1. Your global section needs a socket that only crossfade's user can open:",
        f"#        stats socket {settings.socket_path} mode 600 level admin user ...",
        "# 2. The map must exist before HAProxy starts, readable by HAProxy, owned by crossfade's user:",
        f"#        {settings.map_path}",
        f"#            fader {FADER_AT_REST}",
        f"#            mark {NOTHING}",
        f"#            tripped {NOTHING}",
        "# 3. Do not reload during a release: a reload forgets the members of the slots until crossfade sets",
        "#    them again, and old workers answer kept connections with what they knew.",
        "# 4. The frontend is plain HTTP on the address given; put TLS in front or add it to the bind line.",
    ]
    return "\n".join([*around, *shared_sections(settings, {}), ""])
