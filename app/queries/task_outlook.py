"""What acting on a task would do, said before anybody acts: the engine's own decision, of which nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.database import db_now
from app.domain.runs import signals as m
from app.domain.runs.decide import decide
from app.domain.states import TaskOrigin, TaskOutcome
from app.models import ManualTask, Run
from app.queries.run_facts import Loaded, load, runs_with_facts


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where the run goes after each act, as the end of a sentence: `ends the run`, `goes on to “Tell”`.

    `retry` is "" for a task whose step sends nothing. `stale` is why none of them counts any more.
    """

    submit: str
    skip: str
    fail: str
    retry: str
    stale: str | None = None


def outlook(session: Session, task: ManualTask) -> Outlook:
    """What each act on a pending task would come to now."""
    connection = session.connection()
    [loaded] = load(connection, runs_with_facts().where(Run.id == task.run_id), db_now(connection))
    is_call = task.origin == TaskOrigin.ESCALATED_FAILURE
    return Outlook(
        submit=_edge(loaded, TaskOutcome.SUBMITTED),
        skip=_edge(loaded, TaskOutcome.SKIPPED),
        fail=_edge(loaded, TaskOutcome.FAILED),
        retry=_edge(loaded, TaskOutcome.RETRIED) if is_call else "",
        stale=loaded.world.stale,
    )


def _edge(loaded: Loaded, outcome: TaskOutcome) -> str:
    events = decide(loaded.run, m.TaskActed(outcome, "", {}), loaded.seen(may_send=False))
    return next((one.edge for one in events if isinstance(one, m.TaskClosed) and one.edge), "ends the run")
