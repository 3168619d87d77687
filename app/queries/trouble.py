"""Why a run that could go on is not going on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.alerts.words import clock
from app.domain.states import RunStatus
from app.models import Run, Worker
from app.models.operations import ALIVE_WITHIN
from app.models.run import is_moving
from app.queries.liveness import PATIENCE
from app.queries.system import Paused, paused
from app.queue import QueueProblem

# Nobody needs to know how much more than this.
_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class QueueTrouble:
    """What holds a run up, in words: what is seen, why, and what to do."""

    title: str
    why: str
    todo: str


def queue_trouble(
    session: Session, run: Run, *, now: datetime, queue_problem: Callable[[], QueueProblem | None]
) -> QueueTrouble | None:
    """What keeps `run` from moving, checked now; None while nothing is wrong.

    The caller knows that no other run is in its way.  Without any worker this is said at once, else after a
    minute.  `queue_problem` asks how Redis is; it is called only after that minute.
    """
    held_up = _not_yet(run, now) or _holder_gone(run, now)
    if held_up is not None:
        return held_up
    if not _could_go_on(run, now):
        return None
    assert run.due_at is not None
    held = paused(session)
    if held is not None:
        return _paused(held)
    is_late = now - run.due_at > PATIENCE
    seen_at = session.scalar(select(func.max(Worker.seen_at)))
    if seen_at is None or now - seen_at > ALIVE_WITHIN:
        return _no_worker(seen_at, queue_problem() if is_late else None)
    if not is_late:
        return None
    if problem := queue_problem():
        return QueueTrouble(
            f"The queue service (Redis) {problem.what}",
            "Workers are online but are not told of runs: they find them late.",
            f"Grants are not affected, and runs go on by themselves. {problem.todo}",
        )
    return _busy(session, run)


def _could_go_on(run: Run, now: datetime) -> bool:
    moving = RunStatus(run.status).moves_by_itself
    return moving and run.worker is None and run.due_at is not None and run.due_at <= now


def _not_yet(run: Run, now: datetime) -> QueueTrouble | None:
    """A queued run that is due later; a run in backoff says so itself."""
    if run.status != RunStatus.QUEUED or run.due_at is None or run.due_at <= now:
        return None
    return QueueTrouble(
        "This run is due later",
        f"It starts on {clock(run.due_at)}.",
        "Nothing to do: it starts by itself.",
    )


def _holder_gone(run: Run, now: datetime) -> QueueTrouble | None:
    """A run whose worker is gone, and which no sweeper has taken back."""
    if run.worker is None or run.lease_until is None or now - run.lease_until <= ALIVE_WITHIN:
        return None
    return QueueTrouble(
        "The worker of this run has gone silent",
        f"Its hold on the run ended on {clock(run.lease_until)}. The sweeper takes such runs back, and has not.",
        "The grant is safe. Start a sweeper and a worker: this run then goes on by itself.",
    )


def _paused(held: Paused) -> QueueTrouble:
    return QueueTrouble(
        "Runs are paused",
        f"{held.by} paused them on {clock(held.since)}: {held.because}",
        "The grant is safe. This run goes on by itself once runs are resumed on System health.",
    )


def _no_worker(seen_at: datetime | None, problem: QueueProblem | None) -> QueueTrouble:
    last = f"The last one was seen on {clock(seen_at)}." if seen_at else "None has been seen yet."
    redis = f" Besides, the queue service (Redis) {problem.what}." if problem else ""
    return QueueTrouble(
        "No worker is online",
        f"Runs wait until a worker takes them. {last}{redis}",
        "Grants are not affected. Start a worker: this run then goes on by itself.",
    )


def _busy(session: Session, run: Run) -> QueueTrouble:
    ahead = (
        select(Run.created_at)
        .where(is_moving(Run.status), Run.worker.is_(None), Run.due_at < run.due_at)
        .order_by(Run.due_at)
        .limit(_COUNTED)
        .subquery()
    )
    count, oldest = session.execute(
        select(func.count(), func.min(ahead.c.created_at)).select_from(ahead)
    ).one()
    if not count:
        told = "No other run is due before it."
    else:
        many = f"{count:,} or more" if count >= _COUNTED else f"{count:,}"
        told = f"{many} {'run is' if count == 1 else 'runs are'} due before it, the oldest since {clock(oldest)}."
    return QueueTrouble(
        "The workers have not come to this run yet",
        f"Workers are online and Redis answers. {told}",
        "It goes on by itself. If this lasts, start more workers.",
    )
