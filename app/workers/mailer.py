"""The mailer: delivers what is in the outbox, one message at a time, with no transaction open meanwhile.

It has a thread of its own beside the sweeper, since a mail server that hangs must not keep the runs of a dead worker
from being taken back. Any number may go round: each row is one mailer's at a time.
"""

from __future__ import annotations

import threading

import structlog
from flask import Flask

from app import clock
from app.connectors.alerts import Channels, OutgoingAlert
from app.database import database_is_away, db_now
from app.domain.alerts.rules import Channel
from app.extensions import db
from app.services.alerts import outbox
from app.services.transaction import transaction
from app.workers.one_by_one import one_by_one

LONGEST_TRY_SECONDS = 25.0

log = structlog.get_logger("mailer")


def deliver_due(app: Flask, *, stop: threading.Event | None = None) -> int:
    """Send all that is due, on each channel until it is found to be down; how many were delivered."""
    channels: Channels = app.extensions["alerts"]
    count = 0

    def deliver(name: Channel) -> None:
        nonlocal count
        while (stop is None or not stop.is_set()) and (outgoing := _next(name)) is not None:
            outcome = channels.send(outgoing, now=clock.now())
            with transaction() as session:
                outbox.note(session, outgoing, outcome, now=db_now(session.connection()))
            count += outcome.delivered
            if not outcome.delivered:
                log.warning("alerts.not_delivered", channel=name.value, problem=outcome.problem)
            if outcome.down:
                return

    with app.app_context():
        for problem in one_by_one(sorted(channels.names), deliver):
            log.error("mailer.failed", exc_info=problem)
    return count


def _next(channel: Channel) -> OutgoingAlert | None:
    """Looked for first without the write lock, which SQLite has only one of."""
    with db.engine.connect() as connection:
        if not outbox.is_any_due(connection, channel, now=db_now(connection)):
            return None
    with transaction() as session:
        return outbox.take(session, channel, now=db_now(session.connection()))


class Mailer:
    """Goes round every `seconds` until told to stop."""

    def __init__(self, app: Flask, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mailer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin no further round, and let what is being sent be finished and noted."""
        self._stop.set()
        self._thread.join(LONGEST_TRY_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                deliver_due(self._app, stop=self._stop)
            except Exception as problem:
                if database_is_away(problem):
                    log.warning("mailer.database_away", error=type(problem).__name__)
                else:
                    log.exception("mailer.failed")
            self._stop.wait(self._seconds)
