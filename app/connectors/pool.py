"""Idle keep-alive connections: kept by destination, taken newest first, given up when old or too many."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

IDLE_SECONDS = 60.0


class Closable(Protocol):
    def close(self) -> None: ...


K = TypeVar("K", bound=Hashable)
C = TypeVar("C", bound=Closable)


class IdlePool(Generic[K, C]):
    """Idle connections of all destinations together, at most `limit`; no call ever waits for one.

    Giving one back when `limit` are idle closes the one that has been idle longest.  Thread-safe.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._by_key: dict[K, deque[C]] = {}
        # Longest idle first, which is also the order within each destination's deque.
        self._idle: OrderedDict[C, tuple[K, float]] = OrderedDict()
        self._closed = False

    def take(self, key: K) -> C | None:
        """The connection to `key` that was used last, or None; the caller owns it then."""
        with self._lock:
            waiting = self._by_key.get(key)
            if not waiting:
                return None
            connection = waiting.pop()
            if not waiting:
                del self._by_key[key]
            del self._idle[connection]
            return connection

    def give(self, key: K, connection: C) -> None:
        """Keep a connection for later."""
        now = time.monotonic()
        with self._lock:
            if self._closed:
                surplus = [connection]
            else:
                self._by_key.setdefault(key, deque()).append(connection)
                self._idle[connection] = (key, now)
                surplus = self._drop_stale(now)
        for old in surplus:
            old.close()

    def close(self) -> None:
        """Close what is idle now and whatever is given back later."""
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
            self._by_key.clear()
        for connection in idle:
            connection.close()

    def _drop_stale(self, now: float) -> list[C]:
        surplus = []
        while self._idle:
            connection, (key, since) = next(iter(self._idle.items()))
            if len(self._idle) <= self._limit and now - since < IDLE_SECONDS:
                break
            del self._idle[connection]
            waiting = self._by_key[key]
            waiting.popleft()
            if not waiting:
                del self._by_key[key]
            surplus.append(connection)
        return surplus
