"""The mock external system: HTTP/1.1 over keep-alive in one process, which remembers what it was asked.

`POST /users` answers `{"id": "u-7"}`, any other POST `{}`, both after the latency that was set.  Paths
that begin with `/fail` answer 503, and those that begin with `/slow` after SLOW_SECONDS; the latter are not
remembered.  A key `<stem>-create` names a run's first call, `<stem>-group` its next.
Control: `POST /control/reset?latency=0.2` forgets everything, `GET /control/report` tells it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field

FIRST, SECOND = "create", "group"
SLOW_SECONDS = 5.0
MAX_HEAD = 64 * 1024


@dataclass(slots=True)
class Memory:
    """What has been asked since the last reset; times are time.monotonic(), the same in all processes."""

    latency: float = 0.0
    requests: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    first_at: dict[str, float] = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)
    out_of_order: list[str] = field(default_factory=list)

    def arrived(self, key: str, body: bytes) -> str:
        """Note a call and give the id that its answer names."""
        self.requests += 1
        self.counts[key] = self.counts.get(key, 0) + 1
        self.first_at.setdefault(key, time.monotonic())
        stem, _, step = key.rpartition("-")
        if step == SECOND:
            # The second call carries what the first was answered, so it can only come after it.
            known = self.answered.get(stem)
            if known is None or json.loads(body or b"{}").get("value") != known:
                self.out_of_order.append(key)
        return f"u-{len(self.counts)}"

    def report(self) -> bytes:
        told = {
            "requests": self.requests,
            "counts": self.counts,
            "first_at": self.first_at,
            "out_of_order": self.out_of_order,
        }
        return json.dumps(told).encode()


class Connection(asyncio.Protocol):
    """One client's connection; requests on it come one after the other."""

    memory = Memory()
    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = int(_header(head, b"content-length") or 0)
            stop = end + 4 + length
            if len(self._buffer) < stop:
                return
            body, self._buffer = self._buffer[end + 4 : stop], self._buffer[stop:]
            self._asked(head, body)
        if len(self._buffer) > MAX_HEAD:
            self.transport.close()

    def _asked(self, head: bytes, body: bytes) -> None:
        _method, path, _version = head.split(b"\r\n", 1)[0].split(b" ")
        if path.startswith(b"/control/"):
            self._control(path.decode())
            return
        if path.startswith(b"/slow"):
            asyncio.get_running_loop().call_later(
                SLOW_SECONDS, self.transport.write, _reply(b"201 Created", b"{}")
            )
            return
        key = _header(head, b"idempotency-key").decode()
        number = self.memory.arrived(key, body)
        answer = b'{"id":"%s"}' % number.encode() if path.startswith(b"/users") else b"{}"
        reply = _reply(b"503 Unavailable" if path.startswith(b"/fail") else b"201 Created", answer)
        if self.memory.latency:
            asyncio.get_running_loop().call_later(self.memory.latency, self._answer, key, number, reply)
        else:
            self._answer(key, number, reply)

    def _answer(self, key: str, number: str, reply: bytes) -> None:
        stem, _, step = key.rpartition("-")
        if step == FIRST:
            self.memory.answered[stem] = number
        self.transport.write(reply)

    def _control(self, path: str) -> None:
        if path.startswith("/control/reset"):
            Connection.memory = Memory(latency=float(path.partition("latency=")[2] or 0))
            self.transport.write(_reply(b"200 OK", b"{}"))
        else:
            self.transport.write(_reply(b"200 OK", self.memory.report()))


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""


def _reply(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Whoever started this holds the other end of its standard input; when that closes, it is over.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
