"""Two people at the same moment: what only one of them may do is done by one."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.crypto import KeyRing
from app.extensions import db
from app.models import (
    Application,
    Connection,
    Credential,
    FailedSignIns,
    Grant,
    Role,
    Run,
    SingleSignOn,
    User,
    Workflow,
    WorkflowVersion,
)
from app.permissions import ALL_PERMISSIONS, Actor
from app.schemas.base import parse
from app.schemas.connections import CredentialIn
from app.schemas.people import UserIn, UserPatch
from app.schemas.workflows import VersionIn
from app.services import (
    accounts,
    applications,
    credentials,
    grants,
    one_time_codes,
    people,
    sign_in_throttle,
    single_sign_on,
    workflows,
)
from app.services.transaction import transaction
from tests.support.factories import (
    NOW,
    http_step,
    human_step,
    make_application,
    make_connection,
    make_user,
    make_workflow,
)
from tests.support.services.races import Act, at_once

ALICE = Actor("user", "Alice", ALL_PERMISSIONS)


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> Flask:
    """The app on an empty PostgreSQL database, where two may write at the same moment."""
    app: Flask
    app, database = request.getfixturevalue("postgres_app")
    database.reset(app)
    return app


def test_two_administrators_who_demote_each_other_do_not_both_succeed(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        ids = [make_user(session, "admin").id for _ in range(2)]

    def demote(whom: int) -> Act:
        return lambda session: people.change_user(
            session, ALICE, session.get_one(User, whom), UserPatch(role="viewer"), now=NOW
        )

    results = at_once(app, *map(demote, ids))
    assert sorted(results) == ["This is the last active administrator. Make somebody else one first.", "done"]
    with app.app_context():
        admins = select(User).join(Role).where(Role.kind == "admin")
        assert len(db.session.scalars(admins).all()) == 1


@pytest.mark.postgres
@pytest.mark.slow
def test_deactivating_somebody_and_revoking_what_they_hold_do_not_stop_each_other(postgres: Flask) -> None:
    app = postgres
    with app.app_context(), transaction() as session:
        application = make_application(session)
        make_workflow(session, application, human_step(), trigger="access_revoked")
        number = application.id
    for _ in range(50):
        with app.app_context(), transaction() as session:
            user = make_user(session)
            held = grants.grant(
                session, ALICE, application=session.get_one(Application, number), user=user, now=NOW
            )
            person, grant = user.id, held.id

        def deactivate(session: Session, person: int = person) -> None:
            leaving = session.get_one(User, person)
            people.change_user(session, ALICE, leaving, UserPatch(active=False), now=NOW)

        def revoke(session: Session, grant: int = grant) -> None:
            grants.revoke(session, ALICE, session.get_one(Grant, grant), now=NOW)

        deactivated, revoked = at_once(app, deactivate, revoke)
        assert deactivated == "done"
        assert revoked == "done" or revoked.startswith("Alice revoked this grant at ")
        with app.app_context():
            assert not db.session.get_one(User, person).is_active
            ended = db.session.get_one(Grant, grant)
            assert ended.revoked_by == "Alice"
            runs = db.session.scalars(
                select(Run).where(Run.grant_id == grant, Run.trigger == "access_revoked")
            )
            assert len(runs.all()) == 1


def test_access_is_not_given_to_an_application_that_is_being_archived(app: Flask) -> None:
    """Whichever comes first: nobody holds access to what nobody sees any more."""
    for _ in range(10):
        with app.app_context(), transaction() as session:
            application, user = make_application(session).id, make_user(session).id

        def archive(session: Session, application: int = application) -> None:
            applications.archive_application(
                session, ALICE, session.get_one(Application, application), now=NOW
            )

        def give(session: Session, application: int = application, user: int = user) -> None:
            to = session.get_one(Application, application)
            grants.grant(session, ALICE, application=to, user=session.get_one(User, user), now=NOW)

        assert sorted(one == "done" for one in at_once(app, archive, give)) == [False, True]


@pytest.mark.postgres
def test_saving_a_workflow_stops_no_grant_of_its_application(postgres: Flask) -> None:
    with postgres.app_context(), Session(db.engine) as saving:
        with transaction() as session:
            application, user = make_application(session), make_user(session)
            number = make_workflow(session, application, human_step()).id
        version = parse(VersionIn, {"steps": [human_step("other")]})
        workflow = saving.get_one(Workflow, number)
        workflows.save_version(saving, ALICE, workflow, version, now=NOW)
        with transaction() as session:
            made = grants.grant(session, ALICE, application=application, user=user, now=NOW)
        saving.rollback()
        assert db.session.get_one(Grant, made.id).is_active


def test_an_email_entered_twice_at_once_is_one_person(app: Flask) -> None:
    data = parse(UserIn, {"email": "ana@example.org"})
    results = at_once(app, *[lambda session: people.create_user(session, ALICE, data, now=NOW)] * 4)
    assert sorted(results) == ["Somebody else has this email address."] * 3 + ["done"]


def test_a_link_opened_twice_at_once_lets_in_once(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        secret = accounts.make_sign_in_link(session, ALICE, make_user(session), now=NOW)
    came_in: list[object] = []

    def use(session: Session) -> None:
        came_in.append(accounts.use_sign_in_link(session, secret, now=NOW, source="test"))

    assert at_once(app, use, use, use) == ["done"] * 3
    assert sum(one is not None for one in came_in) == 1


def test_wrong_passwords_tried_at_once_are_all_counted(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        user = make_user(session)
        accounts.set_password(session, ALICE, user, "correct horse battery", now=NOW)
        email = user.email

    def guess(session: Session) -> None:
        candidate = accounts.find_candidate(session, email, now=NOW)
        accounts.settle(session, candidate, False, now=NOW, source="test")

    assert at_once(app, *[guess] * 4) == ["done"] * 4
    with app.app_context():
        counted = db.session.get_one(FailedSignIns, sign_in_throttle.email_key(email))
        assert counted.failures == 4


@pytest.mark.parametrize("recovery", [False, True])
def test_a_one_time_code_used_twice_at_once_lets_in_once(app: Flask, recovery: bool) -> None:
    keyring: KeyRing = app.extensions["keyring"]
    with app.app_context(), transaction() as session:
        user = make_user(session, password_hash="some hash")
        one_time_codes.begin(session, user, keyring, now=NOW)
        session.flush()
        key = one_time_codes.unconfirmed_key(session, user.id, keyring)
        assert key is not None
        code = pyotp.TOTP(key.reveal())
        spare = one_time_codes.confirm(session, ALICE, user, code.at(NOW), keyring, now=NOW)
        number, later = user.id, NOW + timedelta(minutes=5)
        typed = spare[0] if recovery else code.at(later)
    came_in: list[str] = []

    def use(session: Session) -> None:
        found = one_time_codes.check(session, session.get_one(User, number), typed, keyring, now=later)
        came_in.append(found.how)

    assert at_once(app, use, use, use) == ["done"] * 3
    assert sorted(came_in) == ["", "", "recovery code" if recovery else "code"]


def test_a_first_single_sign_on_twice_at_once_links_once(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        make_user(session, email="ana@example.org")
    claims = {"sub": "ana-1", "email": "ana@example.org", "email_verified": True}
    rules = single_sign_on.SignOnRules("https://id.example.org")

    def come_in(session: Session) -> None:
        assert single_sign_on.settle(session, claims, rules, now=NOW, source="test").user is not None

    # Whoever comes second finds the link, or is told; neither makes a second one.
    assert "done" in at_once(app, come_in, come_in, come_in)
    with app.app_context():
        assert len(db.session.scalars(select(SingleSignOn)).all()) == 1


def test_a_credential_entered_twice_at_once_is_one_credential(app: Flask) -> None:
    keyring: KeyRing = app.extensions["keyring"]
    config = {"base_url": "https://target.example", "auth": "bearer"}
    with app.app_context(), transaction() as session:
        number = make_connection(session, make_application(session), config=config).id

    def enter(session: Session) -> None:
        connection = session.get_one(Connection, number)
        value = CredentialIn(value="s3cr3t")
        credentials.set_credential(session, ALICE, connection, value, keyring, now=NOW)

    assert at_once(app, enter, enter, enter) == ["done"] * 3
    with app.app_context():
        assert len(db.session.scalars(select(Credential)).all()) == 1


def test_of_two_saves_based_on_the_same_version_one_is_refused(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        application = make_application(session)
        step = http_step("create", make_connection(session, application).id)
        number = make_workflow(session, application, step).id

    def save(path: str) -> Act:
        data = VersionIn(steps=[{**step, "path": path}], based_on=1)
        return lambda session: workflows.save_version(
            session, ALICE, session.get_one(Workflow, number), data, now=NOW
        )

    results = at_once(app, save("/a"), save("/b"))
    assert results.count("done") == 1
    assert any("saved version 2 while you were editing" in one for one in results)
    with app.app_context():
        numbers = select(WorkflowVersion.number).order_by(WorkflowVersion.number)
        assert list(db.session.scalars(numbers)) == [1, 2]
