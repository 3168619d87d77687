"""A stored version that cannot be read, over the API: what shows it says so, what needs it is refused with a 409."""

from __future__ import annotations

from typing import Any

import pytest

from app.services.transaction import transaction
from tests.support.api.client import ApiClient, World
from tests.support.api.runs import refuse, start, task_of
from tests.support.factories import damage_versions, human_step

SENTENCE = "Version 1 cannot be read (steps"
TODO = "Restore another version, or save the steps anew."


def damage(api: ApiClient, steps: Any) -> None:
    with api.app.app_context(), transaction() as session:
        damage_versions(session, steps)


def says_so(text: str) -> bool:
    return SENTENCE in text and TODO in text


@pytest.mark.parametrize("steps", [[{"key": "create"}], {"create": True}, ["create"]])
def test_what_shows_a_damaged_version_says_so(api: ApiClient, world: World, steps: Any) -> None:
    refuse(api.app, world.run)
    damage(api, steps)
    run = api.get(f"/runs/{world.run}")
    assert says_so(run["timeline"][0]["message"])
    for action in ("retry", "replay"):
        assert not run["actions"][action]["allowed"]
        assert says_so(run["actions"][action]["reason"])
        assert says_so(api.get(f"/runs/{world.run}/plan?action={action}")["reason"])
    for shown in (
        api.get(f"/workflows/{world.workflow}")["version"],
        api.get(f"/workflows/{world.workflow}/versions")["items"][0],
    ):
        [warning] = shown["warnings"]
        assert warning["field"] == "steps"
        assert says_so(warning["message"])
    assert api.get("/runs")["items"]
    assert api.get(f"/applications/{world.application}/workflows")["items"]


def test_what_needs_a_damaged_version_is_refused(api: ApiClient, world: World) -> None:
    refuse(api.app, world.run)
    damage(api, [{"key": "create"}])
    for path, body in (
        (f"/runs/{world.run}/retry", {}),
        (f"/runs/{world.run}/replay", {}),
        (f"/workflows/{world.workflow}/dry-run", {"grant_id": str(world.grant)}),
    ):
        assert says_so(api.post(path, body, status=409)["detail"]), path


def test_saving_the_steps_anew_mends_the_workflow(api: ApiClient, world: World) -> None:
    steps = api.get(f"/workflows/{world.workflow}")["version"]["steps"]
    damage(api, [{"key": "create"}])
    api.post(f"/workflows/{world.workflow}/versions", {"steps": steps})
    assert api.get(f"/workflows/{world.workflow}")["version"]["number"] == 2
    assert api.post(f"/workflows/{world.workflow}/dry-run", {"grant_id": str(world.grant)}, status=200)[
        "steps"
    ]


def test_a_task_of_a_damaged_version_is_shown_and_cannot_be_acted_on(api: ApiClient, world: World) -> None:
    api.post(f"/workflows/{world.workflow}/versions", {"steps": [human_step()]})
    api.post(f"/runs/{world.run}/cancel", {"reason": "Its lane is wanted"}, status=200)
    made = api.post("/grants", {"user_id": str(world.user), "application_id": str(world.application)})
    run_id = int(made["state"]["run_id"])
    start(api.app, run_id)
    task = task_of(api.app, run_id)
    damage(api, [{"key": "ask"}])
    assert api.get(f"/tasks/{task}")["status"] == "pending"
    assert "cannot be read" in api.post(f"/tasks/{task}/skip", {"reason": "No"}, status=409)["detail"]
