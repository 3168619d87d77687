"""The one helper that commits. Only entrances open it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import current_app
from sqlalchemy.orm import Session

from app.database import WRITES
from app.extensions import db
from app.queue import RunQueue

_NOTIFY = "notify_after_commit"


@contextmanager
def transaction() -> Iterator[Session]:
    """Commit on leaving, roll back on any exception; after the commit, tell the workers.

    What was read before it belongs to an older moment and is read anew inside.
    """
    session: Session = db.session()
    session.rollback()  # ends the request's reading transaction, which could not be made a writing one
    session.connection(execution_options=WRITES)
    try:
        yield session
        session.commit()
    except BaseException:
        session.info.pop(_NOTIFY, None)
        session.rollback()
        raise
    ids: set[int] = session.info.pop(_NOTIFY, set())
    if ids:
        run_queue: RunQueue = current_app.extensions["run_queue"]
        run_queue.notify(ids)


def notify_after_commit(session: Session, *run_ids: int) -> None:
    """Note that workers should look at these runs once what was written is committed."""
    session.info.setdefault(_NOTIFY, set()).update(run_ids)
