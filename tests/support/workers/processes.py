"""Real processes for tests: a Redis of their own, workers and sweepers, which can be killed, stopped and hung."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.local import redis_server
from app.models import Run, Worker
from app.queue import RunQueue

ROOT = Path(__file__).resolve().parents[3]
# Only a test that fails waits so long; a machine that is busy with something else may need a part of it.
PATIENCE = 90.0


def until(holds: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait until `holds()` is true and return its value; fails, naming `what`, when it never is."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)


class Crew:
    """The processes around one database. `target` is what connections may reach (host:port)."""

    def __init__(self, app: Flask, folder: Path, target: str) -> None:
        self.app = app
        self.socket = folder / "redis.sock"
        self._folder = folder
        settings = app.extensions["settings"]
        self._environ = os.environ | {
            "DATABASE_URL": settings.database_url,
            "DATA_DIR": str(settings.data_dir),
            "REDIS_URL": f"unix://{self.socket}",
            "EGRESS_ALLOW": target,
            "LEASE_SECONDS": "5",
            "SWEEP_SECONDS": "1",
            "ENV_FILE": "",
        }
        self._redis: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []

    def start_redis(self) -> None:
        command = redis_server.redis_command(
            redis_server.find_redis(), socket_path=self.socket, folder=self._folder
        )
        self._redis = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: redis_server.answers(self.socket), "Redis answers")

    def stop_redis(self) -> None:
        assert self._redis is not None
        self._redis.kill()
        self._redis.wait(PATIENCE)
        self.socket.unlink(missing_ok=True)

    @contextmanager
    def hung_redis(self) -> Iterator[None]:
        """A Redis that takes connections and answers nothing."""
        assert self._redis is not None
        self._redis.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._redis.send_signal(signal.SIGCONT)

    def worker(self, **environ: str) -> subprocess.Popen[bytes]:
        """A worker that has given its first sign of life."""
        before = self._workers_seen()
        process = self.start("app.workers", **environ)
        until(lambda: self._workers_seen() > before, "the worker gives a sign of life")
        return process

    def sweeper(self, **environ: str) -> subprocess.Popen[bytes]:
        return self.start("app.workers.sweeper", **environ)

    def web(self, **environ: str) -> str:
        """The address of a web process that answers."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        self.start("gunicorn", "wsgi:app", PORT=port, WEB_CONCURRENCY="1", **environ)
        address = f"http://127.0.0.1:{port}"
        until(lambda: self.is_up(address), "the web process answers")
        return address

    @staticmethod
    def is_up(address: str) -> bool:
        """Whether the web process at this address says that it lives."""
        try:
            return requests.get(f"{address}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    def run_status(self, number: int = 0) -> str:
        """The status of the `number`-th run, as it is now."""
        return self.look(lambda session: session.scalars(select(Run.status).order_by(Run.id)).all()[number])

    def look(self, read: Callable[[Any], Any]) -> Any:
        """What `read(session)` gives on a session of its own."""
        with self.app.app_context():
            return read(db.session())

    def close(self) -> None:
        for process in self._others:
            process.kill()
        for process in self._others:
            process.wait(PATIENCE)
        if self._redis is not None:
            self._redis.kill()
            self._redis.wait(PATIENCE)

    def _workers_seen(self) -> int:
        return len(self.look(lambda session: session.scalars(select(Worker.name)).all()))

    @staticmethod
    def has_begun(session: Any, process: subprocess.Popen[bytes]) -> bool:
        """Whether this worker has given its first sign of life."""
        return any(f"-{process.pid}-" in one for one in session.scalars(select(Worker.name)))

    def printed(self, process: subprocess.Popen[bytes]) -> str:
        """What the process has printed so far."""
        return self._log(self._others.index(process)).read_text()

    def _log(self, number: int) -> Path:
        return self._folder / f"{number}.log"

    def start(self, module: str, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        """`python -m module` with these words, and these variables on top; it may not live long."""
        log = self._log(len(self._others)).open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            env=self._environ | environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        self._others.append(process)
        return process


@contextmanager
def crew_for(app: Flask, target_url: str) -> Iterator[Crew]:
    """A crew with its Redis running, whose workers the app notifies."""
    # A socket's path must be short, which pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="crew-") as folder:
        crew = Crew(app, Path(folder), target_url.removeprefix("http://"))
        crew.start_redis()
        before = app.extensions["run_queue"]
        run_queue = app.extensions["run_queue"] = RunQueue(f"unix://{crew.socket}")
        try:
            yield crew
        finally:
            app.extensions["run_queue"] = before
            crew.close()
            run_queue.close()
