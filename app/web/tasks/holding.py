"""Taking a task on, leaving it, and giving it to somebody else: none of them moves the run."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, flash, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.clock import now
from app.errors import Conflict, Invalid
from app.guard import current_actor, requires, signed_in
from app.models import Group, ManualTask, User
from app.schemas.kinds import record_id
from app.services import task_holding
from app.services.tasks import PERMISSION
from app.services.transaction import transaction
from app.web.formstate import FormState
from app.web.htmx import announce, is_fragment, retarget, see_other, toast
from app.web.tasks.blueprint import bp
from app.web.tasks.shown import find
from app.web.tasks.views import overtaken, page, reader


@bp.post("/<int:task_id>/claim")
@requires(PERMISSION)
def claim(task_id: int) -> ResponseReturnValue:
    """Say that one is on it. `seen` is who was on it on the page: taking over is meant, or refused."""
    seen = record_id(request.form.get("seen", ""))
    return _held(
        task_id,
        lambda session, task: task_holding.claim(session, current_actor(), task, seen=seen, now=now()),
        "You are on it.",
    )


@bp.post("/<int:task_id>/release")
@requires(PERMISSION)
def release(task_id: int) -> ResponseReturnValue:
    """Say that one is not on it any more."""
    return _held(
        task_id,
        lambda session, task: task_holding.release(session, current_actor(), task, now=now()),
        "You are not on it any more.",
    )


@bp.post("/<int:task_id>/assign")
@signed_in
def assign(task_id: int) -> ResponseReturnValue:
    """Give the task to a person, a group or anyone."""
    reader()
    try:
        with transaction() as session:
            task = find(session, current_actor(), task_id).task
            user, group = _chosen(session, request.form.get("assignee", ""))
            task_holding.assign(session, current_actor(), task, user=user, group=group, now=now())
            words = f"The task is now for {task_holding.assignee_words(session, task)}."
    except Conflict as conflict:
        return overtaken(task_id, conflict.message)
    except Invalid as refused:
        typed = FormState.typed(request.form.to_dict(flat=False), refused.errors)
        answer = page(task_id, 422, assign=typed)
        return retarget(answer, "#task", "outerHTML") if is_fragment() else answer
    if is_fragment():
        return toast(retarget(page(task_id), "#task", "outerHTML"), words)
    flash(words, "ok")
    return see_other(url_for("tasks.show", task_id=task_id))


def _held(task_id: int, act: Callable[[Session, ManualTask], ManualTask], words: str) -> ResponseReturnValue:
    try:
        with transaction() as session:
            act(session, find(session, current_actor(), task_id).task)
    except Conflict as conflict:
        return overtaken(task_id, conflict.message)
    if is_fragment():
        return announce(_head(task_id), words)
    flash(words, "ok")
    return see_other(url_for("tasks.show", task_id=task_id))


def _head(task_id: int) -> Response:
    """Only the top of the page, so that what was typed below stays."""
    response = retarget(page(task_id), "#task-head", "outerHTML")
    response.headers["HX-Reselect"] = "#task-head"
    return response


def _chosen(session: Session, choice: str) -> tuple[User | None, Group | None]:
    kind, _, number = choice.partition(":")
    found = record_id(number)
    if kind == "user" and found is not None and (user := session.get(User, found)):
        return user, None
    if kind == "group" and found is not None and (group := session.get(Group, found)):
        return None, group
    if choice == "anyone":
        return None, None
    raise Invalid.field("assignee", "Choose who is to do it from the list.")
