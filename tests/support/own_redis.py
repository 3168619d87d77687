"""A Redis of a test's own, and a way to it that can be led to another one."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from app.local import redis_server
from tests.support.workers.processes import PATIENCE, until


@dataclass(frozen=True, slots=True)
class OwnRedis:
    process: subprocess.Popen[bytes]
    socket: Path

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)


@contextmanager
def own_redis() -> Iterator[OwnRedis]:
    """A Redis that ends with the block."""
    # A socket's path must be short, which pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        path = Path(folder) / "redis.sock"
        command = redis_server.redis_command(redis_server.find_redis(), socket_path=path, folder=Path(folder))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: redis_server.answers(path), "Redis answers")
            yield OwnRedis(process, path)
        finally:
            process.kill()
            process.wait(PATIENCE)


class Forwarder:
    """A TCP port whose new connections lead to the server it was told last; those it has stay where they are."""

    def __init__(self, server: OwnRedis) -> None:
        self.server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.server.socket))
                threading.Thread(target=_pair, args=(client, server), daemon=True).start()


def _pair(client: socket.socket, server: socket.socket) -> None:
    """Pass on what each says to the other until one of them goes."""
    with client, server:
        back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
        back.start()
        _pass_on(client, server)
        back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def fill(client: redis.Redis) -> None:
    """Have the server hold all that it may, so that it refuses each write."""
    client.set("filler", "x" * 1_000_000)
    client.config_set("maxmemory", "1mb")


def fail_over(forwarder: Forwarder, successor: OwnRedis) -> None:
    """The server becomes a replica and keeps its connections; new ones find its successor."""
    with forwarder.server.client() as old:
        old.replicaof("127.0.0.1", "1")
    forwarder.server = successor
