"""Whom a human task can be given to, as the editor asks for them: a person by email, a group from a list."""

from __future__ import annotations

from sqlalchemy import func, select

from app.domain.steps.fields import first
from app.extensions import db
from app.models import Group, User
from app.schemas.kinds import record_id
from app.web.workflows.drafts import Draft

_MAX_GROUPS = 500


def find_people(draft: Draft) -> None:
    """An email address typed as the assignee becomes the person's id; another text stays, to be refused."""
    slot = draft.opened
    assignee = slot.step.get("assignee") if slot else None
    if slot is None or not isinstance(assignee, dict) or not isinstance(assignee.get("user_id"), str):
        return
    found = db.session.scalar(
        select(User.id).where(func.lower(User.email) == str(assignee["user_id"]).lower())
    )
    if found is not None:
        slot.step["assignee"] = {"user_id": str(found)}


def show_person(draft: Draft) -> None:
    """Where a person is stored as an id, the editor shows their email address."""
    number = record_id(first(draft.typed, "person"))
    person = db.session.get(User, number) if number else None
    if person is not None:
        draft.retype({"person": [person.email]})


def group_choices() -> list[tuple[str, str]]:
    """The groups as choices of who may do a task."""
    rows = db.session.execute(select(Group.id, Group.name).order_by(Group.name).limit(_MAX_GROUPS))
    return [(f"group:{number}", f"Group: {name}") for number, name in rows]
