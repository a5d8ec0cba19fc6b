"""Versions from a real git repository, from directories and from images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.model.version import Source
from crossfade.runtime.versions import (
    DirectorySource,
    GitSource,
    ImageSource,
    check_apart,
    check_unchanged,
    resolve_version,
)


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, "-C", str(directory), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "shop"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    (path / "app.py").write_text("one\n")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "one")
    git(path, "tag", "v1")
    (path / "app.py").write_text("two\n")
    git(path, "commit", "-q", "-am", "two")
    return path


def refusal(name: str, source: GitSource | DirectorySource | ImageSource, state_dir: Path) -> str:
    with pytest.raises(CrossfadeError) as caught:
        resolve_version(name, source, state_dir)
    return f"{int(caught.value.exit)} {caught.value.render()}"


def test_a_ref_becomes_a_worktree_of_its_commit(repository: Path) -> None:
    state_dir = repository / ".crossfade"  # inside the repository and not ignored: it does not count as dirt
    source = GitSource(repository)
    old, new = resolve_version("v1", source, state_dir), resolve_version("main", source, state_dir)
    assert old.digest == git(repository, "rev-parse", "v1")
    assert (Path(old.directory) / "app.py").read_text() == "one\n"
    assert (Path(new.directory) / "app.py").read_text() == "two\n"
    assert old.directory == str(state_dir / "versions" / old.digest[:12])
    assert old.source is Source.GIT
    assert resolve_version("v1", source, state_dir) == old
    check_unchanged(old)
    check_apart([old, new])
    assert git(repository, "branch", "--show-current") == "main"


def test_a_worktree_that_was_cut_short_is_made_anew(repository: Path, tmp_path: Path) -> None:
    first = resolve_version("v1", GitSource(repository), tmp_path / "state")
    directory = Path(first.directory)
    (directory / "app.py").unlink()
    (directory.parent / f".{directory.name}.complete").unlink()
    assert resolve_version("v1", GitSource(repository), tmp_path / "state") == first
    assert (directory / "app.py").read_text() == "one\n"


def test_a_dirty_tree_is_refused_where_it_is_the_version(repository: Path, tmp_path: Path) -> None:
    (repository / "app.py").write_text("three\n")
    for number in range(6):
        (repository / f"new-{number}.py").touch()
    assert refusal("HEAD", GitSource(repository), tmp_path / "state") == (
        f"3 error[version-dirty]: version HEAD is not what is committed: 7 changed files in {repository}\n"
        "  app.py\n"
        "  new-0.py\n"
        "  new-1.py\n"
        "  new-2.py\n"
        "  new-3.py\n"
        "  and 2 more\n"
        "hint: commit the changes, then run the same command again"
    )
    assert resolve_version("v1", GitSource(repository), tmp_path / "state").name == "v1"


def test_an_unknown_ref_is_refused(repository: Path, tmp_path: Path) -> None:
    assert refusal("v9", GitSource(repository), tmp_path / "state") == (
        "3 error[version-unknown]: there is no version v9\n"
        f"  looked for: a branch, tag or commit in {repository}\n"
        "hint: name one that exists, or add it to crossfade.toml"
    )


def test_a_version_that_is_edited_while_it_lives_is_noticed(repository: Path, tmp_path: Path) -> None:
    version = resolve_version("v1", GitSource(repository), tmp_path / "state")
    (Path(version.directory) / "notes.log").touch()  # what it writes itself is not an edit
    check_unchanged(version)
    (Path(version.directory) / "app.py").write_text("hot fix\n")
    with pytest.raises(CrossfadeError) as caught:
        check_unchanged(version)
    assert caught.value.exit == 3
    assert caught.value.render() == (
        "error[version-changed]: the directory of version v1 changed while the version lives\n"
        f"  directory: {version.directory}\n"
        f"  digest:    {version.digest[:12]}\n"
        "  found:     1 changed: app.py\n"
        "hint: put the directory back as it was, or release the change as a version of its own"
    )


def test_directories_outside_git_are_known_by_their_content(tmp_path: Path) -> None:
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name / "pkg").mkdir(parents=True)
        (tmp_path / name / "pkg" / "app.py").write_text(text)
    source = DirectorySource({name: tmp_path / name for name in "abc"})
    a, b, c = (resolve_version(name, source, tmp_path / "state") for name in "abc")
    assert a.digest.startswith("sha256:")
    assert a.digest == b.digest
    assert a.digest != c.digest
    (tmp_path / "a" / "pkg" / "__pycache__").mkdir()
    (tmp_path / "a" / "pkg" / "__pycache__" / "app.cpython-311.pyc").touch()
    check_unchanged(a)
    (tmp_path / "a" / "pkg" / "app.py").rename(tmp_path / "a" / "pkg" / "main.py")
    with pytest.raises(CrossfadeError, match="changed while the version lives"):
        check_unchanged(a)


def test_two_directories_of_one_commit_are_two_versions_and_dirt_counts_where_it_lies(
    repository: Path, tmp_path: Path
) -> None:
    for name in ("v1", "v2"):
        (repository / "versions" / name).mkdir(parents=True)
        (repository / "versions" / name / "app.py").write_text(name)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "versions")
    source = DirectorySource({name: repository / "versions" / name for name in ("v1", "v2")})
    v1, v2 = resolve_version("v1", source, tmp_path), resolve_version("v2", source, tmp_path)
    assert v1.digest == git(repository, "rev-parse", "HEAD:versions/v1")
    assert v1.digest != v2.digest
    (repository / "versions" / "v2" / "app.py").write_text("other")
    (repository / "README").write_text("dirt elsewhere")
    assert resolve_version("v1", source, tmp_path) == v1
    check_unchanged(v1)
    assert "1 changed file in" in refusal("v2", source, tmp_path)


def test_one_directory_for_two_versions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "app")
    source = DirectorySource({"v1": tmp_path / "app", "v2": tmp_path / "link"})
    assert refusal("v1", source, tmp_path) == (
        "3 error[version-shares-directory]: the versions v1 and v2 share one directory\n"
        f"  directory: {tmp_path}/app\n"
        "hint: give each version a directory of its own"
    )


def test_one_commit_under_two_names_is_refused(repository: Path, tmp_path: Path) -> None:
    git(repository, "tag", "again", "v1")
    source = GitSource(repository)
    both = [resolve_version(name, source, tmp_path / "state") for name in ("v1", "again")]
    with pytest.raises(CrossfadeError, match="the versions v1 and again share one directory"):
        check_apart(both)


def test_an_image_is_known_by_its_id(tmp_path: Path) -> None:
    inspect = (sys.executable, "-c", "import sys; print('sha256:' + 'ab' * 32 if sys.argv[1] == 'shop:1' else '')")
    source = ImageSource({"v1": "shop:1", "v2": "shop:2"}, inspect)
    version = resolve_version("v1", source, tmp_path)
    assert (version.short_digest, version.directory, version.source) == ("abababababab", "", Source.IMAGE)
    check_unchanged(version)
    failing = ImageSource({"v1": "shop:1"}, ("sh", "-c", "echo no such image >&2; exit 1"))
    assert refusal("v1", failing, tmp_path) == (
        "6 error[image-unknown]: the image of version v1 could not be inspected\n"
        "  command: sh -c 'echo no such image >&2; exit 1' shop:1\n"
        "  reason:  exit code 1: no such image\n"
        "hint: pull the image, or mend the inspect command in crossfade.toml"
    )


def test_git_saying_no_is_told_with_its_reason(repository: Path, tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    directory = repository / ".git" / "worktrees"
    directory.write_text("in the way")
    sha = git(repository, "rev-parse", "v1")
    assert refusal("v1", GitSource(repository), state_dir) == (
        f"6 error[git-failed]: git could not answer in {repository}\n"
        f"  command: git worktree add --detach --force {state_dir}/versions/{sha[:12]} {sha}\n"
        f"  reason:  fatal: could not create leading directories of '.git/worktrees/{sha[:12]}': Not a directory\n"
        "hint: run the command by hand"
    )
