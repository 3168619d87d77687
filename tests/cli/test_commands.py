"""The commands, as an operator types them."""

from __future__ import annotations

from pathlib import Path

import pyotp
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select, text

from app import clock, create_app
from app.config.checks import new_fernet_key
from app.config.settings import load_settings
from app.crypto import KeyRing, bound_to
from app.extensions import db
from app.models import ApiToken, Credential, Duty, FailingDuty, User, Worker
from app.permissions import SYSTEM, Actor
from app.queue import QueueLook
from app.schemas.connections import CredentialIn
from app.services import accounts, credentials, one_time_codes, tokens
from app.services.transaction import transaction
from tests.support.factories import NOW, make_application, make_connection, make_user
from tests.support.passwords import check_password
from tests.support.queries.stories import Story

PASSWORD = "correct horse battery"


def run(app: Flask, *words: str, typed: str | None = None) -> Result:
    return app.test_cli_runner().invoke(args=list(words), input=typed)


def last_word(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output.split()[-1]


def refused(result: Result) -> str:
    """The one line of a command that failed."""
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    return result.output.strip().splitlines()[-1]


def test_an_administrator_is_made_and_let_in_by_a_link(app: Flask) -> None:
    link = last_word(run(app, "admin", "create", "Ana@Example.org"))
    assert link.startswith("http://127.0.0.1:8000/sign-in/")
    with app.app_context():
        secret = link.rpartition("/")[2]
        owner = accounts.owner_of_link(db.session(), secret, now=clock.now())
        assert owner is not None
        assert (owner.email, owner.role.kind) == ("ana@example.org", "admin")


def test_a_password_may_come_from_standard_input(app: Flask) -> None:
    result = run(app, "admin", "create", "ana@example.org", "--password-stdin", typed=f"{PASSWORD}\n")
    assert PASSWORD not in result.output
    assert last_word(result) == "http://127.0.0.1:8000/sign-in"
    with app.app_context():
        came_in = check_password(db.session(), "ana@example.org", PASSWORD, now=clock.now())
        assert came_in.user is not None


def test_somebody_who_left_is_brought_back_as_an_administrator(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        make_user(session, email="ana@example.org", is_active=False, deactivated_at=NOW)
    last_word(run(app, "admin", "create", "ana@example.org"))
    with app.app_context():
        ana = db.session.scalars(select(User)).one()
        assert (ana.is_active, ana.role.kind) == (True, "admin")


@pytest.mark.parametrize("words", [("not-an-email",), ("a@example.org", "--password-stdin")])
def test_what_is_refused_is_one_line_and_nothing_is_saved(app: Flask, words: tuple[str, ...]) -> None:
    assert refused(run(app, "admin", "create", *words, typed="short\n")).startswith("Error: ")
    with app.app_context():
        assert db.session.scalars(select(User)).all() == []


def test_the_welcome_is_a_link_until_there_is_a_password(app: Flask) -> None:
    first = last_word(run(app, "admin", "welcome"))
    second = last_word(run(app, "admin", "welcome"))
    assert first != second
    with app.app_context():
        session = db.session()
        assert accounts.owner_of_link(session, first.rpartition("/")[2], now=clock.now()) is None
        owner = accounts.owner_of_link(session, second.rpartition("/")[2], now=clock.now())
        assert owner is not None
        email = owner.email
    run(app, "admin", "create", email, "--password-stdin", typed=PASSWORD)
    assert run(app, "admin", "welcome").output == (f"Sign in as {email} at http://127.0.0.1:8000/sign-in\n")


def test_a_token_works_until_it_is_revoked(app: Flask) -> None:
    secret = last_word(
        run(app, "token", "create", "ci", "--permission", "grant:read", "--permission", "grant:write")
    )
    with app.app_context():
        found = tokens.find_token(db.session(), secret, now=clock.now())
        assert found is not None
        assert found.permissions == ["grant:read", "grant:write"]
    listed = run(app, "token", "list").output
    assert "active" in listed
    assert secret not in listed
    assert "ci is revoked." in run(app, "token", "revoke", "ci").output
    with app.app_context():
        assert tokens.find_token(db.session(), secret, now=clock.now()) is None
    assert "revoked" in run(app, "token", "list").output


def test_a_token_with_an_unknown_permission_is_refused(app: Flask) -> None:
    message = refused(run(app, "token", "create", "ci", "--permission", "grant:fly"))
    assert message == "Error: permissions: There is no permission “grant:fly”."
    with app.app_context():
        assert db.session.scalars(select(ApiToken)).all() == []


def test_a_token_is_revoked_by_number_where_the_name_is_shared(app: Flask) -> None:
    for _ in range(2):
        run(app, "token", "create", "ci", "--permission", "grant:read")
    assert "Several tokens are called ci" in refused(run(app, "token", "revoke", "ci"))
    assert run(app, "token", "revoke", "1").exit_code == 0
    assert run(app, "token", "revoke", "ci").exit_code == 0
    assert "There is no token ci" in refused(run(app, "token", "revoke", "ci"))


def sealed_by(app: Flask, keyring: KeyRing, count: int) -> None:
    with app.app_context(), transaction() as session:
        application = make_application(session)
        config = {"base_url": "https://target.example", "auth": "bearer"}
        for _ in range(count):
            connection = make_connection(session, application, config=config)
            who, value = Actor("system", "Test", frozenset()), CredentialIn(value="s3cr3t")
            credentials.set_credential(session, who, connection, value, keyring, now=NOW)


def test_rotation_seals_every_credential_under_the_newest_key(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cli.installation.ROTATED_AT_ONCE", 2)
    old, new = new_fernet_key(), new_fernet_key()
    sealed_by(app, KeyRing([old]), 5)
    monkeypatch.setitem(app.extensions, "keyring", KeyRing([new, old]))
    assert "5 encrypted under key" in run(app, "credentials", "rotate").output
    assert "0 encrypted under key" in run(app, "credentials", "rotate").output
    with app.app_context():
        for row in db.session.scalars(select(Credential)):
            assert KeyRing([new]).open(row.sealed, bound_to(row.connection_id)).reveal() == "s3cr3t"


def test_rotation_fails_while_a_credential_cannot_be_opened(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed_by(app, KeyRing([new_fernet_key()]), 1)
    monkeypatch.setitem(app.extensions, "keyring", KeyRing([new_fernet_key()]))
    assert "Keep the older keys" in refused(run(app, "credentials", "rotate"))


def test_the_doctor_names_what_is_wrong_and_what_to_do(app: Flask) -> None:
    sealed_by(app, KeyRing([new_fernet_key()]), 1)
    result = run(app, "doctor")
    assert refused(result) == "Error: Look at: keys, administrators, workers, sweeper, redis."
    assert "flask --app wsgi admin create EMAIL" in result.output


def test_the_doctor_is_content_with_a_console_that_works(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context(), transaction() as session:
        make_user(session, "admin")
        at = clock.now()
        session.add(Worker(name="w", started_at=at, seen_at=at, concurrency=1))
        session.add(Duty(name="sweep", holder="s", until=at, done_at=at))
    monkeypatch.setattr(app.extensions["run_queue"], "look", lambda: QueueLook(0))
    result = run(app, "doctor")
    assert result.exit_code == 0
    assert "FAIL" not in result.output
    assert "neither SMTP_URL nor ALERT_WEBHOOK_URL is set" in result.output


def test_the_doctor_says_which_run_stands_still_and_what_the_sweeper_cannot_do(app: Flask) -> None:
    with app.app_context():
        story = Story(db.session()).take()  # three minutes ago, for fifteen seconds
        at = clock.now()
        db.session.add(FailingDuty(name="look for alerts", since=at, problem="KeyError", passes=2))
        db.session.add(Duty(name="sweep", holder="one", until=at, done_at=at))
        db.session.commit()
        number = story.run.id
        db.session.rollback()
    output = run(app, "doctor").output
    assert f"1 run stands still, run {number} among them: its worker gave no sign any more" in output
    assert "It could not look for alerts since" in output
    assert "none stands still" not in output


def test_the_doctor_sees_tables_of_another_version(app: Flask) -> None:
    with app.app_context(), db.engine.begin() as connection:
        head = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    try:
        assert "db upgrade" in run(app, "doctor").output
    finally:
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})


def test_a_database_that_does_not_answer_is_one_line_without_its_password(tmp_path: Path) -> None:
    address = "postgresql://ada:s3cret@127.0.0.1:1/console"
    away = create_app(
        load_settings({"DATA_DIR": str(tmp_path), "DATABASE_URL": address, "ENV_FILE": ""}), pages=True
    )
    result = run(away, "db", "upgrade")
    assert result.exit_code == 1
    [line] = result.output.splitlines()
    assert line.startswith("DATABASE_URL: no connection (")
    assert "s3cret" not in line


def test_one_sweep_says_what_it_did(app: Flask) -> None:
    result = run(app, "sweep")
    assert result.exit_code == 0
    assert "0 expired grants revoked" in result.output


def test_runs_are_paused_and_resumed(app: Flask) -> None:
    ended = run(app, "engine", "pause", "Moving the directory")
    assert (ended.exit_code, ended.output) == (0, "Runs are paused.\n")
    again = run(app, "engine", "pause", "Also moving")
    assert again.exit_code == 1
    assert "Command line has paused runs already." in again.output
    assert "Command line paused them on" in run(app, "doctor").output
    assert run(app, "engine", "resume").exit_code == 0
    assert "not paused" in run(app, "engine", "resume").output


def test_an_administrator_without_their_app_gets_back_in(app: Flask) -> None:
    run(app, "admin", "create", "ana@example.org", "--password-stdin", typed=PASSWORD)
    keyring = app.extensions["keyring"]
    with app.app_context(), transaction() as session:
        ana = session.scalars(select(User)).one()
        one_time_codes.begin(session, ana, keyring, now=clock.now())
        session.flush()
        key = one_time_codes.unconfirmed_key(session, ana.id, keyring)
        assert key is not None
        typed = pyotp.TOTP(key.reveal()).at(clock.now())
        one_time_codes.confirm(session, SYSTEM, ana, typed, keyring, now=clock.now())
    run(app, "admin", "create", "ana@example.org")
    with app.app_context():
        assert not accounts.needs_code(db.session(), db.session.scalars(select(User)).one())


def test_doctor_counts_the_keys_of_one_time_codes_too(app: Flask) -> None:
    run(app, "admin", "create", "ana@example.org", "--password-stdin", typed=PASSWORD)
    with app.app_context(), transaction() as session:
        ana = session.scalars(select(User)).one()
        one_time_codes.begin(session, ana, KeyRing([new_fernet_key()]), now=clock.now())
    assert "1 credential(s) were sealed by a key that is not in CREDENTIAL_KEYS" in run(app, "doctor").output
