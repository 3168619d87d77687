"""Secrets entered by every route, used by every means, and then looked for everywhere."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from standardwebhooks import Webhook

from app import clock
from app.crypto import bound_to
from app.models import Credential, Run
from app.permissions import ALL_PERMISSIONS, Actor
from app.schemas.people import TokenIn
from app.services import passwords, tokens
from app.services.transaction import transaction
from tests.support.api.client import ApiClient
from tests.support.connectors.token_endpoint import Identity, identity
from tests.support.e2e.console import Console, running_console, spellings
from tests.support.factories import make_application, make_connection, make_user
from tests.support.target import Answer, Call, Target, running_target
from tests.support.workers.processes import until

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"


def canary(name: str) -> str:
    return f"canary-{name}-{secrets.token_hex(12)}"


def logged(places: Mapping[str, bytes]) -> bytes:
    """What the processes have logged so far."""
    return b"".join(text for name, text in places.items() if name.startswith("log"))


@pytest.fixture
def target() -> Iterator[Target]:
    """An outside system that repeats all that it was sent, in body and headers, and refuses now and then."""

    def echo(call: Call) -> Answer:
        sent = {"headers": call.headers, "authorization": call.headers.get("authorization", ""), "id": "u-1"}
        status = 500 if call.path.startswith("/fails") else 200
        return Answer(status, sent, {"X-Echo": call.headers.get("authorization", "none")})

    with running_target() as target:
        target.answer = echo
        yield target


@pytest.fixture
def world() -> Iterator[Identity]:
    with identity() as found:
        found.takes = lambda _token: True
        found.give = lambda _: (200, {"access_token": found.given[0], "expires_in": 600})
        yield found


@pytest.fixture
def console(only_sqlite: Flask, tmp_path: Path) -> Iterator[Console]:
    with running_console(only_sqlite, tmp_path) as console:
        yield console


def prepare(app: Flask, console: Console) -> tuple[int, int]:
    """Somebody who may sign in, a token, an application and a person: (application, person)."""
    root = Actor("system", "Test", ALL_PERMISSIONS)
    with app.app_context(), transaction() as session:
        wanted = TokenIn(name="Script", permissions=sorted(ALL_PERMISSIONS))
        _, console.token = tokens.create_token(session, root, wanted, now=clock.now())
        make_user(
            session, "admin", email="alice@example.org", password_hash=passwords.hash_password(PASSWORD)
        )
        return make_application(session).id, make_user(session).id


def test_a_secret_is_found_nowhere_but_sealed_and_on_its_way_to_its_own_host(
    only_sqlite: Flask, console: Console, target: Target, world: Identity
) -> None:
    application, person = prepare(only_sqlite, console)
    console.start()
    base = f"/applications/{application}"
    hook_secret = "whsec_" + base64.b64encode(canary("hook").encode()[:40]).decode()
    entered = {
        "bearer": canary("bearer"),
        "basic": canary("basic"),
        "api_key": canary("key"),
        "oauth": canary("oauth"),
        "hook": hook_secret,
    }
    world.given.append(canary("access"))
    http: dict[str, Any] = {"base_url": target.url, "timeout_seconds": 5}
    configs: dict[str, dict[str, Any]] = {
        "bearer": http | {"auth": "bearer"},
        "basic": http | {"auth": "basic", "username": "svc"},
        "api_key": http | {"auth": "api_key"},
        "oauth": world.config(),
        "hook": {"url": f"{target.url}/hook"},
    }
    ids: dict[str, str] = {}
    for name, config in configs.items():
        made = {"type": "webhook" if name == "hook" else "http", "name": name, "config": config}
        status, answer = console.api("POST", f"{base}/connections", made)
        assert status == 201, answer
        ids[name] = answer["id"]

    # Entered by the API, and by the page: one refused first, and one replaced.
    spoilt = canary("spoilt")
    replaced = canary("replaced")
    assert (
        console.api("PUT", f"/connections/{ids['bearer']}/credential", {"value": f"{spoilt}\x01"})[0] == 422
    )
    assert console.api("PUT", f"/connections/{ids['bearer']}/credential", {"valu": spoilt})[0] == 422
    for value in (replaced, entered["bearer"]):
        assert console.api("PUT", f"/connections/{ids['bearer']}/credential", {"value": value})[0] == 204
    for name in ("oauth", "hook"):
        assert console.api("PUT", f"/connections/{ids[name]}/credential", {"value": entered[name]})[0] == 204
    console.submit("/sign-in", "/sign-in", email="alice@example.org", password=PASSWORD)
    for name in ("basic", "api_key"):
        place = f"/connections/{ids[name]}"
        assert console.submit(f"{place}/credential", place, value=f"{spoilt}\x01")[0] == 422
        status, page = console.submit(f"{place}/credential", place, value=entered[name])
        assert status == 200
        assert "The value cannot be shown" in page

    # Used by tests, by steps that succeed, fail and capture what is repeated to them, and by webhooks.
    for name, number in ids.items():
        console.api("POST", f"/connections/{number}/{'test-event' if name == 'hook' else 'test'}")
    steps: list[dict[str, Any]] = [
        {
            "key": name,
            "type": "http",
            "connection_id": ids[name],
            "method": "PUT",
            "path": "/fails" if name == "api_key" else "/ok",
            "body": {"email": "{{ grantee.email }}"},
            "retry": {"attempts": 2, "delay_seconds": 0},
            "on_failure": "continue",
            "capture": {"got": {"path": "$.authorization", "keep": False}}
            if name in ("bearer", "basic")
            else {},
        }
        for name in ("bearer", "basic", "api_key", "oauth")
    ]
    steps.append({"key": "hook", "type": "webhook", "connection_id": ids["hook"], "body": {"a": 1}})
    wanted = {"name": "Provision", "trigger": "access_granted", "steps": steps, "enabled": True}
    status, answer = console.api("POST", f"{base}/workflows", wanted)
    assert status == 201, answer
    grant = {"application_id": str(application), "user_id": str(person)}
    status, made = console.api("POST", "/grants", grant)
    assert status == 201, made
    until(
        lambda: (
            console.crew.look(lambda s: s.scalars(select(Run.status)).all()) in (["succeeded"], ["failed"])
        ),
        "the run ends",
    )
    assert console.crew.look(lambda s: s.scalars(select(Run.status)).one()) == "succeeded"

    # Everything that can be read is read.
    run = console.crew.look(lambda s: s.scalars(select(Run.id)).one())
    for path in ("/", base, f"{base}/connections", f"{base}/workflows", f"/runs/{run}", "/runs", "/audit"):
        console.page(path)
    for number in ids.values():
        console.page(f"/connections/{number}")
        console.page(f"/connections/{number}/edit")
        console.api("GET", f"/connections/{number}")
    for path in (f"/runs/{run}", "/runs", "/audit", f"{base}/connections", "/health", "/openapi.json"):
        console.api("GET", path)

    # It did go where it belongs.
    headers = [call.headers for call in target.calls]
    assert f"Bearer {entered['bearer']}" in {one.get("authorization") for one in headers}
    pair = base64.b64encode(f"svc:{entered['basic']}".encode()).decode()
    assert f"Basic {pair}" in {one.get("authorization") for one in headers}
    assert entered["api_key"] in {one.get("x-api-key") for one in headers}
    assert ("console", entered["oauth"]) in world.asked_by
    assert f"Bearer {world.given[0]}" in {head.get("authorization") for _, head in world.calls}
    event = next(call for call in target.calls if call.path == "/hook" and call.body == {"a": 1})
    Webhook(hook_secret).verify('{"a":1}', event.headers)
    with only_sqlite.app_context(), transaction() as session:
        keyring = only_sqlite.extensions["keyring"]
        stored = {
            row.connection_id: keyring.open(row.sealed, bound_to(row.connection_id)).reveal()
            for row in session.scalars(select(Credential))
        }
    assert stored == {int(ids[name]): value for name, value in entered.items()}

    # And nowhere else: not one of them, in no spelling.
    hunted = [
        *entered.values(),
        base64.b64decode(hook_secret[6:]).decode(),
        world.given[0],
        spoilt,
        replaced,
        pair,
    ]
    # Else nothing would be proved of what is logged at that level.
    until(lambda: b"This is said at debug level." in logged(console.everything()), "a line at debug level")
    places = console.everything()
    assert len(places["Redis commands"]) > 0
    assert len(places["answers"]) > 10_000
    for secret in hunted:
        for spelling in spellings(secret):
            assert [name for name, text in places.items() if spelling in text] == []


def test_a_failure_of_our_own_says_nothing_of_the_secret_at_hand(
    only_sqlite: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = canary("crash")
    with only_sqlite.app_context(), transaction() as session:
        config = {"base_url": "https://target.example", "auth": "bearer"}
        number = make_connection(session, make_application(session), config=config).id
        wanted = TokenIn(name="Script", permissions=["workflow:secrets"])
        root = Actor("system", "Test", ALL_PERMISSIONS)
        _, token = tokens.create_token(session, root, wanted, now=clock.now())
    api = ApiClient(only_sqlite, token)

    def crash(text: str, bound_to: str) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(only_sqlite.extensions["keyring"], "seal", crash)
    caplog.set_level("DEBUG")
    answer = api.send("PUT", f"/connections/{number}/credential", {"value": secret})
    assert answer.status_code == 500
    assert "the disk is on fire" in caplog.text
    assert secret not in caplog.text + answer.get_data(as_text=True)
