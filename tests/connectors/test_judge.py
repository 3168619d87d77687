"""What an answer means for a step: by status, by its author's conditions, and by what is known of the account."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from urllib3 import HTTPHeaderDict

from app.connectors.auth.method import SignedReply
from app.connectors.judge import judge
from app.connectors.messages import Reply
from app.connectors.perform import prepare
from app.domain.runs.calls import ConnectionData, Order, Outcome
from app.domain.states import FailureClass as F
from app.domain.workflows.definition import parse_definition
from tests.support.factories import http_step

CONTEXT: dict[str, Any] = {
    "grantee": {"email": "o'neil@example.org", "id": "3"},
    "steps": {},
    "account": {"id": "u-7"},
    "grant": {"id": "1", "kept": {}},
}
JSON = {"Content-Type": "application/json"}
PAGE = "<!doctype html><title>Sign in</title>"


def order(known: dict[str, Any] | None = None, **step: Any) -> Order:
    steps = [http_step("create", 1, **step), http_step("other", 1)]
    definition, problems = parse_definition(steps)
    assert definition is not None, problems
    connection = ConnectionData(
        1, 1, "http", "T", {"base_url": "https://t.test/api"}, None, datetime(2026, 1, 1, tzinfo=UTC)
    )
    made = Order(1, 1, 1, definition.step("create"), "key", CONTEXT, connection)
    return replace(made, known=known or {})


def judged(
    status: int,
    said: str = "",
    answered: dict[str, str] | None = None,
    *,
    known: dict[str, Any] | None = None,
    secret: str = "s3cret-value",
    **step: Any,
) -> Outcome:
    asked = order(known, **step)
    reply = Reply(status, HTTPHeaderDict(JSON if answered is None else answered), said.encode(), False, 1)
    return judge(asked, prepare(asked), SignedReply(reply, frozenset({secret})))


OK_IS_TRUE = [{"path": "$.ok", "is": "equal", "than": True}]


def test_a_success_by_status_that_says_no_is_an_unexpected_answer() -> None:
    refused = judged(
        200, '{"ok": false, "error": "user_not_found"}', expect=OK_IS_TRUE, failure_reason="$.error"
    )
    assert (refused.failure, refused.http_status) == (F.UNEXPECTED_ANSWER, 200)
    assert refused.detail == "Expected that $.ok is true; it is false. It said: “user_not_found”"
    assert judged(200, '{"ok": true}', expect=OK_IS_TRUE).ok


@pytest.mark.parametrize(
    ("expect", "body", "ok"),
    [
        ([{"path": "$.errors", "is": "empty"}], '{"data": {}}', True),
        ([{"path": "$.errors", "is": "empty"}], '{"errors": [{"message": "no"}]}', False),
        ([{"path": "$.result", "is": "not_empty"}], '{"error": {"code": -32500}}', False),
        (
            [{"path": "$.ocs.meta.statuscode", "is": "equal", "than": 100}],
            '{"ocs":{"meta":{"statuscode":997}}}',
            False,
        ),
        ([{"path": "$.ok", "is": "equal", "than": True}], "not json", False),
        ([{"path": "$.ok", "is": "equal", "than": True}], "", False),
        ([{"path": "status", "is": "in", "than": [200, 201]}], "", True),
        ([{"path": "status", "is": "equal", "than": 204}], "{}", False),
        ([{"path": "header:X-Ok", "is": "equal", "than": "1"}], "{}", True),
        (
            [{"path": "$.mail", "is": "equal", "than": "{{ grantee.email }}"}],
            '{"mail": "o\'neil@example.org"}',
            True,
        ),
        (
            [{"path": "$.mail", "is": "equal", "than": "{{ grantee.email }}"}],
            '{"mail": "boss@example.org"}',
            False,
        ),
    ],
)
def test_success_is_what_the_author_says(expect: list[Any], body: str, ok: bool) -> None:
    outcome = judged(200, body, {**JSON, "X-Ok": "1"}, expect=expect)
    assert outcome.ok is ok
    assert outcome.failure is (None if ok else F.UNEXPECTED_ANSWER)


def test_an_unexpected_value_is_shown_only_where_it_is_short_and_no_secret() -> None:
    for value in ("x" * 300, "s3cret-value", {"a": 1}, "begins s3cret-value ends"):
        detail = judged(200, json.dumps({"ok": value}), expect=OK_IS_TRUE).detail
        assert detail == "Expected that $.ok is true."


def test_the_reason_of_a_failure_is_one_short_line_without_a_secret() -> None:
    said = judged(422, '{"detail": "name\\n\\u0007is taken"}', failure_reason="$.detail").detail
    assert said == "It said: “name  is taken”"
    assert len(judged(422, '{"detail": "' + "x" * 900 + '"}', failure_reason="$.detail").detail) < 330
    assert judged(422, '{"detail": "token s3cret-value is bad"}', failure_reason="$.detail").detail == ""
    assert judged(422, PAGE, failure_reason="$.detail").failure is F.HTTP_4XX
    assert judged(422, '{"detail": "no"}').detail == ""


@pytest.mark.parametrize("status", [404, 410, 403])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/html; charset=utf-8"}, "gone"),
        (JSON, PAGE),
        ({}, "\n <!-- x --><HTML lang=en>"),
    ],
)
def test_a_web_page_is_never_a_success_by_a_listed_refusal(
    status: int, headers: dict[str, str], body: str
) -> None:
    outcome = judged(status, body, headers, method="DELETE", success_statuses=["200-299", status])
    assert (outcome.failure, outcome.http_status) == (F.HTTP_4XX, status)
    assert "web page" in outcome.detail


def test_a_listed_refusal_without_a_web_page_is_a_success() -> None:
    for body, headers in (
        ("", {}),
        ('{"status": "404"}', JSON),
        ("Not found", {"Content-Type": "text/plain"}),
    ):
        assert judged(404, body, headers, method="DELETE", success_statuses=["200-299", 404]).ok


def test_a_web_page_with_a_success_is_said() -> None:
    outcome = judged(200, PAGE, {"Content-Type": "text/html"})
    assert (outcome.ok, "web page" in outcome.detail) == (True, True)
    wanted = {"Accept": "text/html"}
    assert judged(200, PAGE, {"Content-Type": "text/html"}, headers=wanted).detail == ""


def test_a_status_goes_the_way_that_its_author_chose() -> None:
    way = {"on_status": {"404": {"step": "other"}}}
    assert judged(404, "{}", **way).branches
    assert not judged(409, "{}", **way).branches
    assert not judged(200, "{}", **way).branches
    # A wrong address answers with a page, and says nothing of the account.
    assert not judged(404, PAGE, {"Content-Type": "text/html"}, **way).branches


def test_of_several_values_none_may_be_what_it_must_not_be() -> None:
    none = [{"path": "$.results[*].ok", "is": "not_equal", "than": False}]
    assert judged(200, '{"results": [{"ok": true}, {"ok": true}]}', expect=none).ok
    for body in ('[{"ok": false}, {"ok": false}]', '[{"ok": true}, {"ok": false}]'):
        assert judged(200, f'{{"results": {body}}}', expect=none).failure is F.UNEXPECTED_ANSWER
    neither = [{"path": "$.results[*].state", "is": "not_in", "than": ["failed", "gone"]}]
    assert not judged(200, '{"results": [{"state": "ok"}, {"state": "gone"}]}', expect=neither).ok


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_refusal_says_not_yet_only_by_something_that_is_there(status: int) -> None:
    until_done = {"wait_when": [{"path": "$.state", "is": "not_equal", "than": "done"}]}
    assert judged(status, '{"error": "no"}', retry=until_done).failure is not F.WAIT
    assert judged(200, '{"state": "pending"}', retry=until_done).failure is F.WAIT
    assert judged(status, '{"status": "pending"}', retry=PENDING).failure is F.WAIT


SECRET = "s3cr3t-v4lue/of+the=console"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.upper(),
        SECRET[1:],
        SECRET[4:14],
        " ".join(SECRET),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"console:{SECRET}".encode()).decode(),
        base64.urlsafe_b64encode(f"a:{SECRET}".encode()).decode(),
    ],
)
def test_what_is_shown_of_an_answer_gives_no_form_of_the_credential_away(form: str) -> None:
    body = json.dumps({"detail": f"cannot use {form} here", "ok": form})
    assert judged(422, body, failure_reason="$.detail", secret=SECRET).detail == ""
    assert judged(200, body, expect=OK_IS_TRUE, secret=SECRET).detail == "Expected that $.ok is true."


PENDING = {"wait_when": [{"path": "$.status", "is": "equal", "than": "pending"}]}


@pytest.mark.parametrize("status", [200, 202, 400, 503])
def test_a_body_can_say_not_yet_whatever_the_status(status: int) -> None:
    outcome = judged(status, '{"status": "pending"}', retry=PENDING)
    assert outcome.failure is F.WAIT
    assert "$.status is pending" in outcome.detail
    assert judged(200, '{"status": "done"}', retry=PENDING).ok


def test_accepted_means_not_yet_where_it_is_listed_to_wait_for() -> None:
    assert judged(202, "{}", retry={"wait_statuses": [202]}).failure is F.WAIT
    assert judged(202, "{}", retry={"wait_statuses": [202]}, success_statuses=[200, 202]).ok


@pytest.mark.parametrize("known", ["u-7", 42, 1])
def test_of_another_account_than_the_known_one_nothing_is_kept(known: Any) -> None:
    capture = {"id": {"path": "$.id", "same": True}, "mail": "$.mail"}
    body = '{"id": "boss", "mail": "b@x"}'
    wrong = judged(200, body, known={"id": (known, "what is known")}, capture=capture)
    assert (wrong.failure, wrong.http_status, dict(wrong.captured)) == (F.WRONG_ACCOUNT, 200, {})
    assert judged(200, f'{{"id": "{known}", "mail": "b@x"}}', known={"id": (known, "x")}, capture=capture).ok
    assert judged(
        200, "{}", known={"id": (known, "x")}, capture={"id": {"path": "$.id", "optional": True}}
    ).ok


def test_what_was_found_is_kept_when_something_else_is_lacking() -> None:
    lacking = judged(201, '{"id": "acc7"}', capture={"id": "$.id", "mail": "$.mail"})
    assert (lacking.failure, dict(lacking.captured)) == (F.MAPPING, {"id": "acc7"})
    assert lacking.detail == "capture mail: the answer holds nothing at this path"


def test_an_answer_that_repeats_the_credential_is_not_kept_from_it() -> None:
    body = '{"id": "u1", "echo": "Bearer s3cret-value"}'
    refused = judged(201, body, capture={"id": "$.id", "echo": "$.echo"})
    assert (refused.failure, dict(refused.captured)) == (F.MAPPING, {"id": "u1"})
    passed = judged(201, body, capture={"id": "$.id", "echo": {"path": "$.echo", "optional": True}})
    assert (passed.ok, dict(passed.captured)) == (True, {"id": "u1"})


def test_a_path_with_a_value_in_its_quotes_finds_the_one_that_is_meant() -> None:
    capture = {"id": '$.users[?@.mail == "{{ grantee.email }}"].id'}
    body = '{"users": [{"id": "boss", "mail": "b@x"}, {"id": "u1", "mail": "o\'neil@example.org"}]}'
    assert dict(judged(200, body, capture=capture).captured) == {"id": "u1"}


def test_what_was_empty_in_a_refused_request_is_named() -> None:
    body = {"family": "{{ grantee.last_name }}", "mail": "{{ grantee.email }}"}
    assert judged(400, "{}", body=body).detail == "Empty in what was sent: grantee.last_name."
    assert judged(503, "{}", body=body).detail == ""


@pytest.mark.parametrize(
    "said", ["x" * 70_000, "not json", PAGE, '{"id": ["a"]}', '{"id": "' + "x" * 2_001 + '"}']
)
def test_a_call_that_was_carried_out_succeeds_without_an_optional_value_that_cannot_be_kept(
    said: str,
) -> None:
    optional = {"id": {"path": "$.id", "optional": True}}
    made = judged(201, said, method="POST", capture=optional)
    assert (made.ok, dict(made.captured)) == (True, {})
    assert judged(200, said, method="GET", capture=optional).failure is F.MAPPING


def test_an_id_is_the_same_as_text_and_as_number_but_not_as_a_truth() -> None:
    capture = {"id": "$.id"}
    for found, known, same in (
        ("1", 1, True),
        (1, "1", True),
        (True, 1, False),
        (1, True, False),
        (True, "true", True),
    ):
        outcome = judged(
            200, json.dumps({"id": found}), known={"id": (known, "what is known")}, capture=capture
        )
        assert outcome.ok is same
