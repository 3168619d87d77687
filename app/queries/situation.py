"""What stands for and against a run of a grant event: the workflow, and the facts around it, as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import and_, bindparam, exists, func, literal_column, select
from sqlalchemy.orm import Session

from app.domain.grants.trigger import Policy, TriggerFacts
from app.domain.states import RunStatus, Trigger
from app.models import Grant, Run, Workflow
from app.models.grant import is_held

# What an event may end: whatever waits, for its turn, a time, a connection or a person. Calls that are out end first.
SUPERSEDABLE = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING_MANUAL, RunStatus.FAILED)


class LiveWorkflow(NamedTuple):
    """What deciding needs of a workflow: read as a plain row, since every grant reads it."""

    id: int
    name: str
    trigger: str
    policy: str
    is_enabled: bool
    version_id: int | None
    version_number: int
    step_count: int


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision looks at: the application's workflow for the trigger, and the facts for and against."""

    workflow: LiveWorkflow | None
    facts: TriggerFacts
    # Whether the pair has runs that the event may supersede.
    may_supersede: bool


def situation(
    session: Session,
    *,
    user_id: int,
    application_id: int,
    trigger: Trigger,
    besides: int | None = None,
    record_only: bool = False,
) -> Situation:
    """What stands for and against a run at this moment, for a grant that exists (`besides`) or one to come.

    It is read past the session, where what has not been flushed is not seen.
    """
    sought = {"b_user": user_id, "b_application": application_id, "b_besides": besides or 0}
    rows = session.connection().execute(_around, sought).all()
    live = [LiveWorkflow(*row[2:]) for row in rows if row.id is not None]
    workflow, other = _sorted_by_trigger(live, trigger)
    facts = TriggerFacts(
        trigger=trigger,
        has_workflow=workflow is not None,
        other_trigger_has_workflow=other is not None,
        enabled=workflow is not None and workflow.is_enabled,
        step_count=workflow.step_count if workflow else 0,
        policy=Policy(workflow.policy) if workflow else Policy.EACH_GRANT,
        other_active_grants=rows[0].others,
        record_only=record_only,
        workflow_name=workflow.name if workflow else "",
    )
    return Situation(workflow, facts, may_supersede=rows[0].supersedable)


def situation_of(session: Session, grant: Grant, trigger: Trigger, *, record_only: bool = False) -> Situation:
    """The situation of an event of `grant`."""
    return situation(
        session,
        user_id=grant.user_id,
        application_id=grant.application_id,
        trigger=trigger,
        besides=grant.id,
        record_only=record_only,
    )


_others = (
    select(func.count())
    .select_from(Grant)
    .where(
        is_held(Grant, bindparam("b_user"), bindparam("b_application")),
        Grant.id != bindparam("b_besides"),
    )
    .scalar_subquery()
)


_supersedable = exists(
    select(Run.id).where(
        Run.user_id == bindparam("b_user"),
        Run.application_id == bindparam("b_application"),
        # As constants: the index of what may still be superseded answers this, whatever the history.
        Run.status.in_([literal_column(f"'{one.value}'") for one in SUPERSEDABLE]),
    )
)


_one = select(literal_column("1").label("one")).subquery("one")


# One row even where there is no workflow, since the count is wanted all the same.
_around = select(
    _others.label("others"),
    _supersedable.label("supersedable"),
    *(getattr(Workflow, name) for name in LiveWorkflow._fields),
).select_from(
    _one.outerjoin(
        Workflow,
        and_(Workflow.application_id == bindparam("b_application"), Workflow.deleted_at.is_(None)),
    )
)


def live_workflows(
    session: Session, application_id: int, trigger: Trigger
) -> tuple[LiveWorkflow | None, LiveWorkflow | None]:
    """The application's workflow for `trigger`, and the one for the other trigger; read past the session."""
    sought = {"b_user": 0, "b_application": application_id, "b_besides": 0}
    rows = session.connection().execute(_around, sought)
    return _sorted_by_trigger([LiveWorkflow(*row[2:]) for row in rows if row.id is not None], trigger)


def _sorted_by_trigger(
    rows: list[LiveWorkflow], trigger: Trigger
) -> tuple[LiveWorkflow | None, LiveWorkflow | None]:
    mine = next((one for one in rows if one.trigger == trigger), None)
    return mine, next((one for one in rows if one.trigger != trigger), None)
