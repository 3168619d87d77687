"""What a dry-run shows is, byte for byte, what a worker then sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy.orm import Session

from app.clock import set_zone
from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.perform import perform
from app.crypto import KeyRing, bound_to
from app.domain.runs import signals as m
from app.domain.runs.simulate import Supposing
from app.domain.states import Trigger
from app.models import Credential, Run
from app.permissions import Actor
from app.services.advance import Move, advance, claim
from app.services.advance.moves import Holder
from app.services.runs import run_now
from tests.support.domain.languages import scim_tokens
from tests.support.factories import NOW, make_connection
from tests.support.services.dry_runs import Bench
from tests.support.target import Answer, Call, Target, running_target

HOLDER = Holder("worker-1", timedelta(seconds=15))
SECRET = "s3cret-t0ken-9c1"
SIGNING = "whsec_" + "QUJD" * 8
# What any HTTP/1.1 client adds to frame the message.
FRAMING = {"host", "content-length", "accept-encoding", "connection"}


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as target:
        yield target


@pytest.fixture
def tokyo() -> Iterator[None]:
    set_zone("Asia/Tokyo")
    yield
    set_zone("UTC")


AUTHS = {
    "none": {"auth": "none"},
    "bearer": {"auth": "bearer"},
    "basic": {"auth": "basic", "username": "ada"},
    "api_key": {"auth": "api_key", "api_key_header": "X-Api-Key"},
}


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize("auth", AUTHS)
def test_every_request_is_byte_for_byte_what_a_worker_sends(
    session: Session, admin: Actor, keyring: KeyRing, target: Target, auth: str
) -> None:
    bench = Bench(session, admin, target.url)
    bench.connection.config = {"base_url": target.url, "headers": {"X-Team": "IT"}, **AUTHS[auth]}
    if auth != "none":
        seal(session, keyring, bench.connection.id, SECRET)
    bench.set_up(
        bench.step(
            path="/Users/{{ grantee.email }}/é",
            query={
                "filter": 'name eq "{{ grantee.last_name }}"',
                "team": ["a b", "{{ grant.access_level }}"],
            },
            headers={"X-Who": "{{ grantee.first_name }}", "Content-Type": "application/scim+json"},
            body={
                "userName": "{{ grantee.email }}",
                "at": "{{ event.occurred_at }}",
                "there": '{{ event.occurred_at | date("%Y-%m-%d %H:%M") }}',
                "n": 1.0,
                "ø": [True, None],
            },
        ),
        bench.step(
            "form", body={"a": "x y", "b": "{{ grantee.last_name }}"}, body_format="form", method="PUT"
        ),
    )
    shown = bench.dry().steps
    send_all(bench, keyring, target)
    assert len(target.calls) == len(shown) == 2
    assert json.loads(target.calls[0].raw)["there"] == f"{NOW + timedelta(hours=9):%Y-%m-%d %H:%M}"
    for dry, call in zip(shown, target.calls, strict=True):
        assert dry.request is not None
        assert request_line(call, target) == f"{dry.request.method} {dry.request.url}"
        assert call.raw == (dry.request.body or b"")
        promised = {name.lower(): text for name, text in dry.request.headers.items()}
        sent = {name: text for name, text in call.headers.items() if name in promised}
        for name in ("idempotency-key", "authorization", "x-api-key"):
            if promised.pop(name, None):
                assert sent.pop(name)
        assert sent == promised
        rest = set(call.headers) - set(sent) - {"idempotency-key", "authorization", "x-api-key"}
        assert rest <= FRAMING


def test_placeholders_are_all_that_differs_on_the_wire(
    session: Session, admin: Actor, keyring: KeyRing, target: Target
) -> None:
    """Captured values, the run's number, the credential and the time are the only things not known before."""
    bench = Bench(session, admin, target.url)
    bench.connection.config = {"base_url": target.url, "auth": "bearer"}
    hook = make_connection(
        session, bench.application, type="webhook", config={"url": f"{target.url}/hook?a=1"}
    )
    seal(session, keyring, bench.connection.id, SECRET)
    seal(session, keyring, hook.id, SIGNING)
    bench.set_up(
        bench.step(capture={"id": "$.id"}),
        bench.step(
            "add",
            method="PUT",
            path="/Groups/x/{{ steps.create.id }}",
            body={"of": "a {{ steps.create.id }} b"},
        ),
        bench.step("look", method="GET", path="/Users", query={"id": "{{ steps.create.id }}"}, body=None),
        {
            "key": "tell",
            "name": "Tell",
            "type": "webhook",
            "connection_id": str(hook.id),
            "body": {"who": "{{ grantee.last_name }}", "id": "{{ steps.create.id }}"},
        },
    )
    target.answer = lambda _call: Answer(200, {"id": "u-7"})
    shown = bench.dry().steps
    run = send_all(bench, keyring, target)
    known = {"‹steps.create.id›": "u-7", "‹run›": run.uid, "‹credential›": SECRET}
    assert [call.method for call in target.calls] == ["POST", "PUT", "GET", "POST"]
    for dry, call in zip(shown, target.calls, strict=True):
        assert dry.request is not None
        assert request_line(call, target) == filled(f"{dry.request.method} {dry.request.url}", known)
        assert call.raw == filled((dry.request.body or b"").decode(), known).encode()
        promised = {name.lower(): filled(text, known) for name, text in dry.request.headers.items()}
        sent = {name: text for name, text in call.headers.items() if name not in FRAMING}
        if "webhook-signature" in promised:
            # The time, and the signature over it, are made when it is sent.
            assert promised.pop("webhook-timestamp") == "‹time›"
            assert sent.pop("webhook-timestamp").isdecimal()
            assert promised.pop("webhook-signature") == f"v1,{SECRET}"
            assert sent.pop("webhook-signature").startswith("v1,")
        assert sent == promised


