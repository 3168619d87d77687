"""An on-call engineer's desk: pages, the real engine in this process, and a real outside system on loopback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.connectors.perform import perform
from app.database import WRITES, db_now
from app.domain.runs import signals as m
from app.extensions import db
from app.models import Application, Grant, Run, TriggerDecision, User, Worker, Workflow
from app.permissions import Actor
from app.services import grants
from app.services.advance import Move, advance, claim
from app.services.advance.moves import Holder
from tests.support.factories import http_step, make_application, make_connection, make_user, make_workflow
from tests.support.page import Form, Page, PageClient
from tests.support.target import Answer, Call, Target
from tests.support.web.editor import press

WORKER = Holder("worker-1", timedelta(seconds=15))
SECRET = "the-right-secret"


@dataclass
class Desk:
    """Alice's browser beside the application whose runs fail. `connection` leads to the target."""

    app: Flask
    web: Session
    client: PageClient
    actor: Actor
    target: Target
    application: Application
    person: User
    connection: int

    def answers(self, *statuses: int, when: Callable[[Call], bool] = lambda _call: True) -> None:
        """The system answers so in turn, the last from then on; calls that `when` lets pass succeed."""
        left = list(statuses)

        def answer(call: Call) -> Answer:
            if not when(call):
                return Answer(201, {"id": "u-1"})
            return Answer(left.pop(0) if len(left) > 1 else left[0], {"id": "u-1"})

        self.target.answer = answer

    def workflow(self, *steps: Mapping[str, Any], trigger: str = "access_granted", **facts: Any) -> Workflow:
        made = make_workflow(self.web, self.application, *map(dict, steps), trigger=trigger, **facts)
        self.web.commit()
        return made

    def step(self, **facts: Any) -> dict[str, Any]:
        return http_step("create", self.connection, **facts)

    def grant(self, *, record_only: bool = False) -> Grant:
        made = grants.grant(
            self.web,
            self.actor,
            application=self.application,
            user=self.person,
            now=db_now(self.web.connection()),
            record_only=record_only,
        )
        self.web.commit()
        return made

    def revoke(self, grant: Grant) -> None:
        self.web.refresh(grant)
        grants.revoke(self.web, self.actor, grant, now=db_now(self.web.connection()))
        self.web.commit()

    def work(self) -> None:
        """A worker does everything that is due: real claims, real calls, real answers."""
        with self.app.app_context():
            writing = db.engine.execution_options(**WRITES)
            with writing.begin() as connection:
                now = db_now(connection)
                moved = claim(connection, WORKER, now=now, ids=None, limit=20)
            while orders := [one.order for one in moved if one.order is not None]:
                moves = []
                for order in orders:
                    done = perform(order, self.app.extensions["egress"], self.app.extensions["keyring"])
                    answered = m.Answered(order.step.key, order.attempt, done.outcome)
                    moves.append(Move(order.run_id, answered, order.fence, done.duration_ms))
                with writing.begin() as connection:
                    moved = advance(connection, moves, now=db_now(connection), holder=WORKER)
            db.session.remove()

    def failed(self, *steps: Mapping[str, Any], trigger: str = "access_granted") -> Page:
        """The page of a run of these steps, which has failed for real."""
        self.workflow(*steps or (self.step(),), trigger=trigger)
        made = self.grant()
        if trigger == "access_revoked":
            self.revoke(made)
        self.work()
        assert self.newest().status == "failed"
        return self.page()

    def newest(self) -> Run:
        self.web.rollback()
        self.web.expire_all()
        return self.web.scalars(select(Run).order_by(Run.id.desc()).limit(1)).one()

    def page(self) -> Page:
        """The page of the newest run."""
        return self.client.get(f"/runs/{self.newest().id}")

    def press(self, page: Page, button: str) -> Page:
        return page.press(button).follow_redirect()

    def mend(self, page: Page, link: str, **typed: object) -> None:
        """Follow the remedy's link to the open step, change it there, and save the next version."""
        editor = page.follow(link)
        saved = press(editor, "save", expect=303, **typed)
        assert "is saved" in saved.follow_redirect().text

    def replay(self) -> None:
        """Replay with latest from the page of the newest run, which stands out by now."""
        page = self.page()
        assert page.texts("#run-actions .btn-primary") == ["Replay with latest…"]
        question = page.follow("Replay with latest…")
        question.form("replay-form").submit()

    def retry(self, page: Page | None = None) -> None:
        """Press Retry beside the remedy where it is offered there, else the page's own."""
        page = page or self.page()
        beside = page.select("#failed-step form") or page.select("#run-actions form")
        Form(page, beside[0]).submit("Retry")

    def explained(self, grant: Grant) -> Page:
        """The grant's page, where the event without a run is explained."""
        page = self.client.get(f"/grants/{grant.id}")
        without = select(TriggerDecision).where(TriggerDecision.run_id.is_(None))
        assert self.web.scalars(without.where(TriggerDecision.grant_id == grant.id)).all()
        return page

    def fix(self, grant: Grant, label: str) -> Page:
        """Follow the fix beside a check of the grant's event."""
        page = self.explained(grant)
        [link] = [one for one in page.select(".checks a") if one.get_text(strip=True) == label]
        return self.client.get(str(link["href"]))

    def run_now(self, grant: Grant, event: str = "Access granted") -> None:
        self.press(self.explained(grant), f"Run now {event}")

    def start_worker(self) -> None:
        """A worker gives a sign, and does what is due."""
        now = db_now(self.web.connection())
        self.web.add(Worker(name="w1", started_at=now, seen_at=now, concurrency=32))
        self.web.commit()
        self.work()


def make_desk(app: Flask, web: Session, client: PageClient, actor: Actor, target: Target) -> Desk:
    """A desk with an application that signs in with a bearer token, which is still to be entered."""
    application, person = (
        make_application(web, name="Jira"),
        make_user(web, first_name="Jane", last_name="Doe"),
    )
    config = {"base_url": target.url, "auth": "bearer", "timeout_seconds": 1}
    connection = make_connection(web, application, name="Jira API", config=config)
    web.commit()
    desk = Desk(app, web, client, actor, target, application, person, connection.id)
    enter(client.get(f"/connections/{connection.id}"))
    return desk


def enter(page: Page, secret: str = SECRET) -> Page:
    """Type a credential into the form of the connection's page."""
    return page.form("credential-form").fill(value=secret).submit().follow_redirect()
