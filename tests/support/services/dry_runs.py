"""What the tests of dry-run and backtest share: an application to try workflows on."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.models import Grant, Workflow
from app.permissions import Actor
from app.queries.dry_run import DryRun, dry_run
from app.services import grants
from tests.support.factories import (
    NOW,
    add_version,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)


class Bench:
    """An application with one connection and one grant, on which workflows are tried."""

    def __init__(self, session: Session, admin: Actor, url: str = "https://target.example") -> None:
        self.session, self.admin = session, admin
        self.application = make_application(session, name="Demo")
        self.connection = make_connection(session, self.application, config={"base_url": url, "auth": "none"})
        self.person = make_user(session, email="ada@example.org", first_name="Ada", last_name="Løvelace")
        self.workflow: Workflow | None = None
        self.grant: Grant | None = None

    def set_up(self, *steps: dict[str, Any], trigger: str = "access_granted", **grant: Any) -> Bench:
        self.workflow = make_workflow(self.session, self.application, trigger=trigger, is_enabled=False)
        if steps:
            add_version(self.session, self.workflow, *steps)
        values = {"application": self.application, "user": self.person, "now": NOW, "access_level": "Editor"}
        self.grant = grants.grant(self.session, self.admin, **values | grant)
        return self

    def step(self, key: str = "create", **changed: Any) -> dict[str, Any]:
        return http_step(key, self.connection.id, **changed)

    def dry(self, **options: Any) -> DryRun:
        assert self.workflow is not None
        assert self.grant is not None
        return dry_run(self.session, self.workflow, self.grant, now=NOW, **options)
