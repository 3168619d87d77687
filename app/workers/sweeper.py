"""The sweeper: finds what was lost or is due, so that nothing depends on a message having arrived.

Any number may run; one at a time does the work.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from flask import Flask
from sqlalchemy import Connection, Engine, delete, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from app.database import WRITES, changed_one, db_now, upsert
from app.extensions import db
from app.models import Duty, EngineState, Worker
from app.models.operations import SWEEPING, is_paused
from app.models.run import Run, is_moving
from app.queue import RunQueue
from app.services.advance import take_back_lost
from app.services.advance.claims import lane_is_free
from app.services.advance.write_plan import LostRace
from app.services.grants import revoke_expired
from app.services.parking import reconcile, to_reconcile
from app.services.transaction import transaction
from app.workers.alert_watch import look
from app.workers.bulk_retries import bring_forward
from app.workers.mailer import Mailer
from app.workers.prober import Prober, probe
from app.workers.restore_check import hold_if_restored

BATCH = 200
# A run that has been due for this long has not been notified of, or the notification was lost.
OVERDUE_SECONDS = 2
FORGET_WORKERS_AFTER = timedelta(days=1)
# While a bulk retry is live, somebody watches it.
BULK_SECONDS = 1.0

log = structlog.get_logger("sweeper")


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What one pass found: nothing when another sweeper does the work.

    `going_on` counts runs whose connection is back, `to_probe` names parked ones whose health path is to be asked.
    """

    taken_back: int = 0
    notified: int = 0
    expired: int = 0
    told: int = 0
    going_on: int = 0
    to_probe: Sequence[int] = ()
    bulk_retries: int = 0


def sweep_once(app: Flask, *, holder: str | None = None, hold_seconds: float = 60) -> SweepResult:
    """One pass. `holder` names the sweeper, which keeps the duty for `hold_seconds`; None takes it regardless."""
    with app.app_context():
        hold_if_restored(app)
        writing = db.engine.execution_options(**WRITES)
        with writing.begin() as connection:
            now = db_now(connection)
            if holder is not None and not _take_duty(connection, holder, now, hold_seconds):
                return SweepResult()
            taken = take_back_lost(connection, now=now, limit=BATCH)
        expired = _revoke_expired()
        going_on, to_probe = _reconcile_parked(writing)
        jobs = bring_forward()
        run_queue: RunQueue = app.extensions["run_queue"]
        with writing.begin() as connection:
            now = db_now(connection)
            due = overdue(connection, now=now, limit=BATCH)
            connection.execute(delete(Worker).where(Worker.seen_at < now - FORGET_WORKERS_AFTER))
            before = (Duty.name == SWEEPING, or_(Duty.done_at.is_(None), Duty.done_at < now))
            is_noted = changed_one(connection, update(Duty).where(*before).values(done_at=now))
            uid = connection.execute(select(EngineState.uid)).scalar_one()
        if is_noted:  # what the database does not know, Redis must not either: it would look restored
            run_queue.remember_sweep(uid, now)
        run_queue.notify([*going_on, *due])
        return SweepResult(
            taken_back=len(taken),
            notified=len(due),
            expired=expired,
            told=_alerts_written(app),
            going_on=len(going_on),
            to_probe=to_probe,
            bulk_retries=jobs,
        )


def _alerts_written(app: Flask) -> int:
    """How many alerts were written; a fault in looking for them never keeps a run from being found."""
    try:
        return look(app)
    except SQLAlchemyError:
        raise
    except Exception:
        log.exception("sweep.look_failed")
        return 0


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
    is_mine = (Duty.name == SWEEPING, (Duty.holder == holder) | (Duty.until < now))
    return changed_one(connection, update(Duty).where(*is_mine).values(holder=holder, until=until))


def overdue(connection: Connection, *, now: datetime, limit: int) -> list[int]:
    """Up to `limit` runs whose turn came and that nobody took, to ring for: of each application its oldest first.

    A few will do, since workers that hear of runs ask for whatever is due; but each application is heard.
    """
    place = func.row_number().over(partition_by=Run.application_id, order_by=(Run.due_at, Run.id))
    found = (
        select(Run.id, Run.due_at, place.label("place"))
        .where(
            is_moving(Run.status),
            Run.worker.is_(None),
            Run.due_at < now - timedelta(seconds=OVERDUE_SECONDS),
            lane_is_free(),
            ~is_paused(),
        )
        .subquery()
    )
    statement = select(found.c.id).order_by(found.c.place, found.c.due_at).limit(limit)
    return list(connection.execute(statement).scalars())


def _reconcile_parked(engine: Engine) -> tuple[list[int], list[int]]:
    """See to parked connections, a transaction each; the runs that go on, and the connections to probe."""
    going_on: list[int] = []
    to_probe: list[int] = []
    with db.engine.connect() as reading:
        ids = to_reconcile(reading, now=db_now(reading))
    for connection_id in ids:
        try:
            with engine.begin() as connection:
                reconciled = reconcile(connection, connection_id, now=db_now(connection))
        except LostRace:
            continue
        going_on += reconciled.going_on
        to_probe += [connection_id] if reconciled.probe else []
    return going_on, to_probe


def _revoke_expired() -> int:
    """Revoke grants whose time is over, one transaction each: one that fails keeps no other waiting."""
    count = 0
    while count < BATCH:
        with transaction() as session:
            if not revoke_expired(session, now=db_now(session.connection())):
                return count
        count += 1
    return count


class Sweeper:
    """Sweeps every `seconds` until told to stop."""

    def __init__(self, app: Flask, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self._stop = threading.Event()
        self._mailer = Mailer(app, seconds)
        self._prober = Prober(app)
        self.name = f"{socket.gethostname()[:100]}-{os.getpid()}-{secrets.token_hex(4)}"

    def stop(self, *_signal: object) -> None:
        self._stop.set()

    def run(self) -> None:
        self._mailer.start()
        while not self._stop.is_set():
            live = 0
            try:
                result = sweep_once(self._app, holder=self.name, hold_seconds=3 * self._seconds)
                live = result.bulk_retries
                self._prober.ask(result.to_probe)
                if result.taken_back or result.expired or result.told or result.going_on:
                    log.info(
                        "sweep.done",
                        taken_back=result.taken_back,
                        expired=result.expired,
                        told=result.told,
                        going_on=result.going_on,
                    )
            except SQLAlchemyError as problem:
                log.warning("sweep.database_away", error=type(problem).__name__)
            self._wait(live)
        self._mailer.stop()

    def _wait(self, live: int) -> None:
        """Wait for the next pass. Bulk retries that are `live` go on meanwhile: somebody watches them."""
        over = time.monotonic() + self._seconds
        while (left := over - time.monotonic()) > 0:
            if self._stop.wait(min(left, BULK_SECONDS) if live else left):
                return
            if live:
                live = self._bring_forward()

    def _bring_forward(self) -> int:
        try:
            with self._app.app_context():
                return bring_forward()
        except SQLAlchemyError as problem:
            log.warning("sweep.database_away", error=type(problem).__name__)
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
    sweeper = Sweeper(app, app.extensions["settings"].sweep_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, sweeper.stop)
    sweeper.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
