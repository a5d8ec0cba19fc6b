"""What a person reads when the proxy is in trouble: whole texts and exit codes."""

from __future__ import annotations

import pytest

from crossfade.model.errors import Exit, fail

CASES = [
    (
        fail("proxy-unreachable", socket="/run/x/admin.sock", detail="Connection refused"),
        Exit.UNREACHABLE,
        """\
error[proxy-unreachable]: the proxy does not answer at /run/x/admin.sock
  reason: Connection refused
hint: crossfade doctor""",
    ),
    (
        fail("proxy-refused", command="set map f share 5", answer="entry not found."),
        Exit.UNREACHABLE,
        """\
error[proxy-refused]: the proxy refused a change
  asked:    set map f share 5
  answered: entry not found.
hint: crossfade doctor""",
    ),
    (
        fail("proxy-config-invalid", file="/s/haproxy.candidate.cfg", output="[ALERT] line 3: unknown keyword"),
        Exit.CONFIG,
        """\
error[proxy-config-invalid]: HAProxy does not accept the configuration written for it
  file: /s/haproxy.candidate.cfg
  [ALERT] line 3: unknown keyword
hint: crossfade doctor""",
    ),
    (
        fail("proxy-setting-invalid", setting="unit_cookie", value="'a b'", pattern="[a-z]+"),
        Exit.CONFIG,
        """\
error[proxy-setting-invalid]: unit_cookie = 'a b' cannot be put into the proxy's configuration
  allowed: [a-z]+
hint: change unit_cookie under [traffic], then: crossfade check""",
    ),
    (
        fail("proxy-places-full", slot="right", address="127.0.0.1:9", places=2, draining=1),
        Exit.NOT_MET,
        """\
error[proxy-places-full]: slot right has no free place for 127.0.0.1:9
  places: 2, of which 1 still finish requests of removed instances
hint: wait for them to finish, or raise places under [traffic]""",
    ),
    (
        fail(
            "traffic-command-failed",
            name="set_share",
            argv="./lb share 5",
            ended="exit code 3",
            tail="no such pool",
            env="CROSSFADE_NEW, CROSSFADE_OLD",
        ),
        Exit.UNREACHABLE,
        """\
error[traffic-command-failed]: the command set_share for the load balancer failed
  ran:   ./lb share 5
  ended: exit code 3
  no such pool
hint: run it by hand with the same environment: CROSSFADE_NEW, CROSSFADE_OLD""",
    ),
    (
        fail("traffic-command-garbled", name="read_share", argv="./lb share", expected="{...}", found="hello"),
        Exit.UNREACHABLE,
        """\
error[traffic-command-garbled]: the command read_share for the load balancer printed something else than was agreed
  ran:      ./lb share
  expected: {...}
  found:    hello
hint: run it by hand and compare""",
    ),
]


@pytest.mark.parametrize(("error", "exit_code", "text"), CASES, ids=[error.id for error, _, _ in CASES])
def test_the_whole_text(error: object, exit_code: Exit, text: str) -> None:
    assert error.render() == text  # type: ignore[attr-defined]
    assert error.exit is exit_code  # type: ignore[attr-defined]
