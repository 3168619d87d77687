"""Acting on a task: submit, skip, fail and try again. Each is done once, by one person."""

from __future__ import annotations

from collections.abc import Callable

from flask import flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.orm import Session

from app.domain.states import RunStatus, TaskOrigin, TaskOutcome, TaskStatus
from app.errors import Conflict, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import ManualTask, Run
from app.permissions import Actor
from app.services import tasks
from app.services.transaction import transaction
from app.web.formstate import FormState
from app.web.htmx import is_fragment, retarget, see_other
from app.web.tasks.blueprint import bp
from app.web.tasks.forms import refused_form, typed_values
from app.web.tasks.shown import find, shown
from app.web.tasks.views import overtaken, page

_DONE = {
    TaskOutcome.SUBMITTED: "Submitted.",
    TaskOutcome.SKIPPED: "Skipped.",
    TaskOutcome.FAILED: "Failed, with your reason.",
    TaskOutcome.RETRIED: "Sent again.",
}
Act = Callable[[Session, Actor, ManualTask], ManualTask]


@bp.post("/<int:task_id>/submit")
@requires(tasks.PERMISSION)
def submit(task_id: int) -> ResponseReturnValue:
    """Complete the task with what was typed; for an escalated failure, say that it was done by hand."""
    typed = request.form.to_dict(flat=False)
    values = typed_values(typed)
    try:
        return _acted(task_id, lambda session, actor, task: tasks.submit(session, actor, task, values))
    except Invalid as refused:
        fields = find(db.session(), current_actor(), task_id).task.fields
        answer = page(task_id, 422, form=refused_form(typed, refused, fields))
        return retarget(answer, "#task", "outerHTML") if is_fragment() else answer


@bp.get("/<int:task_id>/skip")
@requires(tasks.PERMISSION)
def confirm_skip(task_id: int) -> ResponseReturnValue:
    """The question that Skip step asks, as a page."""
    return _question("skip", task_id, FormState())


@bp.post("/<int:task_id>/skip")
@requires(tasks.PERMISSION)
def skip(task_id: int) -> ResponseReturnValue:
    """Let the run go on without the step, for a reason."""
    return _with_reason("skip", task_id, tasks.skip)


@bp.get("/<int:task_id>/fail")
@requires(tasks.PERMISSION)
def confirm_fail(task_id: int) -> ResponseReturnValue:
    """The question that Fail run asks, as a page."""
    return _question("fail", task_id, FormState())


@bp.post("/<int:task_id>/fail")
@requires(tasks.PERMISSION)
def fail(task_id: int) -> ResponseReturnValue:
    """Fail the step, for a reason."""
    return _with_reason("fail", task_id, tasks.fail)


@bp.post("/<int:task_id>/retry")
@requires(tasks.PERMISSION)
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
        return _question(verb, task_id, FormState.typed(request.form.to_dict(flat=False), refused.errors))


def _acted(task_id: int, act: Act) -> ResponseReturnValue:
    """Act, then go back to the inbox; whoever comes second is shown who was first."""
    try:
        with transaction() as session:
            task = find(session, current_actor(), task_id).task
            done = act(session, current_actor(), task)
            obsolete, outcome, number = done.status == TaskStatus.OBSOLETE, done.outcome, done.run_id
            by_hand = done.origin == TaskOrigin.ESCALATED_FAILURE and outcome == TaskOutcome.SUBMITTED
    except Conflict as conflict:
        return overtaken(task_id, conflict.message)
    if obsolete or outcome is None:
        return overtaken(
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
    """The page that asks before `verb` is done; a form that was refused is put back into its dialog."""
    one = shown(db.session(), current_actor(), task_id)
    status = 422 if form.errors else 200
    if not (form.errors and is_fragment()):
        if not one.is_pending or not one.may_act.allowed:
            return page(task_id)
        html = render_template(f"tasks/{verb}.html", shown=one, task=one.task, asked=form)
        return make_response(html, status)
    html = render_template(f"tasks/_{verb}_dialog.html", shown=one, task=one.task, asked=form)
    # Of the dialog only its form is swapped: a new dialog would be a closed one.
    inner = f"#{verb}-task form"
    response = make_response(html, status)
    response.headers["HX-Reselect"] = inner
    return retarget(response, inner, "outerHTML")
