"""What a connection's configuration may be."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import Invalid
from app.schemas.base import parse
from app.schemas.connections import ConnectionIn, ConnectionPatch, CredentialIn

BASE = "https://api.example.com/v1"


def http(**config: object) -> dict[str, Any]:
    return parse(ConnectionIn, {"type": "http", "name": "API", "config": {"base_url": BASE, **config}}).config


def refused(**config: object) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        http(**config)
    return {error.field: error.message for error in caught.value.errors}


def test_a_base_url_is_enough() -> None:
    assert http() == {"base_url": BASE, "auth": "none", "timeout_seconds": 30}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "ftp://api.example.com",
        "https://user:pass@api.example.com",
        "https://api.example.com\\@evil.example",
        "https://api.example.com/#x",
        "https://api.example.com/?a=b",
        "https://2130706433/",
        "https://api.example.com/../admin",
    ],
)
def test_an_address_that_could_mean_something_else_is_refused(url: str) -> None:
    assert list(refused(base_url=url)) == ["config.base_url"]


def test_an_internal_http_address_is_taken_since_egress_decides_at_the_call() -> None:
    assert http(base_url="http://10.0.0.5:8080")["base_url"] == "http://10.0.0.5:8080"


def test_basic_needs_a_user_name_and_keeps_it_only_there() -> None:
    assert refused(auth="basic") == {"config.username": "Enter the user name."}
    assert refused(auth="basic", username="a:b") == {"config.username": "The user name may not hold a colon."}
    assert http(auth="basic", username="svc")["username"] == "svc"
    assert "username" not in http(auth="bearer", username="svc")


def test_an_api_key_travels_in_a_header_that_is_its_own() -> None:
    assert http(auth="api_key")["api_key_header"] == "X-API-Key"
    assert http(auth="api_key", api_key_header="Authorization")["api_key_header"] == "Authorization"
    assert list(refused(auth="api_key", api_key_header="Host")) == ["config.api_key_header"]


def test_ways_of_signing_in_that_nobody_knows_are_refused_by_name() -> None:
    message = "Choose one of: none, bearer, basic, api_key, oauth2_client_credentials."
    assert refused(auth="ntlm") == {"config.auth": message}


def test_oauth_needs_a_token_url_and_a_client_id() -> None:
    found = refused(auth="oauth2_client_credentials")
    assert list(found) == ["config.token_url", "config.client_id"]
    token_url = "https://login.example/token"
    made = http(auth="oauth2_client_credentials", token_url=token_url, client_id="c", scope=" a  b ")
    assert (made["token_url"], made["client_id"], made["client_auth"], made["scope"]) == (
        token_url,
        "c",
        "basic",
        "a b",
    )
    assert not {"token_url", "client_id", "client_auth", "scope"} & set(
        http(auth="bearer", token_url=token_url, client_id="c", scope="a", client_auth="post")
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("token_url", "ftp://login.example/token"),
        ("token_url", "https://user:pass@login.example/token"),
        ("token_url", "//login.example"),
        ("client_auth", "private_key_jwt"),
        ("scope", 'users "all"'),
    ],
)
def test_an_oauth_field_that_cannot_be_used_is_named(field: str, value: str) -> None:
    given = {"token_url": "https://login.example/token", "client_id": "c"} | {field: value}
    assert list(refused(auth="oauth2_client_credentials", **given)) == [f"config.{field}"]


OAUTH = {"auth": "oauth2_client_credentials", "token_url": "https://login.example/token", "client_id": "c"}


def test_further_parameters_of_a_token_request_are_kept_as_they_are() -> None:
    given = {"organization": " org 1 ", "x.y-z_1": "a=b&c"}
    made = http(**OAUTH, audience="https://api.example/", resource="urn:api", token_params=given)
    assert (made["audience"], made["resource"]) == ("https://api.example/", "urn:api")
    assert made["token_params"] == {"organization": "org 1", "x.y-z_1": "a=b&c"}
    assert not {"audience", "resource", "token_params"} & set(http(**OAUTH, token_params={}, audience=" "))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        *(
            ({name: "x"}, name)
            for name in ("grant_type", "client_id", "client_secret", "scope", "audience", "resource", "Scope")
        ),
        ({"a b": "x"}, "letters"),
        ({"": "x"}, "letters"),
        ({"a": 5}, "text"),
        ({"a": None}, "text"),
        ({"a": "x\0"}, ""),
        ({"a": "x" * 2001}, ""),
        ({"a": "1", " a": "2"}, "twice"),
        ({f"p{one}": "" for one in range(21)}, "at most 20"),
        ("a=b", "object"),
        ([], "object"),
    ],
    ids=str,
)
def test_a_parameter_of_the_token_request_that_cannot_be_sent_is_named(given: object, words: str) -> None:
    found = refused(**OAUTH, token_params=given)
    assert list(found) == ["config.token_params"]
    assert words in found["config.token_params"]


@pytest.mark.parametrize("name", ["Authorization", "Host", "Idempotency-Key", "webhook-id", "bad name"])
def test_default_headers_cannot_replace_what_the_console_sends(name: str) -> None:
    assert list(refused(headers={name: "x"})) == ["config.headers"]


def test_default_headers_are_trimmed_and_come_once() -> None:
    assert http(headers={" X-Org ": " 42 "})["headers"] == {"X-Org": "42"}
    assert refused(headers={"X-Org": "1", "x-org": "2"}) == {
        "config.headers": "The header x-org is there twice."
    }
    assert "config.headers" in refused(headers={"X-Org": "a\r\nHost: evil"})
    assert "config.headers" in refused(headers={"X-Org": 5})


@pytest.mark.parametrize("seconds", [0, 121, 1.5, "x", True, "nan", "1e400"])
def test_a_timeout_is_whole_seconds_up_to_two_minutes(seconds: object) -> None:
    assert refused(timeout_seconds=seconds) == {
        "config.timeout_seconds": "Enter a whole number from 1 to 120."
    }


def test_numbers_of_a_form_are_read() -> None:
    config = http(timeout_seconds="120", requests_per_second="0.5")
    assert (config["timeout_seconds"], config["requests_per_second"]) == (120, 0.5)
    assert "requests_per_second" not in http(requests_per_second="")


def test_a_health_path_begins_with_a_slash_and_stays_a_path() -> None:
    assert http(health_path="/health?full=1")["health_path"] == "/health?full=1"
    assert list(refused(health_path="health")) == ["config.health_path"]
    assert list(refused(health_path="/../x")) == ["config.health_path"]


def test_a_ca_bundle_is_certificates() -> None:
    assert list(refused(ca_bundle="hello")) == ["config.ca_bundle"]


def test_a_webhook_has_an_address_and_nothing_of_http() -> None:
    made = parse(
        ConnectionIn,
        {"type": "webhook", "name": "Hook", "config": {"url": "https://hooks.example.com/in?team=7"}},
    )
    assert made.config == {"url": "https://hooks.example.com/in?team=7"}
    with pytest.raises(Invalid) as caught:
        parse(ConnectionIn, {"type": "webhook", "name": "Hook", "config": {"base_url": BASE}})
    assert [error.field for error in caught.value.errors] == ["config.url", "config.base_url"]


def test_without_a_type_only_the_type_is_asked_for() -> None:
    with pytest.raises(Invalid) as caught:
        parse(ConnectionIn, {"name": "API", "config": {"base_url": BASE}})
    assert [error.field for error in caught.value.errors] == ["type"]


def test_a_configuration_that_is_no_object_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        parse(ConnectionIn, {"type": "http", "name": "API", "config": "https://x"})
    assert [error.field for error in caught.value.errors] == ["config"]


def test_a_change_merges_into_what_is_there() -> None:
    patch = parse(ConnectionPatch, {"config": {"health_path": "/up", "headers": None}})
    stored = {"base_url": BASE, "auth": "none", "timeout_seconds": 5, "headers": {"X-Org": "1"}}
    assert patch.config_on("http", stored) == {
        "base_url": BASE,
        "auth": "none",
        "timeout_seconds": 5,
        "health_path": "/up",
    }


def test_a_change_that_leaves_a_broken_whole_is_refused() -> None:
    patch = parse(ConnectionPatch, {"config": {"auth": "basic"}})
    with pytest.raises(Invalid) as caught:
        patch.config_on("http", {"base_url": BASE})
    assert [error.field for error in caught.value.errors] == ["config.username"]


def test_a_credential_never_shows_itself() -> None:
    secret = parse(CredentialIn, {"value": "hunter2\n"})
    assert secret.value == "hunter2"
    assert "hunter2" not in repr(secret)
    assert "hunter2" not in str(secret)


@pytest.mark.parametrize("value", [None, "", "  ", 5, "a\0b", "\ud800", "x" * 20_000])
def test_what_cannot_be_a_credential_is_refused_without_quoting_it(value: object) -> None:
    with pytest.raises(Invalid) as caught:
        parse(CredentialIn, {"value": value})
    assert [error.field for error in caught.value.errors] == ["value"]
