"""Connections to PostgreSQL that say nothing any more, as those of a host without power or behind a lost route."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from app import clock
from app.extensions import db
from app.models import Application, Duty, Grant, Run, RunEvent, User
from app.permissions import ALL_PERMISSIONS, Actor
from app.schemas.people import TokenIn
from app.services import grants, tokens
from app.services.transaction import transaction
from tests.support.target import Answer, Target
from tests.support.workers.postgres_proxy import Fault, PostgresProxy, postgres_proxy
from tests.support.workers.processes import PATIENCE, crew_for, until
from tests.support.workers.world import KINDS, Scene

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(240)]

# Generous: what is to be seen is that it goes on at all.
GOES_ON = 30


@pytest.fixture
def scene(request: pytest.FixtureRequest, admin: Actor, target: Target) -> Iterator[Scene]:
    app: Flask
    app, database = request.getfixturevalue("postgres_app")
    database.reset(app)
    with crew_for(app, target.url) as crew:
        yield Scene(app, admin, target, crew)


@pytest.fixture
def proxy(scene: Scene) -> Iterator[PostgresProxy]:
    with postgres_proxy(scene.app.extensions["settings"].database_url) as proxy:
        yield proxy


class Script:
    """A client of the API that holds a token which may do everything."""

    def __init__(self, scene: Scene) -> None:
        with scene.app.app_context(), transaction() as session:
            wanted = TokenIn(name="Script", permissions=sorted(ALL_PERMISSIONS))
            _, secret = tokens.create_token(session, scene.admin, wanted, now=clock.now())
        self._headers = {"Authorization": f"Bearer {secret}"}

    def get(self, address: str) -> None:
        """Any call, by which the token's use is noted: a commit that the next call need not make."""
        assert requests.get(f"{address}/api/v1/grants", headers=self._headers, timeout=GOES_ON).ok

    def post(self, address: str, path: str, body: dict[str, Any]) -> requests.Response:
        return requests.post(f"{address}/api/v1{path}", json=body, headers=self._headers, timeout=GOES_ON)

    def lost(self, address: str, path: str, body: dict[str, Any]) -> tuple[threading.Thread, list[int]]:
        """The same in a thread, with the list that its status will be in."""
        statuses: list[int] = []
        call = threading.Thread(target=lambda: statuses.append(self.post(address, path, body).status_code))
        call.start()
        return call, statuses


def test_grants_go_on_when_another_web_process_falls_silent_at_a_commit(
    scene: Scene, proxy: PostgresProxy
) -> None:
    """Its transaction holds the end of the audit trail, which every act needs."""
    script = Script(scene)
    cut_off, healthy = scene.crew.web(DATABASE_URL=proxy.url), scene.crew.web()
    scene.grant("off")
    application, user = scene.crew.look(
        lambda s: (s.scalars(select(Application.id)).one(), s.scalars(select(User.id)).first())
    )
    body = {"application_id": str(application), "user_id": str(user), "access_level": "Member"}
    for address in (cut_off, healthy):
        script.get(address)
    proxy.arm(fault := Fault(1, False, silent=True))
    call, statuses = script.lost(cut_off, "/grants", body)
    assert fault.fired.wait(PATIENCE)
    assert script.post(healthy, "/grants", body).status_code == 201
    call.join(PATIENCE)
    assert statuses == [503]
    assert scene.crew.is_up(cut_off)
    assert script.post(cut_off, "/grants", body).status_code == 201


def test_a_run_that_somebody_silent_holds_costs_the_others_nothing(
    scene: Scene, proxy: PostgresProxy, target: Target
) -> None:
    gate, script = threading.Event(), Script(scene)
    target.answer = lambda _call: Answer(201, gate=gate)
    web = scene.crew.web(DATABASE_URL=proxy.url)
    script.get(web)
    scene.crew.worker()
    scene.crew.sweeper()
    scene.grant(*KINDS)
    target.wait_for_calls(len(KINDS))
    proxy.arm(fault := Fault(1, False, silent=True))
    call, _ = script.lost(web, f"/runs/{scene.runs['off']}/cancel", {"reason": "Not needed."})
    assert fault.fired.wait(PATIENCE)
    call.join(PATIENCE)  # by then several leases would have run out
    gate.set()
    others = [scene.runs[kind] for kind in KINDS if kind != "off"]
    until(lambda: scene.crew.look(lambda s: ended(s, others)), "the other runs come to their end", GOES_ON)
    kinds = select(RunEvent.kind).where(RunEvent.run_id.in_(others))
    assert "recovered" not in scene.crew.look(lambda s: s.scalars(kinds).all())


def ended(session: Any, run_ids: list[int]) -> bool:
    found = select(Run.status).where(Run.id.in_(run_ids))
    return set(session.scalars(found)) == {"succeeded"}


def test_a_grant_whose_worker_fell_silent_at_its_answer_can_be_revoked(
    scene: Scene, proxy: PostgresProxy, target: Target
) -> None:
    """The last answer of a run writes the grant's chip as well, which a revoke writes too."""
    gate = threading.Event()
    target.answer = lambda call: Answer(201, {"id": "u-1"}, gate=gate if call.path == "/join" else None)
    scene.crew.worker(DATABASE_URL=proxy.url)
    scene.crew.sweeper()
    scene.grant("idempotent")
    target.wait_for_calls(2)
    proxy.arm(fault := Fault(1, False, silent=True))
    gate.set()
    assert fault.fired.wait(PATIENCE)
    with scene.app.app_context():
        with transaction() as session:
            grants.revoke(session, scene.admin, session.get_one(Grant, scene.told[0]), now=clock.now())
        assert not db.session.get_one(Grant, scene.told[0]).is_active
    scene.rest()
    assert scene.came("idempotent").status in ("succeeded", "superseded")


def test_worker_and_sweeper_notice_that_their_connections_are_dead(
    scene: Scene, proxy: PostgresProxy
) -> None:
    scene.crew.worker(DATABASE_URL=proxy.url)
    scene.crew.sweeper(DATABASE_URL=proxy.url)
    scene.grant("off")
    scene.rest()

    def swept_at() -> datetime | None:
        return scene.crew.look(lambda s: s.scalars(select(Duty.done_at)).first())

    until(swept_at, "a first sweep")
    proxy.silence()
    before = swept_at()
    scene.grant("idempotent")
    scene.rest()
    assert scene.came("idempotent").status == "succeeded"
    until(lambda: swept_at() != before, "the sweeper goes on")
