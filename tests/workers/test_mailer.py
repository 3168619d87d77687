"""Delivery over a real mail server and a real webhook: down and up, two at once, killed between send and record."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import clock
from app.connectors.alerts import Channels, Hook, hook_policy
from app.connectors.http import HttpClient
from app.connectors.mail import MailServer
from app.domain.alerts.rules import AlertKind, AlertText
from app.extensions import db
from app.models import AlertDelivery, User
from app.services.alerts.lifecycle import tell
from app.services.alerts.outbox import HELD_FOR
from app.workers.mailer import deliver_due
from tests.support.factories import make_user
from tests.support.mailbox import free_port, running_mailbox
from tests.support.target import running_target


class Killed(BaseException):
    """What kill -9 does to a sender, as far as its rows can tell: nothing after it runs."""


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    with app.app_context(), Session(db.engine) as session:
        yield session


@pytest.fixture
def alice(session: Session) -> User:
    made = make_user(session, "admin", first_name="Alice", email="alice@example.org")
    session.commit()
    return made


def use(app: Flask, *, port: int = 0, hook: str = "") -> Channels:
    """Give the app these ways out, until the next test's."""
    mail = MailServer.of(f"smtp://127.0.0.1:{port}", sender_host="console.example") if port else None
    there = Hook(hook) if hook else None
    policy = hook_policy(there or Hook("https://nobody.example"), allow=(), own=[], production=False)
    app.extensions["alerts"] = Channels(
        mail=mail, hook=there, client=HttpClient(policy), base_url="https://console.example"
    )
    found: Channels = app.extensions["alerts"]
    return found


@pytest.fixture(autouse=True)
def _ways_out(app: Flask) -> Iterator[None]:
    before = app.extensions["alerts"]
    yield
    app.extensions["alerts"]._client.close()
    app.extensions["alerts"] = before


def told(app: Flask, session: Session, *people: User) -> None:
    tell(
        session,
        AlertText("Jira: fails", ("3 runs failed.",), "/runs"),
        kind=AlertKind.FAILURES,
        transition="opened",
        people=[one.id for one in people],
        channels=app.extensions["alerts"].names,
        now=clock.now(),
    )
    session.commit()


def statuses(session: Session) -> list[tuple[str, str, int, bool]]:
    session.rollback()
    rows = session.scalars(select(AlertDelivery).order_by(AlertDelivery.id))
    return [(one.channel, one.status, one.tries, one.uncertain) for one in rows]


def later(session: Session) -> None:
    """All that waits is due, and whoever held it has been gone for long."""
    session.execute(update(AlertDelivery).where(AlertDelivery.status == "pending").values(due_at=clock.now()))
    session.execute(
        update(AlertDelivery)
        .where(AlertDelivery.held_until.is_not(None))
        .values(held_until=clock.now() - HELD_FOR - timedelta(seconds=1))
    )
    session.commit()


def test_a_message_goes_to_each_person_and_to_the_webhook(app: Flask, session: Session, alice: User) -> None:
    bob = make_user(session, "admin", first_name="Bob", email="bob@example.org")
    with running_mailbox() as box, running_target() as target:
        use(app, port=box.port, hook=target.url)
        told(app, session, alice, bob)
        assert deliver_due(app) == 3
        assert deliver_due(app) == 0
    assert box.recipients == ["alice@example.org", "bob@example.org"]
    assert "https://console.example/runs" in box.messages[0].get_content()
    assert [call.body["text"].splitlines()[0] for call in target.calls] == ["*Jira: fails*"]
    assert {status for _, status, _, _ in statuses(session)} == {"delivered"}


def test_a_mail_server_that_was_down_gets_it_when_it_is_up(app: Flask, session: Session, alice: User) -> None:
    port = free_port()
    use(app, port=port)
    told(app, session, alice)
    assert deliver_due(app) == 0
    assert statuses(session) == [("mail", "pending", 1, False)]
    with running_mailbox(port=port) as box:
        assert deliver_due(app) == 0, "it waits before it is tried again"
        later(session)
        assert deliver_due(app) == 1
    assert box.recipients == ["alice@example.org"]
    assert statuses(session) == [("mail", "delivered", 2, False)]


def test_a_channel_that_is_down_keeps_nothing_from_the_other(
    app: Flask, session: Session, alice: User
) -> None:
    bob = make_user(session, "admin")
    with running_target() as target:
        use(app, port=free_port(), hook=target.url)
        told(app, session, alice, bob)
        assert deliver_due(app) == 1
    assert len(target.calls) == 1
    # One try shows that the server is down; the second mail has not been tried at all.
    assert [tries for _, _, tries, _ in statuses(session)] == [1, 0, 1]


def test_a_recipient_whom_the_server_refuses_keeps_nothing_from_the_others(
    app: Flask, session: Session, alice: User
) -> None:
    bob = make_user(session, "admin", email="bob@example.org")
    with running_mailbox() as box:
        use(app, port=box.port)
        box.answer = lambda address: "550 nobody" if address.startswith("alice") else None
        told(app, session, alice, bob)
        assert deliver_due(app) == 1
    assert box.recipients == ["bob@example.org"]
    assert [status for _, status, _, _ in statuses(session)] == ["failed", "delivered"]


def test_several_at_once_send_each_message_once(app: Flask, session: Session, alice: User) -> None:
    people = [alice, *(make_user(session, "admin") for _ in range(5))]
    with running_mailbox() as box:
        use(app, port=box.port)
        told(app, session, *people)
        start = threading.Barrier(4)

        def one() -> None:
            start.wait(10)
            deliver_due(app)

        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(box.recipients) == sorted(person.email for person in people)
    assert {status for _, status, _, _ in statuses(session)} == {"delivered"}


def test_killed_between_send_and_record_it_is_sent_once_more_under_the_same_id_and_says_so(
    app: Flask, session: Session, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise Killed

    with running_mailbox() as box:
        use(app, port=box.port)
        told(app, session, alice)
        with monkeypatch.context() as dying:
            dying.setattr("app.workers.mailer.outbox.note", killed)
            with pytest.raises(Killed):
                deliver_due(app)
        assert deliver_due(app) == 0, "while it is held, nobody sends it again"
        later(session)
        assert deliver_due(app) == 1
        later(session)
        assert deliver_due(app) == 0
    first, second = box.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert statuses(session) == [("mail", "delivered", 2, True)]


def test_no_transaction_is_open_while_it_is_being_sent(app: Flask, session: Session, alice: User) -> None:
    def writes() -> str:
        # On SQLite this would wait for whoever holds the write lock, and fail.
        with Session(db.engine) as other:
            other.execute(update(User).where(User.id == alice.id).values(username="written meanwhile"))
            other.commit()
        return "250 OK"

    def in_context() -> str:
        with app.app_context():
            return writes()

    with running_mailbox() as box:
        use(app, port=box.port)
        told(app, session, alice)
        box.on_data = in_context
        assert deliver_due(app) == 1
    session.rollback()
    assert alice.username == "written meanwhile"


def test_without_any_channel_nothing_is_looked_for(app: Flask, session: Session, alice: User) -> None:
    use(app)
    told(app, session, alice)
    assert deliver_due(app) == 0
    assert statuses(session) == []
