"""Runs and tasks over the API, brought about by the moves that a worker makes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app import clock
from tests.support.api.client import ApiClient, World
from tests.support.api.runs import refuse, start, task_of
from tests.support.factories import human_step

RUN = {
    "id",
    "status",
    "label",
    "trigger",
    "application_id",
    "grant_id",
    "user_id",
    "workflow_id",
    "version",
    "sequence",
    "replaces_run_id",
    "cause",
    "created_at",
    "started_at",
    "finished_at",
    "next_attempt_at",
    "waits_for_run_id",
    "waits_for_connection",
    "failure",
    "actions",
    "timeline",
}
ENTRY = {
    "at",
    "kind",
    "step",
    "step_type",
    "attempt",
    "of",
    "outcome",
    "status",
    "class",
    "duration_ms",
    "edge",
    "next_attempt_at",
    "host",
    "method",
    "path_template",
    "fields",
    "captured",
    "task_id",
    "message",
}
TASK = {
    "id",
    "run_id",
    "application_id",
    "step",
    "origin",
    "prompt",
    "fields",
    "assignee",
    "due_at",
    "status",
    "outcome",
    "acted_by",
    "acted_at",
    "reason",
    "may_act",
    "created_at",
}


def test_a_queued_run_has_the_shape_that_is_promised(api: ApiClient, world: World) -> None:
    run = api.get(f"/runs/{world.run}")
    assert set(run) == RUN
    assert (run["status"], run["label"], run["sequence"], run["version"]) == ("queued", "Queued", 0, 1)
    assert run["failure"] is None
    assert set(run["actions"]) == {"retry", "replay", "done", "cancel"}
    assert run["actions"]["cancel"] == {"allowed": True, "reason": None}
    assert run["actions"]["retry"]["allowed"] is False


def test_a_run_that_waits_for_its_turn_says_which_run_it_waits_for(api: ApiClient, world: World) -> None:
    start(api.app, world.run)
    person = {"application_id": str(world.application), "user_id": str(world.user)}
    second = api.post("/grants", person)["decisions"][0]["run_id"]
    assert api.get(f"/runs/{second}")["waits_for_run_id"] == str(world.run)
    assert api.get(f"/runs/{world.run}")["waits_for_run_id"] is None


def test_a_failed_run_tells_step_class_and_remedy(api: ApiClient, world: World) -> None:
    refuse(api.app, world.run, status=401)
    run = api.get(f"/runs/{world.run}")
    failure = run["failure"]
    assert set(failure) == {"step", "class", "status", "message", "remedy", "outcome_unknown"}
    assert (run["status"], failure["step"], failure["class"], failure["status"]) == (
        "failed",
        "create",
        "http_4xx",
        401,
    )
    assert set(failure["remedy"]) == {"title", "why", "todo", "action", "label", "actions"}
    [mend, *_] = failure["remedy"]["actions"]
    assert set(mend) == {"action", "label", "href", "permission"}
    assert mend["href"].startswith("/connections/")
    tries = [one for one in run["timeline"] if one["kind"] == "attempt"]
    assert set(tries[0]) == ENTRY
    assert (tries[0]["step"], tries[0]["outcome"], tries[0]["status"], tries[0]["of"]) == (
        "create",
        "failed",
        401,
        1,
    )
    assert run["actions"]["retry"]["allowed"] is True
    listed = api.get("/runs?status=failed")["items"][0]
    assert listed["timeline"] is None
    assert listed["failure"]["class"] == "http_4xx"


def test_the_list_is_narrowed_by_each_of_its_filters(api: ApiClient, world: World) -> None:
    refuse(api.app, world.run)
    hour = timedelta(hours=1)
    for query, hits in {
        "status=failed": 1,
        "status=queued": 0,
        f"application_id={world.application}": 1,
        "application_id=999": 0,
        f"grant_id={world.grant}": 1,
        f"user_id={world.user}": 1,
        f"workflow_id={world.workflow}": 1,
        "workflow_id=999": 0,
        "class=http_4xx": 1,
        "class=timeout": 0,
        f"since={(clock.now() - hour):%Y-%m-%dT%H:%M:%SZ}": 1,
        f"since={(clock.now() + hour):%Y-%m-%dT%H:%M:%SZ}": 0,
    }.items():
        assert len(api.get(f"/runs?{query}")["items"]) == hits, query


def test_a_failed_run_is_retried_once(api: ApiClient, world: World) -> None:
    path = f"/runs/{world.run}/retry"
    api.post(path, status=409)
    refuse(api.app, world.run)
    assert api.post(path, {}, status=200)["status"] in ("queued", "running")
    api.post(path, status=409)


def test_a_call_that_may_have_taken_effect_is_retried_only_when_confirmed(
    api: ApiClient, world: World
) -> None:
    refuse(api.app, world.run, unknown=True)
    assert api.get(f"/runs/{world.run}")["failure"]["outcome_unknown"] is True
    refused = api.post(f"/runs/{world.run}/retry", status=422)
    assert [one["field"] for one in refused["errors"]] == ["confirm_unknown"]
    api.post(f"/runs/{world.run}/retry", {"confirm_unknown": True}, status=200)


def test_a_create_that_was_answered_is_retried_only_when_confirmed(api: ApiClient, world: World) -> None:
    refuse(api.app, world.run, status=201, lacks=True)
    told = api.get(f"/runs/{world.run}/plan?action=retry")
    assert told["confirm"].startswith("The failed call was answered with HTTP 201, so it was carried out")
    assert "confirm" not in api.get(f"/runs/{world.run}/plan?action=replay")
    assert "as It was done" in api.get(f"/runs/{world.run}")["failure"]["remedy"]["todo"]
    refused = api.post(f"/runs/{world.run}/retry", status=422)
    assert [one["message"] for one in refused["errors"]] == [told["confirm"]]
    api.post(f"/runs/{world.run}/retry", {"confirm_unknown": True}, status=200)


def test_a_one_off_value_for_no_field_of_the_step_is_refused(api: ApiClient, world: World) -> None:
    refuse(api.app, world.run)
    refused = api.post(f"/runs/{world.run}/retry", {"overrides": {"body.nothing": "x1y2"}}, status=422)
    assert refused["errors"]
    assert "x1y2" not in str(refused)
    assert api.get(f"/runs/{world.run}")["status"] == "failed"


def test_cancelling_takes_a_reason_and_ends_the_run(api: ApiClient, world: World) -> None:
    path = f"/runs/{world.run}/cancel"
    assert api.post(path, {}, status=422)["errors"][0]["field"] == "reason"
    assert api.post(path, {"reason": "By mistake"}, status=200)["status"] == "cancelled"
    api.post(path, {"reason": "Again"}, status=409)


@pytest.fixture
def task(api: ApiClient, world: World) -> str:
    """A task for anyone, of the newest version of the world's workflow."""
    return ask(api, world, human_step())


