"""Acting on a task: submit, skip, fail and try again, each done once; taking it on, and giving it to others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response, flash, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.orm import Session

from app.clock import now
from app.domain.states import RunStatus, TaskOrigin, TaskOutcome, TaskStatus
from app.errors import Conflict, FieldError, Invalid
from app.extensions import db
from app.guard import current_actor, requires, signed_in
from app.models import Group, ManualTask, Run, User
from app.permissions import Actor
from app.queries.task_rules import PERMISSION, assignee_words
from app.schemas.kinds import record_id
from app.services import tasks
from app.services.transaction import transaction
from app.web.forms import FormState, question
from app.web.htmx import announce, is_fragment, retarget, see_other, toast
from app.web.tasks.blueprint import bp
from app.web.tasks.task_page import find, shown
from app.web.tasks.views import not_done, page, reader

# Kept apart from the form's own names, since a workflow's author chooses these.
PREFIX = "input."


def typed_values(form: Mapping[str, str]) -> dict[str, str]:
    """What was typed, by field; a name that the task does not have is for the service to refuse."""
    return {name.removeprefix(PREFIX): value for name, value in form.items() if name.startswith(PREFIX)}


def refused_form(refused: Invalid, fields: Sequence[Any]) -> FormState:
    """What was typed, with each error at its field; what belongs to none of them stands without a link."""
    known = {one["name"] for one in fields}
    errors = [
        FieldError(f"{PREFIX}{one.field}" if one.field in known else "", one.message)
        for one in refused.errors
    ]
    return FormState.sent(errors or [FieldError("", refused.message)])


_DONE = {
    TaskOutcome.SUBMITTED: "Submitted.",
    TaskOutcome.SKIPPED: "Skipped.",
    TaskOutcome.FAILED: "Failed, with your reason.",
    TaskOutcome.RETRIED: "Sent again.",
}
Act = Callable[[Session, Actor, ManualTask], ManualTask]


@bp.post("/<int:task_id>/submit")
@requires(PERMISSION)
def submit(task_id: int) -> ResponseReturnValue:
    """Complete the task with what was typed; for an escalated failure, say that it was done by hand."""
    values = typed_values(request.form)
    try:
        return _acted(task_id, lambda session, actor, task: tasks.submit(session, actor, task, values))
    except Invalid as refused:
        fields = find(db.session(), current_actor(), task_id).task.fields
        answer = page(task_id, 422, form=refused_form(refused, fields))
        return retarget(answer, "#task", "outerHTML") if is_fragment() else answer


@bp.get("/<int:task_id>/skip")
@requires(PERMISSION)
def confirm_skip(task_id: int) -> ResponseReturnValue:
    """The question that Skip step asks, as a page."""
    return _question("skip", task_id, FormState())


@bp.post("/<int:task_id>/skip")
@requires(PERMISSION)
def skip(task_id: int) -> ResponseReturnValue:
    """Let the run go on without the step, for a reason."""
    return _with_reason("skip", task_id, tasks.skip)


@bp.get("/<int:task_id>/fail")
@requires(PERMISSION)
def confirm_fail(task_id: int) -> ResponseReturnValue:
    """The question that Fail run asks, as a page."""
    return _question("fail", task_id, FormState())


@bp.post("/<int:task_id>/fail")
@requires(PERMISSION)
def fail(task_id: int) -> ResponseReturnValue:
    """Fail the step, for a reason."""
    return _with_reason("fail", task_id, tasks.fail)


@bp.post("/<int:task_id>/retry")
@requires(PERMISSION)
def retry(task_id: int) -> ResponseReturnValue:
    """Send the step of an escalated failure again."""
    return _acted(task_id, tasks.try_again)


def _with_reason(
    verb: str, task_id: int, act: Callable[[Session, Actor, ManualTask, str], ManualTask]
) -> ResponseReturnValue:
    reason = request.form.get("reason", "")
    try:
        return _acted(task_id, lambda session, actor, task: act(session, actor, task, reason))
    except Invalid as refused:
        return _question(verb, task_id, FormState.sent(refused.errors))


def _acted(task_id: int, act: Act) -> ResponseReturnValue:
    """Act, then go back to the inbox; whoever comes second is shown who was first."""
    try:
        with transaction() as session:
            task = find(session, current_actor(), task_id).task
            done = act(session, current_actor(), task)
            obsolete, outcome, number = done.status == TaskStatus.OBSOLETE, done.outcome, done.run_id
            by_hand = done.origin == TaskOrigin.ESCALATED_FAILURE and outcome == TaskOutcome.SUBMITTED
    except Conflict as conflict:
        return not_done(task_id, conflict.message)
    if obsolete or outcome is None:
        return not_done(
            task_id, f"Run {number} was overtaken by a later change: nothing more is done for it."
        )
    words = "Recorded as done by hand." if by_hand else _DONE[TaskOutcome(outcome)]
    href = url_for("runs.show", run_id=number)
    flash(Markup('{} <a href="{}">Run {}</a> {}').format(words, href, number, _how_it_goes_on(number)), "ok")
    return see_other(url_for("tasks.index"))


def _how_it_goes_on(run_id: int) -> str:
    status = RunStatus(db.session.get_one(Run, run_id).status)
    return "continues." if status.moves_by_itself else f"is now: {status.label.lower()}."


def _question(verb: str, task_id: int, form: FormState) -> ResponseReturnValue:
    """The page that asks before `verb` is done, for those who may do it."""
    one = shown(db.session(), current_actor(), task_id)
    if one.outlook is None or not (one.may_act.allowed or (form.errors and is_fragment())):
        return page(task_id)
    return question(f"tasks/{verb}", f"{verb}-task", form, shown=one, task=one.task, asked=form)


@bp.post("/<int:task_id>/claim")
@requires(PERMISSION)
def claim(task_id: int) -> ResponseReturnValue:
    """Say that one is on it. `seen` is who was on it on the page: taking over is meant, or refused."""
    seen = record_id(request.form.get("seen", ""))
    return _held(
        task_id,
        lambda session, task: tasks.claim(session, current_actor(), task, seen=seen, now=now()),
        "You are on it.",
    )


@bp.post("/<int:task_id>/release")
@requires(PERMISSION)
def release(task_id: int) -> ResponseReturnValue:
    """Say that one is not on it any more."""
    return _held(
        task_id,
        lambda session, task: tasks.release(session, current_actor(), task, now=now()),
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
            tasks.assign(session, current_actor(), task, user=user, group=group, now=now())
            words = f"The task is now for {assignee_words(session, task)}."
    except Conflict as conflict:
        return not_done(task_id, conflict.message)
    except Invalid as refused:
        answer = page(task_id, 422, assign=FormState.sent(refused.errors))
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
        return not_done(task_id, conflict.message)
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
