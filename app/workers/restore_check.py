"""Before runs are taken: is this database the one that the console has worked on, or an older copy of it?"""

from __future__ import annotations

import structlog
from flask import Flask

from app.database import db_now
from app.extensions import db
from app.queue import RunQueue
from app.services.run_pause import hold_restored, restored_uid
from app.services.transaction import transaction

log = structlog.get_logger("engine")


def hold_if_restored(app: Flask) -> None:
    """Pause runs when the database has gone back in time. Raises what a database that is away raises."""
    run_queue: RunQueue = app.extensions["run_queue"]
    with app.app_context():
        uid = restored_uid(db.session(), run_queue.remembered_sweep)
        if uid is None:
            return
        with transaction() as session:
            held = hold_restored(session, uid, now=db_now(session.connection()))
    if held:
        log.warning("engine.paused", because="the database looks restored from a backup")
