"""A worker without threads: its executor and journal are the real ones, and go on when they are told to.

What stands in is what threads and processes are: a pool that keeps what it is given, a queue between two threads,
a wait.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from app import clock
from app.services.advance import Move
from app.workers.executor import LATE_SECONDS, Executor
from app.workers.journal import Beat, Journal

Call = tuple[Callable[..., Any], tuple[Any, ...]]


class Pool:
    """Keeps what it is given to do."""

    def __init__(self) -> None:
        self.waiting: list[Call] = []

    def submit(self, work: Callable[..., Any], *args: Any) -> None:
        self.waiting.append((work, args))

    def shutdown(self, **_options: Any) -> None:
        self.waiting.clear()


class Entries:
    """A queue that can be looked into."""

    def __init__(self) -> None:
        self.kept: deque[Any] = deque()

    def put(self, entry: Any) -> None:
        self.kept.append(entry)

    def get(self, *_waiting: Any, **_for: Any) -> Any:
        if not self.kept:
            raise queue.Empty
        return self.kept.popleft()

    get_nowait = get


class Pause:
    """Where a thread would wait to be told to give up: time passes, and others act."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._wait = wait
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float = 0.0) -> bool:
        self._wait(timeout)
        return self._is_set


class JournalByHand(Journal):
    """What a call reports is in the air first, and arrives when it is let."""

    def __init__(self, engine: Engine, owner: Executor, pause: Pause) -> None:
        super().__init__(engine, owner)
        self.entries = Entries()
        self._entries = self.entries  # type: ignore[assignment]
        self._abandon = pause  # type: ignore[assignment]
        self.air: list[Move] = []
        self.is_calling = False

    def put(self, entry: Any) -> None:
        (self.air.append if self.is_calling else self.entries.put)(entry)

    def write(self) -> None:
        """One batch, if there is anything to write by now."""
        batch, _ = self._next_batch()
        if batch:
            self._write(batch)

    def has_more(self) -> bool:
        """Whether anything is still to be written, now or later."""
        return bool(self.entries.kept or self._later)

    def moves(self) -> list[Move]:
        """What is in the air, and what is still to be written."""
        waiting = (*self.air, *self.entries.kept, *(entry for _, entry in self._later))
        return [one for one in waiting if isinstance(one, Move)]


class WorkerByHand(Executor):
    """`stops_after_commit` is a process that is stopped between a commit and what follows from it."""

    def __init__(self, engine: Engine, *args: Any, pause: Pause, **named: Any) -> None:
        super().__init__(engine, *args, **named)
        self._calls.shutdown()
        self.pool = Pool()
        self._calls = self.pool  # type: ignore[assignment]
        self.journal = self._journal = JournalByHand(engine, self, pause)
        self.is_asleep = self.stops_after_commit = False
        self._unseen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._next_beat = 0.0

    def begin(self) -> None:
        """As `start` and the process's own beginning, without their threads."""
        self.journal.put(Beat())
        self.take(None)

    def after_commit(self, *args: Any, **named: Any) -> None:
        if self.stops_after_commit:
            self.is_asleep = True
            self._unseen.append((args, named))
            return
        super().after_commit(*args, **named)

    def wake(self) -> None:
        self.is_asleep = self.stops_after_commit = False
        unseen, self._unseen = self._unseen, []
        for args, named in unseen:
            super().after_commit(*args, **named)

    def tick(self) -> None:
        """What the timer's thread does when it looks."""
        now = clock.elapsed()
        if now >= self._next_beat:
            self.journal.put(Beat())
            self._next_beat = now + self._lease.total_seconds() / 3
        due = self._due(now)
        if due:
            self.take(due)
        for at, order in self._in_turn(now):
            call = self._call if now - at < LATE_SECONDS else self._call_in_turn
            self._calls.submit(call, order)

    def call(self, number: int) -> None:
        """A thread of the pool takes up the `number`-th call; what it reports is then in the air."""
        work, args = self.pool.waiting.pop(number % len(self.pool.waiting))
        self.journal.is_calling = True
        try:
            work(*args)
        finally:
            self.journal.is_calling = False

    def is_over(self) -> bool:
        """Whether it was told to stop, and nothing is left to be done."""
        return self._stopping.is_set() and not self.held() and not self.journal.has_more()

    def is_in_doubt(self) -> bool:
        """Whether the reply to one of its commits was lost, and it has not asked what became of it."""
        return bool(self.journal._in_doubt)

    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def lost_places(self) -> set[int]:
        """The runs that it holds and does nothing about: no call waits, is out, or has an answer to be written."""
        about = {args[0].run_id for _, args in self.pool.waiting if args}
        about |= {slot[2].run_id for slot in self._slots}
        about |= {one.run_id for one in self.journal.moves()}
        about |= {one.run_id for args, _ in self._unseen for one in args[0]}
        return set(self.held()) - about
