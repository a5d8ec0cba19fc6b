"""Collects the proxy's records: a TCP listener that the proxy's ring connects to.

Rule: only the proxy may speak. Anyone on the host can connect to a loopback port, so a connection is
accepted only if its other end belongs to the proxy's process (its socket is looked up there); any other
is closed unread and counted. The proxy reconnects by itself about once a second, and its ring keeps the
lines meanwhile (8 MB, some 50,000), also those from before this collector started.

A walker that was overtaken while it was stopped still holds the port. Then this one tries again until it has
it, and `health` says so: the release holds, and nobody crashes.

Completeness: the proxy counts the requests it ended; `completeness` says what is missing here. `seen()` must
be read before the proxy is observed, and handed to `observed_total` with what was observed.

Invariant: lines dropped here because nobody took them are missing, too.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence

import psutil

from crossfade.model.ports import Clock, Record, SourceHealth
from crossfade.signals.completeness import SETTLED_S, Completeness
from crossfade.signals.ring_line import parse_line

QUEUE_MAX = 200_000
LINE_MAX = 16_384
RECHECK_S = 0.2
RETRY_S = 0.5  # between two tries for a port that is held
UNKNOWN_S = 10.0  # how long a connection waits while nobody can say who the proxy is
RESET = struct.pack("ii", 1, 0)
Peer = tuple[str, int]


def opened_by(pid: int, peer: Peer, ours: Peer) -> bool:
    """Whether process `pid`, or a child of it, holds the other end of a connection."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                for held in one.net_connections(kind="tcp"):
                    if held.raddr and (tuple(held.laddr), tuple(held.raddr)) == (peer, ours):
                        return True
    return False


