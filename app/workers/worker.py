"""Our RQ worker: takes run ids in bulk and holds many runs in flight, where RQ's own do one job at a time.

It registers, beats and dies as RQ's workers do, so that RQ's own tools see it; a job only notifies, so RQ's
bookkeeping for each job (some sixty commands) is left out.  Redis is only a bell: a worker that has room asks the
database for what is due by itself, whatever it has heard, so a lost id costs a moment.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from typing import Any

import redis
import structlog
from rq import Queue
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker
from rq.worker.base import WorkerStatus

from app.queue import DRAIN, QUEUE_KEY, QUEUE_NAME, connect, run_id_of
from app.workers.executor import Executor
from app.workers.in_flight import LOOK_ASIDE_SECONDS

BLOCK_SECONDS = 2
BEAT_SECONDS = 5
WORKER_TTL = 30
RECONNECT_SECONDS = 0.5
CHUNK = 1000
# The longest timeout that a connection may have, and a little for writing down what it came to.
LONGEST_CALL_SECONDS = 125.0

log = structlog.get_logger("worker")


def worker_name() -> str:
    """A name that is never used twice: a restarted process is another worker."""
    return f"{socket.gethostname()[:100]}-{os.getpid()}-{secrets.token_hex(4)}"


class RunWorker(BaseWorker):
    """Feeds an executor from the queue at `url`, and at least every `ask_seconds` from the database."""

    def __init__(self, executor: Executor, url: str, *, ask_seconds: float) -> None:
        self._executor = executor
        self._ask_seconds = ask_seconds
        self._stop = threading.Event()
        self._registered = False
        self._trouble = ""
        # Its answers may take as long as the wait for an id; all else is asked on a client that waits for less.
        self._bell = connect(url, timeout=BLOCK_SECONDS + 1)
        self._drain = self._bell.register_script(DRAIN)
        connection = connect(url)
        super().__init__(
            [Queue(QUEUE_NAME, connection=connection, serializer=JSONSerializer)],
            name=executor.name,
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
        )

    def _set_connection(self, connection: redis.Redis) -> redis.Redis:
        """As it is: RQ would have each answer take as long as its own wait for a job."""
        return connection

    def _set_ip_address(self, connection: redis.Redis) -> None:  # noqa: ARG002  # RQ's signature
        """Redis may be away when a worker starts: its address is a nicety, so it is not asked for."""
        self.ip_address = "unknown"

    def work(self, *_args: Any, **_options: Any) -> bool:
        """Take ids until told to stop. True when every call under way could be let finish."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.request_stop)
        self._executor.start()
        next_beat = next_ask = 0.0
        while not self._stop.is_set():
            if time.monotonic() >= next_beat:
                self._sign_of_life()
                next_beat = time.monotonic() + BEAT_SECONDS
            if not self._executor.wait_for_room(timeout=LOOK_ASIDE_SECONDS):
                self._executor.look_aside()
                continue
            if time.monotonic() >= next_ask:
                self._executor.take(None)
                next_ask = time.monotonic() + self._ask_seconds
            self._listen()
        return self._leave()

    def request_stop(self, _number: int = 0, _frame: Any = None) -> None:
        """Take nothing new and begin no further call; calls under way are let finish."""
        self._executor.begin_stop()
        self._stop.set()
        log.info("worker.stopping")

    def _listen(self) -> None:
        """Wait a moment for an id, and take all that lie there; what there is no room for waits in the database."""
        try:
            first = self._bell.blpop([QUEUE_KEY], timeout=BLOCK_SECONDS)
            taken = [first[1]] if first else []
            is_more = bool(taken)
            while is_more:
                more = self._drain(keys=[QUEUE_KEY], args=[CHUNK, *taken])
                self._executor.take({one for raw in (*taken, *more) if (one := run_id_of(raw)) is not None})
                taken, is_more = [], len(more) == CHUNK
            self._trouble = ""
        except redis.RedisError as problem:
            self._registered = False
            self._bell.connection_pool.disconnect()
            if self._trouble != type(problem).__name__:
                self._trouble = type(problem).__name__
                log.warning("worker.queue_unreachable", error=self._trouble)
            self._stop.wait(RECONNECT_SECONDS)

    def _sign_of_life(self) -> None:
        """Tell RQ's tools of this worker. It works as well when it cannot: the database has signs of its own."""
        try:
            if not self._registered:
                self.register_birth()
                self._registered = True
                self.set_state(WorkerStatus.STARTED)
            held = len(self._executor.held())
            self.set_state(WorkerStatus.BUSY if held else WorkerStatus.IDLE)
            self.heartbeat()
        except (redis.RedisError, ValueError) as problem:
            self._registered = False
            self.connection.connection_pool.disconnect()
            log.info("worker.unregistered", error=type(problem).__name__)

    def register_birth(self) -> None:
        """As RQ does, but after an outage the same worker may come back under its name."""
        self.connection.delete(self.key)
        super().register_birth()  # type: ignore[no-untyped-call]

    def _leave(self) -> bool:
        drained = self._executor.stop(timeout=LONGEST_CALL_SECONDS)
        try:
            self.register_death()  # type: ignore[no-untyped-call]
        except redis.RedisError:
            log.info("worker.left_unregistered")
        return drained
