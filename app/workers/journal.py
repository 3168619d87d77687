"""The journal: one thread writes what happens to many runs in one transaction.

A commit costs the same whether it carries one run or fifty, so whatever has come in while the last commit was
on its way goes into the next.  Nothing is sent before the commit that says so has returned.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from app.database import WRITES, db_now
from app.services.advance import Move, Moved, adopt, advance, claim, renew
from app.services.advance.moves import Holder
from app.services.advance.write_plan import LostRace

MAX_BATCH = 64
# While there is room to spare a commit waits this long after the one before, so that more goes into it.
GATHER_SECONDS = 0.01
RETRY_SECONDS = 0.5

log = structlog.get_logger("journal")


@dataclass(frozen=True, slots=True)
class Claim:
    """Take runs, as many as there is room for: the executor says which when the time comes."""


@dataclass(frozen=True, slots=True)
class Beat:
    """Say that this worker lives, and keep its runs."""


Entry = Claim | Move | Beat


class Owner(Protocol):
    """What the journal asks of the executor, always from the journal's own thread."""

    def holder(self) -> Holder: ...
    def held(self) -> dict[int, int]: ...
    def has_room(self) -> bool: ...
    def wanted(self, leaving: int) -> tuple[int, set[int] | None]: ...
    def write_beat(self, connection: Connection, now: datetime) -> None: ...
    def look_back(self) -> None: ...
    def after_commit(self, results: Sequence[Moved], now: datetime) -> None: ...


@dataclass(slots=True)
class _Stop:
    finished: threading.Event = field(default_factory=threading.Event)


class Journal:
    """Writes entries, in order, and hands what became of them to `done` after the commit.

    `owner` is asked for what only it knows: its room, the runs it wants and holds, its sign of life.  Entries
    survive a database that is away: they are tried again until it is back or the journal is stopped.
    """

    def __init__(self, engine: Engine, owner: Owner) -> None:
        self._engine = engine.execution_options(**WRITES)
        self._owner = owner
        self._entries: queue.SimpleQueue[Entry | _Stop] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._abandon = threading.Event()
        # After a commit whose reply was lost the database may hold claims that this process does not know, and
        # after an outage it may be another one; so may it be at the start.
        self._in_doubt = True
        self._last_batch = -GATHER_SECONDS

    def start(self) -> None:
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Have `entry` written soon. Never blocks."""
        self._entries.put(entry)

    def stop(self, timeout: float) -> None:
        """Write what is still waiting, for at most `timeout` seconds."""
        stop = _Stop()
        self._entries.put(stop)
        if not stop.finished.wait(timeout):
            self._abandon.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            batch, stop = self._next_batch()
            if batch:
                self._write(batch)
            if stop is not None:
                stop.finished.set()
                return

    def _next_batch(self) -> tuple[list[Entry], _Stop | None]:
        """Everything that has come in, up to the size of a batch; at most one move a run."""
        batch: list[Entry] = []
        first = self._entries.get()
        self._gather(first)
        while True:
            if isinstance(first, _Stop):
                return batch, first
            batch.append(first)
            if len(batch) >= MAX_BATCH:
                return batch, None
            try:
                first = self._entries.get_nowait()
            except queue.Empty:
                return batch, None

    def _gather(self, first: Entry | _Stop) -> None:
        """Let more come in, unless it is a while since the last batch or places are short, which a commit frees.

        Many small commits cost the processor and the disk more than they gain: a run that comes to an idle worker
        is begun at once all the same.
        """
        wait = self._last_batch + GATHER_SECONDS - time.monotonic()
        if wait > 0 and not isinstance(first, _Stop) and self._owner.has_room():
            self._abandon.wait(wait)
        self._last_batch = time.monotonic()

    def _write(self, batch: list[Entry]) -> None:
        """Write the batch; when it is refused as a whole, write its entries one by one."""
        while not self._abandon.is_set():
            try:
                self._commit(batch)
                return
            except (OperationalError, InterfaceError) as problem:
                log.warning("journal.database_away", error=type(problem.orig).__name__, entries=len(batch))
                self._in_doubt = True
                self._abandon.wait(RETRY_SECONDS)
            except Exception as problem:
                if len(batch) > 1:
                    for entry in batch:
                        self._write([entry])
                elif isinstance(problem, LostRace | IntegrityError):
                    # Somebody else moved the run; the sweep finds what is left of it.
                    log.warning(
                        "journal.refused", entry=type(batch[0]).__name__, error=type(problem).__name__
                    )
                else:
                    log.exception("journal.failed", entry=type(batch[0]).__name__)
                return

    def _commit(self, batch: Sequence[Entry]) -> None:
        moves = [one for one in batch if isinstance(one, Move)]
        if self._in_doubt:
            self._owner.look_back()
        holder = self._owner.holder()
        with self._engine.begin() as connection:
            now = db_now(connection)
            results: list[Moved] = []
            if self._in_doubt:
                results += adopt(connection, holder, now=now, held=self._owner.held())
            if moves:
                results += advance(connection, moves, now=now, holder=holder)
            if any(isinstance(one, Claim) for one in batch):
                results += self._claim(connection, holder, now, leaving=_leaving(results))
            if any(isinstance(one, Beat) for one in batch):
                self._owner.write_beat(connection, now)
                renew(connection, holder, now=now, fences=self._owner.held())
        self._in_doubt = False
        self._owner.after_commit(results, now)

    def _claim(self, connection: Connection, holder: Holder, now: datetime, leaving: int) -> list[Moved]:
        room, ids = self._owner.wanted(leaving)
        if room <= 0 or (ids is not None and not ids):
            return []
        return claim(connection, holder, now=now, ids=ids, limit=room)


def _leaving(results: Sequence[Moved]) -> int:
    """Runs that leave the worker with this very batch: their places can be filled in it."""
    return sum(1 for one in results if one.applied and one.order is None)
