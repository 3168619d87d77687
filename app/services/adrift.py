"""Runs that stand still are taken back: each guarded, and with a word on its timeline that says why."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import exists, insert, select, update
from sqlalchemy.orm import Session

from app.database import changed_one
from app.domain.mapping.context import context_for
from app.domain.runs import signals as m
from app.models import Attempt, AttemptStatus, ManualTask, Run, RunEvent
from app.queries.liveness import Adrift, AdriftKind
from app.queries.run_facts import load, runs_with_facts
from app.services.advance.entries import task_row
from app.services.transaction import notify_after_commit

KIND = "stood_still"
_DONE = {
    AdriftKind.DUE: "told the workers of it again",
    AdriftKind.GONE: "let it go on",
    AdriftKind.IN_USE: "let it go on",
    AdriftKind.UNASKED: "asked anew",
}


def take_back(session: Session, found: Adrift, *, now: datetime) -> bool:
    """Do for the run what was never done; False when there is nothing more to do, or somebody was faster.

    A lease that has lapsed is `take_back_lost`'s matter, and a parked connection that of `reconcile`.
    """
    match found.kind:
        case AdriftKind.DUE:
            is_done = not _is_told(session, found)
        case AdriftKind.GONE | AdriftKind.IN_USE:
            is_done = _let_go(session, found.run_id, now)
        case AdriftKind.UNASKED:
            is_done = _ask_anew(session, found.run_id, now)
        case _:
            return False
    if not is_done:
        return False
    message = f"It stood still: {found.why}. The sweeper {_DONE[found.kind]}."
    session.execute(insert(RunEvent).values(run_id=found.run_id, at=now, kind=KIND, message=message))
    seen = update(Run).where(Run.id == found.run_id).values(revision=Run.revision + 1)
    session.execute(seen, execution_options={"synchronize_session": False})
    notify_after_commit(session, found.run_id)
    return True


def _is_told(session: Session, found: Adrift) -> bool:
    """Whether its timeline says it already of this due time; the queue is told again by every sweep."""
    told = (RunEvent.run_id == found.run_id, RunEvent.kind == KIND, RunEvent.at >= found.since)
    return bool(session.scalar(select(exists().where(*told))))


def _let_go(session: Session, run_id: int, now: datetime) -> bool:
    waiting = (Run.id == run_id, Run.waits_for_id.is_not(None))
    going = {"waits_for_id": None, "waits_since": None, "due_at": now, "changed_at": now}
    return changed_one(session, update(Run).where(*waiting).values(**going, let_through_id=Run.waits_for_id))


def _ask_anew(session: Session, run_id: int, now: datetime) -> bool:
    """Open the task that a waiting run is without."""
    is_asked = exists().where(ManualTask.run_id == Run.id, ManualTask.status == "pending")
    waiting = runs_with_facts().where(Run.id == run_id, Run.status == "waiting_manual", ~is_asked)
    connection = session.connection()
    for one in load(connection, waiting.with_for_update(of=Run, key_share=True), now):
        run, row = one.run, one.row
        if one.world.unreadable or run.cursor is None or run.task is None:
            return False  # nobody knows what was to be asked
        opened = m.TaskOpened(run.cursor, run.attempt, run.task, run.unknown)
        context = context_for(one.subject(row.captured, row.account or {}))
        task = task_row(run.definition.step(run.cursor), opened, now, context)
        made = insert(ManualTask).values(**task, run_id=run_id, application_id=row.application_id)
        waits = (Attempt.run_id == run_id, Attempt.step_key == run.cursor, Attempt.number == run.attempt)
        connection.execute(
            update(Attempt)
            .where(*waits, Attempt.status == AttemptStatus.WAITING)
            .values(task_id=connection.execute(made.returning(ManualTask.id)).scalar_one())
        )
        return True
    return False
