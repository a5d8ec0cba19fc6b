"""A TCP relay that can be cut: stands between a scratch instance and one dependency.

Rule: cut means what a network failure looks like to a client: open connections end, new ones are
refused, until it is mended. It listens on loopback only and dies with its process.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading


class Relay:
    """Relays 127.0.0.1:`port` to one target. Use as a context manager."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._cut = False
        self._closed = False

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        return listener

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True, name="relay").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self.cut()

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        with self._lock:
            self._cut = True
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for pair in self._pairs:
                for end in pair:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
            self._pairs.clear()

    def mend(self) -> None:
        """Accept connections again, on the same port."""
        with self._lock:
            self._cut = False
            self._listener = self._listen(self.port)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True, name="relay").start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                if self._cut:
                    client.close()
                    server.close()
                    continue
                self._pairs.append((client, server))
            threading.Thread(target=_pump, args=(client, server), daemon=True, name="relay-pump").start()


def _pump(client: socket.socket, server: socket.socket) -> None:
    """Copy both ways until either end closes."""
    with selectors.DefaultSelector() as ready, client, server:
        ready.register(client, selectors.EVENT_READ, server)
        ready.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in ready.select():
                source: socket.socket = key.fileobj  # type: ignore[assignment]
                try:
                    data = source.recv(65536)
                    if not data:
                        return
                    key.data.sendall(data)
                except OSError:
                    return
