"""Probes of parked connections: the call of Test connection, made in the background so that no sweep waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import structlog
from flask import Flask

from app.database import db_now
from app.extensions import db
from app.models import Connection
from app.services import connection_test
from app.services.connection_test import note_probe
from app.services.transaction import transaction

AT_ONCE = 8

log = structlog.get_logger("prober")


def probe(app: Flask, connection_id: int) -> None:
    """Ask the connection's health path and write what was found; no transaction is open meanwhile."""
    with app.app_context():
        connection = db.session().get(Connection, connection_id)
        if connection is None:
            return
        plan = connection_test.prepare(connection)
        db.session.remove()
        result = connection_test.probe(plan, app.extensions["egress"], app.extensions["keyring"])
        with transaction() as session:
            note_probe(session, connection_id, result, now=db_now(session.connection()))


class Prober:
    """Makes probes, a few at a time, each in a thread that ends with the process.

    One that is lost is made again by whoever sweeps once its time is over.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._room = threading.Semaphore(AT_ONCE)

    def ask(self, connection_ids: Iterable[int]) -> None:
        """Probe these connections. Never blocks, nor raises where no thread can be begun."""
        for one in connection_ids:
            try:
                threading.Thread(target=self._ask, args=(one,), name=f"probe-{one}", daemon=True).start()
            except RuntimeError:
                log.exception("probe.failed", connection_id=one)

    def _ask(self, connection_id: int) -> None:
        with self._room:
            try:
                probe(self._app, connection_id)
            except Exception:
                log.exception("probe.failed", connection_id=connection_id)
