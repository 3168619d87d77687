"""The queue of runs: tells workers, through RQ, which runs to look at.

The database is the system of record; a job carries a run's number and nothing else, and losing one costs seconds
(the sweeper notifies again).  So notifying never raises, and never keeps a caller waiting for long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import redis
import structlog
from rq import Queue
from rq.serializers import JSONSerializer

QUEUE_NAME = "runs"
JOB_FUNCTION = "app.workers.jobs.advance_run"
JOB_PREFIX = "run-"
SWEPT_KEY = "access-automation:swept:"
# A caller waits this long for a Redis that hangs, once; then notifying is skipped for a while.
TIMEOUT_SECONDS = 0.3
SILENCE_SECONDS = 2.0
# An id that nobody took within this time has been found by a sweep long since.
JOB_TTL_SECONDS = 3600
CHUNK = 200

log = structlog.get_logger("queue")


def connect(url: str, *, timeout: float | None = TIMEOUT_SECONDS) -> redis.Redis:
    """A client for `url`. `timeout` in seconds bounds connecting and each answer; None waits."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=16,
        timeout=TIMEOUT_SECONDS,
        socket_timeout=timeout,
        socket_connect_timeout=timeout or TIMEOUT_SECONDS,
        retry=None,
    )
    return redis.Redis(connection_pool=pool)


def job_id(run_id: int) -> str:
    return f"{JOB_PREFIX}{run_id}"


def run_id_of(raw: bytes) -> int | None:
    """The run that a job id names, or None for one that is not ours."""
    text = raw.decode("ascii", "replace")
    number = text.removeprefix(JOB_PREFIX)
    if not text.startswith(JOB_PREFIX) or not number.isdecimal() or len(number) > 18:
        return None
    return int(number)


class RunQueue:
    """Notifies workers of runs. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)
        self._queue = Queue(QUEUE_NAME, connection=self._redis, serializer=JSONSerializer)
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def notify(self, run_ids: Iterable[int]) -> bool:
        """Put the runs on the queue. False when Redis did not take them: the sweeper will find them."""
        ids = sorted(set(run_ids))
        if not ids:
            return True
        if time.monotonic() < self._silent_until:
            return False
        try:
            for start in range(0, len(ids), CHUNK):
                self._queue.enqueue_many([self._data(one) for one in ids[start : start + CHUNK]])
        except redis.RedisError as error:
            with self._lock:
                self._silent_until = time.monotonic() + SILENCE_SECONDS
            log.warning("queue.unreachable", error=type(error).__name__, runs=len(ids))
            return False
        return True

    def _data(self, run_id: int) -> Any:
        return Queue.prepare_data(
            JOB_FUNCTION,
            args=(run_id,),
            job_id=job_id(run_id),
            description=job_id(run_id),
            result_ttl=0,
            failure_ttl=JOB_TTL_SECONDS,
            ttl=JOB_TTL_SECONDS,
        )

    def is_reachable(self) -> bool:
        """True when Redis answers within the timeout."""
        try:
            return bool(self._redis.ping())
        except redis.RedisError:
            return False

    def waiting(self) -> int | None:
        """How many ids lie on the queue, or None when Redis cannot be reached."""
        try:
            return int(self._redis.llen(self._queue.key))
        except redis.RedisError:
            return None

    def remember_sweep(self, uid: str, at: datetime) -> None:
        """Note when the database called `uid` was swept last. Never raises: without it a restore goes unnoticed."""
        try:
            self._redis.set(SWEPT_KEY + uid, at.isoformat())
        except redis.RedisError as error:
            log.warning("queue.unreachable", error=type(error).__name__, runs=0)

    def remembered_sweep(self, uid: str) -> datetime | None:
        """When the database called `uid` was swept last, as far as Redis knows and can be reached."""
        try:
            known = self._redis.get(SWEPT_KEY + uid)
            return datetime.fromisoformat(known.decode("ascii")) if isinstance(known, bytes) else None
        except (redis.RedisError, ValueError):
            return None

    def close(self) -> None:
        self._redis.close()
