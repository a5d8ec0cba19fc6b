"""Every problem of a file is said at once, each with its line, its key and a way out."""

from __future__ import annotations

from datetime import date

import pytest

from crossfade.model.errors import CrossfadeError, Exit
from crossfade.model.requirement import Config, Endpoint, Process
from crossfade.model.settings.parse import parse_config

MINIMAL = """\
[service]
name = "shop"

[process.web]
command = ["python", "-m", "shop", "--port", "{port}"]

[[endpoint]]
name = "start"
match = "GET /"
[endpoint.smoke]

[database.main]
app_url = "env:DATABASE_URL"
admin_url = "env:ADMIN_URL"
"""


def refusal(text: str, today: date | None = None) -> CrossfadeError:
    with pytest.raises(CrossfadeError) as caught:
        parse_config(text, "crossfade.toml", today)
    assert caught.value.id == "config-invalid"
    assert caught.value.exit is Exit.CONFIG
    return caught.value


def listing(text: str) -> list[str]:
    return str(refusal(text).facts["listing"]).splitlines()


def test_a_small_file_is_enough() -> None:
    config = parse_config(MINIMAL)
    assert isinstance(config, Config)
    assert config.requirement.availability == 0.999
    assert config.traffic.shares_bp == (100, 500, 2500, 5000, 10000)
    assert config.processes["web"] == Process(
        name="web", role="web", command=("python", "-m", "shop", "--port", "{port}")
    )
    assert [endpoint.smoke_request for endpoint in config.endpoints] == [("GET", "/")]
    assert config.database.name == "main"


def test_the_whole_text_for_a_file_with_many_mistakes() -> None:
    text = """\
[service]
name = "shop"
[requirement]
traffic_back = 1
drain_s = "60"
availability = 1.5
[process.web]
command = ["python", "-m", "shop", "{prt}"]
alve = "/x"
[[endpoint]]
name = "order"
match = "POTS /orders"
step_cap_s = 4
[[endpoint]]
name = "order"
match = "POST /orders"
[endpoint.smoke]
headers = { Authorization = "Bearer x" }
[traffic]
at_cap = "advanced"
shares = [1, 50, 25, 90]
[database.main]
app_url = "postgresql://a:secret@h/db"
[flags]
"""
    assert (
        refusal(text).render()
        == """\
error[config-invalid]: crossfade.toml has 15 problems
  crossfade.toml:4: requirement.traffic_back: is not a key of crossfade.toml here; did you mean "traffic_back_s"?
  crossfade.toml:5: requirement.drain_s: is the text "60", but a number is needed
  crossfade.toml:6: requirement.availability: is 1.5; at most 0.999999 is allowed
  crossfade.toml:8: process.web.command: has no {port}, and no variable in env has; each instance needs \
one of its own
  crossfade.toml:9: process.web.alve: is not a key of crossfade.toml here; did you mean "alive"?
  crossfade.toml:12: endpoint[0].match: has "POTS" for a method; one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, \
PUT is needed; did you mean "POST"?
  crossfade.toml:13: endpoint[0].step_cap_s: is not a key of crossfade.toml here; it belongs in [traffic]
  crossfade.toml:17: endpoint[1].smoke.harmless: is missing: POST /orders writes, and it will be sent to the real \
service; say how that does no harm: one of "test account", "synthetic header", "undo request"
  crossfade.toml:18: endpoint[1].smoke.headers.Authorization: is a secret written out; write a reference: \
env:NAME, file:PATH or command:PROGRAM
  crossfade.toml:20: traffic.at_cap: is "advanced"; one of "hold", "advance", "rollback" is needed; \
did you mean "advance"?
  crossfade.toml:21: traffic.shares[2]: is 25 after 50; shares only grow
  crossfade.toml:21: traffic.shares: ends at 90; the last share is 100
  crossfade.toml:22: database.main.admin_url: is missing; for example: admin_url = "env:CROSSFADE_ADMIN_URL"
  crossfade.toml:23: database.main.app_url: has a password written out; leave it out, and write \
app_password = "env:NAME"
  crossfade.toml:24: flags: is reserved for feature flags, which this version does not have; take it out
hint: mend the lines named above, then: crossfade check"""
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = \n", "crossfade.toml:2: is not TOML: invalid value (column 5)"),
        (
            "a = 1\n[x\n",
            "crossfade.toml:2: is not TOML: expected ']' at the end of a table declaration (column 3)",
        ),
        ("a = 1\na = 2\n", "crossfade.toml:2: is not TOML: cannot overwrite a value (column 6)"),
        ('a = 1\nb = """x', "crossfade.toml:2: is not TOML: unterminated string at the end"),
    ],
)
def test_what_is_not_toml_is_said_with_its_line(text: str, said: str) -> None:
    assert refusal(text).render() == (
        "error[config-invalid]: crossfade.toml has 1 problem\n"
        f"  {said}\n"
        "hint: mend the lines named above, then: crossfade check"
    )


