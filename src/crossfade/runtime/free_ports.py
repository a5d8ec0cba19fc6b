"""Ports for instances: free now, and below the range the kernel takes for outgoing connections.

Rule: an instance keeps its port for its whole life, also while it restarts after a crash. From the ephemeral
range an outgoing connection of any process could take it in that moment and the instance would not come back.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Collection
from pathlib import Path

LOWEST = 15_000


def _ceiling() -> int:
    """The first port of the ephemeral range."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return 32_768


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(seed: str, taken: Collection[int]) -> int:
    """A free port on 127.0.0.1. `seed` spreads the search, so services on one host seldom meet."""
    span = _ceiling() - LOWEST
    if span < 1_000:  # an unusual host: take what the kernel gives
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])
    start = int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16) % span
    for offset in range(span):
        port = LOWEST + (start + offset) % span
        if port not in taken and _is_free(port):
            return port
    raise OSError("no free port on 127.0.0.1")
