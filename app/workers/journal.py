"""The journal: one thread writes what happens to many runs in one transaction.

A commit costs the same whether it carries one run or fifty, so whatever has come in while the last commit was
on its way goes into the next.  Nothing is sent before the commit that says so has returned.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app import clock
from app.database import WRITES, database_is_away, db_now, db_now_hurried, is_contested
from app.domain.runs.calls import Order
from app.services.advance import Move, Moved, adopt, advance, claim, renew
from app.services.advance.claims import Claimed, Sent, waiting
from app.services.advance.moves import Holder

MAX_BATCH = 64
# While there is room to spare a commit waits this long after the one before, so that more goes into it.
GATHER_SECONDS = 0.01
RETRY_SECONDS = 0.5
LONGEST_REST_SECONDS = 0.25

log = structlog.get_logger("journal")


@dataclass(frozen=True, slots=True)
class Claim:
    """Take runs, as many as there is room for: those of `ids`, or the ones that the executor wants by then."""

    ids: Collection[int] | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """Say that this worker lives, and keep its runs."""


Entry = Claim | Move | Beat


class Owner(Protocol):
    """What the journal asks of the executor, always from the journal's own thread."""

    def holder(self, over: Collection[tuple[int, int | None]] = ()) -> Holder: ...
    def held(self) -> dict[int, int]: ...
    def has_room(self) -> bool: ...
    def wanted(self, room: int) -> set[int] | None: ...
    def write_beat(self, connection: Connection, now: datetime) -> None: ...
    def look_back(self) -> None: ...
    def kept(self, run_ids: Iterable[int], began: float) -> None: ...
    def let_go(self, run_id: int, fence: int | None) -> None: ...
    def after_commit(self, results: Sequence[Moved], now: datetime, *, began: float, more: bool) -> None: ...


@dataclass(slots=True)
class _Stop:
    finished: threading.Event = field(default_factory=threading.Event)


