"""Placeholders in commands and environments: {port} {slot} {role} {index} {version} {digest} {directory}.

Rule: only a lower-case word in braces is a placeholder, so JSON and shell text pass unchanged; a word that is
not known is an error and not an empty string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from crossfade.model.errors import fail

_PLACEHOLDER = re.compile(r"\{([a-z][a-z_]*)\}")


def expand(template: str, facts: Mapping[str, str], where: str) -> str:
    """Put the facts in; `where` names the place for the error."""

    def fact(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in facts:
            known = " ".join("{" + key + "}" for key in facts)
            raise fail("placeholder-unknown", where=where, placeholder="{" + name + "}", template=template, known=known)
        return facts[name]

    return _PLACEHOLDER.sub(fact, template)
