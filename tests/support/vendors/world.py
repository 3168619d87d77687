"""A template at work: its connection and workflows, people, and a worker whose calls reach a double of the vendor."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.catalogue import template_called
from app.catalogue.kinds import SystemTemplate
from app.connectors.perform import perform
from app.crypto import KeyRing
from app.domain.runs import signals as m
from app.models import Application, Attempt, Connection, ExternalAccount, Grant, Run, User
from app.permissions import Actor
from app.schemas.connections import CredentialIn
from app.schemas.workflows import WorkflowPatch
from app.services import credentials, grants, workflows
from app.services.advance import Move, advance, claim
from app.services.advance.moves import Holder, Moved
from app.services.from_template import apply_template
from tests.support.factories import NOW, make_application, make_user
from tests.support.vendors.base import Net, Vendor

WORKER = Holder("worker-1", timedelta(seconds=15))
# A run that needs more rounds than this goes in circles.
ROUNDS = 60


class World:
    """An application made from the template `key`, or from one of a test's own.

    `answers` beyond the base URL, `level` that of grants.
    """

    def __init__(
        self,
        session: Session,
        admin: Actor,
        keyring: KeyRing,
        key: str | SystemTemplate,
        *vendors: Vendor,
        base_url: str = "",
        secret: str = "",
        level: str = "",
        **answers: str,
    ) -> None:
        self.session, self.admin, self.keyring, self.level = session, admin, keyring, level
        self.net, self.now = Net(*vendors), NOW
        template = key if isinstance(key, SystemTemplate) else template_called(key)
        assert template is not None
        given = {one.field: one.given for one in template.questions} | {
            "base_url": base_url or vendors[0].base
        }
        self.application: Application = make_application(session)
        made = apply_template(session, admin, self.application, template, given | answers, now=NOW)
        self.connection: Connection = made.connection
        value = CredentialIn(value=secret or vendors[0].credential)
        credentials.set_credential(session, admin, made.connection, value, keyring, now=NOW)
        for one in made.workflows:
            workflows.change_workflow(session, admin, one, WorkflowPatch(enabled=True), now=NOW)

    # What people do
    def person(self, email: str = "ada@example.org", **given: Any) -> User:
        names = {"first_name": "Ada", "last_name": "Lovelace", "username": None, "employee_id": None}
        return make_user(self.session, email=email, **names | given)

    def grant(self, user: User, level: str | None = None, *, record_only: bool = False) -> Grant:
        made = grants.grant(
            self.session,
            self.admin,
            application=self.application,
            user=user,
            access_level=self.level if level is None else level,
            record_only=record_only,
            now=self.now,
        )
        self.rest()
        return made

    def revoke(self, grant: Grant) -> None:
        grants.revoke(self.session, self.admin, grant, now=self.now)
        self.rest()

    def change(self, user: User, **values: Any) -> None:
        """What HR changes of a person."""
        self.session.execute(update(User).where(User.id == user.id).values(**values))
        self.session.expire_all()

    def move(self, base_url: str) -> None:
        """The connection is pointed at another address."""
        self.connection.config = {**self.connection.config, "base_url": base_url}
        self.session.flush()

    # What the worker does
    def rest(self) -> None:
        """Make every call there is to make, with as much time between as the runs wait, until nothing moves."""
        for _ in range(ROUNDS):
            self.session.flush()
            moved = claim(self.session.connection(), WORKER, now=self.now, ids=None, limit=10)
            while orders := [one.order for one in moved if one.order is not None]:
                moved = [self._call(order) for order in orders]
            if not moved:
                due = self.session.scalar(
                    select(func.min(Run.due_at)).where(Run.status.in_(("queued", "running")))
                )
                if due is None:
                    self.session.expire_all()
                    return
                self.now = max(self.now + timedelta(seconds=1), due)
        raise AssertionError("the runs never come to rest")

    def _call(self, order: Any) -> Moved:
        performed = perform(order, self.net, self.keyring)
        answered = m.Answered(order.step.key, order.attempt, performed.outcome)
        [moved] = advance(
            self.session.connection(),
            [Move(order.run_id, answered, order.fence)],
            now=self.now,
            holder=WORKER,
        )
        return moved

    # What there is to see
    def run(self, grant: Grant) -> Run:
        """The grant's newest run."""
        self.session.expire_all()
        return self.session.get_one(Run, grant.newest_run_id)

    def chip(self, grant: Grant) -> str:
        self.session.expire_all()
        return grant.state

    def said(self, grant: Grant) -> str:
        """How its newest run ended, with what failed it."""
        run = self.run(grant)
        failed = f" {run.failure_class} {run.failure_status or ''} {run.failure_step}: {run.failure_detail}"
        return run.status + (failed if run.failure_class else "")

    def steps(self, grant: Grant) -> list[tuple[str, str]]:
        """What its newest run did: each step with its attempts' status."""
        rows = select(Attempt.step_key, Attempt.status).where(Attempt.run_id == grant.newest_run_id)
        return [(row.step_key, row.status) for row in self.session.execute(rows.order_by(Attempt.id))]

    def details(self, grant: Grant) -> dict[str, str]:
        """What is told of each step of its newest run."""
        rows = select(Attempt.step_key, Attempt.detail).where(Attempt.run_id == grant.newest_run_id)
        return {row.step_key: row.detail or "" for row in self.session.execute(rows)}

    def account(self, user: User) -> dict[str, Any]:
        """What the console knows of the person's account."""
        mine = select(ExternalAccount).filter_by(user_id=user.id, application_id=self.application.id)
        found = self.session.scalars(mine).one_or_none()
        return dict(found.captured) if found else {}

    def waited(self) -> timedelta:
        """How much time has gone by."""
        at: datetime = self.now
        return at - NOW
