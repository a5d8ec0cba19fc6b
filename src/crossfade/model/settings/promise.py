# ruff: noqa: RUF009 - setting() is dataclasses.field with a sentence
"""The promises of `crossfade.toml`: the service, its requirement, and what customers notice of it.

Rule and invariant: see `crossfade.model.requirement`, from where these names are imported by everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossfade.model.settings.field import setting

WRITING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
METHODS = frozenset({"GET", "HEAD", "OPTIONS"}) | WRITING_METHODS
HARMLESS = ("test account", "synthetic header", "undo request")


@dataclass(frozen=True)
class Service:
    """What is released, and where crossfade keeps what it must remember about it."""

    name: str = setting("The service's name, as people say it.", example="shop")
    environment: str = setting(
        "Which of your environments this is. Journal and lease are bound to it, so a copied database never acts on"
        " another environment's proxy.",
        default="production",
    )
    state_dir: str = setting(
        "Where the spool, the proxy's files and the lanes' logs are kept; relative to this file.",
        default=".crossfade",
    )
    on_failover: str = setting(
        "After the database failed over: hold until a person has looked, or continue.",
        default="hold",
        choices=("hold", "continue"),
    )


@dataclass(frozen=True)
class Requirement:
    """The promise, in numbers. Everything crossfade does is measured against this table."""

    availability: float = setting(
        "The part of the requests to each critical endpoint that must succeed, over 30 days.",
        default=0.999,
        minimum=0.5,
        maximum=0.999999,
    )
    traffic_back_s: float = setting(
        "After a verdict, how soon every new request must be on the old version again, while that is warm.",
        default=1.0,
        unit="seconds",
        minimum=0.05,
        maximum=3600,
    )
    drain_s: float = setting(
        "The longest a request in flight may take. No instance is stopped before its requests had this long.",
        default=30.0,
        unit="seconds",
        minimum=0,
        maximum=86400,
    )
    versions_overlap_max: int = setting(
        "How many versions may run at the same time. Two is what a release needs; more is never allowed.",
        default=2,
        minimum=1,
        maximum=2,
    )
    restore_proof_max_age_days: int = setting(
        "How old the last successful restore of the backup may be when a step needs it that cannot be undone.",
        default=7,
        unit="days",
        minimum=1,
        maximum=366,
    )
    purge_after_s: float = setting(
        "How long what a change took out of sight is kept in place before it may be dropped.",
        default=604800.0,
        unit="seconds",
        minimum=0,
        maximum=31536000,
    )
    attic_days: int = setting(
        "How long what was dropped is kept in the attic.", default=90, unit="days", minimum=1, maximum=3650
    )
    false_rollbacks_per_release: float = setting(
        "How often a version without fault may be turned back by chance, over a whole release.",
        default=0.001,
        minimum=0.000001,
        maximum=0.2,
    )
    keep_warm_s: float = setting(
        "How long the old version keeps running after the new one has all traffic.",
        default=600.0,
        unit="seconds",
        minimum=0,
        maximum=604800,
    )


@dataclass(frozen=True)
class Smoke:
    """One request that is sent through the new version before any customer reaches it."""

    path: str = setting(
        "The path to ask for, with its query. Left out: the path of `match`, where that has no {placeholder}.",
        default="",
        example="/orders",
    )
    method: str = setting(
        "The method. Left out: the method of `match`.", default="", example="POST", choices=tuple(sorted(METHODS))
    )
    headers: Mapping[str, str] = setting(
        "Headers to send. A secret is a reference: env:NAME, file:PATH or command:PROGRAM.",
        default={},
        example={"Content-Type": "application/json", "X-Synthetic": "1"},
    )
    body: str = setting("The body to send.", default="", example='{"item": "pear", "count": 1}')
    expect_status: tuple[int, ...] = setting(
        "The statuses that count as success.", default=(200,), minimum=100, maximum=599, example=(201,)
    )
    harmless: str = setting(
        "Why the request does no harm on the real service. Required for methods that write.",
        default="",
        choices=HARMLESS,
        example="synthetic header",
    )
    undo: str = setting(
        'For harmless = "undo request": what takes the smoke request back, as "METHOD /path".',
        default="",
    )
    timeout_ms: int = setting(
        "How long the answer may take.", default=5000, unit="milliseconds", minimum=1, maximum=600000
    )

    @property
    def undo_request(self) -> tuple[str, str] | None:
        """Method and path of the undo request, where there is one."""
        if not self.undo:
            return None
        method, _, path = self.undo.partition(" ")
        return method, path.strip()


@dataclass(frozen=True)
class Endpoint:
    """Requests that customers notice, and the limits beyond which a version is turned back."""

    name: str = setting("The endpoint's name, in verdicts and reports.", example="place an order")
    match: str = setting(
        'Method and path, as "POST /orders" or "GET /orders/{id}": a {placeholder} is one part of the path.',
        example="POST /orders",
    )
    critical: bool = setting(
        "Whether `availability` binds it. A critical endpoint is smoked before the first share.", default=True
    )
    error_ratio_max: float = setting(
        "The part of requests that may fail (status 500 and above, or no answer).",
        default=0.001,
        minimum=0.000001,
        maximum=1,
    )
    slow_ms: int = setting(
        "From here on an answer counts as slow.", default=500, unit="milliseconds", minimum=1, maximum=600000
    )
    slow_ratio_max: float = setting("The part of requests that may be slow.", default=0.05, minimum=0.000001, maximum=1)
    hang_ms: int = setting(
        "A request in flight for longer hangs, and counts as failed at once.",
        default=10000,
        unit="milliseconds",
        minimum=1,
        maximum=3600000,
    )
    requests_per_s: float = setting(
        "Requests a quiet hour brings, per second; 0 where unknown. Only used to say in advance whether a verdict"
        " can be reached.",
        default=0.0,
        unit="requests per second",
        minimum=0,
        maximum=10_000_000,
    )
    smoke: Smoke | None = setting("The request that tries this endpoint before customers do.", default=None)

    @property
    def method(self) -> str:
        """The method of `match`."""
        return self.match.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path of `match`, placeholders included."""
        return self.match.partition(" ")[2].strip()

    @property
    def smoke_request(self) -> tuple[str, str] | None:
        """Method and path of the smoke request, with what `match` supplies; None where there is no smoke."""
        if self.smoke is None:
            return None
        return self.smoke.method or self.method, self.smoke.path or self.path


@dataclass(frozen=True)
class Workflow:
    """A business workflow: several requests that only mean something together."""

    name: str = setting("The workflow's name.", example="order and cancel")
    command: tuple[str, ...] = setting(
        "A program that walks it against {base_url} and ends with 0 where it worked.",
        default=(),
        example=("python", "checks/order_and_cancel.py", "{base_url}"),
    )
    timeout_s: float = setting("How long it may take.", default=60.0, unit="seconds", minimum=0.1, maximum=86400)


@dataclass(frozen=True)
class Queue:
    """A queue that customers wait behind."""

    name: str = setting("The queue's name.", example="mails")
    depth_max: int = setting("How many jobs may wait.", default=1000, minimum=0, maximum=1_000_000_000)
    oldest_max_s: float = setting(
        "How long the oldest job may have waited.", default=300.0, unit="seconds", minimum=0, maximum=31536000
    )
