"""Templates against real systems: granted, revoked, granted again, with workers as processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.catalogue import template_called
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.models import Application, Connection, Grant, Run, User
from app.permissions import Actor
from app.schemas.connections import CredentialIn
from app.schemas.workflows import WorkflowPatch
from app.services import connection_test, credentials, grants, workflows
from app.services.from_template import apply_template
from app.services.transaction import transaction
from tests.support.e2e.systems import System, mailman, scim_accounts, scim_server, subscribers
from tests.support.factories import make_application, make_user
from tests.support.workers.processes import Crew, crew_for, until

pytestmark = pytest.mark.slow


class Console:
    """An application made from a template, its credential entered and both workflows enabled."""

    def __init__(self, app: Flask, admin: Actor, crew: Crew, system: System, key: str) -> None:
        self.app, self.admin, self.crew = app, admin, crew
        template = template_called(key)
        assert template is not None
        answers = {one.field: one.given for one in template.questions} | {"base_url": system.url}
        now = clock.now()
        with app.app_context(), transaction() as session:
            application = make_application(session)
            made = apply_template(session, admin, application, template, answers, now=now)
            value = CredentialIn(value=system.credential)
            credentials.set_credential(
                session, admin, made.connection, value, app.extensions["keyring"], now=now
            )
            for one in made.workflows:
                workflows.change_workflow(session, admin, one, WorkflowPatch(enabled=True), now=now)
            self.application, self.connection = application.id, made.connection.id

    def person(self, email: str) -> int:
        with self.app.app_context(), transaction() as session:
            return make_user(session, email=email, first_name="Ada", last_name="Lovelace").id

    def rename(self, person: int, email: str) -> None:
        with self.app.app_context(), transaction() as session:
            session.get_one(User, person).email = email

    def test(self, client: HttpClient) -> str:
        """What Test connection says."""
        with self.app.app_context(), transaction() as session:
            plan = connection_test.prepare(session.get_one(Connection, self.connection))
        return connection_test.probe(plan, client, self.app.extensions["keyring"]).message

    def grant(self, person: int, level: str = "") -> int:
        with self.app.app_context(), transaction() as session:
            return grants.grant(
                session,
                self.admin,
                application=session.get_one(Application, self.application),
                user=session.get_one(User, person),
                access_level=level,
                now=clock.now(),
            ).id

    def revoke(self, grant: int) -> None:
        with self.app.app_context(), transaction() as session:
            grants.revoke(session, self.admin, session.get_one(Grant, grant), now=clock.now())

    def settled(self, count: int) -> list[str]:
        """How the runs ended, once there are `count` and none moves: the status, with what failed it."""
        told = (Run.status, Run.failure_step, Run.failure_class, Run.failure_status, Run.failure_detail)

        def ended() -> list[str]:
            rows = self.crew.look(lambda s: s.execute(select(*told).order_by(Run.id)).all())
            done = len(rows) == count and not {"queued", "running"} & {row.status for row in rows}
            return [" ".join(str(one) for one in row if one) for row in rows] if done else []

        found: list[str] = until(ended, f"{count} runs end")
        return found


def test_scim_makes_deactivates_and_reactivates_accounts(
    only_sqlite: Flask, admin: Actor, tmp_path: Path
) -> None:
    with scim_server(tmp_path) as system, crew_for(only_sqlite, f"http://{system.endpoint}") as crew:
        console = Console(only_sqlite, admin, crew, system, "scim")
        client = HttpClient(EgressPolicy(system.endpoint))
        assert console.test(client).startswith("Reachable.")
        client.close()
        crew.worker()
        ada, bo = console.person("ada@example.org"), console.person("bo@example.org")
        first = console.grant(ada)
        console.grant(bo)
        assert console.settled(2) == ["succeeded"] * 2
        assert scim_accounts(system) == {"ada@example.org": True, "bo@example.org": True}
        console.revoke(first)
        assert console.settled(3) == ["succeeded"] * 3
        assert scim_accounts(system) == {"ada@example.org": False, "bo@example.org": True}
        # Granted again under another address: it is the account of before that is switched on, by its new name.
        console.rename(ada, "ada.king@example.org")
        console.grant(ada)
        assert console.settled(4) == ["succeeded"] * 4
        assert scim_accounts(system) == {"ada.king@example.org": True, "bo@example.org": True}


def test_mailman_subscribes_and_unsubscribes(only_sqlite: Flask, admin: Actor, tmp_path: Path) -> None:
    with mailman(tmp_path) as system, crew_for(only_sqlite, f"http://{system.endpoint}") as crew:
        assert system.ask("POST", "/domains", mail_host="example.org")[0] == 201
        for name in ("staff", "news"):
            assert system.ask("POST", "/lists", fqdn_listname=f"{name}@example.org")[0] == 201
        console = Console(only_sqlite, admin, crew, system, "mailman")
        crew.worker()
        ada, bo = console.person("ada@example.org"), console.person("bo@example.org")
        subscribed = {"list_id": "staff.example.org", "subscriber": "bo@example.org"}
        approved = {"pre_verified": "true", "pre_confirmed": "true", "pre_approved": "true"}
        assert system.ask("POST", "/members", **subscribed, **approved)[0] == 201
        first = console.grant(ada, "staff.example.org")
        # Somebody who is on the list already is a success as well, and is found for the day of the revoke.
        second = console.grant(bo, "staff.example.org")
        console.grant(ada, "news.example.org")
        assert console.settled(3) == ["succeeded"] * 3
        assert subscribers(system, "staff.example.org") == ["ada@example.org", "bo@example.org"]
        console.revoke(first)
        console.revoke(second)
        assert console.settled(5) == ["succeeded"] * 5
        assert subscribers(system, "staff.example.org") == []
        # Another list of the same person is another grant's.
        assert subscribers(system, "news.example.org") == ["ada@example.org"]
