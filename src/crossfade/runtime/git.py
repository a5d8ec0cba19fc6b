"""The few questions asked of git.

Rule: git runs without the caller's GIT_* variables, so that a release started from a hook asks about the
directory that is named and not about the hook's. It never runs the repository's hooks.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from crossfade.model.errors import fail

IGNORED = ("__pycache__", "*.pyc", ".git", ".venv", "node_modules")
GIT_TIMEOUT_S = 120.0


def ask(directory: Path, *arguments: str) -> str | None:
    """What git answers in the directory; None where it says no."""
    done = _run(directory, arguments)
    if "dubious ownership" in done.stderr:  # a refusal of another kind; taking it for "no" would mislead
        raise _failure(directory, arguments, done.stderr.strip().splitlines()[0])
    return done.stdout.removesuffix("\n") if done.returncode == 0 else None


def tell(directory: Path, *arguments: str) -> None:
    """Have git do something."""
    done = _run(directory, arguments)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise _failure(directory, arguments, last[0])


def commit_of(repository: Path, ref: str) -> str | None:
    """The commit a ref names; None where there is none."""
    return ask(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")


def top_of(directory: Path) -> Path | None:
    """The root of the working tree the directory lies in; None where it lies in none, or git is absent."""
    if shutil.which("git") is None:
        return None
    top = ask(directory, "rev-parse", "--show-toplevel")
    return Path(top).resolve() if top else None


def changed_files(directory: Path, *, untracked: bool, leave_out: Sequence[Path] = ()) -> list[str]:
    """Files below the directory that are not as committed. `untracked` counts new ones, too."""
    top = top_of(directory)
    skip = [f":(exclude,glob)**/{name}" for name in IGNORED] + [f":(exclude,glob)**/{name}/**" for name in IGNORED]
    skip += [
        f":(exclude,top){path.resolve().relative_to(top)}"
        for path in leave_out
        if top is not None and path.resolve().is_relative_to(top) and path.resolve() != top
    ]
    new = "all" if untracked else "no"
    arguments = ("status", "--porcelain=v1", "-z", f"--untracked-files={new}", "--", ".", *skip)
    done = _run(directory, arguments)
    if done.returncode != 0:
        raise _failure(directory, arguments[:3], done.stderr.strip().splitlines()[-1])
    entries = iter(done.stdout.split("\0")[:-1])
    files = []
    for entry in entries:
        files.append(entry[3:])
        if entry[0] in "RC":
            next(entries)  # the name it had before
    return sorted(files)


def _run(directory: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env.update(GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0", LC_ALL="C")
    try:
        return subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            stdin=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT_S,
            env=env,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        reason = exc.strerror or str(exc) if isinstance(exc, OSError) else f"no answer within {GIT_TIMEOUT_S:g} s"
        raise _failure(directory, arguments, reason) from exc


def _failure(directory: Path, arguments: Sequence[str], reason: str) -> Exception:
    return fail("git-failed", directory=directory, command=shlex.join(["git", *arguments]), reason=reason)
