"""Idle keep-alive connections: kept by destination, and given out only while they can be trusted."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

# Load balancers and firewalls forget idle connections after 60 s and more, some without a word to either side: half
# of that is safe.  Servers that close sooner (many after 5 s) say so, and what is theirs is not given out.
IDLE_SECONDS = 30.0
# A target that says something out of turn does so within moments: before that nothing else is sent on it.
REST_SECONDS = 0.1
MAX_SHUNNED = 1_024


class Closable(Protocol):
    def close(self) -> None: ...


K = TypeVar("K", bound=Hashable)
C = TypeVar("C", bound=Closable)


class IdlePool(Generic[K, C]):
    """Idle connections of all destinations together, at most `limit`; no call ever waits for one.

    Giving one back when `limit` are idle closes the one that has been idle longest.  Thread-safe.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._by_key: dict[K, deque[C]] = {}
        # Longest idle first, which is also the order within each destination's deque.
        self._idle: OrderedDict[C, tuple[K, float]] = OrderedDict()
        self._shunned: OrderedDict[K, None] = OrderedDict()
        self._closed = False

    def take(self, key: K, youngest: float = IDLE_SECONDS) -> C | None:
        """The connection to `key` that was used last, has rested, and was idle for less than `youngest` seconds.

        None where there is none; the caller owns it otherwise.  Where all have been idle for longer, the oldest of
        them is closed: the caller opens one in its place.
        """
        now = self._clock()
        with self._lock:
            surplus = self._drop_stale(now)
            rested = (
                one for one in reversed(self._by_key.get(key, ())) if now - self._idle[one][1] >= REST_SECONDS
            )
            found = next(rested, None)
            if found is not None and now - self._idle[found][1] >= youngest:
                surplus.append(self._by_key[key][0])
                self._forget(surplus[-1])
                found = None
            elif found is not None:
                self._forget(found)
        for old in surplus:
            old.close()
        return found

    def give(self, key: K, connection: C) -> None:
        """Keep a connection for later."""
        now = self._clock()
        with self._lock:
            if self._closed or key in self._shunned:
                surplus = [connection]
            else:
                self._by_key.setdefault(key, deque()).append(connection)
                self._idle[connection] = (key, now)
                surplus = self._drop_stale(now)
        for old in surplus:
            old.close()

    def shun(self, key: K) -> None:
        """Keep no connection to `key` any more: what comes on them is not to be trusted."""
        with self._lock:
            self._shunned[key] = None
            if len(self._shunned) > MAX_SHUNNED:
                self._shunned.popitem(last=False)
            surplus = list(self._by_key.get(key, ()))
            for one in surplus:
                self._forget(one)
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
            connection, (_, since) = next(iter(self._idle.items()))
            if len(self._idle) <= self._limit and now - since < IDLE_SECONDS:
                break
            self._forget(connection)
            surplus.append(connection)
        return surplus

    def _forget(self, connection: C) -> None:
        key, _ = self._idle.pop(connection)
        waiting = self._by_key[key]
        waiting.remove(connection)
        if not waiting:
            del self._by_key[key]
