"""Where the action of a remedy is taken: the address and the permission, the same for pages, API and alerts."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.grants.trigger import NoRunReason
from app.domain.remedies.failure import Action, Remedy
from app.domain.states import Trigger

A = Action

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
    A.DONE: "workflow:run",
    A.TYPE_VALUES: "workflow:run",
    A.REPLAY: "workflow:run",
    A.SEND_TEST: "workflow:manage",
    A.EDIT_PERSON: "user:manage",
}

# Which part of the connection's page, and of the step in the editor, the button is about.
_CONNECTION_PART = {
    A.ADD_CREDENTIAL: "credential",
    A.REPLACE_CREDENTIAL: "credential",
    A.TEST_CONNECTION: "test-section",
    A.SEND_TEST: "test-section",
}
_STEP_PART = {
    A.EDIT_MAPPING: "data",
    A.EDIT_PATH: "path",
    A.EDIT_SUCCESS: "success",
    A.EDIT_RETRY: "retry",
    A.EDIT_STEP: "",
}


_OF_THE_RUN = {A.RETRY: "retry", A.DONE: "done", A.TYPE_VALUES: "values", A.REPLAY: "replay"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What a failure is about, by number: the run, its person, grant and workflow, the step's key, its connection."""

    run_id: int | None = None
    user_id: int | None = None
    grant_id: int | None = None
    workflow_id: int | None = None
    step: str | None = None
    connection_id: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """One action with its word, its address on this console, and the permission that it takes."""

    action: Action
    label: str
    href: str
    permission: str


def places(remedy: Remedy, where: Where) -> list[Place]:
    """Where the actions of `remedy` are taken, the one that mends it first.

    What there is nothing to take it on is left out.
    """
    found = [(one, _href(one, remedy.field, where)) for one in (remedy.action, remedy.also, *remedy.others)]
    return [Place(one, one.label, href, PERMISSION[one]) for one, href in found if href]


def _href(action: Action, field: str, where: Where) -> str:
    if action in _CONNECTION_PART or action is A.EDIT_CONNECTION:
        return _of_connection(action, field, where.connection_id)
    if action in _STEP_PART:
        if where.workflow_id is None or where.step is None:
            return ""
        part = (field if action is A.EDIT_STEP else "") or _STEP_PART[action]
        anchor = "-".join(one for one in ("step", where.step, part) if one)
        return f"/workflows/{where.workflow_id}/edit?step={where.step}#{anchor}"
    if action is A.DRY_RUN and where.workflow_id is not None:
        return f"/workflows/{where.workflow_id}/dry-run?grant={where.grant_id}"
    if action in _OF_THE_RUN and where.run_id is not None:
        return f"/runs/{where.run_id}/{_OF_THE_RUN[action]}"
    if action is A.EDIT_PERSON and where.user_id is not None:
        return f"/people/{where.user_id}"
    return "/system" if action is A.SYSTEM_HEALTH else ""


def _of_connection(action: Action, field: str, connection_id: int | None) -> str:
    if connection_id is None:
        return ""
    if action is A.EDIT_CONNECTION:
        return f"/connections/{connection_id}/edit" + (f"#{field}" if field else "")
    return f"/connections/{connection_id}#{_CONNECTION_PART[action]}"


@dataclass(frozen=True, slots=True)
class Fix:
    """What mends a reason for no run: the button's words, where it leads, and the permission that it takes."""

    label: str
    href: str
    permission: str


def no_run_fix(
    reason: NoRunReason,
    *,
    application_id: int,
    trigger: Trigger,
    workflow_id: int | None,
    grant_id: int | None,
    keeper_id: int | None = None,
) -> Fix:
    """Where `reason` is mended, or what it comes from can be looked at.

    `keeper_id` is the grant that keeps the person's access, where it is known.
    """
    workflows = f"/applications/{application_id}/workflows"
    match reason:
        case NoRunReason.WORKFLOW_DISABLED if workflow_id is not None:
            return Fix("Enable it", f"{workflows}#workflow-{workflow_id}", "workflow:manage")
        case NoRunReason.NO_STEPS if workflow_id is not None:
            return Fix("Add steps", f"/workflows/{workflow_id}/edit", "workflow:manage")
        case NoRunReason.OTHER_ACTIVE_GRANT if keeper_id is not None:
            return Fix(f"See grant {keeper_id}", f"/grants/{keeper_id}", "grant:read")
        case NoRunReason.RECORDED_ONLY if grant_id is not None:
            return Fix("Run now", f"/grants/{grant_id}#decisions", "workflow:run")
    return Fix("Create workflow", f"{workflows}/new?trigger={trigger}", "workflow:manage")
