"""Two people edit one workflow: what the second to save is told (UX §4.5, Conflict)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.workflows.definition import Definition, parse_definition
from app.models import Workflow, WorkflowVersion
from app.queries.step_names import names_for
from app.web.workflows import cards
from app.web.workflows.changes import LOOKS, StepChange, step_changes
from app.web.workflows.drafts import Draft


@dataclass(frozen=True, slots=True)
class Overtaking:
    """What others saved since the draft was begun, and what saving the draft would then change of it.

    `mine` is None while a step of the draft cannot be read.
    """

    message: str
    begun_on: int
    theirs: Sequence[StepChange]
    mine: Sequence[StepChange] | None

    @property
    def looks(self) -> object:
        return LOOKS


def overtaking(session: Session, workflow: Workflow, draft: Draft, message: str) -> Overtaking:
    """The two differences: from the version that the draft was begun on to the newest, from there to the draft."""
    wanted = (draft.based_on, workflow.version_number)
    rows = select(WorkflowVersion.number, WorkflowVersion.steps).where(
        WorkflowVersion.workflow_id == workflow.id, WorkflowVersion.number.in_(wanted)
    )
    steps = {number: found for number, found in session.execute(rows)}
    begun, newest = (parse_definition(steps.get(one, []))[0] or Definition() for one in wanted)
    reading = cards.read(draft)
    names = names_for(session, workflow.application_id, [begun, newest, reading.definition])
    mine = step_changes(newest, reading.definition, names) if reading.is_whole else None
    return Overtaking(message, draft.based_on, step_changes(begun, newest, names), mine)
