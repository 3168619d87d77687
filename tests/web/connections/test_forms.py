"""The Connections tab, and making, changing and deleting a connection."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.models import Connection
from tests.support.web.places import Place
from tests.support.web.readers import Reader


def test_it_lists_connections_with_their_state(bob: Reader, place: Place) -> None:
    rows = bob.client.get(f"/applications/{place.application}/connections").table("connections")
    assert [row["Name"] for row in rows] == ["Chat", "Jira API"]
    assert rows[0] == {
        "Name": "Chat",
        "State": "In use",
        "Type": "Webhook",
        "Address": "https://chat.example/hook",
        "Signs in with": "Signature",
        "Credential": "Not set",
        "Last test": "Nothing to probe",
    }
    assert (rows[1]["Credential"], rows[1]["Last test"]) == ("None needed", "Not tested")


def test_without_connections_it_says_what_one_is(alice: Reader, web: Session) -> None:
    from tests.support.factories import make_application

    number = make_application(web).id
    web.commit()
    page = alice.client.get(f"/applications/{number}/connections")
    assert "A connection says how to reach the other system." in page.text
    assert page.follow("Add connection").h1 == "Add connection"


def test_a_new_connection_keeps_every_field(bob: Reader, place: Place, web: Session) -> None:
    page = bob.client.get(f"/applications/{place.application}/connections/new")
    done = page.form("connection-form").fill(
        name="SCIM",
        base_url="https://scim.example/v2",
        auth="api_key",
        api_key_header="X-Key",
        health_path="/health",
        timeout_seconds="12",
        requests_per_second="0.5",
        header_name=["X-Tenant"],
        header_value=["seven"],
    )
    shown = done.submit("Add connection").follow_redirect()
    assert "Add its credential, then test it." in shown.text
    made = web.query(Connection).filter(Connection.name == "SCIM").one()
    assert made.config == {
        "base_url": "https://scim.example/v2",
        "auth": "api_key",
        "api_key_header": "X-Key",
        "health_path": "/health",
        "timeout_seconds": 12,
        "requests_per_second": 0.5,
        "headers": {"X-Tenant": "seven"},
    }


def test_a_webhook_has_only_an_address(bob: Reader, place: Place, web: Session) -> None:
    page = bob.client.get(f"/applications/{place.application}/connections/new?type=webhook")
    page.form("connection-form").fill(name="Hook", url="https://hook.example/in").submit("Add connection")
    assert web.query(Connection).filter(Connection.name == "Hook").one().config == {
        "url": "https://hook.example/in"
    }


OAUTH = {"token_url": "https://id.example/token", "client_id": "c"}


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": ""}, "name"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": ""}, "base_url"),
        ({"timeout_seconds": "121"}, "timeout_seconds"),
        ({"timeout_seconds": "soon"}, "timeout_seconds"),
        ({"requests_per_second": "0"}, "requests_per_second"),
        ({"health_path": "health"}, "health_path"),
        ({"auth": "magic"}, "auth"),
        ({"auth": "basic"}, "username"),
        ({"ca_bundle": "no pem"}, "ca_bundle"),
        ({"header_name": ["A", "a"], "header_value": ["1", "2"]}, "headers"),
        ({"header_name": [""], "header_value": ["1"]}, "headers"),
        ({"header_name": ["Authorization"], "header_value": ["x"]}, "headers"),
        ({"name": "jira api"}, "name"),
        *(
            ({"auth": "oauth2_client_credentials", "token_params": text} | OAUTH, "token_params")
            for text in ("organization", "=x", "a=1\na=2", "scope=x", "a b=1")
        ),
    ],
)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_refused_form_keeps_what_was_typed(
    bob: Reader, place: Place, typed: dict[str, object], field: str, htmx: bool
) -> None:
    page = bob.client.get(f"/applications/{place.application}/connections/new")
    form = page.form("connection-form").fill({"name": "Kept", "base_url": "https://kept.example", **typed})
    refused = form.submit("Add connection", expect=422, htmx=htmx)
    assert refused.is_fragment == htmx
    assert refused.select_one(f'#errors a[href="#{field}"]') is not None
    for name, value in typed.items():
        if isinstance(value, str) and name != "auth":
            assert refused.form("connection-form")[name] == value
    if "header_name" in typed:
        assert refused.form("connection-form").fields["header_value"][0] == typed["header_value"][0]  # type: ignore[index]


def test_a_row_is_added_without_saving(bob: Reader, place: Place) -> None:
    page = bob.client.get(f"/applications/{place.application}/connections/new")
    form = page.form("connection-form").fill(name="Kept", header_name=["A"], header_value=["1"])
    more = form.submit("Add a header", expect=200)
    assert more.form("connection-form")["name"] == "Kept"
    assert more.form("connection-form").fields["header_name"] == ["A", ""]


def test_changing_keeps_the_type_and_forgets_the_test(bob: Reader, place: Place, web: Session) -> None:
    page = bob.client.get(f"/connections/{place.http}/edit")
    assert "The type stays" in page.text
    page.form("connection-form").fill(name="Renamed", base_url="https://new.example").submit("Save changes")
    web.rollback()
    changed = web.get_one(Connection, place.http)
    assert (changed.name, changed.type, changed.config["base_url"]) == (
        "Renamed",
        "http",
        "https://new.example",
    )


def test_deleting_lists_the_workflows_that_use_it(
    bob: Reader, place: Place, workflow: int, web: Session
) -> None:
    page = bob.client.get(f"/connections/{place.http}/delete")
    assert "It cannot be deleted while workflows use it." in page.text
    assert page.follow("Edit Provision Jira").h1 == "Provision Jira"
    refused = bob.client.post(f"/connections/{place.http}/delete", expect=409)
    assert "“Provision Jira” uses this connection." in refused.text
    page = bob.client.get(f"/connections/{place.webhook}/delete")
    assert "Chat is deleted" in page.press("Delete").follow_redirect().text
    assert web.query(Connection).count() == 1


def test_it_rejects_the_other_method(bob: Reader, place: Place) -> None:
    bob.client.get(f"/connections/{place.http}/test", expect=405)
    bob.client.get(f"/connections/{place.http}/credential", expect=405)


def test_it_needs_permission(charlie: Reader, place: Place) -> None:
    for path in ("", "/edit", "/delete"):
        charlie.client.get(f"/connections/{place.http}{path}", expect=403)
    charlie.client.get(f"/applications/{place.application}/connections", expect=403)
    charlie.client.get("/account")
    charlie.client.post(f"/connections/{place.http}/test", expect=403)
    charlie.client.post(f"/applications/{place.application}/connections", {"type": "http"}, expect=403)


@pytest.mark.parametrize("kind", ["", "smtp", "http\0", "<b>"])
def test_an_odd_type_is_refused(bob: Reader, place: Place, kind: str) -> None:
    bob.client.get("/account")
    bob.client.post(f"/applications/{place.application}/connections", {"type": kind, "name": "x"}, expect=422)


def test_an_oauth_connection_asks_for_what_it_needs(bob: Reader, place: Place, web: Session) -> None:
    page = bob.client.get(f"/applications/{place.application}/connections/new")
    form = page.form("connection-form").fill(
        name="OAuth", base_url="https://api.example", auth="oauth2_client_credentials"
    )
    refused = form.submit("Add connection", expect=422)
    assert set(refused.errors()) == {"token_url", "client_id"}
    form.fill(token_url="https://id.example/token", client_id="console", scope="users:write").submit(
        "Add connection"
    )
    config = web.query(Connection).filter(Connection.name == "OAuth").one().config
    assert (config["token_url"], config["client_id"], config["scope"]) == (
        "https://id.example/token",
        "console",
        "users:write",
    )
