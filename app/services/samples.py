"""Whom a workflow is tried for without running: somebody's grant, or a made-up person where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.engine.context import Subject
from app.engine.filters import Placeholder
from app.engine.states import Trigger
from app.models import Application, ExternalAccount, Grant, User, Workflow


@dataclass(frozen=True, slots=True)
class Sample:
    """What the templates of a run for this person would read, and the account that is known of them."""

    subject: Subject
    account: Mapping[str, Any]


def sample_of(session: Session, workflow: Workflow, grant: Grant, *, now: datetime) -> Sample:
    """The sample that a grant is, for the event that starts the workflow."""
    known = session.scalar(
        select(ExternalAccount.captured).where(
            ExternalAccount.user_id == grant.user_id,
            ExternalAccount.application_id == grant.application_id,
        )
    )
    trigger = Trigger(workflow.trigger)
    user = session.get_one(User, grant.user_id)
    application = session.get_one(Application, grant.application_id)
    subject = Subject(
        trigger=trigger,
        occurred_at=grant.granted_at if trigger is Trigger.ACCESS_GRANTED else grant.revoked_at or now,
        user_id=user.id,
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        username=user.username,
        employee_id=user.employee_id,
        application_id=application.id,
        application_name=application.name,
        grant_id=grant.id,
        access_level=grant.access_level,
        granted_at=grant.granted_at,
        expires_at=grant.expires_at,
    )
    return Sample(subject, dict(known or {}))


def sample_person(
    application: Application, trigger: Trigger, account_names: Iterable[str], *, now: datetime
) -> Sample:
    """Sam Sample, who has everything that can be known of a person, and an account of which only names are."""
    subject = Subject(
        trigger=trigger,
        occurred_at=now,
        user_id=1000,
        email="sam.sample@example.com",
        first_name="Sam",
        last_name="Sample",
        username="ssample",
        employee_id="E1000",
        application_id=application.id,
        application_name=application.name,
        grant_id=1000,
        access_level="Standard",
        granted_at=now,
        expires_at=None,
    )
    return Sample(subject, {name: Placeholder(f"‹account.{name}›") for name in account_names})
