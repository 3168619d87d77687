"""The one helper that commits. Only entrances open it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog
from flask import current_app, g
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.database import WRITES, commit, sqlstate
from app.extensions import db
from app.queue import RunQueue

Result = TypeVar("Result")

_NOTIFY = "notify_after_commit"
# SQLSTATE: the database could not do two acts at once and undid this one, for the other's sake.
# The last: a prepared statement whose tables have changed since, on each connection once.
_UNDONE_FOR_ANOTHER = ("40001", "40P01", "0A000")

log = structlog.get_logger("transaction")


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
        commit(session)
        g.leaves_traces = True
    except BaseException:
        session.info.pop(_NOTIFY, None)
        session.rollback()
        raise
    ids: set[int] = session.info.pop(_NOTIFY, set())
    if ids:
        run_queue: RunQueue = current_app.extensions["run_queue"]
        run_queue.notify(ids)


def once_more(act: Callable[[], Result]) -> Result:
    """What `act` gives; it is done a second time where the database undid it for the sake of another's.

    Not where something of it would be done twice: once it has committed, or begun to ask a stranger.
    """
    g.leaves_traces = False
    try:
        return act()
    except DBAPIError as undone:
        if sqlstate(undone) not in _UNDONE_FOR_ANOTHER or leaves_traces():
            raise
        log.warning("transaction.once_more", state=sqlstate(undone))
        return act()


def leaves_traces() -> bool:
    """Whether what is being done has committed something by now, or asked a stranger."""
    return bool(g.get("leaves_traces"))


def before_asking_outside() -> None:
    """Let go of the database, with all that was read: a stranger may take seconds to answer."""
    db.session.remove()
    g.leaves_traces = True


def notify_after_commit(session: Session, *run_ids: int) -> None:
    """Note that workers should look at these runs once what was written is committed."""
    session.info.setdefault(_NOTIFY, set()).update(run_ids)
