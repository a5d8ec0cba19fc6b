"""As whom a server runs: the decision, with identities that are only told to work or not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from crossfade.embedded.as_user import Decision, RunAs, Way, decide
from crossfade.model.errors import CrossfadeError, Exit

NOBODY = RunAs(Way.SETUID, 65534, 65534)
NAMESPACE = RunAs(Way.USERNS, 65534, 65534)
OWNER = RunAs(Way.SETUID, 1000, 1000)
DIRECTORY = Path("/srv/shop/db")
PROGRAM = Path("/opt/pg/bin/postgres")


class World:
    """A probe that knows who may enter the directory and who may run the program."""

    def __init__(self, enters: set[RunAs], runs: set[RunAs]) -> None:
        self.enters, self.runs = enters, runs

    def __call__(self, run_as: RunAs, directory: Path, argv: Sequence[str]) -> str:
        if run_as not in self.enters:
            return f"uid {run_as.uid} cannot enter {directory}: Permission denied"
        if argv and run_as not in self.runs:
            return f"uid {run_as.uid} cannot run {argv[0]}: Permission denied"
        return ""


def choose(world: World, may_copy: bool = True) -> Decision:
    return decide([NOBODY, NAMESPACE, OWNER], DIRECTORY, PROGRAM, may_copy, world)


def test_the_first_identity_that_works_is_taken() -> None:
    assert choose(World({NOBODY, NAMESPACE}, {NOBODY, NAMESPACE})) == Decision(NOBODY, copy_programs=False)


def test_in_a_directory_only_root_can_enter_a_user_namespace_is_taken() -> None:
    assert choose(World({NAMESPACE}, {NAMESPACE})) == Decision(NAMESPACE, copy_programs=False)


def test_in_a_directory_of_a_person_that_person_is_taken() -> None:
    assert choose(World({OWNER}, {OWNER})) == Decision(OWNER, copy_programs=False)


def test_programs_nobody_can_reach_are_copied_for_the_first_who_can_enter() -> None:
    assert choose(World({NOBODY}, set())) == Decision(NOBODY, copy_programs=True)


def test_running_in_place_is_preferred_to_copying() -> None:
    assert choose(World({NOBODY, NAMESPACE}, {NAMESPACE})) == Decision(NAMESPACE, copy_programs=False)


def test_installed_programs_are_not_copied_and_every_try_is_told() -> None:
    with pytest.raises(CrossfadeError) as caught:
        choose(World({NOBODY}, set()), may_copy=False)
    assert caught.value.exit is Exit.UNREACHABLE
    assert caught.value.render() == (
        "error[server-refuses-root]: postgres refuses to run as root, and no other identity works "
        "in /srv/shop/db\n"
        "  tried:\n"
        "  uid 65534: uid 65534 cannot run /opt/pg/bin/postgres: Permission denied\n"
        "  uid 65534 in a user namespace: uid 65534 cannot enter /srv/shop/db: Permission denied\n"
        "  uid 1000: uid 1000 cannot enter /srv/shop/db: Permission denied\n"
        "hint: run crossfade as an ordinary user, or in a directory that other users may enter"
    )


def test_an_ordinary_user_runs_the_program_itself() -> None:
    assert RunAs(Way.SELF, 1000, 1000).argv(DIRECTORY, ["/bin/pg", "-D", "a b"]) == ["/bin/pg", "-D", "a b"]


def test_another_identity_is_complete_in_the_command() -> None:
    argv = NAMESPACE.argv(DIRECTORY, ["/bin/pg", "-D", "a b"])
    assert argv[0] == sys.executable
    assert argv[1:3] == ["-I", "-S"]
    assert argv[4:] == ["userns", "65534", "65534", "/srv/shop/db", "/bin/pg", "-D", "a b"]
