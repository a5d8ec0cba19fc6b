"""The error catalogue: every failure a user can meet, in one table.

Rule: a user never sees a traceback. Whatever goes wrong on their side or in their world is one row here,
raised with `fail(id, **facts)`; line one says what happened, the indented lines give the facts that were
used, `hint:` says what to do next. Anything else is our bug, exit code 70, and asks for a report.

Invariant: ids are stable, unique and named after what happened; each row is reached by a test that
asserts its whole text (tests/unit/test_errors.py finds rows without one).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command; a contract, printed by `crossfade --help`."""

    DONE = 0
    NOT_MET = 1
    USAGE = 2
    CONFIG = 3
    INCONCLUSIVE = 4
    HELD_BY_OTHER = 5
    UNREACHABLE = 6
    BUG = 70


EXIT_MEANINGS: dict[Exit, str] = {
    Exit.DONE: "done, or the requirement is met",
    Exit.NOT_MET: "the requirement is not met, or the release was rolled back",
    Exit.USAGE: "the command line was not understood",
    Exit.CONFIG: "crossfade.toml is invalid or contradicts itself",
    Exit.INCONCLUSIVE: "not enough is known to say yes or no; nothing was advanced",
    Exit.HELD_BY_OTHER: "another walker or another release holds the service",
    Exit.UNREACHABLE: "a part of the environment could not be reached",
    Exit.BUG: "a bug in crossfade; please report it",
}


@dataclass(frozen=True)
class Kind:
    """One row of the catalogue. `message`, `facts` and `hint` are `str.format` templates over the facts."""

    id: str
    exit: Exit
    message: str
    facts: str
    hint: str


class CrossfadeError(Exception):
    """A failure from the catalogue, with its facts as attributes of `facts`."""

    def __init__(self, kind: Kind, facts: dict[str, object]) -> None:
        self.kind = kind
        self.facts = facts
        super().__init__(self.message)

    @property
    def id(self) -> str:
        """The catalogue id, stable across versions."""
        return self.kind.id

    @property
    def exit(self) -> Exit:
        """The exit code the command line ends with."""
        return self.kind.exit

    @property
    def message(self) -> str:
        """Line one: what happened."""
        return self.kind.message.format(**self.facts)

    @property
    def hint(self) -> str:
        """What to do next, a command where there is one."""
        return self.kind.hint.format(**self.facts)

    def render(self) -> str:
        """The whole text a person reads: message, indented facts, hint, id."""
        lines = [f"error[{self.id}]: {self.message}"]
        detail = self.kind.facts.format(**self.facts)
        lines += [f"  {line}" for line in detail.splitlines() if line.strip()]
        lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


def _rows(*rows: Kind) -> dict[str, Kind]:
    table = {row.id: row for row in rows}
    assert len(table) == len(rows), "error ids must be unique"
    return table


def fail(id: str, **facts: object) -> CrossfadeError:
    """Build the catalogue error `id` with its facts; the caller raises it (`raise fail(...) from exc`)."""
    kind = CATALOGUE[id]
    error = CrossfadeError(kind, facts)
    error.render()  # a missing fact is our bug and shows here, not at three in the morning
    return error


