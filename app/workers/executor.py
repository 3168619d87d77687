"""The executor: many runs in flight in one process, each a call at a time, none holding a thread while it waits."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, Engine

from app import clock
from app.connectors.http import HttpClient
from app.connectors.messages import NOT_OURS
from app.connectors.perform import Performed, perform
from app.crypto import KeyRing
from app.database import upsert
from app.domain.remedies.failure import HELD_BACK, LEFT_ALONE
from app.domain.runs import signals as m
from app.domain.runs.calls import Order, Outcome
from app.domain.states import FailureClass
from app.models import Worker
from app.rates import LONGEST_WAIT_SECONDS, Rates
from app.services.advance import Move, Moved
from app.services.advance.moves import CredentialUse, Holder
from app.workers.in_flight import InFlight
from app.workers.journal import Beat, Claim, Journal

NOTE_USE_SECONDS = 60.0
# The most ids that are looked at one by one: beyond, the database is asked for whatever is due.
MOST_WANTED = 500
# A slot that was slept through by more than this is taken anew, or the calls of a pause would all leave at once.
LATE_SECONDS = 1.0
# By these a system says that it is called too often, where it adds for how long (GitHub says it by 403 as well).
LIMITS = (403, 429)

log = structlog.get_logger("executor")


class Executor:
    """Claims runs, makes their calls and reports the answers, until it is stopped.

    `concurrency` bounds the runs in flight.  `look_back` is called before runs are taken from a database that may
    be another than before: at the start, and after it was away.  Losing the process loses nothing: everything it
    knows is in the database, but for calls under way, whose outcome is then unknown.
    """

    def __init__(
        self,
        engine: Engine,
        client: HttpClient,
        keyring: KeyRing,
        *,
        rates: Rates,
        name: str,
        concurrency: int,
        lease_seconds: float,
        look_back: Callable[[], None],
    ) -> None:
        self.name = name
        self.concurrency = concurrency
        self._client = client
        self._keyring = keyring
        self._rates = rates
        self.look_back = look_back
        self._lease = timedelta(seconds=lease_seconds)
        self._started_at = clock.now()
        self._in_flight = InFlight(concurrency, lease_seconds)
        self._wanted: set[int] = set()
        self._uses: dict[int, tuple[CredentialUse | None, float]] = {}
        self._any_due = False
        self._claim_asked = False
        self._changed = self._in_flight.changed
        self._timers: list[tuple[float, int]] = []
        self._slots: list[tuple[float, int, Order, bool]] = []
        self._wake_timer = threading.Event()
        self._stopping = threading.Event()
        # Half as many again as places: what one connection has over its share is not taken from the others.
        self._calls = ThreadPoolExecutor(concurrency + (concurrency + 1) // 2, thread_name_prefix="call")
        self._journal = Journal(engine, self)
        self._timer = threading.Thread(target=self._tick, name="timer", daemon=True)

    def start(self) -> None:
        self._journal.start()
        self._journal.put(Beat())
        self._timer.start()

    def take(self, run_ids: Iterable[int] | None) -> None:
        """Look at these runs as soon as there is room; None means at anything that is due."""
        with self._changed:
            if run_ids is None:
                self._any_due = True
            else:
                self._wanted.update(run_ids)
            if self._claim_asked or self._stopping.is_set():
                return
            self._claim_asked = True
        self._journal.put(Claim())

    def wanted(self, room: int) -> set[int] | None:
        """Which runs are to be claimed into `room` places; None for any that are due.

        What does not fit is not remembered here: the database knows it, and is asked as long as there is more.
        """
        with self._changed:
            self._claim_asked = False
            if room <= 0 or self._stopping.is_set():
                return set()
            if not self._wanted:
                chosen: set[int] | None = None if self._any_due else set()
                self._any_due = False
            else:
                chosen = set(heapq.nlargest(MOST_WANTED, self._wanted))
                self._any_due = self._any_due or len(chosen) < len(self._wanted)
                self._wanted.clear()
            self._changed.notify_all()
            return chosen

    def holder(self, over: Collection[tuple[int, int | None]] = ()) -> Holder:
        """In whose name the journal writes; while stopping no further call is begun.

        `over` are the calls, by run and fence, whose places fall free with what is written.
        """
        takes_more = not self._stopping.is_set()
        return Holder(self.name, self._lease, takes_more=takes_more, places=self._in_flight.places(over))

    def held(self) -> dict[int, int]:
        """The runs in flight here, by id, with their fences."""
        return self._in_flight.fences()

    def kept(self, run_ids: Iterable[int], began: float) -> None:
        """The leases of these runs were renewed in a transaction that began at `began` (clock.elapsed)."""
        self._in_flight.keep(run_ids, began)

    def let_go(self, run_id: int, fence: int | None) -> None:
        """What the run's call came to cannot be written: its lease runs out, and it is taken back."""
        self._in_flight.release(run_id, fence)

    def has_room(self) -> bool:
        """Whether more than half of the places are free, so that a run may wait a moment for company."""
        return 2 * len(self._in_flight) < self.concurrency

    def wait_for_room(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until another run could be claimed at once."""
        with self._changed:
            return self._changed.wait_for(lambda: self.room() > 0, timeout)

    def look_aside(self) -> None:
        """Where one connection has more than its share, the others may have a place: look for runs of theirs."""
        if self._in_flight.room() > 0:
            self.take(None)

    def room(self) -> int:
        """How many more runs could be claimed at once."""
        with self._changed:
            return max(0, self.concurrency - len(self._in_flight) - len(self._wanted))

    def begin_stop(self) -> None:
        """Take nothing new and begin no further call. Safe in a signal handler."""
        self._stopping.set()

    def stop(self, timeout: float) -> bool:
        """Let calls under way end and write what they came to; True when all did within `timeout` seconds."""
        self.begin_stop()
        self._wake_timer.set()
        deadline = time.monotonic() + timeout
        with self._changed:
            drained = self._changed.wait_for(lambda: not len(self._in_flight), timeout)
        self._journal.put(Beat())  # the last one, which says goodbye
        self._journal.stop(max(1.0, deadline - time.monotonic()))
        self._calls.shutdown(wait=drained, cancel_futures=True)
        return drained

    def after_commit(self, results: Sequence[Moved], now: datetime, *, began: float, more: bool) -> None:
        """What was decided at `now` is safe: send the calls, remember due times, wake those whose turn came.

        The transaction began at `began` (clock.elapsed).  `more` says that due runs were left for want of places.
        """
        for result in results:
            if result.order is not None:
                self._in_flight.hold(result.order, began)
                self._calls.submit(self._call_in_turn, result.order)
            else:
                self._in_flight.release(result.run_id, result.fence)
                if result.applied and result.due_at is not None:
                    self._remember(result.run_id, result.due_at - now)
            if result.wake:
                self.take(result.wake)
        with self._changed:
            self._any_due = self._any_due or more
            # Asked again only after something has changed: what had no place then has none now.
            again = bool(results) and bool(self._any_due or self._wanted)
        if again:
            self.take(())

    def _call_in_turn(self, order: Order, has_slot: bool = False) -> None:
        """Make the call, or leave it to the timer until its connection's pace allows it: no thread waits.

        A connection whose system asked to be left alone is called by nobody until then, with a slot or without.
        """
        if not self._in_flight.is_ours(order):
            self._put_unsent(order, NOT_OURS)
            return
        connection = order.connection
        if connection is not None:
            alone = self._rates.left_alone(connection.id)
            if alone > LONGEST_WAIT_SECONDS:
                self._put_unsent(order, LEFT_ALONE, alone)
                return
            if alone > 0:
                self._hold(order, alone, has_slot=False)
                return
            per_second = connection.config.get("requests_per_second")
            wait = self._rates.take(connection.id, float(per_second)) if per_second and not has_slot else 0.0
            if wait is None:
                self._put_unsent(order, HELD_BACK)
                return
            if wait > 0:
                self._hold(order, wait, has_slot=True)
                return
        self._call(order)

    def _hold(self, order: Order, seconds: float, *, has_slot: bool) -> None:
        with self._changed:
            heapq.heappush(self._slots, (time.monotonic() + seconds, order.run_id, order, has_slot))
        self._wake_timer.set()

    def _put_unsent(self, order: Order, why: str, retry_after: float | None = None) -> None:
        outcome = Outcome.failed(FailureClass.TIMEOUT, retry_after=retry_after, detail=why, ours=True)
        answer = m.Answered(order.step.key, order.attempt, outcome)
        self._journal.put(Move(order.run_id, answer, order.fence, 0))

    def _call(self, order: Order) -> None:
        try:
            performed = perform(
                order, self._client, self._keyring, may_go=lambda: self._in_flight.is_ours(order)
            )
        except Exception:
            # A bug of ours must not lose the run; whether the call left cannot be known here.
            log.exception("executor.call_failed", run_id=order.run_id)
            performed = Performed(Outcome.failed(FailureClass.OUTCOME_UNKNOWN, lost=True))
        outcome = performed.outcome
        if order.connection is not None and outcome.http_status in LIMITS and outcome.retry_after:
            self._rates.leave_alone(order.connection.id, outcome.retry_after)
        answer = m.Answered(order.step.key, order.attempt, outcome)
        use = self._use_to_note(order, performed)
        self._journal.put(Move(order.run_id, answer, order.fence, performed.duration_ms, use))

    def _use_to_note(self, order: Order, performed: Performed) -> CredentialUse | None:
        """What is to be written about the credential: each change of its luck, otherwise once a minute."""
        connection = order.connection
        if connection is None or connection.credential_set_at is None or performed.accepted is None:
            return None
        use = CredentialUse(connection.id, connection.credential_set_at, performed.accepted)
        now = time.monotonic()
        with self._changed:
            last, at = self._uses.get(connection.id, (None, 0.0))
            if last == use and now - at < NOTE_USE_SECONDS:
                return None
            self._uses[connection.id] = (use, now)
        return use

    def _remember(self, run_id: int, after: timedelta) -> None:
        """Look at the run again when it is due, by the database's time; losing this costs no more than one sweep."""
        wait = after.total_seconds()
        if wait > 2 * self._lease.total_seconds():
            return
        with self._changed:
            heapq.heappush(self._timers, (time.monotonic() + max(0.0, wait), run_id))
        self._wake_timer.set()

    def _tick(self) -> None:
        next_beat = time.monotonic()
        while not (self._stopping.is_set() and not len(self._in_flight)):
            now = time.monotonic()
            if now >= next_beat:
                self._journal.put(Beat())
                next_beat = now + self._lease.total_seconds() / 3
            due = self._due(now)
            if due:
                self.take(due)
            for at, order, has_slot in self._in_turn(now):
                self._calls.submit(self._call_in_turn, order, has_slot and now - at < LATE_SECONDS)
            with self._changed:
                until = min([next_beat, *(heap[0][0] for heap in (self._timers, self._slots) if heap)])
            self._wake_timer.wait(max(0.005, until - time.monotonic()))
            self._wake_timer.clear()

    def _due(self, now: float) -> set[int]:
        due: set[int] = set()
        with self._changed:
            while self._timers and self._timers[0][0] <= now:
                due.add(heapq.heappop(self._timers)[1])
        return due

    def _in_turn(self, now: float) -> list[tuple[float, Order, bool]]:
        """The calls whose time has come, when that was, and whether it is their slot."""
        orders: list[tuple[float, Order, bool]] = []
        with self._changed:
            while self._slots and self._slots[0][0] <= now:
                at, _, order, has_slot = heapq.heappop(self._slots)
                orders.append((at, order, has_slot))
        return orders

    def write_beat(self, connection: Connection, now: datetime) -> None:
        in_flight = len(self._in_flight)
        left_at = now if self._stopping.is_set() and not in_flight else None
        values = {
            "name": self.name,
            "started_at": self._started_at,
            "seen_at": now,
            "in_flight": in_flight,
            "concurrency": self.concurrency,
            "left_at": left_at,
        }
        statement = upsert(connection, Worker).values(values)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name"], set_={"seen_at": now, "in_flight": in_flight, "left_at": left_at}
            )
        )