def test_an_empty_file_says_what_is_required() -> None:
    assert listing("") == [
        "crossfade.toml:1: service: is missing; for example: [service]",
        "crossfade.toml:1: process: is missing; for example: [process.web]",
        "crossfade.toml:1: database: is missing; for example: [database.main]",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "shop"', 'name = ""', '2: service.name: is empty; for example: name = "shop"'),
        ('name = "shop"', "name = 3", "2: service.name: is 3, but text in quotes is needed"),
        (
            'name = "shop"',
            'name = "a shop"',
            "2: service.name: names files and roles: letters, digits, dot, dash and underscore only, at most 63",
        ),
        (
            "[process.web]",
            "[process.sub]",
            '4: process.sub.role: is missing; "sub" is none of web, worker, scheduled',
        ),
        ("[[endpoint]]", "[endpoint]", "7: endpoint: is a table; write it as [[endpoint]], once for each"),
        (
            "[database.main]",
            "[database]",
            "12: database: has no name; write it as [database.main]",
        ),
        ('"GET /"', '"GET"', '9: endpoint[0].match: needs a method and a path, for example "POST /orders"'),
        ('"GET /"', '"GET x"', '9: endpoint[0].match: has "x" for a path; it starts with / and has no query'),
        (
            '"GET /"',
            '"GET /a{b}"',
            '9: endpoint[0].match: has "/a{b}" for a path; a {placeholder} is a whole part between two slashes',
        ),
        (
            '"GET /"',
            '"GET /orders/{id}"',
            "10: endpoint[0].smoke.path: is missing, and /orders/{id} has a placeholder; write the path of a real one",
        ),
        (
            "[endpoint.smoke]",
            'error_ratio_max = nan\n[endpoint.smoke]\nharmless = "undo request"',
            "10: endpoint[0].error_ratio_max: is nan; a finite number is needed",
        ),
        (
            "[endpoint.smoke]",
            '[endpoint.smoke]\nharmless = "undo request"',
            '10: endpoint[0].smoke.undo: is missing; harmless = "undo request" needs one, for example: '
            'undo = "DELETE /orders/test"',
        ),
        (
            "[endpoint.smoke]",
            '[endpoint.smoke]\nharmless = "synthetic header"',
            '10: endpoint[0].smoke.headers: is missing; harmless = "synthetic header" needs one, for example: '
            '{ X-Synthetic = "1" }',
        ),
        (
            '"{port}"]',
            '"{port}", "{versoin}"]',
            '5: process.web.command[5]: has {versoin}, which nothing fills in; did you mean "version"?',
        ),
        (
            '"{port}"]',
            '"{port}"]\nenv = { DB = "postgresql://a:b@h/d" }',
            "6: process.web.env.DB: has a password written out; write a reference: env:NAME, file:PATH or "
            "command:PROGRAM",
        ),
        (
            '"{port}"]',
            '"{port}"]\nenv = { SESSION_SECRET = "hunter2" }',
            "6: process.web.env.SESSION_SECRET: is a secret written out; write a reference: env:NAME, file:PATH"
            " or "
            "command:PROGRAM",
        ),
        (
            '"{port}"]',
            '"{port}", "--db=postgresql://a:b@h/d"]',
            "5: process.web.command[5]: has a password written out, and everybody on the machine can read it; use env",
        ),
        (
            '"env:DATABASE_URL"',
            '"postgresql://{role}@h/d"',
            "12: database.main.app_roles: is missing, and app_url has {role}; for example: app_roles = "
            '["shop_left", "shop_right"]',
        ),
        (
            '"env:DATABASE_URL"',
            '"mysql://h/d"',
            "13: database.main.app_url: is neither postgresql://... nor a reference: env:NAME, file:PATH or "
            "command:PROGRAM",
        ),
        (
            '"env:DATABASE_URL"',
            '"host=h password=b"',
            '13: database.main.app_url: has a password written out; leave it out, and write app_password = "env:NAME"',
        ),
        (
            '"env:DATABASE_URL"',
            '"env:DATABASE_URL"\nadmin_password = "hunter2"',
            "14: database.main.admin_password: is a password written out; write a reference: env:NAME, file:PATH"
            " or "
            "command:PROGRAM",
        ),
        (
            '"env:ADMIN_URL"',
            '"env:ADMIN_URL"\npooler_url = "postgresql://stats:b@h/pgbouncer"',
            "15: database.main.pooler_url: has a password written out; write a reference: env:NAME, file:PATH or "
            "command:PROGRAM",
        ),
        (
            '"env:ADMIN_URL"',
            '"env:ADMIN_URL"\n[database.other]\napp_url = "env:A"\nadmin_url = "env:B"',
            "15: database.other: is a second database; one is supported so far, so leave this one out",
        ),
        (
            "[[endpoint]]",
            '[[dependency]]\nname = "db"\nkind = "postgresql"\nenv = "DATABASE_URL"\n[[endpoint]]',
            '10: dependency[0].env: is "DATABASE_URL", but no process has it in its env, so it could not be cut',
        ),
        (
            "[[endpoint]]",
            '[versions]\nsource = "directory"\ndirectories = { v1 = "a", v2 = "a/" }\n[[endpoint]]',
            '9: versions.directories.v2: is "a/", as is v1; each version has a directory of its own',
        ),
        (
            "[[endpoint]]",
            '[versions]\nsource = "image"\n[[endpoint]]',
            '7: versions.image: needs {version} in it, for example "registry.example.com/shop:{version}"',
        ),
        (
            "[[endpoint]]",
            '[runtime]\ndriver = "command"\n[[endpoint]]',
            '7: runtime.command: is missing; driver = "command" needs the table [runtime.command]',
        ),
        (
            "[[endpoint]]",
            '[runtime]\ndriver = "command"\n[runtime.command]\nstart = ["d", "{slot}"]\nstop = ["d"]\nlist = ["d"]\n'
            "[[endpoint]]",
            "10: runtime.command.start[1]: has {slot}; the program finds that in CROSSFADE_SLOT",
        ),
        (
            "[[endpoint]]",
            '[traffic]\ndriver = "command"\n[traffic.command]\nset_share = ["lb", "{precent}"]\n'
            'read_share = ["lb"]\n[[endpoint]]',
            '10: traffic.command.set_share[1]: has {precent}, which nothing fills in; did you mean "percent"?',
        ),
        (
            "[[endpoint]]",
            '[traffic]\nlisten = "8080"\n[[endpoint]]',
            '8: traffic.listen: is "8080"; host and port are needed, for example "127.0.0.1:8080"',
        ),
        (
            "[[endpoint]]",
            "[traffic]\nshares = []\n[[endpoint]]",
            "8: traffic.shares: is empty; for example: shares = [1, 5, 25, 50, 100]",
        ),
        (
            "[[endpoint]]",
            "[traffic]\nshares = [0.005, 100]\n[[endpoint]]",
            "8: traffic.shares[0]: is 0.005 percent; at least 0.01 is needed",
        ),
        (
            "[[endpoint]]",
            "[requirement]\nversions_overlap_max = 3\n[[endpoint]]",
            "8: requirement.versions_overlap_max: is 3; at most 2 is allowed",
        ),
        (
            "[[endpoint]]",
            '[[waiver]]\nwhat = "x"\nname = "n"\nreason = "r"\nexpires = "2030-01-01"\n[[endpoint]]',
            '11: waiver[0].expires: is the text "2030-01-01", but a date such as 2030-12-31 is needed',
        ),
        (
            "[endpoint.smoke]",
            "critical = false",
            "7: endpoint: none is critical, so nothing says whether customers are served; for example:"
            " [[endpoint]] "
            'name = "start" match = "GET /"',
        ),
    ],
)
def test_each_mistake_is_said_at_its_line(old: str, new: str, said: str) -> None:
    assert old in MINIMAL
    assert f"crossfade.toml:{said}" in listing(MINIMAL.replace(old, new, 1))


