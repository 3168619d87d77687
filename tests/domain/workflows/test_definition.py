"""Reading a workflow's definition: each rule by an example, the shape of all of them by properties."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.steps.base import END, NEXT, STOP, Compensate, GoTo, StepType
from app.domain.steps.calls import CaptureRule
from app.domain.steps.statuses import StatusSet
from app.domain.workflows.definition import Definition, canonical, parse_definition, to_json
from tests.support.domain.step_strategies import any_json, definitions, steps

CREATE = {
    "key": "create",
    "name": "Create the account",
    "type": "http",
    "connection_id": "4",
    "method": "POST",
    "path": "/Users",
    "query": {},
    "headers": {"Content-Type": "application/scim+json"},
    "body": {"userName": "{{ grantee.email }}", "active": True},
    "body_format": "json",
    "capture": {"id": "$.id"},
    "success_statuses": ["200-299", 409],
    "idempotent": False,
    "retry": {
        "attempts": 3,
        "backoff": "exponential",
        "delay_seconds": 1,
        "wait_statuses": [429],
        "lost_answer": "ask",
    },
    "on_success": "next",
    "on_failure": "stop",
}
TEAM = {
    "key": "team",
    "name": "team",
    "type": "human",
    "prompt": "Which team for {{ grantee.first_name }}?",
    "fields": [
        {"name": "team", "label": "Team", "type": "choice", "required": True, "options": ["Red", "Blue"]}
    ],
    "assignee": {"group_id": "2"},
    "due_hours": 24,
    "on_success": "next",
    "on_failure": "stop",
}
TELL = {
    "key": "tell",
    "type": "webhook",
    "connection_id": "5",
    "body": {"team": "{{ steps.team.team }}"},
    "on_failure": {"compensate": "undo"},
}
UNDO = {"key": "undo", "type": "http", "connection_id": "4", "method": "DELETE", "path": "/Users/1"}


def read(*raw: object) -> Definition:
    definition, problems = parse_definition(list(raw))
    assert problems == []
    assert definition is not None
    return definition


def fields_refused(*raw: object) -> list[str]:
    definition, problems = parse_definition(list(raw))
    assert definition is None
    assert all(problem.severity == "error" and problem.message for problem in problems)
    return [problem.field for problem in problems]


def changed(step: dict, **fields: object) -> dict:
    return {**copy.deepcopy(step), **fields}


def without(step: dict, name: str) -> dict:
    return {key: value for key, value in step.items() if key != name}


def test_the_api_examples_come_back_as_they_were_sent():
    assert to_json(read(CREATE, TEAM)) == [CREATE, TEAM]


def test_every_default_of_the_specification_is_filled_in():
    step = read({"key": "look", "type": "http", "connection_id": 4, "method": "GET", "path": "/Users"}).step(
        "look"
    )
    assert (step.name, step.connection_id, step.body, step.body_format) == ("look", "4", None, "json")
    assert (step.on_success, step.on_failure) == (NEXT, STOP)
    assert (step.retry.attempts, step.retry.delay_seconds, step.retry.lost_answer) == (1, 1, "resend")
    assert not step.retry.is_on
    assert 299 in step.success_statuses
    assert 300 not in step.success_statuses
    assert not step.retry.wait_statuses


@pytest.mark.parametrize(
    ("method", "idempotent"),
    [("GET", True), ("PUT", True), ("DELETE", True), ("POST", False), ("PATCH", False)],
)
def test_a_method_decides_whether_a_step_may_be_repeated_unless_it_is_marked(method, idempotent):
    plain = changed(without(CREATE, "idempotent"), method=method)
    assert read(plain).step("create").idempotent is idempotent
    assert read(changed(plain, idempotent=not idempotent)).step("create").idempotent is not idempotent


def test_a_webhook_may_be_repeated_only_when_it_is_marked():
    assert not read(TELL).step("tell").idempotent
    assert read(changed(TELL, idempotent=True)).step("tell").idempotent


def test_a_human_task_never_retries_and_its_fields_are_its_outputs():
    step = read(TEAM).step("team")
    assert (step.type, step.call, step.outputs) == (StepType.HUMAN, None, ("team",))


def test_a_capture_is_a_path_alone_or_with_a_mark_that_it_may_be_missing():
    capture = {"id": "$.id", "nick": {"path": "$.nick", "optional": True}, "at": "header:Location"}
    step = read(changed(CREATE, capture=capture)).step("create")
    assert step.capture[:2] == (CaptureRule("id", "$.id"), CaptureRule("nick", "$.nick", optional=True))
    assert to_json(read(changed(CREATE, capture=capture)))[0]["capture"] == capture


def test_a_status_set_holds_its_numbers_and_its_ranges_and_nothing_else():
    statuses = StatusSet(((200, 299), (409, 409)))
    assert [code for code in (199, 200, 299, 300, 409, 410, None, "200") if code in statuses] == [
        200,
        299,
        409,
    ]


def test_the_next_step_is_never_one_that_undoes():
    definition = read(CREATE, changed(UNDO), changed(TELL, key="last"))
    assert definition.compensation_keys == {"undo"}
    assert [definition.next_after(key) for key in ("create", "undo", "last")] == ["last", None, None]
    assert (definition.first, Definition().first) == ("create", None)
    assert "undo" in definition
    assert "nowhere" not in definition


def test_edges_name_steps_in_words_and_in_types():
    definition = read(changed(CREATE, on_success={"step": "tell"}, on_failure={"step": "x"}), TELL)
    assert definition.step("create").on_success == GoTo("tell")
    assert definition.step("create").on_failure == GoTo("x")
    assert definition.step("tell").on_failure == Compensate("undo")
    assert read(changed(CREATE, on_success="end")).step("create").on_success is END


REFUSALS = [
    ("steps[0]", "not an object"),
    ("steps[0].key", without(CREATE, "key")),
    ("steps[0].key", changed(CREATE, key="a.b")),
    ("steps[0].key", changed(CREATE, key="k" * 65)),
    ("steps[0].type", changed(CREATE, type="mcp")),
    ("steps[0].type", without(CREATE, "type")),
    ("steps[0].name", changed(CREATE, name="n" * 201)),
    ("steps[0].name", changed(CREATE, name="half \ud800")),
    ("steps[0].connection_id", without(CREATE, "connection_id")),
    ("steps[0].connection_id", changed(CREATE, connection_id=True)),
    ("steps[0].method", changed(CREATE, method="HEAD")),
    ("steps[0].path", changed(CREATE, path="/" + "p" * 2048)),
    ("steps[0].path", changed(CREATE, path="/a\0b")),
    ("steps[0].path", changed(CREATE, path="  ")),
    ("steps[0].pth", changed(CREATE, pth="/Users")),
    ("steps[0].query.filter", changed(CREATE, query={"filter": {"a": 1}})),
    ("steps[0].query", changed(CREATE, query={"": "x"})),
    ("steps[0].headers.a b", changed(CREATE, headers={"a b": "x"})),
    ("steps[0].headers.x-id", changed(CREATE, headers={"X-Id": "1", "x-id": "2"})),
    ("steps[0].headers.X-Id", changed(CREATE, headers={"X-Id": 5})),
    ("steps[0].body.a", changed(CREATE, body={"a": float("nan")})),
    ("steps[0].body.a[1]", changed(CREATE, body={"a": ["fine", "\0"]})),
    ("steps[0].body.n", changed(CREATE, body={"n": 2**64})),
    ("steps[0].body", changed(CREATE, body="x" * 65_536)),
    ("steps[0].body_format", changed(CREATE, body_format="xml")),
    ("steps[0].capture.a b", changed(CREATE, capture={"a b": "$.id"})),
    ("steps[0].capture.id", changed(CREATE, capture={"id": "id"})),
    ("steps[0].capture.id", changed(CREATE, capture={"id": "header:"})),
    ("steps[0].capture.id.path", changed(CREATE, capture={"id": {"optional": True}})),
    ("steps[0].capture.id.optonal", changed(CREATE, capture={"id": {"path": "$.id", "optonal": True}})),
    ("steps[0].success_statuses", changed(CREATE, success_statuses=[])),
    ("steps[0].success_statuses", changed(CREATE, success_statuses=200)),
    ("steps[0].success_statuses[1]", changed(CREATE, success_statuses=[200, 600])),
    ("steps[0].success_statuses[0]", changed(CREATE, success_statuses=["299-200"])),
    ("steps[0].success_statuses[0]", changed(CREATE, success_statuses=[True])),
    ("steps[0].idempotent", changed(CREATE, idempotent="yes")),
    ("steps[0].retry", changed(CREATE, retry=3)),
    ("steps[0].retry.attempts", changed(CREATE, retry={"attempts": 11})),
    ("steps[0].retry.attempts", changed(CREATE, retry={"attempts": 0})),
    ("steps[0].retry.attempts", changed(CREATE, retry={"attempts": True})),
    ("steps[0].retry.delay_seconds", changed(CREATE, retry={"delay_seconds": 3601})),
    ("steps[0].retry.delay_seconds", changed(CREATE, retry={"delay_seconds": float("nan")})),
    ("steps[0].retry.wait_statuses[0]", changed(CREATE, retry={"wait_statuses": ["soon"]})),
    ("steps[0].retry.lost_answer", changed(CREATE, retry={"lost_answer": "guess"})),
    ("steps[0].retry.tries", changed(CREATE, retry={"tries": 3})),
    ("steps[0].on_success", changed(CREATE, on_success="stop")),
    ("steps[0].on_success", changed(CREATE, on_success={"compensate": "undo"})),
    ("steps[0].on_failure", changed(CREATE, on_failure={"step": "a", "compensate": "b"})),
    ("steps[0].on_failure.compensate", changed(CREATE, on_failure={"compensate": ""})),
    ("steps[0].retry", changed(TEAM, retry={"attempts": 2})),
    ("steps[0].capture", changed(TELL, capture={"id": "$.id"})),
    ("steps[0].prompt", changed(TEAM, prompt="")),
    ("steps[0].assignee", without(TEAM, "assignee")),
    ("steps[0].assignee", changed(TEAM, assignee={"anyone": False})),
    ("steps[0].assignee", changed(TEAM, assignee={"user_id": "1", "group_id": "2"})),
    ("steps[0].assignee.user_id", changed(TEAM, assignee={"user_id": ""})),
    ("steps[0].due_hours", changed(TEAM, due_hours=0)),
    ("steps[0].granter_may_act", changed(TEAM, granter_may_act="no")),
    ("steps[0].fields", changed(TEAM, fields=[{"name": f"f{n}"} for n in range(26)])),
    ("steps[0].fields[0].options", changed(TEAM, fields=[{"name": "a", "type": "choice"}])),
    ("steps[0].fields[0].options", changed(TEAM, fields=[{"name": "a", "options": ["x"]}])),
    (
        "steps[0].fields[0].options[1]",
        changed(TEAM, fields=[{"name": "a", "type": "choice", "options": ["x", "x"]}]),
    ),
    ("steps[0].fields[1].name", changed(TEAM, fields=[{"name": "a"}, {"name": "a"}])),
    ("steps[0].fields[0].type", changed(TEAM, fields=[{"name": "a", "type": "date"}])),
]


@pytest.mark.parametrize(("field", "step"), REFUSALS, ids=[f"{n}-{one[0]}" for n, one in enumerate(REFUSALS)])
def test_a_refused_value_is_named_by_its_field_alone(field, step):
    assert fields_refused(step) == [field]


def test_a_problem_names_its_step_by_place_and_by_key():
    _, [problem] = parse_definition([TEAM, changed(CREATE, path="")])
    assert (problem.field, problem.step) == ("steps[1].path", "create")


def test_a_misspelt_field_is_answered_with_the_real_one():
    _, [problem] = parse_definition([changed(CREATE, sucess_statuses=[200])])
    assert "Did you mean success_statuses?" in problem.message


@pytest.mark.parametrize("raw", [None, {}, "steps", 7, [CREATE] * 51])
def test_what_is_no_list_of_at_most_fifty_steps_is_refused_as_a_whole(raw):
    definition, [problem] = parse_definition(raw)
    assert (definition, problem.field) == (None, "steps")


def test_a_body_nested_beyond_all_sense_is_refused_and_not_followed():
    deep: object = "x"
    for _ in range(20_000):
        deep = [deep]
    assert fields_refused(changed(CREATE, body=deep))[0].startswith("steps[0].body[0][0]")


def test_a_definition_does_not_change_when_its_json_does():
    raw = copy.deepcopy(CREATE)
    definition = read(raw)
    raw["body"]["userName"] = "changed"
    to_json(definition)[0]["body"]["userName"] = "changed too"
    assert definition.step("create").body["userName"] == "{{ grantee.email }}"


def test_true_and_one_are_different_versions_although_python_calls_them_equal():
    yes, one = (read(changed(CREATE, body={"active": value})) for value in (True, 1))
    assert canonical(yes) != canonical(one)
    assert canonical(yes) == canonical(read(*to_json(yes)))


@given(definitions)
def test_a_definition_written_and_read_again_is_the_same(raw):
    definition, problems = parse_definition(raw)
    assert problems == []
    again, _ = parse_definition(json.loads(json.dumps(to_json(definition))))
    assert again == definition
    assert canonical(again) == canonical(definition)


@given(any_json)
def test_reading_never_raises_whatever_the_json(raw):
    for candidate in (raw, [raw], [{"key": raw, "type": "http"}]):
        definition, problems = parse_definition(candidate)
        assert (definition is None) == bool(problems)


@given(steps, st.data())
def test_one_spoilt_field_never_raises_and_every_message_can_be_sent(step, data):
    name = data.draw(st.sampled_from([*sorted(step), "retry", "capture", "fields"]))
    _, problems = parse_definition([{**step, name: data.draw(any_json)}])
    for problem in problems:
        (problem.field + problem.message + (problem.step or "")).encode()
        assert problem.field.startswith("steps[0]")
