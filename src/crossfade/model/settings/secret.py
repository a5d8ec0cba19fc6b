"""Secrets are references: `env:NAME`, `file:PATH`, `command:PROGRAM ARGUMENT`; a literal one is refused.

Rule: this module tells references from literals; it never resolves one. A text that is refused is never
repeated in the refusal.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

SCHEMES = ("env", "file", "command")
_REFERENCE = re.compile(r"(env|file|command):(.+)", re.DOTALL)
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s]+")
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|SECRET_KEY|TOKEN|API_KEY|PRIVATE_KEY)$", re.IGNORECASE)
SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token"})


def reference(text: str) -> tuple[str, str] | None:
    """Scheme and target of a reference, or None for a literal."""
    found = _REFERENCE.fullmatch(text)
    if found is None or text.startswith(("file://", "command://", "env://")):
        return None
    return found.group(1), found.group(2).strip()


def has_password(text: str) -> bool:
    """Whether the text holds a URL, or connection settings, with a password written out."""
    for found in _URL.finditer(text):
        try:
            url = urlsplit(found.group())
            if url.password or "password" in parse_qs(url.query):
                return True
        except ValueError:
            continue
    return bool(re.search(r"(^|\s)password\s*=", text))


def names_secret(name: str) -> bool:
    """Whether a variable of that name holds a secret."""
    return bool(_SECRET_NAME.search(name))
