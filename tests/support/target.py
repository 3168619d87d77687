"""An outside system for tests: a real HTTP server on loopback that keeps a ledger and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Call:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    # The port it came from, by which the process that sent it can be found.
    port: int = 0
    raw: bytes = b""

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")


@dataclass
class Answer:
    status: int = 201
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    # Wait for this before answering: how a test holds a call in the air.
    gate: threading.Event | None = None
    # Seconds that the system takes to answer.
    after: float = 0.0
    # Close the connection without an answer, the effect having been made.
    lost: bool = False


class Target:
    """The ledger and the script. `answer` decides about each call; the default makes accounts with ids."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        # How often calls with each Idempotency-Key took effect, answered or not.
        self.effects: Counter[str] = Counter()
        self.arrived = threading.Condition()
        self.answer: Callable[[Call], Answer] = lambda _call: Answer(201, {"id": f"u-{len(self.calls)}"})
        self.url = ""

    def keys(self) -> Counter[str]:
        """How often each Idempotency-Key was used."""
        return Counter(one.key for one in self.calls)

    def wait_for_calls(self, count: int, timeout: float = 60) -> None:
        """Wait until `count` calls have arrived; fails the test when they do not."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.calls) >= count, timeout), (
                f"{len(self.calls)} of {count} calls arrived"
            )


@contextmanager
def running_target() -> Iterator[Target]:
    """A target that serves until the block ends."""
    target = Target()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args: object) -> None:
            """Tests read the ledger, not a log."""

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
            body = json.loads(raw) if raw and not is_form else None
            call = Call(self.command, self.path, headers, body, self.client_address[1], raw)
            with target.arrived:
                target.calls.append(call)
                answer = target.answer(call)
                target.effects[call.key] += answer.status < 300
                target.arrived.notify_all()
            if answer.gate is not None:
                answer.gate.wait(120)
            if answer.after:
                time.sleep(answer.after)
            if answer.lost:
                self.close_connection = True
                return
            body = b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815  # http.server's names

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_args: object) -> None:
            """A client that was killed in the middle of a call is what many tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    target.url = f"http://127.0.0.1:{server.server_address[1]}"
    # It looks this often whether it is to end, and many tests wait for that.
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield target
    finally:
        server.shutdown()
        server.server_close()