def test_a_secret_is_never_repeated_in_its_refusal() -> None:
    text = MINIMAL.replace("env:DATABASE_URL", "postgresql://shop:hunter2@h/d").replace(
        '"{port}"]', '"{port}"]\nenv = { API_TOKEN = "hunter2", U = "redis://:hunter2@h" }'
    )
    assert "hunter2" not in refusal(text).render()
    assert len(listing(text)) == 3


def test_references_and_unsecret_names_pass() -> None:
    env = '{ A_TOKEN = "env:T", B_PASSWORD = "file:/run/p", C_SECRET = "command:pass shop", TOKEN_TTL_S = "60" }'
    config = parse_config(MINIMAL.replace('"{port}"]', f'"{{port}}"]\nenv = {env}'))
    assert config.processes["web"].env["A_TOKEN"] == "env:T"


def test_what_follows_from_a_mistake_is_not_said_twice() -> None:
    text = MINIMAL.replace('match = "GET /"', 'match = "GET /"\nslow_ms = 20000\nhang_ms = "x"')
    assert listing(text) == ['crossfade.toml:11: endpoint[0].hang_ms: is the text "x", but a whole number is needed']


def test_slots_connect_as_roles_of_their_own() -> None:
    from crossfade.model.ports import Slot

    text = MINIMAL.replace('"env:DATABASE_URL"', '"postgresql://{role}@h/d"\napp_roles = ["shop_left", "shop_right"]')
    database = parse_config(text).database
    assert database.app_url_for(Slot.LEFT) == "postgresql://shop_left@h/d"
    assert database.app_url_for(Slot.RIGHT) == "postgresql://shop_right@h/d"


def test_a_smoke_may_name_another_request() -> None:
    text = MINIMAL.replace('"GET /"', '"POST /orders"').replace(
        "[endpoint.smoke]",
        '[endpoint.smoke]\npath = "/orders?dry=1"\nharmless = "undo request"\nundo = "DELETE /orders/t"',
    )
    endpoint: Endpoint = parse_config(text).endpoints[0]
    assert endpoint.smoke_request == ("POST", "/orders?dry=1")
    assert endpoint.smoke is not None
    assert endpoint.smoke.undo_request == ("DELETE", "/orders/t")
