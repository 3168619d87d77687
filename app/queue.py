"""The queue of runs: a bell that tells workers, through RQ, which runs to look at.

The database is the system of record; a job carries a run's number and nothing else, and losing one costs seconds
(workers with room ask the database by themselves).  So ringing never raises, and never keeps a caller waiting for
long.  An id lies on the list once, however often it is rung for: its job's hash is there exactly as long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import redis
import structlog
from redis.exceptions import AuthenticationError, BusyLoadingError, OutOfMemoryError
from rq.utils import utcformat

from app import clock

QUEUE_NAME = "runs"
QUEUE_KEY = "rq:queue:runs"
JOB_PREFIX = "run-"
JOB_KEY = "rq:job:"
SWEPT_KEY = "access-automation:swept:"
ASKED_KEY = "access-automation:asked"
# A caller waits this long for a Redis that hangs, once; then ringing is skipped for a while.
TIMEOUT_SECONDS = 0.3
SILENCE_SECONDS = 2.0
# An id that was taken by a worker that died in that very moment is rung for again after this time at the latest.
JOB_TTL_SECONDS = 600
CHUNK = 500

# KEYS: the list, RQ's set of lists, then the job of each id.  ARGV: the time, how long a job is kept, then the ids.
# What lies on the list is passed over.  The list comes first: where it refuses, no job is left to say it lies there.
_RING = f"""
local at, new = ARGV[1], {{}}
for i = 3, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then new[#new + 1] = i end
end
if #new == 0 then return 0 end
local names = {{}}
for n, i in ipairs(new) do names[n] = '{JOB_PREFIX}' .. ARGV[i] end
redis.call('RPUSH', KEYS[1], unpack(names))
redis.call('SADD', KEYS[2], KEYS[1])
for n, i in ipairs(new) do
  redis.call('HSET', KEYS[i], 'data', '["app.workers.jobs.advance_run", null, [' .. ARGV[i] .. '], {{}}]',
    'status', 'queued', 'origin', '{QUEUE_NAME}', 'description', names[n], 'created_at', at, 'enqueued_at', at,
    'result_ttl', '0')
  redis.call('EXPIRE', KEYS[i], ARGV[2])
end
return #new
"""

# KEYS: the list.  ARGV: how many to take at most, then what was taken from it just before.  Gives what it takes; the
# jobs of all of these are gone by then, so that whoever rings from now on is heard.
DRAIN = f"""
local taken = redis.call('LPOP', KEYS[1], ARGV[1]) or {{}}
for i = 2, #ARGV do redis.call('UNLINK', '{JOB_KEY}' .. ARGV[i]) end
for _, name in ipairs(taken) do redis.call('UNLINK', '{JOB_KEY}' .. name) end
return taken
"""

log = structlog.get_logger("queue")


@dataclass(frozen=True, slots=True)
class QueueProblem:
    """Why the queue cannot be used: `what` goes on after "Redis", `todo` is whole sentences.

    `answers` is False when nobody is there, or nobody who answers in time.
    """

    what: str
    todo: str
    answers: bool = True


@dataclass(frozen=True, slots=True)
class QueueLook:
    """How many ids lie on the queue, None when that cannot be known; and what is wrong, None when all is well."""

    waiting: int | None
    problem: QueueProblem | None = None


_AWAY = QueueProblem("does not answer", "Check that the server runs and that REDIS_URL names it.", False)
_LATE = QueueProblem(
    f"does not answer within {TIMEOUT_SECONDS:g} s",
    "It hangs, or machine or network are overloaded: look at its load.",
    False,
)
_LOADING = QueueProblem("is still loading its data", "Nothing to do: it answers once it is done.", False)
_STRANGER = QueueProblem("does not take the name or password in REDIS_URL", "Correct REDIS_URL.")
_REPLICA = QueueProblem(
    "takes no writes: it is a replica",
    "Have REDIS_URL name the primary, or make this one the primary (REPLICAOF NO ONE).",
)
_FULL = QueueProblem("is full and refuses writes", "Raise its maxmemory, or remove what fills it.")
_TAKEN = QueueProblem(
    f"holds something else under {QUEUE_KEY}, where the list of run numbers belongs",
    f"Find out who wrote it, then remove it (DEL {QUEUE_KEY}). No run is lost by that.",
)


def problem_of(error: redis.RedisError) -> QueueProblem:
    """What an error of Redis says about the queue."""
    kinds: tuple[tuple[type[redis.RedisError], QueueProblem], ...] = (
        (redis.TimeoutError, _LATE),
        (AuthenticationError, _STRANGER),
        (BusyLoadingError, _LOADING),
        (redis.ConnectionError, _AWAY),
        (redis.ReadOnlyError, _REPLICA),
        (OutOfMemoryError, _FULL),
    )
    for kind, problem in kinds:
        if isinstance(error, kind):
            return problem
    if "WRONGTYPE" in str(error):
        return _TAKEN
    return QueueProblem(
        "refuses what it is asked", "Its log says why; its rights and its disk are the usual causes."
    )


def connect(url: str, *, timeout: float = TIMEOUT_SECONDS) -> redis.Redis:
    """A client for `url`, safe to share. `timeout` in seconds bounds each answer. It keeps TCP alive by itself."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=16,
        timeout=TIMEOUT_SECONDS,
        socket_timeout=timeout,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )
    return redis.Redis(connection_pool=pool)


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
        self._url = url
        self._connect()
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def _connect(self) -> None:
        self._redis = connect(self._url)
        self._ring = self._redis.register_script(_RING)

    def notify(self, run_ids: Iterable[int]) -> bool:
        """Put the runs on the queue that do not lie there. False when Redis did not take them: workers find them."""
        ids = sorted(set(run_ids))
        if not ids:
            return True
        if time.monotonic() < self._silent_until:
            return False
        at = utcformat(clock.now())
        try:
            for start in range(0, len(ids), CHUNK):
                some = ids[start : start + CHUNK]
                jobs = [f"{JOB_KEY}{JOB_PREFIX}{one}" for one in some]
                self._ring(keys=[QUEUE_KEY, "rq:queues", *jobs], args=[at, JOB_TTL_SECONDS, *some])
        except redis.RedisError as error:
            with self._lock:
                self._silent_until = time.monotonic() + SILENCE_SECONDS
            self._failed(error, runs=len(ids))
            return False
        return True

    def look(self) -> QueueLook:
        """How the queue is, found out by a write as well, since a replica and a full server answer what is read."""
        try:
            asked = self._redis.pipeline(transaction=False)
            asked.set(ASKED_KEY, 1, px=60_000)
            asked.llen(QUEUE_KEY)
            return QueueLook(int(asked.execute()[1]))
        except redis.RedisError as error:
            self._connect()
            return QueueLook(None, problem_of(error))

    def remember_sweep(self, uid: str, at: datetime) -> None:
        """Note when the database called `uid` was swept last. Never raises: without it a restore goes unnoticed."""
        try:
            self._redis.set(SWEPT_KEY + uid, at.isoformat())
        except redis.RedisError as error:
            self._failed(error, runs=0)

    def remembered_sweep(self, uid: str) -> datetime | None:
        """When the database called `uid` was swept last, as far as Redis knows and can be reached."""
        try:
            known = self._redis.get(SWEPT_KEY + uid)
            return datetime.fromisoformat(known.decode("ascii")) if isinstance(known, bytes) else None
        except redis.RedisError as error:
            self._failed(error, runs=0)
        except ValueError:
            pass
        return None

    def _failed(self, error: redis.RedisError, *, runs: int) -> None:
        # A server that was replaced may keep old connections and refuse each write on them; new ones find its
        # successor.  Threads that are just using an old one keep it until they are done.
        self._connect()
        log.warning("queue.unreachable", error=type(error).__name__, runs=runs)

    def close(self) -> None:
        self._redis.close()
