"""A PostgreSQL proxy that goes wrong at the COMMIT it is told to: before it arrives, or after, with the reply lost.

Or it falls silent: both ends keep their connection, and nothing passes any more.

It reads as much of the protocol as that takes (PostgreSQL documentation, "Message Formats"): a client's messages
are a type byte and a length, but for the first one, which has no type.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import make_url

# What a client may ask before it begins; both are answered with "no".
WANTS_ENCRYPTION = (80877103, 80877104)


@dataclass(slots=True)
class Fault:
    """What happens at the `at`-th COMMIT (from 1) after arming: `arrives` False cuts it off, True drops the reply.

    `silent` says nothing to either end instead of closing the connection; the COMMIT does not arrive then.
    `meanwhile` is called at that moment with the client's port: to kill the client, say.
    """

    at: int
    arrives: bool
    meanwhile: Callable[[int], object] = lambda _port: None
    silent: bool = False
    fired: threading.Event = field(default_factory=threading.Event)


class PostgresProxy:
    """Forwards to the server of `url`; its own address is `url`, with the same user and database."""

    def __init__(self, url: str) -> None:
        parts = make_url(url)
        self._server = (parts.host or "127.0.0.1", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        moved = parts.set(host="127.0.0.1", port=self.port, query={"sslmode": "disable"})
        self.url = moved.render_as_string(hide_password=False)
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._pairs: list[_Pair] = []
        self.commits = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, fault: Fault | None) -> None:
        """Count COMMITs from here on, and go wrong at the one that `fault` names."""
        with self._lock:
            self.commits, self._fault = 0, fault

    def silence(self) -> None:
        """Pass nothing more on over the connections that there are; new ones work."""
        for pair in self._pairs:
            pair.is_silent.set()

    def close(self) -> None:
        self._listener.close()
        for pair in self._pairs:
            pair.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, address = self._listener.accept()
                try:
                    server = socket.create_connection(self._server)
                except OSError:  # the server is away; whoever comes next may find it
                    client.close()
                    continue
                pair = _Pair(client, server, address[1])
                self._pairs.append(pair)
                threading.Thread(target=self._upward, args=(pair,), daemon=True).start()
                threading.Thread(target=pair.downward, daemon=True).start()

    def _upward(self, pair: _Pair) -> None:
        # Whoever closes the pair meanwhile closes the file that is read here: that is a ValueError.
        with contextlib.suppress(OSError, EOFError, ValueError), pair:
            pair.greet()
            while True:
                kind, body = pair.message()
                if pair.is_silent.is_set():
                    continue
                fault = self._due(kind, body)
                if fault is None:
                    pair.server.sendall(kind + struct.pack("!I", len(body) + 4) + body)
                    continue
                if fault.silent:
                    pair.is_silent.set()
                elif fault.arrives:
                    pair.swallow(kind, body)
                fault.meanwhile(pair.port)
                fault.fired.set()
                if not fault.silent:
                    return

    def _due(self, kind: bytes, body: bytes) -> Fault | None:
        if not _is_commit(kind, body):
            return None
        with self._lock:
            self.commits += 1
            fault = self._fault
            if fault is None or self.commits != fault.at:
                return None
            self._fault = None
            return fault


class _Pair:
    """One client and its connection to the server."""

    def __init__(self, client: socket.socket, server: socket.socket, port: int) -> None:
        self.client, self.server, self.port = client, server, port
        self._reader = client.makefile("rb")
        self._mute = threading.Event()
        self.is_silent = threading.Event()
        self._answered = threading.Event()

    def __enter__(self) -> _Pair:
        return self

    def __exit__(self, *_exception: object) -> None:
        if not self.is_silent.is_set():  # else the server does not even hear that the client has gone
            self.close()

    def close(self) -> None:
        for one in (self.client, self.server):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        with contextlib.suppress(OSError, ValueError):  # whoever reads from it at this moment closes it
            self._reader.close()

    def greet(self) -> None:
        """Pass the start-up message on; encryption, which would hide the rest, is refused."""
        while True:
            length = struct.unpack("!I", self._exactly(4))[0]
            body = self._exactly(length - 4)
            if struct.unpack("!I", body[:4])[0] not in WANTS_ENCRYPTION:
                self.server.sendall(struct.pack("!I", length) + body)
                return
            self.client.sendall(b"N")

    def message(self) -> tuple[bytes, bytes]:
        kind = self._exactly(1)
        return kind, self._exactly(struct.unpack("!I", self._exactly(4))[0] - 4)

    def swallow(self, kind: bytes, body: bytes) -> None:
        """Have the COMMIT done and keep its reply."""
        self._mute.set()
        self.server.sendall(kind + struct.pack("!I", len(body) + 4) + body)
        while kind not in (b"Q", b"S"):  # a COMMIT in parts is done at the Sync that ends them
            kind, body = self.message()
            self.server.sendall(kind + struct.pack("!I", len(body) + 4) + body)
        self._answered.wait(10)

    def downward(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.server.recv(65536):
                if self.is_silent.is_set():
                    continue
                if self._mute.is_set():
                    self._answered.set()
                    continue
                self.client.sendall(data)
        if not self.is_silent.is_set():
            with contextlib.suppress(OSError):
                self.client.shutdown(socket.SHUT_RDWR)

    def _exactly(self, count: int) -> bytes:
        data = self._reader.read(count)
        if len(data or b"") < count:
            raise EOFError
        return data


def _is_commit(kind: bytes, body: bytes) -> bool:
    if kind == b"Q":
        return body.rstrip(b"\0").strip().upper() == b"COMMIT"
    return kind == b"P" and body.split(b"\0")[1].strip().upper() == b"COMMIT"


@contextlib.contextmanager
def postgres_proxy(url: str) -> Iterator[PostgresProxy]:
    proxy = PostgresProxy(url)
    try:
        yield proxy
    finally:
        proxy.close()