class RingCollector:
    """`RecordSource` over the proxy's ring."""

    def __init__(
        self,
        host: str,
        port: int,
        clock: Clock,
        proxy_pid: Callable[[], int | None],
        queue_max: int = QUEUE_MAX,
    ) -> None:
        """Listen at once where the port is free. `proxy_pid` says who may connect; it may raise, or return None."""
        self._clock = clock
        self._proxy_pid = proxy_pid
        self._lock = threading.Lock()
        self._queue: deque[Record] = deque()
        self._queue_max = queue_max
        self._counts: dict[int, Completeness] = {}  # by the proxy process that wrote the lines
        self._dropped = self._garbled = self._refused = 0
        self._observed = ""
        self._connections = 0
        self._alone_since_s: float | None = clock.monotonic_s()
        self._joined_s = 0.0
        self._last_delay_s = 0.0
        self._address = (host, port)
        self._listener = self._listen()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="ring", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens at, or would."""
        return self._address[1] if self._listener is None else int(self._listener.getsockname()[1])

    # -- RecordSource -----------------------------------------------------------------------------

    def take(self) -> Sequence[Record]:
        """Records that came since the last call, oldest first."""
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
        return taken

    def seen(self) -> int:
        """Records seen of the process last observed; read it before the proxy is observed."""
        with self._lock:
            return self._count(_pid(self._observed)).count

    def observed_total(self, total: int, started_at: str, seen: int) -> None:
        """Hold the records to what the proxy counted (`ProxyFacts.requests_total`, `.started_at`)."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            if started_at != self._observed:
                self._observed, seen = started_at, 0  # `seen` was another process's
            settled = self._alone_since_s is None and now_s - self._joined_s >= SETTLED_S
            self._count(_pid(started_at)).observed(total, seen, settled, now_s)

    def health(self) -> SourceHealth:
        """Whether the stream is complete enough to be judged."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            behind = self._count(_pid(self._observed)).missing(now_s)
            alone = self._alone_since_s
            lag_s = self._last_delay_s if alone is None else now_s - alone
            notes = [
                f"{number} {what}"
                for number, what in (
                    (behind, "not received"),
                    (self._dropped, "dropped because nobody took them"),
                    (self._garbled, "garbled"),
                    (self._refused, "connections refused that were not the proxy's"),
                )
                if number
            ]
            if self._listener is None:
                notes.insert(0, "port {1} of {0} is held by another process".format(*self._address))
            return SourceHealth(self._connections > 0, lag_s, behind + self._dropped, ", ".join(notes))

    def _count(self, pid: int) -> Completeness:
        return self._counts.setdefault(pid, Completeness())

    def close(self) -> None:
        """Stop listening; the proxy's ring keeps what comes from here on."""
        self._wake.close()
        self._thread.join(timeout=5)
        if self._listener is not None:
            self._listener.close()
        self._woken.close()

    # -- the thread -------------------------------------------------------------------------------

    def _listen(self) -> socket.socket | None:
        try:
            return socket.create_server(self._address, backlog=8)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise
            return None

    def _serve(self) -> None:
        while self._listener is None:
            if select.select([self._woken], [], [], RETRY_S)[0]:
                return
            self._listener = self._listen()
        rests: dict[socket.socket, bytes] = {}
        waiting: dict[socket.socket, tuple[Peer, float]] = {}
        while True:
            pause_s = RECHECK_S if waiting else None
            ready, _, _ = select.select([self._listener, self._woken, *rests], [], [], pause_s)
            if self._woken in ready:
                break
            for one in ready:
                if one is self._listener:
                    self._accept(self._listener, waiting)
                else:
                    self._read(one, rests)
            self._admit(waiting, rests)
        for one in (*rests, *waiting):
            one.close()

    def _accept(self, listener: socket.socket, waiting: dict[socket.socket, tuple[Peer, float]]) -> None:
        with contextlib.suppress(OSError):
            connection, peer = listener.accept()
            connection.setblocking(False)
            # Ends with a reset, also when we are killed: the proxy notices at once and keeps what it has. After
            # an orderly end it would write the next lines into a connection nobody reads.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            waiting[connection] = (peer[:2], self._clock.monotonic_s())

    def _admit(self, waiting: dict[socket.socket, tuple[Peer, float]], rests: dict[socket.socket, bytes]) -> None:
        """Let the proxy's connections in and close the others unread.

        While nobody can say who the proxy is, its connection waits: lines that were sent already would be
        lost with it.
        """
        for connection, (peer, since_s) in list(waiting.items()):
            pid: int | None = None
            with contextlib.suppress(Exception):  # whoever asks the proxy may fail in any way
                pid = self._proxy_pid()
            ours = pid is not None and opened_by(pid, peer, connection.getsockname()[:2])
            if not ours and pid is None and self._clock.monotonic_s() - since_s < UNKNOWN_S:
                continue
            del waiting[connection]
            with self._lock:
                if ours:
                    rests[connection] = b""
                    self._connections += 1
                    self._alone_since_s = None
                    self._joined_s = self._clock.monotonic_s()
                else:
                    self._refused += 1
            if not ours:
                connection.close()

    def _read(self, connection: socket.socket, rests: dict[socket.socket, bytes]) -> None:
        try:
            part = connection.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            connection.close()
            del rests[connection]
            with self._lock:
                self._connections -= 1
                if not self._connections:
                    self._alone_since_s = self._clock.monotonic_s()
            return
        *lines, rest = (rests[connection] + part).split(b"\n")
        rests[connection] = rest if len(rest) <= LINE_MAX else b""
        self._keep(lines)

    def _keep(self, lines: Sequence[bytes]) -> None:
        parsed = [parse_line(line.decode(errors="replace")) for line in lines if line]
        wall_s, now_s = self._clock.now().timestamp(), self._clock.monotonic_s()
        with self._lock:
            for line in parsed:
                if line is None:
                    self._garbled += 1
                    continue
                if line.counted:
                    self._count(line.pid).arrived(1, now_s)
                if line.record is None:
                    continue
                self._last_delay_s = max(0.0, wall_s - line.record.at - line.record.total_ms / 1000)
                if len(self._queue) >= self._queue_max:
                    self._queue.popleft()
                    self._dropped += 1
                self._queue.append(line.record)


def _pid(started_at: str) -> int:
    head = started_at.partition("@")[0]
    return int(head) if head.isdigit() else 0
