"""A whole console as processes of its own, at debug level, with everything that it says kept for reading."""

from __future__ import annotations

import base64
import http.cookiejar
import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import redis
from flask import Flask

from tests.support.workers.processes import PATIENCE, ROOT, Crew, crew_for, until

# Starts a module as `python -m` does, with logs at debug level, for which the product has no setting.
_AT_DEBUG_LEVEL = """
import logging, runpy, sys, threading
from app import logs
logs.configure_logging.__kwdefaults__["level"] = logging.DEBUG
proof = threading.Timer(3, lambda: logging.getLogger("console").debug("This is said at debug level."))
proof.daemon = True
proof.start()
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


class Console:
    """Web, worker and sweeper over one database and Redis. `said` collects every answer's body and headers."""

    def __init__(self, app: Flask, crew: Crew, folder: Path) -> None:
        self.app, self.crew, self.folder = app, crew, folder
        self.said: list[str] = []
        self.commands: list[str] = []
        self._is_watching = threading.Event()
        self._watcher = threading.Thread(target=self._watch_redis, daemon=True)
        self.port = _free_port()
        self.token = ""
        self._processes: list[subprocess.Popen[bytes]] = []
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
        self._script = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def start(self) -> None:
        self._watcher.start()
        assert self._is_watching.wait(PATIENCE), "Redis shows no commands"
        for words in (["gunicorn", "wsgi:app"], ["app.workers"], ["app.workers.sweeper"]):
            self._start(words)
        until(lambda: self._answers("/readyz"), "the console answers")

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded answer of an API call with the console's token."""
        request = urllib.request.Request(f"{self._base}/api/v1{path}", method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        status, text = self._send(self._script, request)
        return status, json.loads(text) if text else None

    def page(self, path: str) -> tuple[int, str]:
        return self._send(self._browser, urllib.request.Request(self._base + path))

    def submit(self, path: str, shown_at: str, **fields: str) -> tuple[int, str]:
        """Post a form of the page `shown_at` with its hidden token."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.page(shown_at)[1])
        assert found is not None
        data = urlencode({"csrf_token": found[1], **fields}).encode()
        return self._send(self._browser, urllib.request.Request(self._base + path, data, method="POST"))

    def everything(self) -> dict[str, bytes]:
        """Every place where something may lie about, by name."""
        places = {f"log of {number}": file.read_bytes() for number, file in enumerate(self._logs())}
        places["answers"] = "\n".join(self.said).encode()
        assert self._watcher.is_alive(), "Redis' commands are not read any more"
        places["Redis commands"] = "\n".join(self.commands).encode()
        store = redis.Redis(unix_socket_path=str(self.crew.socket))
        places["Redis keys"] = b"\n".join(key + (store.dump(key) or b"") for key in store.scan_iter())
        database = Path(self.app.extensions["settings"].database_url.removeprefix("sqlite:///"))
        for file in database.parent.glob(f"{database.name}*"):
            places[file.name] = file.read_bytes()
        for process in self._family():
            for name in ("cmdline", "environ"):
                try:
                    places[f"{name} of {process}"] = Path(f"/proc/{process}/{name}").read_bytes()
                except OSError:
                    # A process that has gone says nothing any more.
                    continue
        return places

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _send(
        self, opener: urllib.request.OpenerDirector, request: urllib.request.Request
    ) -> tuple[int, str]:
        try:
            with opener.open(request, timeout=30) as answer:
                status, head, text = answer.status, str(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                status, head, text = refused.code, str(refused.headers), refused.read().decode()
        self.said += [head, text]
        return status, text

    def _answers(self, path: str) -> bool:
        try:
            return self.page(path)[0] == 200
        except OSError:
            return False

    def _start(self, words: list[str]) -> None:
        settings = self.app.extensions["settings"]
        environ = os.environ | {
            "DATABASE_URL": settings.database_url,
            "DATA_DIR": str(settings.data_dir),
            "REDIS_URL": f"unix://{self.crew.socket}",
            "EGRESS_ALLOW": "127.0.0.1",
            "PORT": str(self.port),
            "SWEEP_SECONDS": "1",
            "DEMO_DATA": "0",
            "ENV_FILE": "",
        }
        with (self.folder / f"process-{len(self._processes)}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", _AT_DEBUG_LEVEL, *words],
                    cwd=ROOT,
                    env=environ,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )

    def _logs(self) -> list[Path]:
        return sorted(self.folder.glob("process-*.log"))

    def _family(self) -> list[int]:
        """Our processes and their children."""
        found = [process.pid for process in self._processes]
        for number in list(found):
            try:
                children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
            except OSError:
                continue
            found += [int(child) for child in children]
        return found

    def _watch_redis(self) -> None:
        # It waits as long as it takes until the processes have started and say something.
        watching = redis.Redis(unix_socket_path=str(self.crew.socket), socket_timeout=None)
        try:
            with watching.monitor() as monitor:
                self._is_watching.set()
                for command in monitor.listen():
                    self.commands.append(str(command["command"]))
        except (redis.RedisError, OSError, ValueError):
            # Redis went away at the end of the test.
            return


@contextmanager
def running_console(app: Flask, folder: Path) -> Iterator[Console]:
    """A console on the app's database, started by `start()`."""
    with crew_for(app, "http://127.0.0.1") as crew:
        console = Console(app, crew, folder)
        try:
            yield console
        finally:
            console.stop()


def spellings(secret: str) -> set[bytes]:
    """How a secret may stand somewhere: as it is, quoted, or in base64 wherever in a longer text it begins."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode(), raw.hex().encode()}
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + raw)
        # The first and last characters depend on what stands beside it.
        found.add(encoded[4:-4])
        found.add(encoded.replace(b"+", b"-").replace(b"/", b"_")[4:-4])
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
