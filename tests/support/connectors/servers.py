"""Servers on loopback that answer exactly as a test tells them to, however badly."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

Script = Callable[["Peer"], None]


@dataclass
class Peer:
    """One accepted connection, as the script of a server sees it."""

    sock: socket.socket
    server: ScriptServer
    number: int

    def read_request(self) -> bytes:
        """Head and body of the next request; empty when the client closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65536)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(body) < length:
            more = self.sock.recv(65536)
            if not more:
                break
            body += more
        self.server.requests.append(head + b"\r\n\r\n" + body)
        return self.server.requests[-1]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, every: float = 0.05) -> None:
        """Send byte by byte until the client has had enough or the server stops."""
        for byte in data:
            if self.server.stopped.wait(every):
                return
            self.sock.sendall(bytes([byte]))

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.sock.close()

    def hang(self) -> None:
        self.server.stopped.wait(30)


@dataclass
class ScriptServer:
    """Runs `script` for each connection, each in a thread of its own; a context manager."""

    script: Script
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, 0), family=family, backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.stop_listening()
        self._accepting.join(5)
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def stop_listening(self) -> None:
        """Refuse further connections; shutting down wakes the accepting thread, which closing alone does not."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket, number: int) -> None:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = raw
        with contextlib.suppress(OSError):
            try:
                if self.tls is not None:
                    sock = self.tls.wrap_socket(raw, server_side=True)
                self._socks.append(sock)
                self.script(Peer(sock, self, number))
            finally:
                sock.close()
                raw.close()


def answer(status: int = 200, body: bytes = b"{}", headers: tuple[str, ...] = ()) -> bytes:
    """A whole answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def keep_answering(data: bytes | None = None) -> Script:
    """A script that gives every request on a connection the same answer."""
    whole = answer() if data is None else data

    def script(peer: Peer) -> None:
        while peer.read_request():
            peer.send(whole)

    return script


def once(*parts: bytes, then: str = "close") -> Script:
    """A script that reads one request, sends the parts as they are, and then closes, resets or hangs."""

    def script(peer: Peer) -> None:
        peer.read_request()
        for part in parts:
            peer.send(part)
        if then == "reset":
            peer.reset()
        elif then == "hang":
            peer.hang()

    return script


def dies_on_its_second(how: str) -> Script:
    """A script whose connections answer once each, and close when they have read another request."""

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer())
        peer.read_request()
        if how == "reset":
            peer.reset()

    return script


def going_on(seconds: float = 0.2) -> Callable[[], float]:
    """A clock that goes on by so much at every look: what was kept has rested when the next call asks for it."""
    ticks = itertools.count()
    return lambda: next(ticks) * seconds


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, kept from others by a bound socket."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@contextlib.contextmanager
def full_port() -> Iterator[int]:
    """A port that takes no further connection: its backlog is full, so that connecting hangs."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield int(listener.getsockname()[1])
