"""What a workflow's steps mean together: every reason to refuse or to warn, by an example."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from app.domain.states import Trigger
from app.domain.workflows.checks import check_definition
from app.domain.workflows.definition import parse_definition
from tests.support.domain.findings import INFO, check, errors, http, human, warnings, webhook
from tests.support.domain.step_strategies import definitions

SAME_ID = {"id": {"path": "$.id", "same": True}}


def test_a_sound_workflow_has_no_problem():
    steps = (
        http(
            "create",
            method="POST",
            path="/Users",
            body={"userName": "{{ grantee.email }}"},
            capture={"id": {"path": "$.id", "optional": True}},
            success_statuses=["200-299", 409],
        ),
        http("find", path="/Users", query={"filter": "{{ grantee.email }}"}, capture=SAME_ID),
        human("team", fields=[{"name": "team"}], assignee={"group_id": "2"}),
        http(
            "join",
            method="PUT",
            path="/Teams/{{ steps.team.team }}/{{ steps.find.id }}",
            on_failure={"compensate": "undo"},
        ),
        webhook("tell", body={"team": "{{ steps.team.team }}", "id": "{{ account.id }}"}),
        http("undo", method="DELETE", path="/Users/{{ steps.find.id }}", success_statuses=["200-299", 404]),
    )
    assert check(*steps) == []


def test_an_empty_workflow_may_be_saved():
    assert check() == []


def test_a_step_reads_only_values_of_steps_that_can_have_run_before_it():
    steps = (
        http("a", path="/{{ steps.c.id }}", on_failure={"step": "c"}),
        http("b", on_success="end", path="/{{ steps.a.id }}/{{ steps.b.id }}", capture={"id": "$.id"}),
        http("c", path="/{{ steps.b.id }}", capture=SAME_ID),
    )
    late = "is not available here: its step cannot have run before this one."
    assert errors(*steps) == [
        ("steps[0].path", f"steps.c.id {late}"),
        ("steps[1].path", "steps.a.id is not available. The step a keeps no values."),
        ("steps[1].path", f"steps.b.id {late}"),
        ("steps[2].path", f"steps.b.id {late}"),
    ]


def test_a_value_that_only_a_failed_step_could_have_is_warned_of():
    steps = (
        http("a", capture={"id": "$.id"}, on_failure={"compensate": "undo"}),
        http("b", on_failure={"compensate": "tidy"}),
        http("undo", method="DELETE", path="/{{ steps.a.id }}"),
        http("tidy", method="DELETE", path="/{{ steps.a.id }}"),
    )
    assert warnings(*steps) == [
        ("steps[2].path", "steps.a.id is always empty here: this step is reached only when a has failed.")
    ]


@pytest.mark.parametrize(
    ("step", "field"),
    [
        (http("a", path="/{{ grantee.emial }}"), "path"),
        (http("a", query={"filter": "{{ grantee.emial }}"}), "query.filter"),
        (http("a", query={"filter": ["x", "{{ grantee.emial }}"]}), "query.filter[1]"),
        (http("a", headers={"X-Mail": "{{ grantee.emial }}"}), "headers.X-Mail"),
        (http("a", method="POST", body={"name": {"mail": "{{ grantee.emial }}"}}), "body.name.mail"),
        (webhook("a", body=["{{ grantee.emial }}"]), "body[0]"),
        (human("a", prompt="Ask {{ grantee.emial }}"), "prompt"),
    ],
)
def test_an_unknown_token_is_named_by_its_field_wherever_it_stands(step, field):
    assert errors(step) == [
        (f"steps[0].{field}", "grantee.emial is not available. Did you mean grantee.email?")
    ]


@pytest.mark.parametrize(
    ("step", "field"),
    [
        (http("a", path="/Users?x=1"), "path"),
        (http("a", path="/{{ grantee.email"), "path"),
        (http("a", headers={"X-A": "a\nb"}), "headers.X-A"),
        (http("a", headers={"X-A": "李"}), "headers.X-A"),
        (http("a", headers={"authorization": "x"}), "headers.authorization"),
        (http("a", headers={"Webhook-Id": "x"}), "headers.Webhook-Id"),
        (http("a", method="POST", body={"{{ grantee.email }}": 1}), "body.{{ grantee.email }}"),
        (http("a", method="POST", body={"a": {"b": 1}}, body_format="form"), "body.a"),
        (http("a", method="POST", body="x", body_format="form"), "body"),
        (http("a", connection_id="9"), "connection_id"),
        (http("a", connection_id="5"), "connection_id"),
        (webhook("a", connection_id="4"), "connection_id"),
        (human("a", assignee={"user_id": "8"}), "assignee"),
        (human("a", assignee={"group_id": "8"}), "assignee"),
    ],
)
def test_what_cannot_work_is_refused_once_by_its_field(step, field):
    assert [place for place, _ in errors(step)] == [f"steps[0].{field}"]


def test_people_and_groups_that_exist_may_be_given_tasks():
    assert check(human("a", assignee={"user_id": 1}), human("b", assignee={"group_id": "2"})) == []


def test_what_a_capture_may_say_is_for_the_caller_to_tell():
    info = replace(INFO, capture_problem=lambda _: "No such path.")
    step = http("a", capture={"id": "$.[", "at": "header:Location"})
    assert [field for field, _ in errors(step, info=info)] == ["steps[0].capture.id"]


def test_the_headers_that_the_console_sets_are_refused_in_any_case():
    for name in (
        "Host",
        "CONTENT-LENGTH",
        "cookie",
        "Cookie2",
        "Idempotency-Key",
        "webhook-x",
        "Sec-Fetch-Site",
    ):
        assert [field for field, _ in errors(http("a", headers={name: "x"}))] == [f"steps[0].headers.{name}"]
    assert errors(http("a", headers={"Content-Type": "text/plain"})) == []


@pytest.mark.parametrize("lost", ["resend", "ask"])
@pytest.mark.parametrize("step", [http("a", method="POST"), http("a", method="PATCH"), webhook("a")])
def test_retrying_what_must_not_happen_twice_is_warned_of_with_its_meaning(step, lost):
    [(field, message)] = warnings({**step, "retry": {"attempts": 3, "lost_answer": lost}})
    assert field == "steps[0].retry.attempts"
    assert "twice" in message
    assert ("a person is asked first" in message) == (lost == "ask")


@pytest.mark.parametrize(
    "step",
    [http("a", method="PUT"), http("a", method="POST", idempotent=True), webhook("a", idempotent=True)],
)
def test_retrying_what_may_happen_twice_is_not_warned_of(step):
    assert check({**step, "retry": {"attempts": 3}}) == []


def test_statuses_to_wait_for_are_warned_of_when_they_have_no_effect():
    both = http("a", success_statuses=[200, 409], retry={"attempts": 2, "wait_statuses": [409]})
    assert warnings(both) == [
        ("steps[0].retry.wait_statuses", "409 is listed as a success too, so it is never waited for.")
    ]


def test_a_create_that_takes_already_exists_for_success_needs_a_lookup():
    create = http("a", method="POST", success_statuses=[201, 409], capture={"id": "$.id"})
    lookup = http("b", capture=SAME_ID)
    [(field, message)] = warnings(create, http("c", method="DELETE"))
    assert (field, "Add a GET step after this one" in message) == ("steps[0].capture", True)
    [(field, message)] = warnings(create, lookup)
    assert (field, "Mark it optional" in message) == ("steps[0].capture", True)
    assert check({**create, "capture": {"id": {"path": "$.id", "optional": True}}}, lookup) == []
    assert check({**create, "capture": {}}) == []


def test_a_content_type_that_does_not_fit_the_body_is_warned_of():
    step = http("a", method="POST", body={"a": 1}, headers={"content-type": "text/plain"})
    assert [field for field, _ in warnings(step)] == ["steps[0].headers.content-type"]
    assert check({**step, "headers": {"Content-Type": "application/scim+json; charset=utf-8"}}) == []
    assert (
        len(warnings({**step, "headers": {"Content-Type": "application/json"}, "body_format": "form"})) == 1
    )


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (Trigger.ACCESS_REVOKED, "captured by no workflow that runs on Access granted"),
        (Trigger.ACCESS_GRANTED, "not been captured so far"),
    ],
)
def test_an_account_value_that_nothing_captured_yet_is_a_warning(trigger, words):
    info = replace(INFO, trigger=trigger)
    [(field, message)] = warnings(http("a", method="DELETE", path="/{{ account.login }}"), info=info)
    assert (field, words in message) == ("steps[0].path", True)
    assert check(http("a", method="DELETE", path="/{{ account.id }}"), info=info) == []


def test_an_account_value_that_a_step_before_looks_up_is_there():
    info = replace(INFO, trigger=Trigger.ACCESS_REVOKED)
    look = http("look", capture={"login": "$.login"})
    remove = http("remove", method="DELETE", path="/{{ account.login }}")
    assert check(look, remove, info=info) == []
    assert [field for field, _ in warnings(remove, look, info=info)] == ["steps[0].path"]


def test_what_is_created_and_never_removed_is_a_warning_about_the_whole():
    alone = replace(INFO, answers_revoke=False)
    create = http("create", name="Create", method="POST", body={"a": 1})
    [problem] = check(http("look"), create, info=alone)
    assert (problem.field, problem.step, problem.severity) == ("steps", "create", "warning")
    assert problem.message.startswith("“Create” may create something, and no workflow")
    assert check(create) == []
    assert check(http("look"), human("ask"), info=alone) == []
    assert check(create, info=replace(alone, trigger=Trigger.ACCESS_REVOKED)) == []


def test_problems_come_in_the_order_of_the_steps_and_name_them():
    found = check(http("a", connection_id="9"), http("b", path="x"), http("c", connection_id="9"))
    assert [(one.field, one.step) for one in found] == [
        ("steps[0].connection_id", "a"),
        ("steps[1].path", "b"),
        ("steps[2].connection_id", "c"),
    ]


def test_a_workflow_full_of_problems_is_answered_with_a_hundred():
    body = [f"{{{{ grantee.x{n} }}}}" for n in range(500)]
    assert len(check(*(webhook(f"s{n}", body=body) for n in range(50)))) == 100


@given(definitions)
def test_any_definition_that_can_be_read_can_be_checked(raw):
    definition, _ = parse_definition(raw)
    assert definition is not None
    for problem in check_definition(definition, INFO):
        (problem.field + problem.message).encode()
        assert problem.step in definition


def test_a_value_kept_with_the_grant_is_known_when_some_workflow_keeps_it():
    step = http("leave", method="DELETE", path="/memberships/{{ grant.kept.membership }}")
    known = replace(INFO, trigger=Trigger.ACCESS_REVOKED, kept_names=frozenset({"membership"}))
    assert warnings(step, info=known) == []
    [(field, message)] = warnings(step, info=replace(known, kept_names=frozenset()))
    assert (field, "grant.kept.membership is kept with the grant by no workflow" in message) == (
        "steps[0].path",
        True,
    )
    assert errors(http("leave", path="/{{ grant.kept.a.b }}")) != []
    join = http("join", capture={"membership": {"path": "$.id", "keep": "grant"}})
    assert warnings(join, step, info=replace(known, kept_names=frozenset())) == []


def test_two_steps_that_keep_one_name_say_that_it_is_the_same_account_or_call_it_otherwise():
    users = http("users", method="POST", path="/users", capture={"id": "$.id"})
    mail = http("mailboxes", method="POST", path="/mailboxes", capture={"id": "$.id"})
    [(field, message)] = errors(users, mail)
    assert field == "steps[1].capture.id"
    assert "whose account.id is" in message
    assert "mailboxes_id" in message
    assert errors(users, {**mail, "capture": SAME_ID}) == []
    assert errors({**users, "capture": SAME_ID}, {**mail, "capture": SAME_ID}) == []
    assert errors(users, {**mail, "capture": {"mailbox_id": "$.id"}}) == []
    assert errors(users, {**mail, "capture": {"id": {"path": "$.id", "keep": False}}}) == []
    assert errors(users, {**mail, "capture": {"id": {"path": "$.id", "keep": "grant"}}}) == []


@pytest.mark.parametrize(
    ("elsewhere", "own", "refused"),
    [
        ({("id", "account"): False}, "$.id", True),
        ({("id", "account"): False}, {"path": "$.id", "same": True}, False),
        ({("id", "account"): True}, "$.id", False),
        ({("id", "grant"): False}, {"path": "$.id", "keep": "grant"}, True),
        ({("id", "grant"): False}, "$.id", False),
    ],
)
def test_a_name_that_another_workflow_keeps_is_the_same_account_or_another_name(elsewhere, own, refused):
    info = replace(INFO, kept_elsewhere=elsewhere)
    assert bool(errors(http("look", capture={"id": own}), info=info)) == refused


def test_a_way_by_status_leads_to_a_step_that_is_there_and_is_no_success():
    make = http("make", method="POST")
    find = http("find", on_success="end", on_status={"404": {"step": "make"}})
    assert check(find, make) == []
    wrong = errors({**find, "on_status": {"404": {"step": "mak"}}}, make)
    assert wrong[0][0] == "steps[0].on_status.404"
    [(field, message)] = errors({**find, "success_statuses": ["200-299", 404]}, make)
    assert (field, "counts as a success" in message) == ("steps[0].on_status.404", True)
    round_trip = http("back", on_status={"404": {"step": "find"}})
    assert any("circle" in message for _, message in errors({**find, "on_success": "next"}, round_trip))


def test_a_condition_names_values_that_can_be_there():
    look = http("look", capture={"login": "$.login"})
    after = http("after", only_if=[{"value": "{{ steps.look.login }}", "is": "not_empty"}])
    assert check(look, after) == []
    [(field, message)] = errors(after, look)
    assert (field, "cannot have run before" in message) == ("steps[0].only_if[0].value", True)
    [(field, _)] = errors(http("a", only_if=[{"value": "{{ grantee.mail }}", "is": "empty"}]))
    assert field == "steps[0].only_if[0].value"


def test_a_step_that_takes_an_entry_of_a_list_by_its_place_is_warned_of():
    by_index = {"id": "$.Resources[0].id"}
    assert [field for field, _ in warnings(http("a", capture=by_index))] == ["steps[0].capture.id"]
    assert check(http("a", capture={"id": {"path": "$.Resources[0].id", "choose": "first"}})) == []
    assert check(http("a", capture={"id": "$.Resources[*].id"})) == []


def test_asking_very_often_is_warned_of():
    retry = {"wait_statuses": [202], "poll": {"every_seconds": 1, "for_seconds": 604_800}}
    [(field, message)] = warnings(http("a", success_statuses=[200], retry=retry))
    assert (field, "604,800 times" in message) == ("steps[0].retry.poll", True)


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        (lambda path: {"capture": {"id": path}}, "capture.id"),
        (lambda path: {"expect": [{"path": path, "is": "not_empty"}]}, "expect[0].path"),
        (lambda path: {"retry": {"wait_when": [{"path": path, "is": "empty"}]}}, "retry.wait_when[0].path"),
        (lambda path: {"failure_reason": path}, "failure_reason"),
    ],
)
def test_a_place_in_an_answer_takes_known_tokens_inside_quotes_alone(fields, at):
    seen: list[str] = []
    info = replace(INFO, capture_problem=seen.append)
    assert check(http("a", **fields("$[?@.mail == '{{ grantee.email }}'].id")), info=info) == []
    assert seen == ["$[?@.mail == 'x'].id"]
    [(field, message)] = errors(http("a", **fields("$.items.{{ grantee.email }}")), info=info)
    assert (field, "only inside quotes" in message) == (f"steps[0].{at}", True)
    [(field, message)] = errors(http("a", **fields("$['{{ grantee.emial }}']")), info=info)
    assert (field, "Did you mean grantee.email?" in message) == (f"steps[0].{at}", True)


def test_a_step_that_makes_an_account_is_warned_of_saying_that_it_is_the_same():
    make = http("make", method="POST", capture=SAME_ID)
    [(field, message)] = warnings(make)
    assert (field, "at the steps that look it up" in message) == ("steps[0].capture.id", True)
    assert check({**make, "idempotent": True}) == []
