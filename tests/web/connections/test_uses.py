"""Where a connection is used, and a webhook's test event, on its page."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app import clock
from app.config.checks import new_fernet_key
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.crypto import KeyRing
from app.models import Application, Connection, Credential, Run, User, Workflow
from app.services import grants
from tests.support.factories import make_user
from tests.support.target import Answer, Target, running_target
from tests.support.web.places import Place
from tests.support.web.readers import Reader, actor

SIGNING_SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def target(only_sqlite: Flask) -> Iterator[Target]:
    """An outside system that the console may reach."""
    before = only_sqlite.extensions["egress"]
    with running_target() as target:
        only_sqlite.extensions["egress"] = HttpClient(EgressPolicy(target.url.removeprefix("http://")))
        yield target
        only_sqlite.extensions["egress"].close()
    only_sqlite.extensions["egress"] = before


@pytest.fixture
def hook(place: Place, target: Target, web: Session) -> int:
    web.get_one(Connection, place.webhook).config = {"url": f"{target.url}/hook"}
    web.commit()
    return place.webhook


def test_an_unused_connection_says_so(bob: Reader, place: Place) -> None:
    assert "Nothing uses it yet." in bob.client.get(f"/connections/{place.http}").text


def test_it_shows_workflows_grants_and_recent_runs(
    alice: Reader, place: Place, workflow: int, web: Session
) -> None:
    web.get_one(Workflow, workflow).is_enabled = True
    people = [make_user(web) for _ in range(3)]
    web.commit()
    now = clock.now()
    for person in people:
        grants.grant(
            web,
            actor(web, alice),
            application=web.get_one(Application, place.application),
            user=web.get_one(User, person.id),
            now=now,
        )
    web.flush()
    old, *recent = web.query(Run).order_by(Run.id).all()
    old.occurred_at = now - timedelta(days=31)
    web.commit()
    page = alice.client.get(f"/connections/{place.http}")
    assert "Provision Jira enabled" in page.text
    assert "3 active grants" in page.text
    links = [link.get_text() for link in page.select("#used a[href^='/runs/']")]
    assert links == [f"Run {one.id}" for one in reversed(recent)]
    refused = alice.client.post(f"/connections/{place.http}/delete", expect=409)
    assert "“Provision Jira” uses this connection." in refused.text
    assert "3 active grants" in refused.text
    assert web.query(Connection).filter(Connection.id == place.http).count() == 1


def test_a_test_event_is_sent_signed_and_its_result_stays(
    alice: Reader, hook: int, target: Target, web: Session
) -> None:
    target.answer = lambda _call: Answer(204)
    page = alice.client.get(f"/connections/{hook}")
    page.form("credential-form").fill(value=SIGNING_SECRET).submit()
    part = alice.client.post(f"/connections/{hook}/test-event", expect=200, htmx=True)
    assert "The test event was taken. HTTP 204 at /hook in " in part.text
    call = target.calls[0]
    assert (call.method, call.body["type"], call.body["test"]) == ("POST", "access_automation.test", True)
    assert call.headers["webhook-signature"].startswith("v1,")
    assert "The test event was taken." in alice.client.get(f"/connections/{hook}").text
    rows = alice.client.get(f"/applications/{web.get_one(Connection, hook).application_id}/connections")
    assert "Reachable 204" in rows.table("connections")[0]["Last test"]


def test_a_refused_test_event_says_what_to_do(alice: Reader, hook: int, target: Target) -> None:
    target.answer = lambda _call: Answer(404)
    alice.client.get(f"/connections/{hook}").form("credential-form").fill(value=SIGNING_SECRET).submit()
    page = alice.client.post(f"/connections/{hook}/test-event").follow_redirect()
    assert "Chat refused the test event (HTTP 404)." in page.text
    assert "Check the webhook URL" in page.text


def test_a_test_event_without_a_signing_secret_sends_nothing(
    alice: Reader, hook: int, target: Target
) -> None:
    alice.client.get("/account")
    part = alice.client.post(f"/connections/{hook}/test-event", expect=200, htmx=True)
    assert "No credential is set." in part.text
    assert target.calls == []


def test_only_a_webhook_takes_a_test_event(alice: Reader, place: Place) -> None:
    alice.client.get("/account")
    alice.client.post(f"/connections/{place.http}/test-event", expect=422)


def test_sending_one_requires_the_right_to_manage_workflows(charlie: Reader, hook: int) -> None:
    charlie.client.get("/account")
    charlie.client.post(f"/connections/{hook}/test-event", expect=403)


def test_a_credential_whose_key_is_lost_is_shown_as_such_and_breaks_no_page(
    alice: Reader, place: Place, target: Target, web: Session, only_sqlite: Flask
) -> None:
    config = {"base_url": target.url, "auth": "bearer", "timeout_seconds": 5}
    web.get_one(Connection, place.http).config = config
    web.commit()
    place_url = f"/connections/{place.http}"
    alice.client.get(place_url).form("credential-form").fill(value="s3cr3t").submit()
    before = only_sqlite.extensions["keyring"]
    only_sqlite.extensions["keyring"] = KeyRing([new_fernet_key()])
    try:
        page = alice.client.get(place_url)
        assert "This console cannot open it any more." in page.text
        assert "Replace it." in page.text
        tab = alice.client.get(f"/applications/{place.application}/connections")
        assert tab.table("connections")[1]["Credential"] == "Cannot be read"
        tested = alice.client.post(f"{place_url}/test").follow_redirect()
        assert "cannot be read with the keys of this console. Replace it." in tested.text
        assert target.calls == []
        alice.client.get(place_url).form("credential-form").fill(value="fresh").submit()
        part = alice.client.post(f"{place_url}/test", expect=200, htmx=True)
        assert "Reachable." in part.text
    finally:
        only_sqlite.extensions["keyring"] = before


def test_a_credential_does_not_go_to_an_address_that_was_changed_meanwhile(
    alice: Reader, place: Place, web: Session
) -> None:
    shown = web.get_one(Connection, place.http)
    shown.config = {"base_url": "https://target.example", "auth": "bearer", "timeout_seconds": 5}
    web.commit()
    page = alice.client.get(f"/connections/{place.http}")
    assert "sent nowhere but to https://target.example" in page.text
    shown.config = shown.config | {"base_url": "https://elsewhere.example"}
    web.commit()
    refused = page.form("credential-form").fill(value="s3cr3t").submit(expect=422)
    assert refused.errors() == {
        "value": "The address was changed while you were typing. Look at the one below first."
    }
    assert web.query(Credential).count() == 0
    web.rollback()
    refused.form("credential-form").fill(value="s3cr3t").submit()
    assert web.query(Credential).count() == 1
