"""The sweeper: finds what was lost or is due, so that nothing depends on a message having arrived.

Any number may run; one at a time does the work.  Each duty of a pass is on its own: one that fails is said, and keeps
no other from being done.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from flask import Flask
from sqlalchemy import Connection, delete, or_, select, update

from app import clock
from app.database import WRITES, changed_one, database_is_away, db_now, upsert
from app.domain.runs.breaker import MOST_DRAINED
from app.extensions import db
from app.models import Duty, EngineState, FailingDuty, Worker
from app.models.operations import SWEEPING
from app.queries.grants import expired_grants
from app.queries.liveness import Adrift, adrift, lapsed_leases
from app.queue import RunQueue
from app.services.adrift import take_back
from app.services.advance import take_back_lost
from app.services.advance.claims import overdue
from app.services.grants import revoke_expired
from app.services.parking import reconcile, to_reconcile
from app.services.transaction import transaction
from app.workers.alert_watch import look
from app.workers.bulk_retries import bring_forward
from app.workers.mailer import Mailer
from app.workers.one_by_one import Thing, is_outage, one_by_one
from app.workers.prober import Prober, probe
from app.workers.restore_check import hold_if_restored
from app.workers.steadiness import Steadiness

BATCH = 200
FORGET_WORKERS_AFTER = timedelta(days=1)
# Of a duty that is done in many transactions, so long in one pass; the next one follows at once.
SLICE_SECONDS = 2.0
# Three times the longest time between two sweeps that may be set, and a little.
LONGEST_HOLD_SECONDS = 200
# While a bulk retry is live, somebody watches it.
BULK_SECONDS = 1.0
# The duty without which Redis must not learn of the pass: it would take a restored database for a known one.
RESTORE_CHECK = "check whether the database was restored"

log = structlog.get_logger("sweeper")


@dataclass(slots=True)
class SweepResult:
    """What one pass found: nothing when another sweeper does the work.

    `going_on` counts runs whose connection is back, `to_probe` names parked ones whose health path is to be asked.
    `failed` says which duties could not be done, each with what was raised; with `has_more` the next pass is due at
    once.
    """

    taken_back: int = 0
    notified: int = 0
    expired: int = 0
    told: int = 0
    going_on: int = 0
    adrift: int = 0
    to_probe: list[int] = field(default_factory=list)
    bulk_retries: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    has_more: bool = False

    @property
    def news(self) -> dict[str, int]:
        """What is worth a line in the log, when it is not all 0."""
        return {name: getattr(self, name) for name in ("taken_back", "expired", "told", "going_on", "adrift")}


@dataclass(slots=True)
class Memory:
    """What a sweeper has seen until now: whether without a break, and which runs stood still at its last pass."""

    steadiness: Steadiness
    adrift: frozenset[int] = frozenset()


def sweep_once(
    app: Flask, *, holder: str | None = None, hold_seconds: float = 60, memory: Memory | None = None
) -> SweepResult:
    """One pass. `holder` names the sweeper, which keeps the duty for `hold_seconds`; None takes it regardless.

    Without `memory` what is found is believed at once; with it only what was seen for long enough.  Raises what a
    database that is away raises; whatever else goes wrong with a duty is in the result.
    """
    with app.app_context():
        with db.engine.execution_options(**WRITES).begin() as connection:
            now = db_now(connection)
            if memory is not None:
                memory.steadiness.seen(now)
            if holder is not None and not _take_duty(connection, holder, now, hold_seconds):
                return SweepResult()
        return _Pass(app, memory).make()


class _Pass:
    """One pass, duty by duty."""

    def __init__(self, app: Flask, memory: Memory | None) -> None:
        self._app = app
        self._memory = memory
        self._writing = db.engine.execution_options(**WRITES)
        self._queue: RunQueue = app.extensions["run_queue"]
        self._found = SweepResult()
        self._going: list[int] = []
        self._adrift: list[Adrift] = []

    def make(self) -> SweepResult:
        self._do(RESTORE_CHECK, lambda: hold_if_restored(self._app))
        self._do("take runs back from lost workers", self._take_back_lost)
        self._do("take back runs that stand still", self._take_back_adrift)
        self._do("see to parked connections", self._reconcile_parked)
        self._do("tell workers of runs that are due", self._tell_workers)
        self._do("revoke grants that have expired", self._revoke_expired)
        self._do("bring bulk retries forward", self._bring_forward)
        self._do("look for new alerts", self._tell_people)
        self._do("note that it made a pass", self._note)
        return self._found

    def _do(self, duty: str, act: Callable[[], object]) -> None:
        """Do one duty, named by what the sweeper could not do when it fails."""
        try:
            act()
        except Exception as problem:
            if is_outage(problem):
                raise
            db.session.rollback()
            log.exception("sweep.duty_failed", duty=duty)
            self._found.failed[duty] = type(problem).__name__
        self._went_on()

    def _went_on(self) -> None:
        """The database has just answered."""
        if self._memory is not None:
            self._memory.steadiness.went_on()

    def _each(self, things: Iterable[Thing], act: Callable[[Thing], object]) -> list[Exception]:
        def acted(thing: Thing) -> None:
            act(thing)
            self._went_on()

        return one_by_one(things, acted)

    def _take_back_lost(self) -> None:
        if self._memory is not None and not self._memory.steadiness.is_steady:
            return

        def take(ids: Sequence[int] | None) -> None:
            with self._writing.begin() as connection:
                taken = take_back_lost(connection, now=db_now(connection), limit=BATCH, ids=ids)
            self._found.taken_back += len(taken)
            self._found.has_more |= len(taken) == BATCH
            self._going += [one.run_id for one in taken if one.due_at]
            self._going += [run for one in taken for run in one.wake]

        try:
            take(None)
        except Exception as problem:
            if is_outage(problem):
                raise
            # One that cannot be taken back keeps the others from it: each on its own.
            with db.engine.connect() as reading:
                lost = lapsed_leases(reading, now=db_now(reading), limit=BATCH)
            _raise_first(self._each(lost, lambda one: take([one])))

    def _take_back_adrift(self) -> None:
        with db.engine.connect() as reading:
            found = adrift(reading, now=db_now(reading), settings=self._app.extensions["settings"])
        self._adrift = list(found)
        if self._memory is not None:
            before, self._memory.adrift = self._memory.adrift, frozenset(one.run_id for one in found)
            self._adrift = [one for one in found if one.run_id in before]

        def act(one: Adrift) -> None:
            with transaction() as session:
                self._found.adrift += take_back(session, one, now=db_now(session.connection()))

        _raise_first(self._each(self._adrift, act))

    def _revoke_expired(self) -> None:
        """A transaction each, for a moment: other duties have their turn. Each is tried once in a pass."""
        problems: list[Exception] = []
        over = clock.elapsed() + SLICE_SECONDS

        def act(grant_id: int) -> None:
            with transaction() as session:
                now = db_now(session.connection())
                self._found.expired += revoke_expired(session, grant_id, now=now)

        tried = 0

        def each(ids: Sequence[int]) -> Iterator[int]:
            nonlocal tried
            for one in ids:
                tried += 1
                yield one
                if clock.elapsed() >= over:
                    return

        is_over = False
        while not is_over:
            with db.engine.connect() as reading:
                room, stuck = BATCH - self._found.expired, tried - self._found.expired
                ids = expired_grants(reading, now=db_now(reading), limit=room, offset=stuck)
            if not ids:
                break
            problems += self._each(each(ids), act)
            is_over = self._found.expired >= BATCH or tried >= 2 * BATCH or clock.elapsed() >= over
        else:
            # Only after something came of it: what cannot be done now is not tried again and again.
            self._found.has_more |= self._found.expired > 0
        _raise_first(problems)

    def _reconcile_parked(self) -> None:
        """A transaction each; the runs that go on, and the connections to probe."""
        with db.engine.connect() as reading:
            ids = to_reconcile(reading, now=db_now(reading))

        def act(connection_id: int) -> None:
            with self._writing.begin() as connection:
                done = reconcile(connection, connection_id, now=db_now(connection))
            self._going += done.going_on
            self._found.going_on += len(done.going_on)
            self._found.has_more |= len(done.going_on) >= MOST_DRAINED
            self._found.to_probe += [connection_id] if done.probe else []

        _raise_first(self._each(ids, act))

    def _bring_forward(self) -> None:
        self._found.bulk_retries, problems = bring_forward()
        _raise_first(problems)

    def _tell_workers(self) -> None:
        with db.engine.connect() as reading:
            due = overdue(reading, now=db_now(reading), limit=BATCH)
        self._found.notified = len(due)
        self._queue.notify([*self._going, *due])

    def _tell_people(self) -> None:
        self._found.told = look(self._app, adrift=self._adrift)

    def _note(self) -> None:
        with self._writing.begin() as connection:
            now = db_now(connection)
            connection.execute(delete(Worker).where(Worker.seen_at < now - FORGET_WORKERS_AFTER))
            _note_failing(connection, self._found.failed, now)
            before = (Duty.name == SWEEPING, or_(Duty.done_at.is_(None), Duty.done_at < now))
            is_noted = changed_one(connection, update(Duty).where(*before).values(done_at=now))
            uid = connection.execute(select(EngineState.uid)).scalar_one()
        if is_noted and RESTORE_CHECK not in self._found.failed:
            # What the database does not know, Redis must not either: it would look restored.
            self._queue.remember_sweep(uid, now)


def _raise_first(problems: list[Exception]) -> None:
    """What could not be done of a duty is logged with its first reason; the others have been tried all the same."""
    if problems:
        raise problems[0]


def _note_failing(connection: Connection, failed: dict[str, str], now: datetime) -> None:
    connection.execute(delete(FailingDuty).where(FailingDuty.name.not_in(failed)))
    for name, problem in failed.items():
        row = upsert(connection, FailingDuty).values(name=name, since=now, problem=problem, passes=1)
        again = {"passes": FailingDuty.passes + 1, "problem": problem}
        connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=again))


def sweep_and_probe(app: Flask) -> SweepResult:
    """One pass by hand, with the probes that it asks for: there is nobody else to make them."""
    result = sweep_once(app)
    for connection_id in result.to_probe:
        probe(app, connection_id)
    return result


def _take_duty(connection: Connection, holder: str, now: datetime, hold_seconds: float) -> bool:
    """Become the one who sweeps, or stay it; False while another one's time is not over."""
    until = now + timedelta(seconds=hold_seconds)
    fresh = upsert(connection, Duty).values(name=SWEEPING, holder=holder, until=until)
    connection.execute(fresh.on_conflict_do_nothing())
    # Longer than anybody holds it: by a clock that was ahead and has been set back.
    is_no_hold = Duty.until > now + timedelta(seconds=LONGEST_HOLD_SECONDS)
    is_mine = (Duty.name == SWEEPING, or_(Duty.holder == holder, Duty.until < now, is_no_hold))
    return changed_one(connection, update(Duty).where(*is_mine).values(holder=holder, until=until))


