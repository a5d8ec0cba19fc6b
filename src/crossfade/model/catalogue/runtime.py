"""Processes under supervisord, or under a team's own deploy command."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
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
)
