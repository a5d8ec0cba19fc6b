# ruff: noqa: RUF009 - setting() is dataclasses.field with a sentence
"""The parts a promise is kept with: processes, dependencies, databases, versions, runtime, traffic, signals.

Rule and invariant: see `crossfade.model.requirement`, from where these names are imported by everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossfade.model.ports import FULL_BP, FuseLimit, Slot
from crossfade.model.settings.field import setting

ROLES = ("web", "worker", "scheduled")


@dataclass(frozen=True)
class Process:
    """One kind of process of a version: how it is started, asked whether it is well, and stopped."""

    name: str = setting("The name in the table's header.", from_table_name=True)
    command: tuple[str, ...] = setting(
        "Program and arguments, as a list. {port}, {host}, {directory}, {version}, {slot} and {instance} are"
        " filled in.",
        example=("python", "-m", "shop", "--port", "{port}"),
    )
    role: str = setting(
        "What it does: serve requests, work on jobs, or run what is due. Left out: the name in the header.",
        default="",
        choices=ROLES,
        example="web",
    )
    instances: int = setting("How many of them run in one lane.", default=2, minimum=1, maximum=1000)
    directory: str = setting("Where it starts, relative to the version's directory.", default=".")
    env: Mapping[str, str] = setting(
        "Its environment. Placeholders as in `command`, {database.main} for the database's URL as this slot's"
        " role, and references (env:NAME, file:PATH, command:PROGRAM) for secrets.",
        default={},
        example={"DATABASE_URL": "{database.main}"},
    )
    alive: str = setting(
        "The shallow check: a path that answers 200 while the process can take requests. It keeps an instance in"
        " the pool, so it must not ask the database.",
        default="/healthz",
    )
    ready: str = setting(
        "The deep check: a path that answers 200 only while every critical dependency works. It gates the shift.",
        default="/ready",
    )
    start_timeout_s: float = setting(
        "How long a start may take until it counts as failed.",
        default=30.0,
        unit="seconds",
        minimum=0.1,
        maximum=3600,
    )
    stop_timeout_s: float = setting(
        "How long a stop may take until the process is ended.",
        default=40.0,
        unit="seconds",
        minimum=0.1,
        maximum=86400,
    )

    def __post_init__(self) -> None:
        if not self.role and self.name in ROLES:
            object.__setattr__(self, "role", self.name)

    @property
    def takes_port(self) -> bool:
        """Whether each instance is given a port to listen on."""
        return any("{port}" in text for text in (*self.command, *self.env.values()))


@dataclass(frozen=True)
class Dependency:
    """Something a version cannot work without. The deep check must turn red when it is cut."""

    name: str = setting("The dependency's name.", example="orders database")
    kind: str = setting("How it is spoken to.", choices=("postgresql", "http", "redis", "tcp"), example="postgresql")
    env: str = setting("The variable that holds its URL; one of a process's `env`.", example="DATABASE_URL")
    critical: bool = setting("Whether the service is down without it.", default=True)


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database. The journal and the lease live in it too."""

    name: str = setting("The name in the table's header.", from_table_name=True)
    app_url: str = setting(
        "Where the application connects, without a password; {role} is this slot's role. Or a reference to the"
        " whole URL: env:NAME, file:PATH or command:PROGRAM.",
        example="postgresql://{role}@127.0.0.1:5432/shop",
    )
    admin_url: str = setting(
        "Where crossfade connects: its journal and its lease, and later the schema's changes. Directly, not"
        " through a pooler. The same forms as app_url.",
        example="env:CROSSFADE_ADMIN_URL",
    )
    app_password: str = setting(
        "A reference to the application's password, where app_url is written out.",
        default="",
        example="env:SHOP_DB_PASSWORD",
    )
    admin_password: str = setting("A reference to the admin's password, where admin_url is written out.", default="")
    pooler_url: str = setting(
        "Where PgBouncer's console answers, if one stands before the database: it knows the clients that"
        " PostgreSQL does not see. The same forms as app_url.",
        default="",
        example="postgresql://stats@127.0.0.1:6432/pgbouncer",
    )
    app_roles: tuple[str, ...] = setting(
        "The two roles that {role} stands for: of the left slot, of the right slot.",
        default=(),
        example=("shop_left", "shop_right"),
    )

    def app_url_for(self, slot: Slot) -> str:
        """The application's URL (or the reference to it) as the slot's own role; no password in it."""
        if not self.app_roles:
            return self.app_url
        return self.app_url.replace("{role}", self.app_roles[0 if slot is Slot.LEFT else 1])


@dataclass(frozen=True)
class Versions:
    """Where a version's code comes from, and what identifies it."""

    source: str = setting(
        "git: a commit, checked out as a worktree of its own. directory: a directory of its own. image: an image.",
        default="git",
        choices=("git", "directory", "image"),
    )
    repository: str = setting("The git repository, relative to this file.", default=".")
    image: str = setting("The image, with {version} in it.", default="", example="registry.example.com/shop:{version}")
    directories: Mapping[str, str] = setting(
        "For source = directory: each version's own directory, relative to this file.", default={}
    )
    lock_file: str = setting(
        "For source = directory: the file in it that pins what is installed; part of the version's digest.",
        default="",
    )