def ask(api: ApiClient, world: World, step: dict[str, Any]) -> str:
    api.post(f"/workflows/{world.workflow}/versions", {"steps": [step]})
    made = api.post("/users", {"email": "new@example.org", "first_name": "Nia"})
    grant = api.post("/grants", {"application_id": str(world.application), "user_id": made["id"]})
    run = int(grant["state"]["run_id"])
    start(api.app, run)
    return str(task_of(api.app, run))


def test_a_task_has_the_shape_that_is_promised(api: ApiClient, task: str) -> None:
    shown = api.get(f"/tasks/{task}")
    assert set(shown) == TASK
    assert (shown["step"], shown["origin"], shown["status"], shown["may_act"]) == (
        "ask",
        "human_task",
        "pending",
        True,
    )
    assert (shown["prompt"], shown["assignee"]) == ("Which team for Nia?", {"anyone": True})
    assert api.get("/tasks?status=pending&mine=true")["items"] == [shown]
    assert api.get("/tasks?status=done")["items"] == []


def test_values_are_refused_by_field_and_then_taken_once(api: ApiClient, task: str) -> None:
    path = f"/tasks/{task}/submit"
    refused = api.post(path, {"input": {"team": "", "colour": "red"}}, status=422)
    assert {one["field"] for one in refused["errors"]} == {"input.team", "input.colour"}
    done = api.post(path, {"input": {"team": "Red"}}, status=200)
    assert (done["status"], done["outcome"], done["may_act"]) == ("done", "submitted", False)
    assert done["acted_by"].startswith("Script")
    api.post(path, {"input": {"team": "Blue"}}, status=409)


@pytest.mark.parametrize(("act", "outcome"), [("skip", "skipped"), ("fail", "failed")])
def test_skipping_and_failing_take_a_reason(api: ApiClient, task: str, act: str, outcome: str) -> None:
    assert api.post(f"/tasks/{task}/{act}", {}, status=422)["errors"][0]["field"] == "reason"
    done = api.post(f"/tasks/{task}/{act}", {"reason": "Not needed"}, status=200)
    assert (done["outcome"], done["reason"]) == (outcome, "Not needed")


def test_only_a_failure_that_was_escalated_can_be_tried_again(api: ApiClient, task: str) -> None:
    api.post(f"/tasks/{task}/retry", status=409)


def test_a_task_for_a_group_is_not_for_a_token(api: ApiClient, world: World) -> None:
    task = ask(api, world, human_step(assignee={"group_id": str(world.group)}))
    shown = api.get(f"/tasks/{task}")
    assert (shown["assignee"], shown["may_act"]) == ({"group_id": str(world.group)}, False)
    api.post(f"/tasks/{task}/submit", {"input": {"team": "Red"}}, status=403)
    assert api.get("/tasks?mine=true")["items"] == []
    assert len(api.get("/tasks")["items"]) == 1
