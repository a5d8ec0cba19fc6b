"""What trying the deep ready check in a scratch start found."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "ready-check-blind",
        Exit.NOT_MET,
        'the ready check {check} of {version} does not see "{dependency}"',
        'it stayed green for {within_s} s after "{dependency}" was cut',
        'let {check} ask "{dependency}" and answer 503 where that fails, or declare it not critical',
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
        'the dependency "{dependency}" cannot be cut: {variable} holds no address',
        "wanted: {wanted} in the environment of the web process",
        "name the variable that holds its URL: [[dependency]] env = ...",
    ),
)
