"""Where a version's code comes from: a ref of the repository, a directory, or an image.

Rule: a version is identified by what it holds, and what it holds does not change while it lives. So a ref
becomes a worktree of its own, a directory with uncommitted changes is refused, and `check_unchanged` asks
again later. The digest of a directory in git is its commit at the top of the tree and its tree object below
it: two directories of one commit are two versions.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from crossfade.model.errors import fail
from crossfade.model.version import Source, Version
from crossfade.runtime import git
from crossfade.runtime.record import locked

LISTED = 5
INSPECT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class GitSource:
    """Versions are refs (branch, tag, commit) of this repository."""

    repository: Path


@dataclass(frozen=True)
class DirectorySource:
    """Versions are directories, by name."""

    directories: Mapping[str, Path]


@dataclass(frozen=True)
class ImageSource:
    """Versions are images, by name. `inspect` prints the id of the image given as its last argument."""

    images: Mapping[str, str]
    inspect: Sequence[str] = ("docker", "image", "inspect", "--format", "{{.Id}}")


VersionSource = GitSource | DirectorySource | ImageSource


def resolve_version(name: str, source: VersionSource, state_dir: Path) -> Version:
    """Find the build a name means, ready to be run; idempotent."""
    match source:
        case GitSource(repository):
            return _from_git(name, repository, state_dir.resolve())
        case DirectorySource(directories):
            return _from_directory(name, directories)
        case ImageSource(images, inspect):
            return _from_image(name, images, inspect)


def check_unchanged(version: Version) -> None:
    """Raise `version-changed` where the directory is no longer what the digest says."""
    if version.source is Source.IMAGE:
        return  # an image id is its content
    directory = Path(version.directory)
    found = "nothing: the directory is gone"
    if directory.is_dir():
        found = _digest_in_git(directory) or _content_digest(directory)
        tracked = git.top_of(directory) is not None and not found.startswith("sha256:")
        changed = git.changed_files(directory, untracked=False) if tracked else []
        if found == version.digest and not changed:
            return
        if changed:
            found = f"{len(changed)} changed: " + ", ".join(changed[:LISTED])
    raise fail(
        "version-changed", name=version.name, directory=directory, digest=version.short_digest, found=found[:200]
    )


def check_apart(versions: Sequence[Version]) -> None:
    """Raise `version-shares-directory` where two versions live in one directory."""
    seen: dict[str, str] = {}
    for version in versions:
        if version.directory and seen.setdefault(version.directory, version.name) != version.name:
            names = f"{seen[version.directory]} and {version.name}"
            raise fail("version-shares-directory", names=names, directory=version.directory)


# -- git ------------------------------------------------------------------------------------------


def _from_git(name: str, repository: Path, state_dir: Path) -> Version:
    sha = git.commit_of(repository, name)
    if sha is None:
        raise fail("version-unknown", name=name, looked_for=f"looked for: a branch, tag or commit in {repository}")
    if git.commit_of(repository, "HEAD") == sha:
        top = git.top_of(repository)
        if top is not None:  # a bare repository has no tree that could be dirty
            _refuse_dirty(name, top, git.changed_files(top, untracked=True, leave_out=[state_dir]))
    directory = _worktree(repository, sha, state_dir / "versions")
    version = Version(name, sha, str(directory), Source.GIT)
    check_unchanged(version)
    return version


def _worktree(repository: Path, sha: str, versions: Path) -> Path:
    """A worktree of the commit. One that was cut short is known by its missing mark and made anew."""
    versions.mkdir(parents=True, exist_ok=True)
    directory = versions / sha[:12]
    complete = versions / f".{sha[:12]}.complete"
    with locked(versions / ".lock"):
        if complete.exists() and directory.is_dir():
            return directory
        complete.unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
        git.tell(repository, "worktree", "prune")
        git.tell(repository, "worktree", "add", "--detach", "--force", str(directory), sha)
        complete.touch()
    return directory


def _refuse_dirty(name: str, directory: Path, changed: Sequence[str]) -> None:
    if not changed:
        return
    more = [f"and {len(changed) - LISTED} more"] if len(changed) > LISTED else []
    raise fail(
        "version-dirty",
        name=name,
        count=len(changed),
        files="file" if len(changed) == 1 else "files",
        directory=directory,
        listing="\n".join([*changed[:LISTED], *more]),
    )


# -- directories ----------------------------------------------------------------------------------


def _from_directory(name: str, directories: Mapping[str, Path]) -> Version:
    if name not in directories:
        known = ", ".join(sorted(directories)) or "none"
        raise fail("version-unknown", name=name, looked_for=f"known: {known}")
    directory = directories[name].resolve()
    if not directory.is_dir():
        raise fail("version-unknown", name=name, looked_for=f"its directory is missing: {directory}")
    for other, path in directories.items():
        if other != name and path.resolve() == directory:
            raise fail("version-shares-directory", names=f"{name} and {other}", directory=directory)
    digest = _digest_in_git(directory)
    if digest is None:
        return Version(name, _content_digest(directory), str(directory), Source.DIRECTORY)
    _refuse_dirty(name, directory, git.changed_files(directory, untracked=True))
    return Version(name, digest, str(directory), Source.DIRECTORY)


def _digest_in_git(directory: Path) -> str | None:
    """The commit, or the tree below the top, that the directory is; None where git does not hold it."""
    top = git.top_of(directory)
    if top is None:
        return None
    inside = directory.resolve().relative_to(top)
    return git.commit_of(directory, "HEAD") if inside == Path() else git.ask(directory, "rev-parse", f"HEAD:{inside}")


def _content_digest(directory: Path) -> str:
    """sha256 over names, kinds and contents of the files below the directory."""
    total = hashlib.sha256()
    for path in _files(directory):
        kind = b"l" if path.is_symlink() else b"x" if os.access(path, os.X_OK) else b"f"
        if path.is_symlink():
            content = hashlib.sha256(os.fsencode(path.readlink())).digest()
        else:
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").digest()
        total.update(kind + os.fsencode(path.relative_to(directory)) + b"\0" + content)
    return f"sha256:{total.hexdigest()}"


def _files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if any(fnmatch(path.name, pattern) for pattern in git.IGNORED):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        elif path.is_file() or path.is_symlink():
            yield path


# -- images ---------------------------------------------------------------------------------------


def _from_image(name: str, images: Mapping[str, str], inspect: Sequence[str]) -> Version:
    if name not in images:
        raise fail("version-unknown", name=name, looked_for=f"known: {', '.join(sorted(images)) or 'none'}")
    command = [*inspect, images[name]]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=INSPECT_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else f"no answer within {INSPECT_TIMEOUT_S:g} s"
        raise fail("image-unknown", name=name, command=shlex.join(command), reason=reason) from exc
    digest = done.stdout.strip()
    if done.returncode != 0 or not digest or "\n" in digest:
        last = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()[-1]
        reason = f"exit code {done.returncode}: {last}"
        raise fail("image-unknown", name=name, command=shlex.join(command), reason=reason)
    return Version(name, digest, "", Source.IMAGE)
