"""What befalls a console in a soak: its processes, its Redis, its database and its outside, one act a fault.

A fault is a function that strikes, waits as long as it lasts, and heals what it struck.  All are drawn from one list
by a seed, so that a soak can be had again.
"""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from app.local.redis_server import answers, find_redis, redis_command
from app.queue import QUEUE_NAME
from bench.console import Console
from bench.processes import start_python, stop, wait_until
from tests.support.workers.postgres_cluster import Cluster
from tests.support.workers.postgres_proxy import PostgresProxy

LEASE_SECONDS = 5.0
FAST = {"LEASE_SECONDS": "5", "SWEEP_SECONDS": "1"}
# Longer than a lease, so that whatever was held is somebody else's by then.
PAST_THE_LEASE = 1.6 * LEASE_SECONDS
SHORT = 3.0
# Also while the server is told to write nothing.
_WRITABLE = {"options": "-c default_transaction_read_only=off"}
_QUEUE = f"rq:queue:{QUEUE_NAME}"


class OwnRedis:
    """A Redis that may be killed, stopped and filled."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._socket = folder, folder / "redis.sock"
        self.url = f"unix://{self._socket}"
        self.client = redis.Redis.from_url(self.url, socket_timeout=5)
        self.start()

    def start(self) -> None:
        self._socket.unlink(missing_ok=True)
        command = redis_command(find_redis(), socket_path=self._socket, folder=self._folder)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: answers(self._socket), 20, "the Redis of its own")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.client.close()
        stop(self.process)


@contextlib.contextmanager
def own_redis() -> Iterator[OwnRedis]:
    with tempfile.TemporaryDirectory(prefix="soak-redis-") as folder:
        server = OwnRedis(Path(folder))
        try:
            yield server
        finally:
            server.close()


class Stage:
    """The processes of a console and the servers behind them."""

    def __init__(
        self, place: Console, queue: OwnRedis, server: Cluster | None, proxy: PostgresProxy | None
    ) -> None:
        self.place, self.queue, self.server, self.proxy = place, queue, server, proxy
        self.workers: list[subprocess.Popen[bytes]] = []
        self.sweepers: list[subprocess.Popen[bytes]] = []
        self._changing = threading.Lock()
        # A server suffers one fault at a time; whatever happens to another, or to processes, may happen meanwhile.
        self.servers: dict[str, AbstractContextManager[Any]] = {
            "redis": threading.Lock(),
            "database": threading.Lock(),
            "": contextlib.nullcontext(),
        }

    def worker(self) -> subprocess.Popen[bytes]:
        return self._start("app.workers")

    def sweeper(self) -> subprocess.Popen[bytes]:
        return self._start("app.workers.sweeper")

    def replaced(
        self, crew: list[subprocess.Popen[bytes]], luck: float, start: Callable[[], subprocess.Popen[bytes]]
    ) -> subprocess.Popen[bytes]:
        """One of the crew, drawn by `luck`, which is no longer part of it: another has begun in its place."""
        with self._changing:
            place = int(luck * len(crew))
            before, crew[place] = crew[place], start()
        return before

    def _start(self, module: str) -> subprocess.Popen[bytes]:
        environ = {**self.place.environ, **FAST}
        if self.proxy is not None:
            mine = make_url(environ["DATABASE_URL"]).database
            by_proxy = make_url(self.proxy.url).set(database=mine)
            environ["DATABASE_URL"] = by_proxy.render_as_string(hide_password=False)
        return start_python(module, environ, self.place.folder / "soak.log")

    def dead(self) -> list[str]:
        """Processes that ended although nobody ended them."""
        crew = [("worker", one) for one in self.workers] + [("sweeper", one) for one in self.sweepers]
        return [
            f"a {name} ended by itself with {one.returncode}" for name, one in crew if one.poll() is not None
        ]

    def close(self) -> None:
        for one in (*self.workers, *self.sweepers):
            with contextlib.suppress(OSError):
                one.send_signal(signal.SIGCONT)
            one.kill()
            stop(one)


class Nemesis:
    """Draws faults until it is told that it is enough; everything that it struck is healed when it ends."""

    def __init__(
        self, stage: Stage, seed: int, over: threading.Event, pause: float, names: Sequence[str] = ()
    ) -> None:
        self._stage, self._over, self._pause = stage, over, pause
        self._luck = random.Random(seed)
        self.struck: Counter[str] = Counter()
        self.faults: list[Callable[[], None]] = [
            self.worker_killed,
            self.worker_killed,
            self.worker_deployed,
            self.worker_paused,
            self.sweeper_killed,
            self.sweeper_paused,
            self.redis_flushed,
            self.redis_killed,
            self.redis_paused,
            self.redis_full,
            self.redis_read_only,
            self.redis_of_another_type,
        ]
        if stage.server is None:
            self.faults += [self.file_locked] * 3
        else:
            self.faults += [
                self.backends_ended,
                self.backends_ended,
                self.database_read_only,
                self.database_crashed,
                self.connections_silent,
            ]

        if names:
            self.faults = [one for one in self.faults if one.__name__ in names]

    def run(self, *, until: Callable[[], bool]) -> None:
        """Each fault once in an order of its own, then again, until `until()`."""
        left: list[Callable[[], None]] = []
        while not (until() or self._over.is_set()):
            if not left:
                left = self._luck.sample(self.faults, len(self.faults))
            fault = left.pop()
            with self._stage.servers[_server_of(fault)]:
                fault()
            self.struck[fault.__name__] += 1
            self._over.wait(self._luck.uniform(0.2, 1.0) * self._pause)

    # Processes
    def worker_killed(self) -> None:
        self._end(self._stage.replaced(self._stage.workers, self._luck.random(), self._stage.worker))

    def worker_deployed(self) -> None:
        """SIGTERM, and its successor begins while it lets its calls finish."""
        leaving = self._stage.replaced(self._stage.workers, self._luck.random(), self._stage.worker)
        leaving.terminate()
        leaving.wait(150)

    def worker_paused(self) -> None:
        self._paused(self._luck.choice(self._stage.workers))

    def sweeper_killed(self) -> None:
        self._end(self._stage.replaced(self._stage.sweepers, self._luck.random(), self._stage.sweeper))

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()

    def sweeper_paused(self) -> None:
        self._paused(self._luck.choice(self._stage.sweepers))

    def _paused(self, process: subprocess.Popen[bytes], seconds: float = PAST_THE_LEASE) -> None:
        process.send_signal(signal.SIGSTOP)
        self._over.wait(seconds)
        process.send_signal(signal.SIGCONT)

    # Redis
    def redis_flushed(self) -> None:
        self._stage.queue.client.flushall()

    def redis_killed(self) -> None:
        self._stage.queue.kill()
        self._over.wait(SHORT)
        self._stage.queue.start()

    def redis_paused(self) -> None:
        self._paused(self._stage.queue.process)

    def redis_full(self) -> None:
        self._stage.queue.client.config_set("maxmemory", "1")
        self._over.wait(SHORT)
        self._stage.queue.client.config_set("maxmemory", "0")

    def redis_read_only(self) -> None:
        """As one that has become the replica of another."""
        self._stage.queue.client.execute_command("REPLICAOF", "127.0.0.1", "1")
        self._over.wait(SHORT)
        self._stage.queue.client.execute_command("REPLICAOF", "NO", "ONE")

    def redis_of_another_type(self) -> None:
        """Somebody else's value lies where the list should be."""
        self._stage.queue.client.set(_QUEUE, "not a list")
        self._over.wait(SHORT)
        self._stage.queue.client.delete(_QUEUE)

    # The database
    def backends_ended(self) -> None:
        self._as_owner(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )

    def database_read_only(self) -> None:
        self._set_read_only("on")
        self._over.wait(SHORT + LEASE_SECONDS * self._luck.random())
        self._set_read_only("off")

    def _set_read_only(self, value: str) -> None:
        self._as_owner(f"ALTER SYSTEM SET default_transaction_read_only = {value}", "SELECT pg_reload_conf()")

    def database_crashed(self) -> None:
        assert self._stage.server is not None
        self._stage.server.crash()
        self._over.wait(self._luck.choice((0.5, SHORT, PAST_THE_LEASE)))
        self._stage.server.start()

    def connections_silent(self) -> None:
        """The wires that there are carry nothing any more, and nobody says so; new ones work."""
        assert self._stage.proxy is not None
        self._stage.proxy.silence()

    def _as_owner(self, *statements: str) -> None:
        """Said until it is heard: the server may be just coming up."""
        assert self._stage.server is not None
        engine = create_engine(
            self._stage.server.url, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args=_WRITABLE
        )

        def say() -> bool:
            with contextlib.suppress(OperationalError), engine.connect() as connection:
                for one in statements:
                    connection.execute(text(one))
                return True
            return False

        wait_until(say, 60, "a word to the server", pause=0.2)

    def file_locked(self) -> None:
        """Another program, a backup say, keeps SQLite's one write lock for a while."""
        path = make_url(self._stage.place.environ["DATABASE_URL"]).database or ""
        other: Any = sqlite3.connect(path, isolation_level=None, timeout=10)
        try:
            other.execute("BEGIN IMMEDIATE")
            self._over.wait(self._luck.choice((0.5, SHORT, 12.0)))
            other.execute("ROLLBACK")
        finally:
            other.close()


def _server_of(fault: Callable[[], None]) -> str:
    name = fault.__name__
    if name.startswith("redis"):
        return "redis"
    return "" if name.startswith(("worker", "sweeper")) else "database"
