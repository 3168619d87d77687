"""Granting and revoking: what is recorded, what it starts, and what two people do at the same moment."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import Conflict, Invalid
from app.extensions import db
from app.models import Application, AuditEvent, Grant, Run, TriggerDecision, User
from app.permissions import Actor
from app.services import grants
from app.services.transaction import transaction
from tests.support.factories import (
    NOW,
    http_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)


class Scene:
    """An application with a connection, and a person."""

    def __init__(self, session: Session, admin: Actor) -> None:
        self.session, self.admin = session, admin
        self.application = make_application(session)
        self.connection = make_connection(session, self.application)
        self.person = make_user(session)

    def workflow(self, trigger: str = "access_granted", steps: int = 1, **overrides: object):
        made = [http_step(f"step{number}", self.connection.id) for number in range(steps)]
        return make_workflow(self.session, self.application, *made, trigger=trigger, **overrides)

    def grant(self, **overrides: object) -> Grant:
        values = {"application": self.application, "user": self.person, "now": NOW} | overrides
        return grants.grant(self.session, self.admin, **values)

    def revoke(self, grant: Grant, **overrides: object) -> Grant:
        return grants.revoke(self.session, self.admin, grant, now=NOW + timedelta(hours=1), **overrides)

    def decision(self, grant: Grant, trigger: str = "access_granted") -> TriggerDecision:
        statement = select(TriggerDecision).filter_by(grant_id=grant.id, trigger=trigger)
        return self.session.scalars(statement).one()


@pytest.fixture
def scene(session: Session, admin: Actor) -> Scene:
    return Scene(session, admin)


def test_a_grant_starts_one_queued_run_of_the_newest_version(scene: Scene) -> None:
    workflow = scene.workflow()
    grant = scene.grant(access_level="Editor")
    run = scene.session.scalars(select(Run)).one()
    assert (run.status, run.grant_id, run.version_id) == ("queued", grant.id, workflow.version_id)
    assert (scene.decision(grant).outcome, scene.decision(grant).run_id) == ("run", run.id)
    assert (grant.state, grant.newest_run_id) == ("provisioning", run.id)


@pytest.mark.parametrize(
    ("arrange", "reason"),
    [
        (lambda _: None, "no_workflow"),
        (lambda s: s.workflow("access_revoked"), "trigger_mismatch"),
        (lambda s: s.workflow(is_enabled=False), "workflow_disabled"),
        (lambda s: s.workflow(steps=0), "no_steps"),
        (lambda s: (s.workflow(policy="first_active_grant"), s.grant()), "other_active_grant"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_grant_that_starts_nothing_says_why(scene: Scene, arrange, reason: str) -> None:
    arrange(scene)
    grant = scene.grant()
    assert scene.decision(grant).reason == reason
    assert (grant.state, grant.state_reason, grant.newest_run_id) == ("no_automation", reason, None)


def test_recording_only_starts_nothing_and_says_so(scene: Scene) -> None:
    scene.workflow()
    grant = scene.grant(record_only=True)
    assert scene.decision(grant).reason == "recorded_only"


def test_the_first_reason_that_holds_is_the_one_stored(scene: Scene) -> None:
    scene.workflow(is_enabled=False, steps=0)
    decision = scene.decision(scene.grant(record_only=True))
    assert decision.reason == "workflow_disabled"
    assert [one["ok"] for one in decision.checks] == [True, True, False, False, True, False]


def test_a_revoke_keeps_the_account_while_another_grant_is_active(scene: Scene) -> None:
    scene.workflow("access_revoked")
    first, second = scene.grant(), scene.grant()
    scene.revoke(first)
    assert scene.decision(first, "access_revoked").reason == "other_active_grant"
    scene.revoke(second)
    assert scene.decision(second, "access_revoked").outcome == "run"


def test_revoking_twice_is_refused_naming_who_was_first(scene: Scene) -> None:
    grant = scene.revoke(scene.grant())
    with pytest.raises(Conflict, match="Alice Admin revoked this grant at"):
        scene.revoke(grant)


def test_a_revoke_supersedes_a_grant_run_that_has_not_started(scene: Scene) -> None:
    scene.workflow()
    scene.workflow("access_revoked")
    grant = scene.grant()
    scene.revoke(grant)
    statuses = scene.session.execute(select(Run.trigger, Run.status).order_by(Run.id)).all()
    assert statuses == [("access_granted", "superseded"), ("access_revoked", "queued")]
    assert grant.state == "deprovisioning"


def test_a_new_grant_supersedes_a_failed_revoke_run(scene: Scene) -> None:
    scene.workflow("access_revoked")
    scene.revoke(scene.grant())
    run = scene.session.scalars(select(Run)).one()
    for status, due_at in (("running", NOW), ("failed", None)):
        scene.session.execute(update(Run).values(status=status, due_at=due_at))
    scene.grant()
    scene.session.refresh(run)
    assert (run.status, run.ended_because) == ("superseded", "The person holds an active grant again.")


def test_a_grant_to_a_deactivated_person_is_refused(scene: Scene) -> None:
    scene.person.is_active = False
    with pytest.raises(Invalid) as refused:
        scene.grant()
    assert refused.value.errors[0].field == "user_id"


def test_an_expiry_in_the_past_is_refused(scene: Scene) -> None:
    with pytest.raises(Invalid) as refused:
        scene.grant(expires_at=NOW)
    assert refused.value.errors[0].field == "expires_at"


def test_an_expired_grant_is_revoked_by_the_system_through_the_same_path(scene: Scene) -> None:
    scene.workflow("access_revoked")
    grant = scene.grant(expires_at=NOW + timedelta(hours=1))
    assert not grants.revoke_expired(scene.session, grant.id, now=NOW + timedelta(minutes=59))
    assert grants.revoke_expired(scene.session, grant.id, now=NOW + timedelta(minutes=61))
    assert not grants.revoke_expired(scene.session, grant.id, now=NOW + timedelta(minutes=61))
    assert (grant.revoked_by, scene.session.scalars(select(Run)).one().cause) == (
        "Access Automation",
        "Expired",
    )


def test_notes_and_expiry_change_and_the_change_is_audited(scene: Scene) -> None:
    grant = scene.grant()
    later = NOW + timedelta(days=9)
    grants.change_grant(
        scene.session, scene.admin, grant, now=NOW, notes="Until June", expires_at=later, set_expiry=True
    )
    entry = scene.session.scalars(select(AuditEvent).where(AuditEvent.action == "grant.change")).one()
    assert entry.changes["notes"] == ["", "Until June"]
    assert grant.expires_at == later


@pytest.mark.parametrize(
    "change",
    [{"access_level": "Owner"}, {"granted_by": "Mallory"}, {"user_id": 1}],
    ids=lambda change: next(iter(change)),
)
def test_the_database_refuses_to_rewrite_a_grant(scene: Scene, change: dict[str, object]) -> None:
    other = make_user(scene.session)
    if "user_id" in change:
        change = {"user_id": other.id}
    scene.grant()
    with pytest.raises(IntegrityError, match="A grant never changes who, what and when"):
        scene.session.execute(update(Grant).values(**change))


def in_parallel(app: Flask, *acts) -> list[object]:
    """Do all acts at the same moment, each in a transaction of its own; their results or what they raised."""
    barrier = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def work(position: int) -> None:
        with app.app_context():
            barrier.wait()
            try:
                with transaction() as session:
                    results[position] = acts[position](session)
            except Conflict as conflict:
                results[position] = conflict
            finally:
                db.session.remove()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def revoking(admin: Actor, grant_id: int):
    return lambda session: grants.revoke(session, admin, session.get_one(Grant, grant_id), now=NOW) and None


def test_two_revokes_of_the_last_two_grants_start_exactly_one_run(app: Flask, admin: Actor) -> None:
    with app.app_context():
        for _ in range(10):
            with transaction() as session:
                scene = Scene(session, admin)
                scene.workflow("access_revoked")
                ids = [scene.grant().id, scene.grant().id]
                person_id = scene.person.id
            in_parallel(app, *(revoking(admin, one) for one in ids))
            runs = db.session.scalar(select(func.count(Run.id)).where(Run.user_id == person_id))
            assert runs == 1


def test_two_people_who_revoke_one_grant_make_one_revocation(app: Flask, admin: Actor) -> None:
    with app.app_context():
        with transaction() as session:
            scene = Scene(session, admin)
            scene.workflow("access_revoked")
            grant_id = scene.grant().id
        results = in_parallel(app, revoking(admin, grant_id), revoking(admin, grant_id))
        assert sum(isinstance(one, Conflict) for one in results) == 1
        assert db.session.scalar(select(func.count(Run.id))) == 1


def test_a_grant_and_a_revoke_at_once_leave_the_newest_intent_standing(app: Flask, admin: Actor) -> None:
    with app.app_context():
        for _ in range(10):
            with transaction() as session:
                scene = Scene(session, admin)
                scene.workflow("access_revoked")
                old = scene.grant().id
                pair = (scene.application.id, scene.person.id)

            def granting(session: Session, pair: tuple[int, int] = pair) -> None:
                application = session.get_one(Application, pair[0])
                person = session.get_one(User, pair[1])
                grants.grant(session, admin, application=application, user=person, now=NOW)

            in_parallel(app, revoking(admin, old), granting)
            db.session.rollback()
            open_runs = db.session.scalars(
                select(Run.status).where(Run.user_id == pair[1], Run.status.in_(("queued", "running")))
            ).all()
            assert open_runs == [], "a run that cuts access would hit somebody who holds a grant"
