"""What the proxy, or the commands for a team's own load balancer, did not do."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
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
)
