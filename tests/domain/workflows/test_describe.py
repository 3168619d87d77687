"""Definitions in words, and what changed between two of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.steps.statuses import StatusSet, describe_statuses
from app.domain.workflows.definition import (
    Definition,
    canonical,
    describe_edge,
    describe_step,
    parse_definition,
    to_json,
)
from app.domain.workflows.diff import ChangeKind, diff_definitions
from tests.support.domain.step_strategies import definitions

CREATE = {
    "key": "create",
    "name": "Create",
    "type": "http",
    "connection_id": "4",
    "method": "POST",
    "path": "/users",
    "body": {"userName": "{{ grantee.email }}", "active": True},
    "retry": {"attempts": 3},
    "on_failure": "escalate",
}
ENDS = {"on_success": "end", "on_failure": "continue", "retry": {"attempts": 1}}
ASK = {"key": "ask", "name": "Ask", "type": "human", "prompt": "Which\nteam?", "assignee": {"anyone": True}}
UNDO = {
    "key": "undo",
    "name": "Undo it",
    "type": "http",
    "connection_id": "4",
    "method": "DELETE",
    "path": "/u/1",
}
TELL = {"key": "tell", "name": "Tell", "type": "webhook", "connection_id": "5"}


def read(*steps: dict) -> Definition:
    definition, problems = parse_definition(list(steps))
    assert problems == []
    assert definition is not None
    return definition


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (CREATE, "POST /users → 2xx · 3 tries, exponential · on failure: escalate to a human"),
        (
            {**CREATE, "success_statuses": ["200-299", 409], "capture": {"id": "$.id"}, **ENDS},
            "POST /users → 2xx, 409 · keeps id · then end the run · on failure: continue anyway",
        ),
        (
            {
                **CREATE,
                "retry": {
                    "attempts": 3,
                    "wait_statuses": [202],
                    "wait_when": [{"path": "$.status", "is": "equal", "than": "pending"}],
                    "poll": {"every_seconds": 10},
                },
                "only_if": [{"value": "{{ account.id }}", "is": "empty"}],
                "expect": [{"path": "$.ok", "is": "equal", "than": True}],
                "on_status": {"409": {"step": "undo"}},
                "capture": {
                    "id": "$.id",
                    "n": {"path": "$.n", "keep": False},
                    "membership": {"path": "$.m", "keep": "grant"},
                },
            },
            (
                "POST /users → 2xx · 3 tries, exponential · keeps id · reads n · only if account.id is empty"
                " · expects $.ok is true · not yet on 202 or while $.status is pending: asks every 10 s for up"
                " to 1 h · keeps membership with this grant · HTTP 409 → “Undo it” · on failure: escalate to a human"
            ),
        ),
        (
            {**TELL, "retry": {"wait_statuses": [429], "poll": {"for_seconds": 172_800}}},
            "Signed webhook → 2xx · not yet on 429: asks again for up to 2 days · on failure: alert and stop",
        ),
        (ASK, "Ask anyone with the permission: Which team? · on failure: alert and stop"),
        (
            {**ASK, "assignee": {"group_id": "2"}, "fields": [{"name": "a"}], "due_hours": 24},
            "Ask a group: Which team? · 1 field · due in 24 h · on failure: alert and stop",
        ),
        (
            {**ASK, "assignee": {"user_id": "2"}, "fields": [{"name": "a"}, {"name": "b"}], "due_hours": 1.5},
            "Ask a person: Which team? · 2 fields · due in 1.5 h · on failure: alert and stop",
        ),
        (
            {**TELL, "on_failure": {"compensate": "undo"}},
            "Signed webhook → 2xx · on failure: compensate with “Undo it”",
        ),
        (
            {**TELL, "on_success": {"step": "undo"}},
            "Signed webhook → 2xx · then go to “Undo it” · on failure: alert and stop",
        ),
    ],
)
def test_a_step_is_told_in_one_line(step, line):
    definition = read(step, UNDO)
    assert describe_step(definition.steps[0], definition) == line


def test_a_compensation_step_says_that_the_run_ends_after_it():
    definition = read({**TELL, "on_failure": {"compensate": "undo"}}, UNDO)
    assert describe_step(definition.step("undo"), definition) == (
        "DELETE /u/1 → 2xx · runs to undo, then the run ends"
    )


def test_a_long_prompt_is_cut_and_a_step_without_its_definition_is_called_by_key():
    step = read({**ASK, "prompt": "x" * 500, "on_success": {"step": "undo"}}).steps[0]
    assert len(describe_step(step)) < 200
    assert describe_edge(step.on_success) == "go to “undo”"


def test_statuses_are_told_by_class_where_they_are_one():
    assert describe_statuses(StatusSet(((200, 299), (404, 404), (500, 503)))) == "2xx, 404, 500-503"


def words(old: Definition, new: Definition) -> list[str]:
    return [change.words for change in diff_definitions(old, new)]


def test_steps_added_removed_and_moved_are_told():
    assert words(read(CREATE, ASK, TELL), read(TELL, CREATE, ASK)) == ["“Tell” moved from place 3 to 1."]
    assert words(read(CREATE, TELL), read(ASK, CREATE)) == ["“Tell” was removed.", "“Ask” was added."]


def test_a_changed_field_is_told_with_what_it_was_and_is():
    new = {
        **CREATE,
        "name": "Make",
        "path": "/Users",
        "body": {"userName": "{{ grantee.email }}", "active": "true", "name": {"first": "x"}},
        "retry": {"attempts": 5, "wait_statuses": [429]},
        "success_statuses": ["200-299", 409],
        "on_failure": {"compensate": "undo"},
    }
    assert words(read(CREATE, UNDO), read(new, UNDO)) == [
        "“Make”: name changed from Create to Make.",
        "“Make”: path changed from /users to /Users.",
        '“Make”: body.active changed from true to "true".',
        "“Make”: body.name.first was added as x.",
        "“Make”: success_statuses changed from 2xx to 2xx, 409.",
        "“Make”: retry.attempts changed from 3 to 5.",
        "“Make”: retry.wait_statuses changed from none to 429.",
        "“Make”: on_failure changed from escalate to a human to compensate with “undo”.",
    ]


def test_a_value_taken_out_is_told():
    changes = diff_definitions(read(CREATE), read({**CREATE, "body": {"active": True}}))
    assert [(one.kind, one.field, one.old, one.new) for one in changes] == [
        (ChangeKind.CHANGED, "body.userName", "{{ grantee.email }}", None)
    ]
    assert changes[0].words == "“Create”: body.userName, which was {{ grantee.email }}, was removed."


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [(None, {}, "body"), (1, True, "body"), ({"a.b": 1}, {"a": {"b": 1}}, "body"), ([], {}, "body")],
)
def test_bodies_that_differ_are_never_told_to_be_the_same(old, new, field):
    changes = diff_definitions(read({**CREATE, "body": old}), read({**CREATE, "body": new}))
    assert [change.field for change in changes] == [field]


distinct = definitions.filter(lambda raw: len({step["key"] for step in raw}) == len(raw))


@given(distinct)
def test_nothing_changed_is_told_as_nothing(raw):
    definition = read(*raw)
    assert diff_definitions(definition, read(*json.loads(json.dumps(to_json(definition))))) == []


@given(distinct, distinct)
def test_two_versions_differ_exactly_when_something_is_told(old, new):
    before, after = read(*old), read(*new)
    assert bool(diff_definitions(before, after)) == (canonical(before) != canonical(after))


@given(distinct, st.data())
def test_steps_that_keep_their_keys_but_change_places_are_told_as_moved_only(raw, data):
    assume(len(raw) > 1)
    order = data.draw(st.permutations(raw))
    changes = diff_definitions(read(*raw), read(*order))
    assert {change.kind for change in changes} <= {ChangeKind.MOVED}
    assert len(changes) < len(raw)
    assert bool(changes) == (order != raw)
