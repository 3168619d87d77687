"""What was sent, captured, typed and entered is in no alert: not in the message, its mail or call, a row or a log."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from app import clock
from app.connectors.alerts import Channels, Hook, hook_policy
from app.connectors.http import HttpClient
from app.connectors.mail import MailServer
from app.domain.states import FailureClass
from app.extensions import db
from app.models import AlertDelivery, Run, Worker
from app.services import grants, tasks
from app.services.accounts import actor_for_user
from app.workers import alert_watch
from app.workers.mailer import deliver_due
from tests.support.connectors.certificates import authority
from tests.support.e2e.console import spellings
from tests.support.factories import http_step, human_step, make_user
from tests.support.mailbox import Mailbox, running_mailbox
from tests.support.queries.stories import ALICE, Story, failed
from tests.support.target import Target, running_target

TABLES = ("alerts", "alert_messages", "alert_deliveries", "alert_notices")


def canary(name: str) -> str:
    return f"canary-{name}-{secrets.token_hex(8)}"


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    with app.app_context(), Session(db.engine) as session:
        yield session


@contextmanager
def ways_out(app: Flask, password: str, path: str, secret: str) -> Iterator[tuple[Mailbox, Target]]:
    """Mail behind a password, and a webhook whose address is a secret, as the app's own."""
    with running_mailbox(starttls=authority().server_context, login=True) as box, running_target() as target:
        box.password = password
        url = f"smtp://alerts%40example.org:{password}@127.0.0.1:{box.port}?tls=demand"
        hook = Hook(f"{target.url}/{path}", secret)
        client = HttpClient(hook_policy(hook, allow=(), own=[], production=False))
        before = app.extensions["alerts"]
        mail = MailServer.of(url, sender_host="console.example", ca_bundle=authority().pem)
        app.extensions["alerts"] = Channels(
            mail=mail, hook=hook, client=client, base_url="https://console.example"
        )
        try:
            yield box, target
        finally:
            app.extensions["alerts"] = before
            client.close()


@pytest.mark.parametrize("is_signed", [False, True])
def test_no_secret_body_or_value_is_in_any_alert(
    app: Flask, session: Session, is_signed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    literal, notes, level, captured, detail = (
        canary(name) for name in ("literal", "notes", "level", "captured", "detail")
    )
    prompt, reason, password, path = (canary(name) for name in ("prompt", "reason", "right", "path"))
    secret = "whsec_" + base64.b64encode(canary("hook").encode()[:40]).decode()
    with ways_out(app, password, path, secret if is_signed else "") as (box, target):
        alice = make_user(session, "admin", first_name="Alice", last_name="Admin", email="alice@example.org")
        story = Story(
            session,
            lambda connection: [
                human_step(
                    "team",
                    prompt=f"{prompt} for {{{{ grantee.email }}}}",
                    assignee={"user_id": str(alice.id)},
                ),
                http_step(
                    "create", connection, name="Create the account", path=f"/{path}", body={"a": literal}
                ),
            ],
        )
        # A task, a failure with all that is known of it, a failed revoke, a lost worker, and access that ends.
        story.take()
        session.rollback()
        alert_watch.look(app)
        session.rollback()
        tasks.skip(session, actor_for_user(alice, "test"), story.task(), reason)
        story.told()
        story.answer(failed(FailureClass.HTTP_4XX, http_status=403, detail=detail))
        story.run.captured = {"team": {"value": captured}}
        other = Story(session, lambda connection: [http_step("remove", connection)], trigger="access_revoked")
        other.answer(failed(FailureClass.MAPPING, detail=detail))
        now = clock.now()
        ends = now + timedelta(days=20)
        grants.grant(
            session,
            ALICE,
            application=story.application,
            user=story.person,
            access_level=level,
            notes=notes,
            now=now,
            expires_at=ends,
        )
        session.add(
            Worker(
                name="worker-9", started_at=now, seen_at=ends - timedelta(days=9, minutes=5), concurrency=1
            )
        )
        session.commit()
        for at in (now, ends - timedelta(days=9)):
            session.rollback()
            alert_watch.look(app, now=at)
        session.rollback()
        session.execute(update(AlertDelivery).values(due_at=now))
        session.commit()
        count = deliver_due(app)
    hunted = [
        literal,
        notes,
        level,
        captured,
        detail,
        prompt,
        reason,
        password,
        path,
        secret,
        story.person.email,
    ]
    hunted.append(base64.b64decode(secret[6:]).decode())
    session.rollback()
    assert set(session.scalars(select(AlertDelivery.status))) == {"delivered"}
    rows = {
        table: json.dumps([list(map(str, row)) for row in session.execute(text(f"SELECT * FROM {table}"))])
        for table in TABLES
    }
    kinds = set(session.execute(text("SELECT kind FROM alert_messages")).scalars())
    assert {"failures", "revoke_failed", "worker_lost", "grant_expires", "task_assigned"} <= kinds
    assert count == len(box.messages) + len(target.calls) >= 8
    # The mail server's own log is not the console's.
    logged = "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith("mail."))
    mails = b"".join(message.as_bytes() + message.get_content().encode() for message in box.messages)
    calls = b"".join(call.raw + json.dumps(call.body).encode() for call in target.calls)
    assert b"Jane Doe" in mails
    assert session.scalars(select(Run.id)).first() is not None

    for value in hunted:
        for spelling in spellings(value):
            assert spelling not in mails
            assert spelling not in calls
            assert spelling not in logged.encode()
            assert [name for name, found in rows.items() if spelling in found.encode()] == []
    assert b"alice@example.org" not in calls + "".join(rows.values()).encode() + logged.encode()
