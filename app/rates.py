"""How fast a connection may be called: one pace for all workers together, kept in Redis.

Each call takes the next free slot of its connection, slots being 1/rate seconds apart (the generic cell rate
algorithm with no burst), so that any second holds at most `rate` calls, whoever makes them.  While Redis is
away each process keeps the same pace by itself: the total is then at most the rate times the workers, until
Redis is back.  Nothing else depends on it: losing the keys costs one slot.

A system that answers 429 with a time to wait is left alone until then by all workers, whatever the rate.  Who was
answered so says it in Redis, and the others look there once a second at most; while Redis is away each process
knows what it was told itself.
"""

from __future__ import annotations

import math
import threading
import time

import redis
import structlog

from app.queue import SILENCE_SECONDS, connect

# A call waits no longer than this for its slot: what is further off gives its place to others and comes again.
LONGEST_WAIT_SECONDS = 60.0
KEY_PREFIX = "rate:"
# Lives as long as the connection is to be left alone.
ALONE_PREFIX = "rate:alone:"
LOOK_SECONDS = 1.0

# KEYS[1]: when the connection's next slot is free, in microseconds of the server's clock.  ARGV: the gap between
# slots and the longest wait, in microseconds.  Gives the wait, or -1 when that would be too long.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local slot = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local gap, wait = tonumber(ARGV[1]), slot - now
if wait > tonumber(ARGV[2]) then return -1 end
redis.call('SET', KEYS[1], string.format('%.0f', slot + gap), 'PX', math.ceil((wait + gap) / 1000) + 1000)
return wait
"""

log = structlog.get_logger("rates")


class Rates:
    """Gives out slots. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connect()
        self._lock = threading.Lock()
        self._free_at: dict[int, float] = {}
        # Until when a connection is to be left alone, and when that was last looked at.
        self._alone: dict[int, tuple[float, float]] = {}
        self._silent_until = 0.0

    def _connect(self) -> None:
        self._redis = connect(self._url)
        self._take = self._redis.register_script(_TAKE)

    def take(self, connection_id: int, per_second: float) -> float | None:
        """Take the next slot: how many seconds until it comes, 0 for now.

        None when it is further off than LONGEST_WAIT_SECONDS; no slot is taken then.
        """
        gap = 1.0 / per_second
        if time.monotonic() >= self._silent_until:
            try:
                wait = int(
                    self._take(
                        keys=[f"{KEY_PREFIX}{connection_id}"],
                        args=[round(gap * 1e6), round(LONGEST_WAIT_SECONDS * 1e6)],
                    )
                )
                return None if wait < 0 else wait / 1e6
            except redis.RedisError as error:
                self._fall_silent(error)
        return self._take_here(connection_id, gap)

    def _fall_silent(self, error: redis.RedisError) -> None:
        self._silent_until = time.monotonic() + SILENCE_SECONDS
        self._connect()  # an old connection may lead to a server that was replaced
        log.warning("rates.unreachable", error=type(error).__name__)

    def leave_alone(self, connection_id: int, seconds: float) -> None:
        """The connection's system asks that nobody calls it for so long; a longer time that it named before holds."""
        now = time.monotonic()
        with self._lock:
            until, looked = self._alone.get(connection_id, (0.0, 0.0))
            if seconds <= 0 or now + seconds <= until:
                return
            self._alone[connection_id] = (now + seconds, looked)
        if now >= self._silent_until:
            try:
                self._redis.set(f"{ALONE_PREFIX}{connection_id}", 1, px=math.ceil(seconds * 1000))
            except redis.RedisError as error:
                self._fall_silent(error)

    def left_alone(self, connection_id: int) -> float:
        """For how many seconds the connection is still to be left alone, 0 for not at all."""
        now = time.monotonic()
        with self._lock:
            until, looked = self._alone.get(connection_id, (0.0, 0.0))
            look = now >= max(looked + LOOK_SECONDS, self._silent_until)
            if look:
                self._alone[connection_id] = (until, now)
        if look:
            try:
                left = int(self._redis.pttl(f"{ALONE_PREFIX}{connection_id}"))
            except redis.RedisError as error:
                self._fall_silent(error)
            else:
                with self._lock:
                    until = max(self._alone[connection_id][0], now + left / 1000)
                    self._alone[connection_id] = (until, now)
        return max(0.0, until - now)

    def _take_here(self, connection_id: int, gap: float) -> float | None:
        now = time.monotonic()
        with self._lock:
            slot = max(now, self._free_at.get(connection_id, 0.0))
            if slot - now > LONGEST_WAIT_SECONDS:
                return None
            self._free_at[connection_id] = slot + gap
        return slot - now

    def close(self) -> None:
        self._redis.close()
