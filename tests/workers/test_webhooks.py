"""Webhooks sent by a real worker: one id for all tries of a step, a fresh time for each, both secrets' signatures."""

from __future__ import annotations

import base64
import json

import pytest
from flask import Flask
from standardwebhooks import Webhook

from app import clock
from app.permissions import Actor
from app.schemas.connections import CredentialIn
from app.services import credentials, grants
from app.services.transaction import transaction
from tests.support.factories import make_application, make_connection, make_user, make_workflow
from tests.support.target import Answer, Target
from tests.support.workers.processes import Crew, until

pytestmark = pytest.mark.slow

NEW, OLD = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"n", b"o"))


def test_tries_share_an_id_and_each_is_signed_anew_with_both_secrets(
    only_sqlite: Flask, admin: Actor, target: Target, crew: Crew
) -> None:
    target.answer = lambda _call: Answer(500 if len(target.calls) < 3 else 204)
    step = {
        "key": "tell",
        "type": "webhook",
        "connection_id": "",
        "body": {"email": "{{ grantee.email }}", "name": "Zoë"},
        "retry": {"attempts": 3, "backoff": "fixed", "delay_seconds": 2},
    }
    with only_sqlite.app_context(), transaction() as session:
        application = make_application(session)
        hook = make_connection(session, application, type="webhook", config={"url": f"{target.url}/in"})
        value = CredentialIn(value=f"{NEW} {OLD}")
        keyring = only_sqlite.extensions["keyring"]
        credentials.set_credential(session, admin, hook, value, keyring, now=clock.now())
        make_workflow(session, application, step | {"connection_id": str(hook.id)})
        grants.grant(session, admin, application=application, user=make_user(session), now=clock.now())
    crew.worker()
    until(lambda: crew.run_status() == "succeeded", "the run ends")
    assert len(target.calls) == 3
    assert len({call.headers["webhook-id"] for call in target.calls}) == 1
    times = [int(call.headers["webhook-timestamp"]) for call in target.calls]
    assert times[0] < times[1] < times[2]
    for call in target.calls:
        body = json.dumps(call.body, ensure_ascii=False, separators=(",", ":"))
        for secret in (NEW, OLD):
            assert Webhook(secret).verify(body, call.headers) == call.body
