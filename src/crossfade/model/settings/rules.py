"""What a table must satisfy besides types and bounds, table by table.

Rule: each function looks at one table alone and yields what is wrong, with the key and a way out. What
needs several tables is in `cross.py`; arithmetic between promises is in `model/contradictions.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from crossfade.model.settings import alone, parts, promise
from crossfade.model.settings.problem import did_you_mean
from crossfade.model.settings.read import Finding, Rules
from crossfade.model.settings.secret import SECRET_HEADERS, has_password, names_secret, reference
from crossfade.model.settings.template import IN_TRAFFIC, placeholders

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SEGMENT = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}|[^{}]*")
_REFERENCE_FORMS = "env:NAME, file:PATH or command:PROGRAM"


def _service(service: promise.Service) -> Iterator[Finding]:
    for key, value in (("name", service.name), ("environment", service.environment)):
        if not _NAME.fullmatch(value):
            yield (key,), "names files and roles: letters, digits, dot, dash and underscore only, at most 63"


def _request(text: str) -> str:
    """What is wrong with "METHOD /path", or nothing."""
    method, _, path = text.partition(" ")
    path = path.strip()
    if not path:
        return 'needs a method and a path, for example "POST /orders"'
    if method not in promise.METHODS:
        near = did_you_mean(method.upper(), promise.METHODS)
        return f'has "{method}" for a method; one of {", ".join(sorted(promise.METHODS))} is needed{near}'
    if not path.startswith("/") or "?" in path or "#" in path or " " in path:
        return f'has "{path}" for a path; it starts with / and has no query'
    if not all(_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        return f'has "{path}" for a path; a {{placeholder}} is a whole part between two slashes'
    return ""


def _endpoint(endpoint: promise.Endpoint) -> Iterator[Finding]:
    wrong = _request(endpoint.match)
    if wrong:
        yield ("match",), wrong
        return
    if endpoint.smoke is None or endpoint.smoke_request is None:
        return
    method, path = endpoint.smoke_request
    if "{" in path:
        yield ("smoke", "path"), f"is missing, and {path} has a placeholder; write the path of a real one"
    if method in promise.WRITING_METHODS and not endpoint.smoke.harmless:
        ways = ", ".join(f'"{way}"' for way in promise.HARMLESS)
        yield (
            ("smoke", "harmless"),
            f"is missing: {method} {path} writes, and it will be sent to the real service; say how that does no"
            " harm:"
            f" one of {ways}",
        )


def _smoke(smoke: promise.Smoke) -> Iterator[Finding]:
    if smoke.path and not smoke.path.startswith("/"):
        yield ("path",), f'is "{smoke.path}"; it starts with /'
    for name, value in smoke.headers.items():
        if (name.lower() in SECRET_HEADERS or names_secret(name)) and reference(value) is None:
            yield ("headers", name), f"is a secret written out; write a reference: {_REFERENCE_FORMS}"
    if smoke.harmless == "undo request" and not smoke.undo:
        yield (
            ("undo",),
            'is missing; harmless = "undo request" needs one, for example: undo = "DELETE /orders/test"',
        )
    if smoke.harmless == "synthetic header" and not smoke.headers:
        yield (
            ("headers",),
            'is missing; harmless = "synthetic header" needs one, for example: { X-Synthetic = "1" }',
        )
    if smoke.undo:
        wrong = _request(smoke.undo)
        if wrong or "{" in smoke.undo:
            yield ("undo",), wrong or "has a placeholder; write the path of a real one"


def _process(process: parts.Process) -> Iterator[Finding]:
    if not _NAME.fullmatch(process.name):
        yield (), "names files: letters, digits, dot, dash and underscore only, at most 63"
    if not process.role:
        yield ("role",), f'is missing; "{process.name}" is none of {", ".join(parts.ROLES)}'
    if process.role == "web" and not process.takes_port:
        yield ("command",), "has no {port}, and no variable in env has; each instance needs one of its own"
    for key, path in (("alive", process.alive), ("ready", process.ready)):
        if process.role == "web" and not path.startswith("/"):
            yield (key,), f'is "{path}"; it is a path and starts with /'
    for number, text in enumerate(process.command):
        if has_password(text):
            yield (
                ("command", number),
                "has a password written out, and everybody on the machine can read it; use env",
            )
    for name, text in process.env.items():
        yield from _variable(name, text)


def _variable(name: str, text: str) -> Iterator[Finding]:
    if reference(text) is not None or not text:
        return
    remedy = f"write a reference: {_REFERENCE_FORMS}"
    if has_password(text):
        yield ("env", name), f"has a password written out; {remedy}"
    elif names_secret(name):
        yield ("env", name), f"is a secret written out; {remedy}"


def _database(database: parts.Database) -> Iterator[Finding]:
    yield from _address("app", database.app_url, database.app_password)
    yield from _address("admin", database.admin_url, database.admin_password)
    if reference(database.pooler_url) is None and has_password(database.pooler_url):
        yield ("pooler_url",), f"has a password written out; write a reference: {_REFERENCE_FORMS}"
    roles = database.app_roles
    if roles and (len(roles) != 2 or roles[0] == roles[1]):
        yield ("app_roles",), f"has {len(roles)} names; two different ones are needed: left slot, right slot"
    if "{role}" in database.app_url and not roles:
        yield (
            ("app_roles",),
            'is missing, and app_url has {role}; for example: app_roles = ["shop_left", "shop_right"]',
        )
    if "{role}" in database.admin_url:
        yield ("admin_url",), "has {role}; crossfade itself connects with one role"


def _address(side: str, url: str, password: str) -> Iterator[Finding]:
    key = f"{side}_url"
    if reference(url) is None:
        if has_password(url):
            yield (key,), f'has a password written out; leave it out, and write {side}_password = "env:NAME"'
        elif not re.match(r"postgres(ql)?://", url):
            yield (key,), f"is neither postgresql://... nor a reference: {_REFERENCE_FORMS}"
    if password and reference(password) is None:
        yield (f"{side}_password",), f"is a password written out; write a reference: {_REFERENCE_FORMS}"


def _alone_database(database: alone.AloneDatabase) -> Iterator[Finding]:
    if database.admin_url:
        yield from _address("admin", database.admin_url, database.admin_password)
    elif database.admin_password:
        yield ("admin_password",), "is of no use without admin_url"


def _versions(versions: parts.Versions) -> Iterator[Finding]:
    if versions.source == "image" and "{version}" not in versions.image:
        yield ("image",), 'needs {version} in it, for example "registry.example.com/shop:{version}"'
    if versions.source == "directory" and not versions.directories:
        yield ("directories",), 'is missing; for example: directories = { v1 = "releases/v1", v2 = "releases/v2" }'
    first: dict[str, str] = {}
    for name, directory in versions.directories.items():
        same = first.setdefault(directory.rstrip("/"), name)
        if same != name:
            yield ("directories", name), f'is "{directory}", as is {same}; each version has a directory of its own'


def _runtime(runtime: parts.Runtime) -> Iterator[Finding]:
    yield from _driver_table(runtime.driver, runtime.command is not None, "runtime")


def _runtime_commands(commands: parts.RuntimeCommands) -> Iterator[Finding]:
    for key in ("start", "stop", "list", "log"):
        for number, text in enumerate(getattr(commands, key)):
            for name in placeholders(text):
                if name in ("slot", "version", "digest"):
                    yield (key, number), f"has {{{name}}}; the program finds that in CROSSFADE_{name.upper()}"


def _traffic_commands(commands: parts.TrafficCommands) -> Iterator[Finding]:
    for key in ("set_share", "read_share", "set_members", "list"):
        for number, text in enumerate(getattr(commands, key)):
            for name in placeholders(text):
                if name not in IN_TRAFFIC:
                    near = did_you_mean(name, IN_TRAFFIC) or f"; known are {', '.join(IN_TRAFFIC)}"
                    yield (key, number), f"has {{{name}}}, which nothing fills in{near}"


def _driver_table(driver: str, has_table: bool, name: str) -> Iterator[Finding]:
    if driver == "command" and not has_table:
        yield ("command",), f'is missing; driver = "command" needs the table [{name}.command]'
    if driver != "command" and has_table:
        yield ("command",), f'is not used while driver = "{driver}"; take it out, or write driver = "command"'


def _traffic(traffic: parts.Traffic) -> Iterator[Finding]:
    yield from _driver_table(traffic.driver, traffic.command is not None, "traffic")
    host, _, port = traffic.listen.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        yield ("listen",), f'is "{traffic.listen}"; host and port are needed, for example "127.0.0.1:8080"'
    for number, (low, high) in enumerate(zip(traffic.shares, traffic.shares[1:], strict=False), start=1):
        if low >= high:
            yield ("shares", number), f"is {high:g} after {low:g}; shares only grow"
    if traffic.shares[-1] != 100:
        yield ("shares",), f"ends at {traffic.shares[-1]:g}; the last share is 100"
    for number, share in enumerate(traffic.shares):
        if abs(share * 100 - round(share * 100)) > 1e-6:
            yield ("shares", number), f"is {share:g}; shares have at most two places after the point"


def _signals(signals: parts.Signals) -> Iterator[Finding]:
    if signals.driver == "command" and not signals.command:
        yield ("command",), 'is missing; driver = "command" needs a program, as a list'


RULES: Rules = {
    promise.Service: _service,
    promise.Endpoint: _endpoint,
    promise.Smoke: _smoke,
    parts.Process: _process,
    parts.Database: _database,
    alone.AloneDatabase: _alone_database,
    parts.Versions: _versions,
    parts.Runtime: _runtime,
    parts.RuntimeCommands: _runtime_commands,
    parts.Traffic: _traffic,
    parts.TrafficCommands: _traffic_commands,
    parts.Signals: _signals,
}
