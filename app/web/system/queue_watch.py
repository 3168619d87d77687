"""What a process remembers of the queue, and the banner on administrators' pages.

Both are asked for by many pages at once, so each is looked at once every few seconds, by one thread; the others take
what was found last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from app import clock
from app.extensions import db
from app.queries.system import overdue_since, paused, standstill
from app.queue import QueueProblem, RunQueue
from app.web.template_filters import absolute

KEY = "system_watch"
FRESH_SECONDS = 3.0
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class QueueState:
    """How Redis is: `waiting` is how many ids lie there, or `problem` what is wrong.

    `ill_since` is when this process first noticed; it asks only when somebody looks.
    """

    waiting: int | None
    problem: QueueProblem | None
    ill_since: datetime | None


@dataclass(frozen=True, slots=True)
class Banner:
    """A banner: what is seen, and what it means."""

    what: str
    why: str


class _Kept(Generic[Found]):
    """What `look` found, for FRESH_SECONDS; while one thread looks, the others get what was found before."""

    def __init__(self, look: Callable[[], Found], first: Found) -> None:
        self._look = look
        self._found = first
        self._until = 0.0
        self._lock = threading.Lock()

    def get(self) -> Found:
        if time.monotonic() >= self._until and self._lock.acquire(blocking=False):
            try:
                self._found = self._look()
                self._until = time.monotonic() + FRESH_SECONDS
            finally:
                self._lock.release()
        return self._found

    def forget(self) -> None:
        self._until = 0.0


class Watch:
    """The two things that are kept. One to an application."""

    def __init__(self) -> None:
        self._ill_since: datetime | None = None
        self._queue = _Kept(self._look_at_queue, QueueState(0, None, None))
        self._notice: _Kept[Banner | None] = _Kept(self._look_for_standstill, None)

    def queue(self) -> QueueState:
        """How Redis is; asking takes no longer than its timeout."""
        return self._queue.get()

    def notice(self) -> Banner | None:
        """The banner for those who may mend it, None while runs move. Never an error itself."""
        return self._notice.get()

    def forget(self) -> None:
        """Look again at the next question."""
        self._queue.forget()
        self._notice.forget()

    def _look_at_queue(self) -> QueueState:
        run_queue: RunQueue = current_app.extensions["run_queue"]
        found = run_queue.look()
        self._ill_since = (self._ill_since or clock.now()) if found.problem else None
        return QueueState(found.waiting, found.problem, self._ill_since)

    def _look_for_standstill(self) -> Banner | None:
        try:
            # A connection of its own: what fails here must not take the page's session with it.
            with db.engine.connect() as connection:
                held = paused(connection)
                found = standstill(connection, now=clock.now())
                moves = found is not None and found.has_worker and self.queue().problem is None
                late = overdue_since(connection, now=clock.now()) if moves else None
        except SQLAlchemyError:
            return None  # the page itself says that the database is away
        if held is not None:
            return Banner(f"Runs are paused since {absolute(held.since)}.", f"{held.because} {_RECORDED}")
        if found is None:
            return None
        if not found.has_worker:
            seen = found.last_worker_at
            last = f"last seen {absolute(seen)}" if seen else "none has been seen yet"
            return Banner(f"Runs are waiting: no worker is online ({last}).", _SAFE)
        if problem := self.queue().problem:
            return Banner(f"Runs are waiting: the queue service (Redis) {problem.what}.", _LATE)
        if late is not None:
            return Banner(f"Runs are waiting: the oldest has been due since {absolute(late)}.", _BUSY)
        return None


_RECORDED = "Grants are recorded, and their runs wait until somebody resumes them."
_BUSY = "Workers are online and Redis answers, but none has come to it. If this lasts, start more workers."
_LATE = "Grants are not affected. Workers look for runs by themselves, so these start late."
_SAFE = "Grants are not affected. The runs go on by themselves once this is mended."


def the_watch() -> Watch:
    """The present application's."""
    found: Watch = current_app.extensions[KEY]
    return found
