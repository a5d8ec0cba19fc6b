"""Leading for the time of one command: the lease that keeps two walkers of one schema apart, without a controller.

Rule (I8): an act is done under a lease of the database the schema is in, renewed beside it, and its rows are fenced by
the lease's epoch as a release's are. A command that was killed on this host is succeeded at once; one on another host
when its lease ends. A controller is never succeeded here: it is told of.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from crossfade.journal.epoch import Actor
from crossfade.journal.install import install
from crossfade.journal.lease import PostgresLease
from crossfade.journal.sql import query
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock, GoOn, Say
from crossfade.schema.session import Sessions
from crossfade.walk.keeper import Keeper

TTL_S = 6.0
HOLDER = "crossfade schema "  # how the lease's row tells a command from a controller
_LOOK_EVERY_S = 0.3


@contextmanager
def leading(
    admin_url: str, service: str, clock: Clock, token: str, go_on: GoOn, say: Say
) -> Iterator[Callable[[], int]]:
    """Lead for the length of the block; gives the epoch. crossfade's own tables are made where they are lacking.

    Raises `lease-held` where a controller leads, `schema-act-running` where another command does, `schema-stopped`,
    `schema-unreachable` and `schema-refused` (the role may not create a schema).
    """
    with Sessions(admin_url, clock).open("making crossfade's own tables") as session:
        install(session)
    lease = PostgresLease(
        admin_url, service, TTL_S, clock=clock, holder=HOLDER + token, ended=lambda: _killed(admin_url, clock, service)
    )
    try:
        _acquire(lease, clock, go_on, say)
        keeper = Keeper(lease, None, TTL_S / 3)
        keeper.start()
        try:
            yield lambda: lease.epoch
        finally:
            keeper.stop()
    finally:
        lease.release()
        lease.close()


def _acquire(lease: PostgresLease, clock: Clock, go_on: GoOn, say: Say) -> None:
    until_s = clock.monotonic_s() + TTL_S + 1
    told = False
    while True:
        try:
            lease.acquire()
        except CrossfadeError as error:
            if error.id != "lease-held" or not str(error.facts["holder"]).startswith(HOLDER):
                raise
            facts = {name: error.facts[name] for name in ("pid", "host", "since")}
            if clock.monotonic_s() > until_s:
                raise fail("schema-act-running", **facts) from error
            if not told:
                say("waits for another crossfade schema, pid {pid} on {host}".format(**facts))
                told = True
            if not go_on():
                raise fail("schema-act-running", **facts) from error
            clock.sleep(_LOOK_EVERY_S)
        else:
            return


def _killed(admin_url: str, clock: Clock, service: str) -> Actor | None:
    """The command that led last, where it ran on this host and its process is gone.

    Were it not gone (another pid namespace under the same host name), the fence still lets it write no further row.
    """
    with Sessions(admin_url, clock).open("reading the lease") as session:
        row = _lease(session, service)
    if row is None:
        return None
    holder, host, pid, epoch = row
    if not str(holder).startswith(HOLDER) or host != socket.gethostname():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return Actor(int(epoch), int(pid), 0)
    except PermissionError:
        return None
    return None


def _lease(session: psycopg.Connection[Any], service: str) -> tuple[Any, ...] | None:
    row = session.execute(query("read_lease"), {"service": service}).fetchone()
    return None if row is None else tuple(row)[:4]
