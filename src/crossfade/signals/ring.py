"""Collects the proxy's records: a TCP listener that the proxy's ring connects to.

Rule: only the proxy may speak. Anyone on the host can connect to a loopback port, so a connection is
accepted only if its other end belongs to the proxy's process (its socket is looked up there); any other
is closed unread and counted. The proxy reconnects by itself about once a second, and its ring keeps the
lines meanwhile (8 MB, some 50,000), also those from before this collector started.

Completeness: the proxy counts the requests it ended. Count here and there grow together; what the proxy
counts and we have not seen is `missing`. Where counting starts (a collector that comes late has not seen
what earlier ones took) is the smallest difference ever seen, because a record can only come late, never
early. For that, `seen()` must be read before the proxy is observed and handed to `observed_total`.

Invariant: `missing` is never too small by more than the records that ended between the two readings, and
goes back to zero once late records have come. Lines dropped here because nobody took them are missing.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence

import psutil

from crossfade.model.ports import Clock, Record, SourceHealth
from crossfade.signals.ring_line import parse_line

QUEUE_MAX = 200_000
LINE_MAX = 16_384
GAPS_KEPT = 5  # the smallest of the last few: a record that is under way is not missing yet
RECHECK_S = 0.2
UNKNOWN_S = 10.0  # how long a connection waits while nobody can say who the proxy is
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
        """Listen at once. `proxy_pid` says who may connect; it may raise or return None while that is unknown."""
        self._clock = clock
        self._proxy_pid = proxy_pid
        self._lock = threading.Lock()
        self._queue: deque[Record] = deque()
        self._queue_max = queue_max
        self._counts: dict[int, int] = {}  # lines by the proxy process that wrote them
        self._dropped = self._garbled = self._refused = 0
        self._gaps: deque[int] = deque(maxlen=GAPS_KEPT)
        self._gap_at_start: int | None = None
        self._observed = ""
        self._connections = 0
        self._alone_since_s: float | None = clock.monotonic_s()
        self._last_delay_s = 0.0
        self._listener = socket.create_server((host, port), backlog=8)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="ring", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens at."""
        return int(self._listener.getsockname()[1])

    # -- RecordSource -----------------------------------------------------------------------------

    def take(self) -> Sequence[Record]:
        """Records that came since the last call, oldest first."""
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
        return taken

    def seen(self) -> int:
        """Lines seen of the process last observed; read it before the proxy is observed."""
        with self._lock:
            return self._counts.get(_pid(self._observed), 0)

    def observed_total(self, total: int, started_at: str, seen: int | None = None) -> None:
        """Hold the records to what the proxy counted (`ProxyFacts.requests_total`, `.started_at`)."""
        with self._lock:
            if started_at != self._observed:
                self._observed, seen = started_at, None
                self._gaps.clear()
                self._gap_at_start = None
            have = self._counts.get(_pid(started_at), 0) if seen is None else seen
            gap = total - have
            self._gaps.append(gap)
            self._gap_at_start = gap if self._gap_at_start is None else min(self._gap_at_start, gap)

    def health(self) -> SourceHealth:
        """Whether the stream is complete enough to be judged."""
        with self._lock:
            behind = min(self._gaps) - (self._gap_at_start or 0) if self._gaps else 0
            alone = self._alone_since_s
            lag_s = self._last_delay_s if alone is None else self._clock.monotonic_s() - alone
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
            return SourceHealth(self._connections > 0, lag_s, behind + self._dropped, ", ".join(notes))

    def close(self) -> None:
        """Stop listening; the proxy's ring keeps what comes from here on."""
        self._wake.close()
        self._thread.join(timeout=5)
        self._listener.close()
        self._woken.close()

    # -- the thread -------------------------------------------------------------------------------

    def _serve(self) -> None:
        rests: dict[socket.socket, bytes] = {}
        waiting: dict[socket.socket, tuple[Peer, float]] = {}
        while True:
            pause_s = RECHECK_S if waiting else None
            ready, _, _ = select.select([self._listener, self._woken, *rests], [], [], pause_s)
            if self._woken in ready:
                break
            for one in ready:
                if one is self._listener:
                    self._accept(waiting)
                else:
                    self._read(one, rests)
            self._admit(waiting, rests)
        for one in (*rests, *waiting):
            one.close()

    def _accept(self, waiting: dict[socket.socket, tuple[Peer, float]]) -> None:
        with contextlib.suppress(OSError):
            connection, peer = self._listener.accept()
            connection.setblocking(False)
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
        now_s = self._clock.now().timestamp()
        with self._lock:
            for line in parsed:
                if line is None:
                    self._garbled += 1
                    continue
                if line.counted:
                    self._counts[line.pid] = self._counts.get(line.pid, 0) + 1
                if line.record is None:
                    continue
                self._last_delay_s = max(0.0, now_s - line.record.at - line.record.total_ms / 1000)
                if len(self._queue) >= self._queue_max:
                    self._queue.popleft()
                    self._dropped += 1
                self._queue.append(line.record)


def _pid(started_at: str) -> int:
    head = started_at.partition("@")[0]
    return int(head) if head.isdigit() else 0
