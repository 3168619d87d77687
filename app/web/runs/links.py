"""Where the buttons beside a failure lead, and what they ask of the reader: the one place that knows."""

from __future__ import annotations

from dataclasses import dataclass

from flask import url_for

from app.engine.failure import Action
from app.models import Run
from app.permissions import Actor, may
from app.queries.system import may_see_system
from app.queries.timeline import Entry

A = Action
SYSTEM_HEALTH = "/system"

PERMISSION: dict[Action, str] = {
    A.ADD_CREDENTIAL: "workflow:secrets",
    A.REPLACE_CREDENTIAL: "workflow:secrets",
    A.TEST_CONNECTION: "workflow:manage",
    A.EDIT_CONNECTION: "workflow:manage",
    A.EDIT_MAPPING: "workflow:manage",
    A.EDIT_PATH: "workflow:manage",
    A.EDIT_SUCCESS: "workflow:manage",
    A.EDIT_RETRY: "workflow:manage",
    A.EDIT_STEP: "workflow:manage",
    A.DRY_RUN: "workflow:manage",
    A.RETRY: "workflow:run",
    A.SYSTEM_HEALTH: "settings:manage",
}

# Which part of the connection's page, and of the step in the editor, the button is about.
_CONNECTION_PART = {
    A.ADD_CREDENTIAL: "credential",
    A.REPLACE_CREDENTIAL: "credential",
    A.TEST_CONNECTION: "test-section",
}
_STEP_PART = {
    A.EDIT_MAPPING: "data",
    A.EDIT_PATH: "path",
    A.EDIT_SUCCESS: "success",
    A.EDIT_RETRY: "retry",
    A.EDIT_STEP: "",
}


@dataclass(frozen=True, slots=True)
class Button:
    """One button of a remedy. `reason` is why the reader may not press it, "" when they may.

    `is_retry` marks the one that is sent and not followed.
    """

    label: str
    href: str
    reason: str = ""
    is_retry: bool = False


def buttons_for(entry: Entry, run: Run, actor: Actor) -> list[Button]:
    """The buttons beside the remedy of `entry`, the one that mends it first."""
    if entry.remedy is None:
        return []
    wanted = [one for one in (entry.remedy.action, entry.remedy.also) if one is not A.NONE]
    found = [(action, href_of(action, entry, run)) for action in wanted]
    return [
        Button(action.label, href, _lacking(action, actor), is_retry=action is A.RETRY)
        for action, href in found
        if href
    ]


def href_of(action: Action, entry: Entry, run: Run) -> str:
    """Where `action` is taken; "" when the step has nothing that it could be taken on."""
    connection = entry.connection_id
    if action in _CONNECTION_PART or action is A.EDIT_CONNECTION:
        if connection is None:
            return ""
        if action is A.EDIT_CONNECTION:
            return url_for("connections.edit", connection_id=connection)
        return url_for("connections.show", connection_id=connection, _anchor=_CONNECTION_PART[action])
    if action in _STEP_PART:
        part = "-".join(one for one in ("step", entry.step, _STEP_PART[action]) if one)
        return url_for("workflows.edit", workflow_id=run.workflow_id, step=entry.step, _anchor=part)
    if action is A.DRY_RUN:
        return f"/workflows/{run.workflow_id}/dry-run?grant={run.grant_id}"
    return url_for("runs.retry", run_id=run.id) if action is A.RETRY else SYSTEM_HEALTH


def task_page(task_id: int) -> str:
    """The page of a task for a person."""
    return f"/tasks/{task_id}"


def _lacking(action: Action, actor: Actor) -> str:
    if action is A.SYSTEM_HEALTH and may_see_system(actor):
        return ""
    permission = PERMISSION[action]
    return "" if may(actor, permission) else f"Needs {permission}. Ask an administrator."
