"""Free loopback ports for servers that are told where to listen.

Rule: a server keeps its port for its whole life, restarts included. A port of the range from which the
kernel serves outgoing connections could be taken by one of them while the server is down, so ports are
taken from below that range.

Invariant: the port could be bound on 127.0.0.1 when it was returned. Nothing holds it afterwards.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection
from pathlib import Path

_LOOPBACK = "127.0.0.1"
_LOWEST = 10_240
_WORTHWHILE = 1_000  # fewer ports than this below the kernel's range: take one of the kernel's
_KERNEL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port(taken: Collection[int] = ()) -> int:
    """One free port that is not among `taken`, the ports of those who are down for a moment."""
    with contextlib.ExitStack() as held:
        while True:
            port: int = held.enter_context(_bound()).getsockname()[1]
            if port not in taken:
                return port


def free_ports(count: int) -> list[int]:
    """Several free ports, all different."""
    with contextlib.ExitStack() as held:
        return [held.enter_context(_bound()).getsockname()[1] for _ in range(count)]


def _bound() -> socket.socket:
    given = _bind(0)
    assert given is not None, "the kernel has no free port"
    highest = _kernel_lowest() - 1
    span = highest - _LOWEST + 1
    if span < _WORTHWHILE:
        return given
    with given:
        first = given.getsockname()[1]  # where to begin is the kernel's draw: two callers rarely meet
    for step in range(span):
        found = _bind(_LOWEST + (first + step) % span)
        if found is not None:
            return found
    raise AssertionError("no free port below the kernel's range")


def _bind(port: int) -> socket.socket | None:
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.bind((_LOOPBACK, port))
    except OSError:
        opened.close()
        return None
    return opened


def _kernel_lowest() -> int:
    try:
        return int(_KERNEL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0