CATALOGUE: dict[str, Kind] = _rows(
    # -- configuration ------------------------------------------------------------------------------
    Kind(
        "config-missing",
        Exit.CONFIG,
        "no crossfade.toml in {directory}",
        "looked in: {directory} and its parents",
        "crossfade init",
    ),
    Kind(
        "config-invalid",
        Exit.CONFIG,
        "{file} has {count} {problems}",
        "{listing}",
        "mend the lines named above, then: crossfade check",
    ),
    Kind(
        "config-exists",
        Exit.CONFIG,
        "{file} exists already; nothing was written",
        "",
        "edit it, then: crossfade check",
    ),
    Kind(
        "config-not-found",
        Exit.CONFIG,
        "there is no file {file}",
        "",
        "name another one with --config, or: crossfade init",
    ),
    Kind(
        "config-unreadable",
        Exit.CONFIG,
        "{file} cannot be read",
        "reason: {reason}",
        "mend it, then: crossfade check",
    ),
    Kind(
        "config-not-writable",
        Exit.CONFIG,
        "{file} cannot be written",
        "reason: {reason}",
        "mend it, then: crossfade init",
    ),
    Kind(
        "environment-not-ready",
        Exit.UNREACHABLE,
        "{count} of {total} things that a release needs {verb} not as they must be",
        "{listing}",
        "mend them in this order, then: crossfade doctor",
    ),
    # -- traffic ------------------------------------------------------------------------------------
    Kind(
        "proxy-unreachable",
        Exit.UNREACHABLE,
        "the proxy does not answer at {socket}",
        "reason: {detail}",
        "crossfade doctor",
    ),
    Kind(
        "proxy-refused",
        Exit.UNREACHABLE,
        "the proxy refused a change",
        "asked:    {command}\nanswered: {answer}",
        "crossfade doctor",
    ),
    Kind(
        "proxy-config-invalid",
        Exit.CONFIG,
        "HAProxy does not accept the configuration written for it",
        "file: {file}\n{output}",
        "crossfade doctor",
    ),
    Kind(
        "proxy-setting-invalid",
        Exit.CONFIG,
        "{setting} = {value} cannot be put into the proxy's configuration",
        "allowed: {pattern}",
        "change {setting} under [traffic], then: crossfade check",
    ),
    Kind(
        "proxy-places-full",
        Exit.NOT_MET,
        "slot {slot} has no free place for {address}",
        "places: {places}, of which {draining} still finish requests of removed instances",
        "wait for them to finish, or raise places under [traffic]",
    ),
    Kind(
        "traffic-command-failed",
        Exit.UNREACHABLE,
        "the command {name} for the load balancer failed",
        "ran:   {argv}\nended: {ended}\n{tail}",
        "run it by hand with the same environment: {env}",
    ),
    Kind(
        "traffic-command-garbled",
        Exit.UNREACHABLE,
        "the command {name} for the load balancer printed something else than was agreed",
        "ran:      {argv}\nexpected: {expected}\nfound:    {found}",
        "run it by hand and compare",
    ),
    # -- parts of the environment -------------------------------------------------------------------
    Kind(
        "part-not-found",
        Exit.UNREACHABLE,
        "{part} was not found",
        "looked for: {looked_for}",
        "{remedy}",
    ),
    Kind(
        "part-did-not-start",
        Exit.UNREACHABLE,
        "{part} did not start within {waited_s} s",
        "its last lines ({log}):\n{tail}",
        "crossfade doctor",
    ),
    # -- the journal, the lease and the local locks --------------------------------------------------
    Kind(
        "journal-unreachable",
        Exit.UNREACHABLE,
        "the journal's database cannot be used; nothing was done that would need it",
        "database: {database}\ncause:    {detail}",
        "traffic can go back without the database: crossfade rollback; to find the cause: crossfade doctor",
    ),
    Kind(
        "journal-foreign",
        Exit.HELD_BY_OTHER,
        "the journal in this database is not the one of service {service!r} here; nothing was acted on",
        "{reason}\nfound:    {found}\nexpected: {expected}",
        "point admin_url, environment and the state directory at the same installation, then: crossfade doctor",
    ),
    Kind(
        "journal-behind",
        Exit.INCONCLUSIVE,
        "the database of service {service!r} is not where the spool left it; the release holds",
        "{reason}\nfound:    {found}\nexpected: {expected}",
        "traffic can go back now: crossfade rollback; once you trust this database: crossfade resume --adopt",
    ),
    Kind(
        "journal-conflict",
        Exit.HELD_BY_OTHER,
        "the database holds other content for {rows} of service {service!r} than the spool",
        "somebody else writes to this journal, or the database or the spool was edited",
        "find out who writes to crossfade.journal: crossfade doctor",
    ),
    Kind(
        "journal-overtaken",
        Exit.HELD_BY_OTHER,
        "row {seq} of service {service!r} was overtaken by a later one while it was written; it was not acted on",
        "last row now: {last}",
        "crossfade status",
    ),
    Kind(
        "lease-held",
        Exit.HELD_BY_OTHER,
        "service {service!r} has been led by another walker since {since}",
        "leader: {holder}, pid {pid} on {host}, epoch {epoch}\nits lease ends {expires_at} unless it is renewed",
        "crossfade status --watch",
    ),
    Kind(
        "lease-lost",
        Exit.HELD_BY_OTHER,
        "this walker no longer leads service {service!r}; it acts on nothing",
        "its epoch: {epoch}\nfound:     {found}",
        "crossfade status --watch",
    ),
    Kind(
        "act-lock-held",
        Exit.HELD_BY_OTHER,
        "the act lock of service {service!r} was held by another process for {waited_s} s",
        "file:   {file}\nholder: {holder}",
        "see what holds it: fuser -v {file}",
    ),
    Kind(
        "spool-damaged",
        Exit.INCONCLUSIVE,
        "line {line} of the spool {file} is damaged; nothing was acted on",
        "its checksum does not match, and whole lines follow it",
        "put back the file from a copy; the database's copy of the rows is in crossfade.journal",
    ),
    Kind(
        "spool-unwritable",
        Exit.UNREACHABLE,
        "the spool {file} cannot be written",
        "the system said: {reason}",
        "free space or mend its permissions; traffic can go back meanwhile: crossfade rollback",
    ),
    Kind(
        "spool-busy",
        Exit.HELD_BY_OTHER,
        "the spool {file} was locked by another process for {waited_s} s",
        "a writer holds it for milliseconds, so one of them hangs or was stopped",
        "see what holds it: fuser -v {file}",
    ),
    # -- programs and clusters of crossfade's own ----------------------------------------------------
    Kind(
        "part-not-runnable",
        Exit.UNREACHABLE,
        "{part} cannot be run from {path}",
        "reason: {reason}",
        "name another {part}, or name none: crossfade then looks for one itself",
    ),
    Kind(
        "part-wrong-version",
        Exit.UNREACHABLE,
        "{part} at {path} is version {found}",
        "needed: {needed}",
        "name another {part}, or name none: crossfade then looks for one itself",
    ),
    Kind(
        "part-did-not-stop",
        Exit.UNREACHABLE,
        "{part} did not stop within {waited_s} s",
        "its last lines ({log}):\n{tail}",
        "crossfade doctor",
    ),
    Kind(
        "server-refuses-root",
        Exit.UNREACHABLE,
        "{program} refuses to run as root, and no other identity works in {directory}",
        "tried:\n{tried}",
        "run crossfade as an ordinary user, or in a directory that other users may enter",
    ),
    Kind(
        "cluster-not-created",
        Exit.UNREACHABLE,
        "no PostgreSQL cluster could be made in {directory}",
        "the last lines of initdb:\n{tail}",
        "mend what the last line says, then run the same command again",
    ),
    Kind(
        "cluster-other-version",
        Exit.UNREACHABLE,
        "the cluster in {directory} is of PostgreSQL {found}",
        "programs found: {version} in {bin_dir}",
        "name the bin directory of a PostgreSQL {found}",
    ),
    # -- the demo -----------------------------------------------------------------------------------
    Kind(
        "load-ended-early",
        Exit.UNREACHABLE,
        "the load generator ended by itself with exit code {code}",
        "its last lines ({log}):\n{tail}",
        "crossfade doctor",
    ),
    # -- runtime and versions -----------------------------------------------------------------------
    Kind(
        "runtime-unreachable",
        Exit.UNREACHABLE,
        "the runtime {runtime} did not answer",
        "asked:  {where}\nreason: {reason}",
        "crossfade doctor",
    ),
    Kind(
        "supervisor-refused",
        Exit.UNREACHABLE,
        "supervisord refused {call}",
        "reason: {reason}",
        "crossfade doctor",
    ),
    Kind(
        "part-unknown",
        Exit.UNREACHABLE,
        "no part named {part} was added",
        "looked in: {directory}",
        "crossfade doctor",
    ),
    Kind(
        "slot-occupied",
        Exit.HELD_BY_OTHER,
        "the {slot} slot already holds another lane",
        "wanted: {wanted}\nfound:  {found}; {difference}",
        "crossfade status",
    ),
    Kind(
        "placeholder-unknown",
        Exit.CONFIG,
        "{where} holds the unknown placeholder {placeholder}",
        "value: {template}\nknown: {known}",
        "use one of the known placeholders; {{port}} needs a role that takes a port",
    ),
    Kind(
        "secret-unresolved",
        Exit.CONFIG,
        "the secret reference {reference} could not be resolved",
        "reason: {reason}",
        "set what the reference names, then run the same command again",
    ),
    Kind(
        "program-not-started",
        Exit.CONFIG,
        "{program} could not be started",
        "reason: {reason}",
        "mend the command, directory or user of this role in crossfade.toml",
    ),
    Kind(
        "state-directory-unusable",
        Exit.CONFIG,
        "the path {directory} holds a character that supervisord's files cannot quote",
        "allowed: letters, digits, space and . _ / + @ = , : ~ -",
        "move the project, or crossfade's installation, to a path without it",
    ),
    Kind(
        "socket-directory-unsafe",
        Exit.UNREACHABLE,
        "{directory} is not a directory that only this user may enter",
        "",
        "find out who made it, remove it, then run the same command again",
    ),
    Kind(
        "deploy-command-failed",
        Exit.UNREACHABLE,
        "the deploy command failed: {command}",
        "reason: {reason}\nits last lines:\n{tail}",
        "run the command by hand with the variables CROSSFADE_SLOT, CROSSFADE_VERSION and CROSSFADE_DIGEST",
    ),
    Kind(
        "deploy-list-invalid",
        Exit.UNREACHABLE,
        "the deploy command printed no list of instances: {command}",
        "problem: {problem}\nits last lines:\n{tail}",
        "print a JSON list of objects with slot, version, digest, name, role, host, port, state, pid",
    ),
    Kind(
        "version-unknown",
        Exit.CONFIG,
        "there is no version {name}",
        "{looked_for}",
        "name one that exists, or add it to crossfade.toml",
    ),
    Kind(
        "version-dirty",
        Exit.CONFIG,
        "version {name} is not what is committed: {count} changed {files} in {directory}",
        "{listing}",
        "commit the changes, then run the same command again",
    ),
    Kind(
        "version-changed",
        Exit.CONFIG,
        "the directory of version {name} changed while the version lives",
        "directory: {directory}\ndigest:    {digest}\nfound:     {found}",
        "put the directory back as it was, or release the change as a version of its own",
    ),
    Kind(
        "version-shares-directory",
        Exit.CONFIG,
        "the versions {names} share one directory",
        "directory: {directory}",
        "give each version a directory of its own",
    ),
    Kind(
        "git-failed",
        Exit.UNREACHABLE,
        "git could not answer in {directory}",
        "command: {command}\nreason:  {reason}",
        "run the command by hand",
    ),
    Kind(
        "image-unknown",
        Exit.UNREACHABLE,
        "the image of version {name} could not be inspected",
        "command: {command}\nreason:  {reason}",
        "pull the image, or mend the inspect command in crossfade.toml",
    ),
    # -- releases -----------------------------------------------------------------------------------
    Kind(
        "release-in-progress",
        Exit.HELD_BY_OTHER,
        "release {release} ({old} -> {new}) is under way",
        "it is {phase}",
        "crossfade status, then wait, crossfade rollback or crossfade abandon",
    ),
    Kind(
        "release-changes-nothing",
        Exit.USAGE,
        "{version} serves already",
        "digest: {digest}",
        "name another version: crossfade release VERSION",
    ),
    Kind(
        "plan-changed",
        Exit.NOT_MET,
        "the plan for {version} is not the one that was shown",
        "shown: {shown}\nfound: {found}",
        "crossfade plan {version}, look at it, then release again",
    ),
    Kind(
        "nothing-to-ask",
        Exit.USAGE,
        "there is nothing to {what}: {why}",
        "service: {service}",
        "crossfade status",
    ),
    Kind(
        "ask-refused",
        Exit.NOT_MET,
        "{what} was refused",
        "{reply}",
        "crossfade status",
    ),
    Kind(
        "ask-unanswered",
        Exit.UNREACHABLE,
        "nobody answered {what} within {waited_s} s; it stays asked",
        "the controller: {controller}",
        "crossfade doctor",
    ),
    Kind(
        "no-web-process",
        Exit.CONFIG,
        "no process of {service} has the role web and takes a port",
        "processes: {processes}",
        "give one process role = \"web\" and {{port}} in its command",
    ),
    # -- the ready check ----------------------------------------------------------------------------
    Kind(
        "ready-check-blind",
        Exit.NOT_MET,
        "the ready check {check} of {version} does not see \"{dependency}\"",
        "it stayed green for {within_s} s after \"{dependency}\" was cut",
        "let {check} ask \"{dependency}\" and answer 503 where that fails, or declare it not critical",
    ),
    Kind(
        "ready-check-red",
        Exit.NOT_MET,
        "the ready check {check} of {version} was not green {when}",
        "its answer after {within_s} s: {answer}\nits output: {log} in the state directory",
        "start that version by hand and ask {check}",
    ),
    Kind(
        "dependency-unreadable",
        Exit.CONFIG,
        "the dependency \"{dependency}\" cannot be cut: {variable} holds no address",
        "wanted: {wanted} in the environment of the web process",
        "name the variable that holds its URL: [[dependency]] env = ...",
    ),
    Kind(
        "bug",
        Exit.BUG,
        "crossfade met something it does not know: {kind}",
        "{detail} ({where})",
        "please report this text; CROSSFADE_TRACEBACK=1 prints where it came from",
    ),
)