class Sweeper:
    """Sweeps every `seconds` until told to stop, and at once while a pass came back full. `lease` is in seconds."""

    def __init__(self, app: Flask, seconds: float, *, lease: float) -> None:
        self._app = app
        self._seconds = seconds
        self._stop = threading.Event()
        self._mailer = Mailer(app, seconds)
        self._prober = Prober(app)
        self._memory = Memory(Steadiness(lease=lease, pause=seconds))
        self.name = f"{socket.gethostname()[:100]}-{os.getpid()}-{secrets.token_hex(4)}"

    def stop(self, *_signal: object) -> None:
        self._stop.set()

    def run(self) -> None:
        """Whatever a pass raises, another one follows."""
        self._mailer.start()
        while not self._stop.is_set():
            found = SweepResult()
            try:
                found = sweep_once(
                    self._app, holder=self.name, hold_seconds=3 * self._seconds, memory=self._memory
                )
                self._prober.ask(found.to_probe)
                if any(found.news.values()):
                    log.info("sweep.done", **found.news)
            except Exception as problem:
                self._memory.steadiness.lost()
                if database_is_away(problem):
                    log.warning("sweep.database_away", error=type(problem).__name__)
                else:
                    log.exception("sweep.failed")
            if not found.has_more:
                self._wait(found.bulk_retries)
        self._mailer.stop()

    def _wait(self, live: int) -> None:
        """Wait for the next pass, or until lost workers may be told from others, if that is sooner.

        Bulk retries that are `live` go on meanwhile: somebody watches them.
        """
        over = time.monotonic() + min(self._seconds, self._memory.steadiness.left or self._seconds)
        while (left := over - time.monotonic()) > 0:
            if self._stop.wait(min(left, BULK_SECONDS) if live else left):
                return
            if live:
                live = self._bring_forward()

    def _bring_forward(self) -> int:
        try:
            with self._app.app_context():
                return bring_forward()[0]
        except Exception:
            log.exception("sweep.bulk_retries_failed")
            return 0


def main() -> int:
    """`python -m app.workers.sweeper`: sweep until SIGTERM or Ctrl-C."""
    from app import create_app
    from app.config.checks import SettingsError

    try:
        app = create_app(pages=False)
    except SettingsError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    settings = app.extensions["settings"]
    sweeper = Sweeper(app, settings.sweep_seconds, lease=settings.lease_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, sweeper.stop)
    sweeper.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