class Journal:
    """Writes entries, in order, and hands what became of them to its owner after the commit.

    `owner` is asked for what only it knows: its room, the runs it wants and holds, its sign of life.  An entry
    survives whatever is not its own fault: a database that is away or read-only, a row that somebody else is writing.
    One that cannot be written is written as barely as it can be, and at last let go of, so that its run's lease ends.
    """

    def __init__(self, engine: Engine, owner: Owner) -> None:
        self._engine = engine.execution_options(**WRITES)
        self._owner = owner
        self._entries: queue.SimpleQueue[Entry | _Stop] = queue.SimpleQueue()
        # Entries that are tried again, from when on.
        self._later: list[tuple[float, Entry]] = []
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._abandon = threading.Event()
        # After an outage the database may be another one; so may it be at the start.
        self._look_back = True
        # Calls ordered in a commit whose reply was lost: the database may hold them as ours.
        self._in_doubt: dict[int, Sent] = {}
        self._wanted: Collection[int] | None = ()
        self._last_batch = -GATHER_SECONDS
        self._rest_until = 0.0

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
                self._write_the_rest()
                stop.finished.set()
                return

    def _write_the_rest(self) -> None:
        """What was put off has its last turns now."""
        while self._later and not self._abandon.is_set():
            self._abandon.wait(RETRY_SECONDS)
            batch, self._later = [entry for _, entry in self._later], []
            self._write(batch)

    def _next_batch(self) -> tuple[list[Entry], _Stop | None]:
        """Everything that has come in, up to the size of a batch; at most one move a run."""
        batch = self._due_again()
        try:
            first = self._entries.get(block=not batch, timeout=RETRY_SECONDS if self._later else None)
        except queue.Empty:
            return batch or self._due_again(), None
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

    def _due_again(self) -> list[Entry]:
        now = time.monotonic()
        due = [entry for at, entry in self._later if at <= now]
        self._later = [(at, entry) for at, entry in self._later if at > now]
        return due

    def _gather(self, first: Entry | _Stop) -> None:
        """Let more come in, unless it is a while since the last batch or places are short, which a commit frees.

        Many small commits cost the processor and the disk more than they gain: a run that comes to an idle worker
        is begun at once all the same.
        """
        if (rest := self._rest_until - clock.elapsed()) > 0 and not isinstance(first, _Stop):
            self._abandon.wait(min(rest, LONGEST_REST_SECONDS))
        wait = self._last_batch + GATHER_SECONDS - time.monotonic()
        if wait > 0 and not isinstance(first, _Stop) and self._owner.has_room():
            self._abandon.wait(wait)
        self._last_batch = time.monotonic()

    def _write(self, batch: list[Entry]) -> None:
        """Write the batch; when it is refused as a whole, write its entries one by one."""
        while not self._abandon.is_set():
            try:
                if any(isinstance(one, Beat) for one in batch):
                    self._beat()
                    batch = [one for one in batch if not isinstance(one, Beat)]
                if batch:
                    self._commit(batch)
                return
            except Exception as problem:  # noqa: BLE001  what it says of the entry is decided below
                if database_is_away(problem) and not is_contested(problem):
                    log.warning("journal.database_away", error=_name(problem), entries=len(batch))
                    self._look_back = True
                    self._abandon.wait(RETRY_SECONDS)
                    self._keep_leases()
                elif len(batch) > 1:
                    for entry in batch:
                        self._write([entry])
                    return
                else:
                    self._refused(batch[0], problem)
                    return

    def _refused(self, entry: Entry, problem: Exception) -> None:
        """One entry cannot be written: put it off where others are in its way, else write less of it, or let go."""
        if is_contested(problem):
            log.info("journal.contested", entry=type(entry).__name__, error=_name(problem))
            self._later.append((time.monotonic() + RETRY_SECONDS, entry))
            return
        is_ours = not isinstance(problem, SQLAlchemyError)
        log.error("journal.refused", entry=type(entry).__name__, error=_name(problem), exc_info=is_ours)
        if isinstance(entry, Move) and not entry.is_bare:
            self._write([entry.bare()])
        elif isinstance(entry, Move):
            self._owner.let_go(entry.run_id, entry.fence)
        elif isinstance(entry, Claim) and entry.ids is None:
            # One run among them is to blame: each is taken by itself, and the others go on.
            for run_id in self._looked_at():
                self._write([Claim([run_id])])

    def _looked_at(self) -> list[int]:
        """The runs that were to be claimed last."""
        if self._wanted is not None:
            return sorted(self._wanted)
        with self._engine.connect() as connection:
            return waiting(connection, db_now(connection), None, MAX_BATCH)

    def _beat(self) -> None:
        """Say that this worker lives, and keep its runs: alone, since no entry is to cost the others their lease."""
        with self._engine.begin() as connection:
            began = clock.elapsed()  # finding a connection that lives may have taken a while
            now = db_now_hurried(connection)
            self._owner.write_beat(connection, now)
            kept = renew(connection, self._owner.holder(), now=now, fences=self._owner.held())
        self._owner.kept(kept, began)

    def _keep_leases(self) -> None:
        with contextlib.suppress(SQLAlchemyError):
            self._beat()

    def _commit(self, batch: Sequence[Entry]) -> None:
        moves = [one for one in batch if isinstance(one, Move)]
        claims = [one for one in batch if isinstance(one, Claim)]
        if self._look_back:
            self._owner.look_back()
        holder = self._owner.holder({(one.run_id, one.fence) for one in moves})
        results: list[Moved] = []
        more = False
        with self._engine.begin() as connection:
            began = clock.elapsed()
            now = db_now_hurried(connection)
            if self._in_doubt:
                results += adopt(connection, holder, now=now, in_doubt=self._in_doubt)
                adopted = {one.run_id for one in results}
                moves = [one for one in moves if one.run_id not in adopted]
            if moves:
                results += advance(connection, moves, now=now, holder=holder)
            if claims:
                claimed = self._claim(connection, holder, now, claims[-1].ids)
                results, more = [*results, *claimed], claimed.more
            ordered = {one.run_id: _sent(one.order) for one in results if one.order is not None}
            self._in_doubt.update(ordered)
        # What was wanted when the database went away may have been forgotten since.
        more = more or self._look_back
        self._look_back = False
        self._in_doubt.clear()
        if results and not ordered and not moves:
            # Nothing to send came of them, and thousands like them may follow at once: as long again is others' time,
            # who on SQLite would find no gap to write in.
            self._rest_until = 2 * clock.elapsed() - began
        self._owner.after_commit(results, now, began=began, more=more)

    def _claim(
        self, connection: Connection, holder: Holder, now: datetime, ids: Collection[int] | None
    ) -> Claimed:
        assert holder.places is not None
        room = holder.places.room
        if ids is None:
            ids = self._wanted = self._owner.wanted(room)
        return claim(connection, holder, now=now, ids=ids, limit=room)


def _sent(order: Order) -> Sent:
    return Sent(order.fence, order.step.key, order.attempt)


def _name(problem: Exception) -> str:
    return type(getattr(problem, "orig", None) or problem).__name__
