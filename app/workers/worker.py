"""Our RQ worker: takes run ids in bulk and holds many runs in flight, where RQ's own do one job at a time.

It registers, beats and dies as RQ's workers do, so that RQ's own tools see it; a job only notifies, so RQ's
bookkeeping for each job (some sixty commands) is left out.  A lost id costs one sweep.
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

from app.queue import QUEUE_NAME, connect, run_id_of
from app.workers.executor import Executor

BLOCK_SECONDS = 2
BEAT_SECONDS = 5
WORKER_TTL = 30
RECONNECT_SECONDS = 0.5
# The longest timeout that a connection may have, and a little for writing down what it came to.
LONGEST_CALL_SECONDS = 125.0

log = structlog.get_logger("worker")


def worker_name() -> str:
    """A name that is never used twice: a restarted process is another worker."""
    return f"{socket.gethostname()[:100]}-{os.getpid()}-{secrets.token_hex(4)}"


class RunWorker(BaseWorker):
    """Feeds an executor from the queue."""

    def __init__(self, executor: Executor, connection: redis.Redis) -> None:
        self._executor = executor
        self._stop = threading.Event()
        self._registered = False
        queue = Queue(QUEUE_NAME, connection=connection, serializer=JSONSerializer)
        super().__init__(
            [queue],
            name=executor.name,
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
        )

    def _set_ip_address(self, connection: redis.Redis) -> None:  # noqa: ARG002  # RQ's signature
        """Redis may be away when a worker starts: its address is a nicety, so it is not asked for."""
        self.ip_address = "unknown"

    def work(self, *_args: Any, **_options: Any) -> bool:
        """Take ids until told to stop. True when every call under way could be let finish."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.request_stop)
        self._executor.start()
        self._executor.take(None)
        next_beat = 0.0
        while not self._stop.is_set():
            try:
                if time.monotonic() >= next_beat:
                    self._sign_of_life()
                    next_beat = time.monotonic() + BEAT_SECONDS
                self._take_ids()
            except redis.RedisError as problem:
                self._registered = False
                log.warning("worker.queue_unreachable", error=type(problem).__name__)
                self._stop.wait(RECONNECT_SECONDS)
        return self._leave()

    def request_stop(self, _number: int = 0, _frame: Any = None) -> None:
        """Take nothing new and begin no further call; calls under way are let finish."""
        self._executor.begin_stop()
        self._stop.set()
        log.info("worker.stopping")

    def _take_ids(self) -> None:
        if not self._executor.wait_for_room(timeout=1.0):
            return
        key = self.queues[0].key
        first = self.connection.blpop([key], timeout=BLOCK_SECONDS)
        if first is None:
            return
        raw = [first[1], *(self.connection.lpop(key, max(1, self._executor.room())) or [])]
        ids = {run_id for one in raw if (run_id := run_id_of(one)) is not None}
        self._executor.take(ids)
        # The job has done its work by being taken; what becomes of the run is in the database.
        prefix = self.job_class.redis_job_namespace_prefix
        self.connection.unlink(*(prefix + one.decode("ascii", "replace") for one in raw))

    def _sign_of_life(self) -> None:
        if not self._registered:
            self.register_birth()
            self._registered = True
            self.set_state(WorkerStatus.STARTED)
        held = len(self._executor.held())
        self.set_state(WorkerStatus.BUSY if held else WorkerStatus.IDLE)
        self.heartbeat()

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


def connection_for(url: str) -> redis.Redis:
    """A client whose answers may take as long as the blocking wait for an id."""
    return connect(url, timeout=BLOCK_SECONDS + 3)
