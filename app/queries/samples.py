"""Whom a workflow is tried for without running: somebody's grant, or a made-up person where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, lazyload

from app.clock import zone
from app.domain.mapping.context import Subject, context_for
from app.domain.mapping.filters import Placeholder
from app.domain.mapping.tokens import KEPT
from app.domain.runs.simulate import Known
from app.domain.states import Trigger
from app.domain.steps.scope import ScopeInfo
from app.models import Application, ExternalAccount, Grant, User, Workflow


@dataclass(frozen=True, slots=True)
class Sample:
    """What the templates of a run for this person would read, and the account that is known of them."""

    subject: Subject
    account: Mapping[str, Any]

    @property
    def known(self) -> Known:
        """What is known before any step has run."""
        return Known({}, self.account, self.subject.kept)

    def filled(self, known: Known) -> dict[str, Any]:
        """What templates are filled from once that is known."""
        return context_for(
            replace(self.subject, steps=known.captured, account=known.account, kept=known.kept)
        )


def sample_of(session: Session, workflow: Workflow, grant: Grant, *, now: datetime) -> Sample:
    """The sample that a grant is, for the event that starts the workflow."""
    return samples_of(session, workflow, [grant], now=now)[grant.id]


def samples_of(
    session: Session, workflow: Workflow, grants: Sequence[Grant], *, now: datetime
) -> dict[int, Sample]:
    """The samples that grants of the workflow's application are, by grant, in at most three statements."""
    application = session.get_one(Application, workflow.application_id)
    people = {one.user_id for one in grants}
    columns = (ExternalAccount.user_id, ExternalAccount.captured)
    known = select(*columns).where(
        ExternalAccount.application_id == application.id, ExternalAccount.user_id.in_(people)
    )
    accounts = {user_id: captured for user_id, captured in session.execute(known)}
    wanted = select(User).where(User.id.in_(people)).options(lazyload(User.role))
    users = {one.id: one for one in session.scalars(wanted)}
    trigger = Trigger(workflow.trigger)
    return {
        one.id: Sample(
            _subject(trigger, one, users[one.user_id], application, now), accounts.get(one.user_id) or {}
        )
        for one in grants
    }


def _subject(trigger: Trigger, grant: Grant, user: User, application: Application, now: datetime) -> Subject:
    return Subject(
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
        zone=zone(),
        kept=grant.kept or {},
    )


def sample_person(application: Application, trigger: Trigger, info: ScopeInfo, *, now: datetime) -> Sample:
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
        zone=zone(),
        kept={name: Placeholder(f"‹{KEPT}{name}›") for name in info.kept_names},
    )
    return Sample(subject, {name: Placeholder(f"‹account.{name}›") for name in info.account_names})
