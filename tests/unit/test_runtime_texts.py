"""What supervisord reads, and placeholders: pure text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.runtime.record import Places, Program
from crossfade.runtime.supervisord_conf import group_conf, main_conf
from crossfade.runtime.templates import expand

FACTS = {"slot": "left", "port": "15001"}


def test_placeholders_are_filled_and_other_braces_pass() -> None:
    assert expand("{slot}:{port}", FACTS, "processes.web.command") == "left:15001"
    assert expand('{"a": 1} ${HOME} {} {0} {A}', FACTS, "here") == '{"a": 1} ${HOME} {} {0} {A}'


def test_an_unknown_placeholder_is_told() -> None:
    with pytest.raises(CrossfadeError) as caught:
        expand("--db {databse}", FACTS, "processes.web.command")
    assert caught.value.exit == 3
    assert caught.value.render() == (
        "error[placeholder-unknown]: processes.web.command holds the unknown placeholder {databse}\n"
        "  value: --db {databse}\n"
        "  known: {slot} {port}\n"
        "hint: use one of the known placeholders; {port} needs a role that takes a port"
    )


def test_the_file_of_a_lane_names_record_and_program_and_nothing_of_the_service() -> None:
    program = Program(
        name="left-web-1",
        argv=("serve", "--token", "argv-of-the-service"),
        directory="/srv/shop",
        env={"TOKEN": "file:/run/token"},
        log="/state/logs/left-web-1.log",
        fingerprint="f",
        stop_wait_s=20.0,
    )
    text = group_conf(Places(Path("/state")), "left", Path("/state 100%/lanes/left.json"), [program], priority=500)
    assert text == (
        "[group:left]\n"
        "programs=left-web-1\n"
        "priority=500\n"
        "[program:left-web-1]\n"
        f"command={sys.executable} -P -m crossfade.runtime.launch '/state 100%%/lanes/left.json' left-web-1\n"
        "autostart=true\n"
        "autorestart=true\n"
        "exitcodes=0\n"
        "startsecs=0\n"
        "stopsignal=TERM\n"
        "stopwaitsecs=20\n"
        "killasgroup=true\n"
        "redirect_stderr=true\n"
        "stdout_logfile=/state/logs/left-web-1.log\n"
        "stdout_logfile_maxbytes=0\n"
    )


@pytest.mark.parametrize("character", list("%;#'\"[]*?{}\n"))
def test_a_path_that_cannot_be_quoted_is_refused(character: str) -> None:
    directory = f"/srv/a{character}b"
    with pytest.raises(CrossfadeError) as caught:
        main_conf(Places(Path(directory)), Path("/tmp/s"))
    assert caught.value.exit == 3
    assert caught.value.render() == (
        f"error[state-directory-unusable]: the path {directory} holds a character that supervisord's files "
        "cannot quote\n"
        "  allowed: letters, digits, space and . _ / + @ = , : ~ -\n"
        "hint: move the project, or crossfade's installation, to a path without it"
    )
