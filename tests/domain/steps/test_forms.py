"""A mapping as rows and back, and one step as fields and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.steps.forms import from_values, to_values
from app.domain.steps.rows import BadRow, Row, from_rows, parse_json, to_rows
from app.domain.workflows.definition import canonical, parse_definition
from app.web.workflows.drafts import Draft
from tests.support.factories import http_step, human_step

SCIM = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "active": True,
    "quota": 2.5,
    "manager": None,
    "name": {"givenName": "{{ grantee.first_name }}", "familyName": " kept "},
    "urn:example:2.0:User": {"cost center": "7"},
    "notes": "two\nlines",
    "empty": {},
}

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=12), inner, max_size=3)
    ),
    max_leaves=12,
)


def test_a_nested_object_becomes_dotted_rows_and_the_same_object_again() -> None:
    rows = to_rows(SCIM)
    assert rows is not None
    assert Row("name.givenName", "text", "{{ grantee.first_name }}") in rows
    assert Row('"urn:example:2.0:User"."cost center"', "text", "7") in rows
    assert from_rows(rows) == SCIM


@given(st.dictionaries(st.text(min_size=1, max_size=12).filter(str.strip), values, max_size=4))
def test_every_object_survives_being_shown_as_rows(mapping: dict[str, Any]) -> None:
    rows = to_rows(mapping)
    assert rows is not None
    assert json.dumps(from_rows(rows), sort_keys=True) == json.dumps(mapping, sort_keys=True)


@pytest.mark.parametrize(
    ("rows", "index", "words"),
    [
        ([Row("", "text", "x")], 0, "no name"),
        ([Row("a", "text", "1"), Row("a", "text", "2")], 1, "twice"),
        ([Row("a", "text", "1"), Row("a.b", "text", "2")], 1, "twice"),
        ([Row("a", "number", "{{ grantee.id }}")], 0, "Enter a number"),
        ([Row("a", "number", "true")], 0, "Enter a number"),
        ([Row("a", "boolean", "yes")], 0, "true or false"),
        ([Row("a", "json", "[1,")], 0, "not JSON"),
        ([Row("a", "json", "")], 0, "Enter JSON"),
        ([Row("a..b", "text", "1")], 0, "dots between"),
        ([Row('"a', "text", "1")], 0, "double quotes"),
        ([Row("a", "json", '{"b": 1, "b": 2}')], 0, "twice"),
        ([Row("a", "json", "9" * 5000)], 0, "64 bits"),
    ],
)
def test_a_row_that_is_none_is_named_with_its_reason(rows: list[Row], index: int, words: str) -> None:
    with pytest.raises(BadRow, match=words) as caught:
        from_rows(rows)
    assert caught.value.index == index


def test_blank_rows_count_for_nothing() -> None:
    assert from_rows([Row("", "text", ""), Row("a", "text", "1"), Row(" ", "number", "")]) == {"a": "1"}


def test_only_an_object_has_rows() -> None:
    assert to_rows(["a"]) is None
    assert to_rows("text") is None
    assert to_rows(None) == []


@pytest.mark.parametrize("text", ["NaN", "[" * 100_000, "{", "nul", '{"a": 1} x'])
def test_what_is_not_json_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        parse_json(text)


@pytest.mark.parametrize(
    "step",
    [
        http_step(
            body=SCIM,
            query={"notify": False, "page": 2, "q": "{{ grantee.email }}", "ids": ["a", "b"]},
            headers={"Content-Type": "application/scim+json"},
            body_format="json",
            capture={"id": "$.id", "etag": {"path": "header:ETag", "optional": True}},
            success_statuses=["200-299", 409],
            idempotent=True,
            retry={"attempts": 4, "backoff": "fixed", "delay_seconds": 1.5, "wait_statuses": [429]},
            on_success={"step": "later"},
            on_failure={"compensate": "undo"},
        ),
        http_step(
            only_if=[{"value": "{{ account.id }}", "is": "empty"}],
            expect=[
                {"path": "$.ok", "is": "equal", "than": True},
                {"path": "status", "is": "not_in", "than": [207, "a,b"]},
                {"path": "$.state", "is": "in", "than": ["done", "gone"]},
                {"path": "header:X-Left", "is": "greater", "than": 2.5},
                {"path": "$.note", "is": "not_equal", "than": ""},
            ],
            on_status={"404": {"step": "create"}, "409": {"step": "look"}},
            failure_reason="$.detail",
            retry={
                "attempts": 1, "wait_statuses": [202],
                "wait_when": [{"path": "$.status", "is": "equal", "than": "pending"}],
                "poll": {"every_seconds": 10, "for_seconds": 5400},
            },
            capture={
                "id": {"path": "$.id", "same": True}, "ids": {"path": "$.ids[*]", "list": True, "keep": False},
                "membership": {"path": "$.m", "keep": "grant", "choose": "first", "optional": True},
            },
        ),
        http_step(method="DELETE", body=None),
        http_step(body=["a", 1]),
        {"key": "t", "name": "T", "type": "webhook", "connection_id": 2, "body": {"a": 1}, "on_failure": "escalate"},
        human_step(name="Ask", due_hours=1.5, on_success="end", fields=[
            {"name": "team", "label": "Team", "type": "choice", "required": True, "options": ["Red, dark", "Blue"]},
            {"name": "size", "label": "Size", "type": "number", "required": False},
        ]),
        human_step(name="Ask", assignee={"group_id": "3"}, only_if=[{"value": "x", "is": "equal", "than": "1"}]),
    ],
)  # fmt: skip
def test_a_step_means_the_same_after_the_editor(step: dict[str, Any]) -> None:
    again, errors = from_values(to_values(step))
    assert errors == []
    before, after = (parse_definition([one]) for one in (step, again))
    assert before[0] is not None
    assert after[0] is not None, after[1]
    assert canonical(before[0]) == canonical(after[0])


def test_a_number_that_is_none_stays_as_it_was_typed() -> None:
    typed = to_values(http_step(retry={"attempts": 3})) | {"attempts": ["many"], "delay_seconds": ["1,5"]}
    step, errors = from_values(typed)
    assert errors == []
    assert step["retry"] == {
        "attempts": "many", "backoff": "exponential", "delay_seconds": "1,5", "wait_statuses": [],
        "lost_answer": "resend",
    }  # fmt: skip
    assert to_values(step)["attempts"] == ["many"]


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"expect_of": ["$.a", "$.b"], "expect_kind": ["text", "number"], "expect_than": ["", "x"]}, "expect_than-2"),
        ({"only_if_of": ["", "x"], "only_if_kind": ["", "json"], "only_if_than": ["", "["]}, "only_if_than-2"),
        ({"on_status_code": ["404", "404"], "on_status_step": ["a", "b"]}, "on_status_code-2"),
        ({"on_status_code": [""], "on_status_step": ["a"]}, "on_status_code-1"),
        ({"capture_name": [""], "capture_source": ["$.a"]}, "capture_name-1"),
    ],
)  # fmt: skip
def test_what_no_json_can_hold_is_named_by_its_input(typed: dict[str, list[str]], field: str) -> None:
    _step, errors = from_values(to_values(http_step()) | typed)
    assert [one.field for one in errors] == [field]


def test_what_is_compared_with_nothing_is_left_out_and_what_is_missing_is_asked_for() -> None:
    typed = {
        "expect_of": ["$.a", "$.b", ""],
        "expect_is": ["empty", "equal", "empty"],
        "expect_kind": ["number", "text", "text"],
        "expect_than": ["7", " ", ""],
    }
    step, errors = from_values(to_values(http_step()) | typed)
    assert (errors, step["expect"]) == ([], [{"path": "$.a", "is": "empty"}, {"path": "$.b", "is": "equal"}])
    _definition, problems = parse_definition([step])
    assert "expect[1].than" in problems[0].field


def test_a_plain_step_has_none_of_the_members_that_say_more() -> None:
    step, _ = from_values(to_values(http_step()))
    assert not {"only_if", "expect", "on_status", "failure_reason"} & set(step)
    assert not {"wait_when", "poll"} & set(step["retry"])


def test_steps_of_any_json_can_be_shown() -> None:
    odd = {
        "only_if": [3, {"value": 1, "is": 2}],
        "expect": "no",
        "on_status": {"404": 1},
        "type": 7,
        "name": ["x"],
        "retry": "no",
        "query": [1],
        "headers": 3,
        "capture": {"a": {"b": 1}},
        "on_success": {},
    }
    assert to_values(odd)["name"] == ['["x"]']
    assert to_values({**odd, "type": "http"})["query_name"] == []
    assert to_values({"type": "human", "fields": [3, {"options": 1}], "assignee": []})["field_label"] == [""]


def test_an_edge_follows_a_step_that_is_given_another_key() -> None:
    first = http_step("a", on_failure={"compensate": "b"}, on_status={"404": {"step": "b"}})
    draft = Draft.of([first, http_step("b")], 1)
    draft.show("b")
    form = {
        "uid": ["a", "b"],
        "step": [slot.packed() for slot in draft.slots],
        "open": ["b"],
        **draft.typed,
        "key": ["undo"],
    }
    after = Draft.from_form(form)
    assert after.slots[0].step["on_failure"] == {"compensate": "undo"}
    assert after.slots[0].step["on_status"] == {"404": {"step": "undo"}}