@dataclass(frozen=True)
class RuntimeCommands:
    """A deploy tool of your own, as four programs; what they are told and print: command-drivers.md."""

    start: tuple[str, ...] = setting(
        "Starts the version in CROSSFADE_VERSION in the slot in CROSSFADE_SLOT, unless it runs there already.",
        example=("./deploy", "start"),
    )
    stop: tuple[str, ...] = setting("Stops what runs in the slot in CROSSFADE_SLOT.", example=("./deploy", "stop"))
    list: tuple[str, ...] = setting("Prints what runs, as JSON.", example=("./deploy", "list"))
    log: tuple[str, ...] = setting(
        "Prints the last lines that the slot in CROSSFADE_SLOT wrote.", default=(), example=("./deploy", "log")
    )
    timeout_s: float = setting(
        "How long one of them may take.", default=60.0, unit="seconds", minimum=0.1, maximum=3600
    )


@dataclass(frozen=True)
class Runtime:
    """Where the processes run. They are never children of crossfade."""

    driver: str = setting(
        "supervisor: on this machine. command: a deploy tool of your own.",
        default="supervisor",
        choices=("supervisor", "command"),
    )
    command: RuntimeCommands | None = setting('The programs of driver = "command".', default=None)


@dataclass(frozen=True)
class TrafficCommands:
    """A load balancer of your own, as four programs, and what it can do: see command-drivers.md."""

    set_share: tuple[str, ...] = setting(
        "Sends {percent} of new requests to {new}, the rest to {old}.",
        example=("./balancer", "share", "{new}", "{percent}"),
    )
    read_share: tuple[str, ...] = setting("Prints the share in force, as JSON.", example=("./balancer", "share"))
    set_members: tuple[str, ...] = setting(
        "Makes {addresses} the members of {slot}. Left out: your deploy tool does that.",
        default=(),
        example=("./balancer", "members", "{slot}", "{addresses}"),
    )
    list: tuple[str, ...] = setting(
        "Prints members and requests in flight, as JSON.", default=(), example=("./balancer", "list")
    )
    apply_s: float = setting(
        "How long a new share takes until every new request follows it.",
        default=0.5,
        unit="seconds",
        minimum=0,
        maximum=3600,
    )
    drain_first_s: float = setting(
        "How long it drains connections before a new share takes effect.",
        default=0.0,
        unit="seconds",
        minimum=0,
        maximum=86400,
    )
    share_grain_percent: float = setting(
        "The smallest difference between two shares it can make.",
        default=1.0,
        unit="percent",
        minimum=0.01,
        maximum=100,
    )
    timeout_s: float = setting(
        "How long one of the programs may take.", default=10.0, unit="seconds", minimum=0.1, maximum=600
    )


@dataclass(frozen=True)
class Traffic:
    """The fader: how new requests are shared between the versions, and when the next share is taken."""

    driver: str = setting(
        "haproxy: crossfade runs HAProxy on this machine. command: a load balancer of your own.",
        default="haproxy",
        choices=("haproxy", "command"),
    )
    listen: str = setting("Where customers' requests come in.", default="127.0.0.1:8080")
    unit_cookie: str = setting(
        "The cookie that says who asks, so that one customer stays on one version. Empty: none.",
        default="",
        example="session",
    )
    unit_header: str = setting(
        "The header that says who asks, where there is no such cookie. Empty: none.",
        default="",
        example="X-Account",
    )
    shares: tuple[float, ...] = setting(
        "The new version's shares, one after the other; increasing, and the last is 100.",
        default=(1.0, 5.0, 25.0, 50.0, 100.0),
        unit="percent",
        minimum=0.01,
        maximum=100,
    )
    step_min_s: float = setting(
        "The shortest time at each share.", default=60.0, unit="seconds", minimum=0, maximum=604800
    )
    step_cap_s: float = setting(
        "The longest time at each share without a verdict.",
        default=1800.0,
        unit="seconds",
        minimum=1,
        maximum=2592000,
    )
    at_cap: str = setting(
        "What happens at that time: stand still, go on, or go back.",
        default="hold",
        choices=("hold", "advance", "rollback"),
    )
    fuse_failures: int = setting(
        "The fuse returns all traffic by itself when the new version fails this often within fuse_window_s, ...",
        default=20,
        unit="failures",
        minimum=1,
        maximum=1_000_000,
    )
    fuse_ratio: float = setting(
        "... and this part of its requests failed in the same time. Both must hold.",
        default=0.1,
        minimum=0.001,
        maximum=1,
    )
    fuse_window_s: int = setting("The time the fuse counts in.", default=10, unit="seconds", minimum=1, maximum=600)
    answer_timeout_s: float = setting(
        "How long the proxy waits for an instance before it gives up on the request.",
        default=60.0,
        unit="seconds",
        minimum=0.1,
        maximum=86400,
    )
    binary: str = setting(
        "The proxy's program. Left out: the one that is installed, else the one from the package index.",
        default="",
    )
    command: TrafficCommands | None = setting('The programs of driver = "command".', default=None)

    @property
    def shares_bp(self) -> tuple[int, ...]:
        """The shares in basis points, as the fader takes them."""
        return tuple(round(percent * FULL_BP / 100) for percent in self.shares)

    @property
    def fuse(self) -> FuseLimit:
        """The fuse's limit, as the proxy takes it."""
        return FuseLimit(self.fuse_failures, self.fuse_ratio, self.fuse_window_s)


@dataclass(frozen=True)
class Signals:
    """Where measurements of customer impact come from."""

    driver: str = setting(
        "ring: the proxy's own record of each request. command: a program of your own that prints them.",
        default="ring",
        choices=("ring", "command"),
    )
    command: tuple[str, ...] = setting(
        'For driver = "command": prints one JSON record a line, for as long as it runs.',
        default=(),
        example=("./balancer", "records", "--follow"),
    )
    margin_ratio: float = setting(
        "How much more often than the old version the new one may fail, or be slow, where the old one is beyond"
        " its limit already.",
        default=0.001,
        minimum=0,
        maximum=0.5,
    )
