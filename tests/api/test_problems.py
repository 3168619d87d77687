"""What is refused, with which status, and in which words: RFC 9457 throughout."""

from __future__ import annotations

from io import BytesIO

import pytest
from sqlalchemy.exc import OperationalError

from tests.support.api.client import ApiClient, World

pytestmark = pytest.mark.sqlite_only

DEEP = "[" * 65 + "]" * 65
JUST = "[" * 62 + "]" * 62
BODIES = {
    "no JSON": b"{",
    "an empty value": b'{"name": }',
    "a word": b"name",
    "a trailing comma": b'{"name": "x",}',
    "single quotes": b"{'name': 'x'}",
    "a comment": b'{"name": "x"} // mine',
    "two values": b'{"name": "x"} {}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "a number beyond all": b'{"name": 1e999}',
    "too many digits": b'{"name": ' + b"9" * 5000 + b"}",
    "a name twice": b'{"name": "x", "name": "y"}',
    "a name twice within": b'{"name": "x", "notes": {"a": 1, "a": 2}}',
    "a NUL": b'{"name": "a\\u0000b"}',
    "a NUL in a name": b'{"na\\u0000me": "x"}',
    "half a character": b'{"name": "\\ud800"}',
    "half a character in a name": b'{"\\udfff": 1}',
    "no UTF-8": b'{"name": "\xff"}',
    "a byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "nesting": f'{{"name": {DEEP}}}'.encode(),
    "bottomless nesting": b"[" * 200_000,
    "bottomless objects": b'{"a":' * 150_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_not_json_is_malformed(api: ApiClient, body: bytes) -> None:
    refused = api.expect(400, "POST", "/applications", raw=body)
    assert refused["code"] == "malformed"
    assert api.get("/applications")["items"] == []


@pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", "true"])
def test_json_that_is_no_object_is_refused(api: ApiClient, body: str) -> None:
    assert api.expect(422, "POST", "/applications", raw=body)["code"] == "invalid"


def test_nesting_within_the_limit_is_read(api: ApiClient) -> None:
    refused = api.expect(422, "POST", "/applications", raw=f'{{"name": {JUST}}}')
    assert refused["errors"] == [{"field": "name", "message": "This must be text."}]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_a_body_of_another_type_is_refused(api: ApiClient, kind: str) -> None:
    answer = api.send("POST", "/applications", raw='{"name": "x"}', headers={"Content-Type": kind})
    assert answer.status_code == 415


def test_a_type_with_a_character_set_is_json(api: ApiClient) -> None:
    api.expect(
        201,
        "POST",
        "/applications",
        raw='{"name": "Jürgen"}',
        headers={"Content-Type": "application/json; charset=utf-8"},
    )


def test_a_body_above_the_limit_is_too_large(api: ApiClient) -> None:
    assert api.expect(413, "POST", "/applications", raw=b'"' + b"x" * 1024 * 1024)["code"] == "too_large"


@pytest.mark.parametrize(
    ("spaces", "status"), [(0, 201), (1024 * 1024, 413)], ids=["small", "beyond the limit"]
)
def test_a_body_that_comes_in_chunks_is_measured_too(api: ApiClient, spaces: int, status: int) -> None:
    answer = api.app.test_client().post(
        "/api/v1/applications",
        input_stream=BytesIO(b'{"name": "x"}' + b" " * spaces),
        content_type="application/json",
        headers={"Authorization": f"Bearer {api.secret}", "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == status
    assert len(api.get("/applications")["items"]) == (status == 201)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=1e2x",
        "limit=NaN",
        "limit=1&limit=2",
        "after=x",
        "after=MQ",
        "after=%00",
        "after=%F0%28",
        "active=perhaps",
        "application_id=x",
        "application_id=-1",
        "application_id=9223372036854775808",
        "user_id=1.0",
        "state=happy",
        "grantee=3",
    ],
)
def test_a_parameter_that_cannot_be_read_is_malformed(api: ApiClient, query: str) -> None:
    refused = api.get(f"/grants?{query}", status=400)
    assert refused["code"] == "malformed"


@pytest.mark.parametrize("query", ["status=done", "class=http_3xx", "since=yesterday", "since=2026-01-01"])
def test_a_filter_with_a_word_that_does_not_exist_names_it(api: ApiClient, query: str) -> None:
    refused = api.get(f"/runs?{query}", status=400)
    assert [one["field"] for one in refused["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize(
    "path",
    [
        "/users/999",
        "/users/0",
        "/users/-1",
        "/users/abc",
        "/users/1.0",
        "/users/9223372036854775807",
        "/users/9223372036854775808",
        "/users/99999999999999999999999999",
        "/users/%00",
        "/users/%D9%A1",
        "/grants/999/diagnosis",
        "/runs/999",
        "/applications/999/connections",
        "/workflows/999/versions",
        "/connections/999",
        "/nothing",
        "/users/",
        "/",
    ],
)
def test_what_is_not_there_is_not_found(api: ApiClient, path: str) -> None:
    assert api.get(path, status=404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/users/1"), ("PUT", "/grants"), ("PATCH", "/health")]
)
def test_a_method_that_the_address_does_not_know_is_refused(api: ApiClient, method: str, path: str) -> None:
    answer = api.send(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_refused_fields_are_named_as_they_were_sent(api: ApiClient, world: World) -> None:
    body = {"type": "http", "name": "", "config": {"base_url": "ftp://x", "tokn": 1}}
    refused = api.post(f"/applications/{world.application}/connections", body, status=422)
    assert {one["field"] for one in refused["errors"]} == {"name", "config.base_url", "config.tokn"}


def test_refused_steps_are_named_by_place_and_field(api: ApiClient, world: World) -> None:
    good = {"key": "a", "type": "http", "connection_id": str(world.connection), "method": "GET", "path": "/x"}
    steps = [good, {**good, "key": "b", "path": "https://elsewhere.example/"}]
    refused = api.post(f"/workflows/{world.workflow}/versions", {"steps": steps}, status=422)
    assert [one["field"] for one in refused["errors"]] == ["steps[1].path"]


def test_a_database_that_is_away_is_said_to_be(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("no connection to 10.0.0.1"))

    monkeypatch.setattr("app.api.applications.application_list", away)
    answer = api.send("GET", "/applications")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "10.0.0.1" not in answer.get_data(as_text=True)


def test_a_fault_of_ours_tells_only_the_id_to_look_for(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr("app.api.applications.application_list", broken)
    answer = api.send("GET", "/applications", headers={"X-Request-ID": "call-17"})
    assert answer.status_code == 500
    document = answer.get_json(force=True)
    assert (document["code"], document["instance"]) == ("internal_error", "call-17")
    assert "inside" not in answer.get_data(as_text=True)


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "a\u00e4", "<script>"])
def test_an_id_that_is_not_plain_is_replaced(api: ApiClient, sent: str) -> None:
    answer = api.send("GET", "/users/999", headers={"X-Request-ID": sent})
    assert answer.headers["X-Request-ID"] != sent
    assert answer.get_json(force=True)["instance"] == answer.headers["X-Request-ID"]


def test_a_plain_id_is_kept(api: ApiClient) -> None:
    answer = api.send("GET", "/users", headers={"X-Request-ID": "job-4.2_x"})
    assert answer.headers["X-Request-ID"] == "job-4.2_x"
