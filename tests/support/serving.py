"""A web process as it is started in production, and clients that behave badly towards it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from flask import Flask

from tests.support.workers.processes import ROOT, until

# Where the console is stopped, nothing is answered for as long as a client likes; a busy machine takes seconds.
PATIENCE = 20.0
# gunicorn, with the waits for clients cut short.
_IN_A_HURRY = """
import sys
from app.serving import worker
worker.HEAD_SECONDS = worker.GRACE_SECONDS = 1.0
from gunicorn.app.wsgiapp import run
sys.argv = ["gunicorn", *sys.argv[1:]]
run()
"""


class Web:
    """The processes behind one port."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port, self.process = port, process

    def get(self, path: str, seconds: float = PATIENCE, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of an answer; raises OSError when there is none in time."""
        return self.send("GET", path, seconds, **headers)

    def send(
        self, method: str, path: str, seconds: float = PATIENCE, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """The same for any method."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.headers)
        finally:
            connection.close()

    def is_well(self) -> bool:
        """Whether it says so, within PATIENCE."""
        try:
            return self.get("/healthz")[0] == 200
        except (OSError, HTTPException):
            return False

    def connect(self, sent: bytes = b"", *, receives: int | None = None) -> socket.socket:
        """A connection on which this was sent; with `receives`, one that takes only so many bytes at a time."""
        made = socket.socket()
        if receives is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        made.settimeout(PATIENCE)
        made.connect(("127.0.0.1", self.port))
        made.sendall(sent)
        return made

    @contextmanager
    def holding(self, number: int, sent: bytes = b"", **how: int) -> Iterator[list[socket.socket]]:
        """So many such connections."""
        with ExitStack() as held:
            yield [held.enter_context(self.connect(sent, **how)) for _ in range(number)]

    def said(self, sent: bytes) -> bytes:
        """All that comes back on a connection that the server ends."""
        with self.connect(sent) as connection:
            return everything(connection)


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side ends the connection."""
    parts = []
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@contextmanager
def running_web(app: Flask, *options: str, hurried: bool = False, **environ: str) -> Iterator[Web]:
    """`gunicorn wsgi:app` on the app's database, or what else `options` end in; with `environ` on top."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = app.extensions["settings"]
    line = ["-c", _IN_A_HURRY] if hurried else ["-m", "gunicorn"]
    environ = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": settings.redis_url,
        "CREDENTIAL_KEY": settings.credential_keys[0],
        "PORT": str(port),
        "ENV_FILE": "",
        **environ,
    }
    log = Path(settings.data_dir) / f"web-{port}.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [sys.executable, *line, *(options or ("wsgi:app",))],
            cwd=ROOT,
            env=environ,
            stdout=lines,
            stderr=lines,
        )
    try:
        web = Web(port, process)
        until(lambda: _listens(port) or process.poll() is not None, "the web process listens")
        yield web
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)
        print(log.read_text())


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
