"""How many threads of a process may be out at once, where others have to be left for everything else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.messages import Reply, Request
from app.errors import Busy

# Somebody waits for a page: rather than longer, they are told.
WAIT_SECONDS = 2.0


class Places:
    """`out` at once, and `waiting` more that wait for a moment."""

    def __init__(self, out: int, *, waiting: int) -> None:
        self._out = threading.BoundedSemaphore(out)
        self._all = threading.BoundedSemaphore(out + waiting)

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place while this is open; raises Busy when there is none within WAIT_SECONDS."""
        if not self._all.acquire(blocking=False):
            raise Busy
        try:
            if not self._out.acquire(timeout=WAIT_SECONDS):
                raise Busy
            try:
                yield
            finally:
                self._out.release()
        finally:
            self._all.release()


class FewAtOnce(HttpClient):
    """The client of a process whose threads answer people.

    A call takes a place, or raises Busy unsent, where `is_asked_for` says that somebody waits for it: commands and
    what runs beside them are held up by nobody.
    """

    def __init__(self, policy: EgressPolicy, places: Places, is_asked_for: Callable[[], bool]) -> None:
        super().__init__(policy, max_connections=8)
        self._places, self._is_asked_for = places, is_asked_for

    def send(self, request: Request) -> Reply:
        """As the client's, with Busy raised before anything is sent."""
        with self._places.one() if self._is_asked_for() else nullcontext():
            return super().send(request)
