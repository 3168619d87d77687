"""What the records are called that the steps of a workflow name by id."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.steps.scope import Names
from app.domain.workflows.definition import Definition
from app.models import Connection, Group, User
from app.schemas.kinds import record_ids


def names_for(session: Session, application_id: int, definitions: Sequence[Definition]) -> Names:
    """The connections of the application, and the people (by email) and groups that the steps name.

    At most three statements; a record that is gone is left out.
    """
    assignees = [who for one in definitions for step in one.steps for who in step.assignees]
    users = record_ids(one.user_id for one in assignees)
    groups = record_ids(one.group_id for one in assignees)
    connections = select(Connection.id, Connection.name).where(Connection.application_id == application_id)
    people = select(User.id, User.email).where(User.id.in_(users))
    named = select(Group.id, Group.name).where(Group.id.in_(groups))
    return Names(
        connections={str(number): name for number, name in session.execute(connections)},
        users={str(number): email for number, email in session.execute(people)} if users else {},
        groups={str(number): name for number, name in session.execute(named)} if groups else {},
    )
