"""Starting, watching and ending the processes that are measured."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.local.redis_server import answers, find_redis, redis_command

ROOT = Path(__file__).resolve().parents[1]
# Libraries load these where they find them; only the tests' packages bring them along.
DEVELOPMENT_ONLY = ("rich", "pygments", "regex", "greenlet")
TICKS = os.sysconf("SC_CLK_TCK")


class Target:
    """The mock external system as a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.target"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def reset(self, latency: float = 0.0) -> None:
        """Forget what was asked; answer after `latency` seconds from now on."""
        self._ask(f"/control/reset?latency={latency}")

    def report(self) -> dict[str, Any]:
        """What was asked since the last reset: see bench.target.Memory."""
        told: dict[str, Any] = json.loads(self._ask("/control/report"))
        return told

    def _ask(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            body: bytes = reply.read()
        return body

    def stop(self) -> None:
        stop(self.process)


def stop(process: subprocess.Popen[Any], seconds: float = 15.0) -> None:
    """End a process in good order, or at the end of its time otherwise."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a Redis: what BENCH_REDIS_URL names, else an embedded one for as long as this lasts."""
    given = os.environ.get("BENCH_REDIS_URL")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
        path = Path(folder) / "redis.sock"
        command = redis_command(find_redis(), socket_path=path, folder=Path(folder))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: answers(path), 10, "the embedded Redis")
            yield f"unix://{path}"
        finally:
            stop(process)


def start_python(module: str, environ: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """`python -m module` as production runs it, with its output in `log`."""
    hide = f"import runpy, sys; sys.modules.update(dict.fromkeys({DEVELOPMENT_ONLY!r}))"
    code = f"{hide}; runpy.run_module({module!r}, run_name='__main__')"
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=output,
            stderr=output,
        )


def wait_until(condition: Any, seconds: float, what: str, pause: float = 0.01) -> None:
    """Wait until `condition()` is true; raises TimeoutError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} took more than {seconds:g} seconds")
        time.sleep(pause)


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far, of all its threads (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pss_megabytes(pid: int) -> float:
    """Proportional set size now: memory of its own, and its share of what it shares (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError("no Pss in smaps_rollup")


class PeakMemory:
    """Looks at a process's memory ten times a second while it is open."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.megabytes = 0.0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.megabytes = max(self.megabytes, pss_megabytes(self._pid))
            if self._over.wait(0.1):
                return
