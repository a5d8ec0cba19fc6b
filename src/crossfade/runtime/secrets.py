"""References to secrets, resolved in the process that needs them and nowhere earlier.

Rule: a value that starts with `env:`, `file:` or `command:` is a reference; `literal:` stands for a text that
would look like one. The reference may be stored and shown, what it resolves to may not: it is never put into
an argument, a log, a supervisor file or an error text.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from crossfade.model.errors import fail

COMMAND_TIMEOUT_S = 10.0


def resolve(value: str, environ: Mapping[str, str] = os.environ) -> str:
    """Resolve `env:NAME`, `file:PATH` and `command:ARGV...`; any other value is handed back."""
    prefix, separator, rest = value.partition(":")
    if not separator:
        return value
    match prefix:
        case "env":
            return _from_environment(value, rest, environ)
        case "file":
            return _from_file(value, rest)
        case "command":
            return _from_command(value, rest)
        case "literal":
            return rest
    return value


def capture(values: Iterable[str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that `env:` references among the values name, as they are now.

    A program is started again long after the environment of whoever asked for it is gone.
    """
    names = [value.removeprefix("env:") for value in values if value.startswith("env:")]
    return {name: resolve(f"env:{name}", environ) for name in names}


def _from_environment(reference: str, name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise fail(
            "secret-unresolved",
            reference=reference,
            reason=f"the environment variable {name} is not set where crossfade runs",
        )
    return environ[name]


def _from_file(reference: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not a text in UTF-8"
        raise fail("secret-unresolved", reference=reference, reason=f"{path}: {reason}") from exc


def _from_command(reference: str, line: str) -> str:
    try:
        argv = shlex.split(line)
        if not argv:
            raise ValueError("the command is empty")
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as exc:
        reason = f"no answer within {COMMAND_TIMEOUT_S:g} s"
        raise fail("secret-unresolved", reference=reference, reason=reason) from exc
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise fail("secret-unresolved", reference=reference, reason=reason) from exc
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["it wrote no error"]
        reason = f"exit code {done.returncode}: {last[0]}"
        raise fail("secret-unresolved", reference=reference, reason=reason)
    return done.stdout.rstrip("\r\n")