def test_a_lookup_without_the_value_it_asks_by_is_never_sent(
    session: Session, admin: Actor, keyring: KeyRing, target: Target
) -> None:
    bench = Bench(session, admin, target.url)
    bench.person.employee_id = None
    by_number = {"filter": 'externalId eq "{{ grantee.employee_id | scim }}"'}
    bench.set_up(
        bench.step("find", method="GET", path="/Users", query=by_number, body=None, capture={"id": "$.id"}),
        bench.step("remove", method="DELETE", path="/Users/{{ steps.find.id }}", body=None),
    )
    shown = bench.dry()
    send_all(bench, keyring, target)
    assert (shown.end.value, len(shown.steps), target.calls) == ("failed", 1, [])
    assert shown.steps[0].warnings[0].startswith("query.filter: grantee.employee_id is empty")


def test_a_value_with_quotes_asks_for_itself_alone(
    session: Session, admin: Actor, keyring: KeyRing, target: Target
) -> None:
    bench = Bench(session, admin, target.url)
    bench.person.username = 'x" or userName eq "root'
    query = {"filter": 'userName eq "{{ grantee.username | scim }}"'}
    bench.set_up(bench.step("find", method="GET", path="/Users", query=query, body=None))
    send_all(bench, keyring, target)
    asked = dict(parse_qsl(urlsplit(target.calls[0].path).query))["filter"]
    assert scim_tokens(asked) == [("word", "userName"), ("word", "eq"), ("text", bench.person.username)]


@pytest.mark.parametrize(
    ("answers", "supposing", "sent"),
    [
        ({"GET": Answer(404, {"error": "no"})}, Supposing(statuses={"find": 404}), ["GET", "POST", "PUT"]),
        ({"GET": Answer(200, {})}, Supposing(absent=["steps.find.id"]), ["GET", "POST", "PUT"]),
        ({}, Supposing(), ["GET", "PUT"]),
    ],
)  # fmt: skip
def test_conditions_and_ways_by_status_send_what_the_dry_run_shows(  # noqa: PLR0917
    session: Session,
    admin: Actor,
    keyring: KeyRing,
    target: Target,
    answers: dict[str, Answer],
    supposing: Supposing,
    sent: list[str],
) -> None:
    bench = Bench(session, admin, target.url)
    unknown = [{"value": "{{ account.id }}", "is": "empty"}]
    lookup = {"id": {"path": "$.id", "optional": True}}
    created = {"id": {"path": "$.id", "same": True}}
    bench.set_up(
        bench.step(
            "find", method="GET", path="/Users/{{ grantee.email }}", body=None, capture=lookup,
            only_if=unknown, on_status={"404": {"step": "create"}},
        ),
        bench.step("create", only_if=unknown, capture=created),
        bench.step("change", method="PUT", path="/Users/{{ account.id }}", body={"a": "{{ account.id }}"}),
    )  # fmt: skip
    target.answer = lambda call: answers.get(call.method, Answer(200, {"id": "u-7"}))
    shown = bench.dry(supposing=supposing).steps
    send_all(bench, keyring, target)
    assert [call.method for call in target.calls] == sent
    requests = [one.request for one in shown if one.request is not None]
    known = {"‹steps.find.id›": "u-7", "‹steps.create.id›": "u-7"}
    for request, call in zip(requests, target.calls, strict=True):
        assert request_line(call, target) == filled(f"{request.method} {request.url}", known)
        assert call.raw == filled((request.body or b"").decode(), known).encode()


def filled(text: str, known: dict[str, str]) -> str:
    """`text` with what was not known before it was sent."""
    for placeholder, value in known.items():
        text = text.replace(placeholder, value)
    return text


def request_line(call: Call, target: Target) -> str:
    return f"{call.method} {target.url}{call.path}"


def seal(session: Session, keyring: KeyRing, connection_id: int, secret: str) -> None:
    sealed = keyring.seal(secret, bound_to(connection_id))
    values = {"sealed": sealed.token, "key_id": sealed.key_id, "set_at": NOW, "set_by": "Alice"}
    session.add(Credential(connection_id=connection_id, **values))
    session.flush()


def send_all(bench: Bench, keyring: KeyRing, target: Target) -> Run:
    """Run the workflow as a worker would, every call over the wire."""
    session = bench.session
    assert bench.workflow is not None
    assert bench.grant is not None
    bench.workflow.is_enabled = True
    run = run_now(session, bench.admin, bench.grant, Trigger.ACCESS_GRANTED)
    client = HttpClient(EgressPolicy(target.url.removeprefix("http://")))
    [moved] = claim(session.connection(), HOLDER, now=run.due_at or NOW, ids=[run.id], limit=1)
    while moved.order is not None:
        outcome = perform(moved.order, client, keyring).outcome
        answered = m.Answered(moved.order.step.key, moved.order.attempt, outcome)
        [moved] = advance(session.connection(), [Move(run.id, answered)], now=NOW, holder=HOLDER)
    client.close()
    return run
