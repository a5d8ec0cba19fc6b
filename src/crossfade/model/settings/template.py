"""Placeholders in commands, environments and URLs: `{port}`, `{database.main}`.

Rule: only a lower-case name in braces is a placeholder, so JSON and shell text pass untouched. Filling them in
is the runtime's business; here they are only recognised, so that a misspelt one is found before a release.
"""

from __future__ import annotations

import re

_PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_.-]*)\}")

IN_PROCESS = ("port", "host", "directory", "version", "digest", "slot", "role", "instance", "index")
IN_TRAFFIC = ("old", "new", "percent", "share_bp", "slot", "addresses")


def placeholders(text: str) -> list[str]:
    """The names in braces, in order."""
    return _PLACEHOLDER.findall(text)
