"""A failed run that goes on by what a person knows: the step was done, or a value that was not known is typed."""

from __future__ import annotations

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.errors import Conflict, FieldError, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Run
from app.queries.by_hand import asked_of, known_to, lacking, wanted_of
from app.queries.lookup import load
from app.queries.recovery_plan import Action, plan
from app.schemas.base import parse
from app.schemas.grants import DoneIn
from app.services import recovery
from app.services.transaction import transaction
from app.web.forms import FormState
from app.web.htmx import see_other
from app.web.runs.blueprint import bp
from app.web.runs.run_page import find, locked


@bp.get("/runs/<int:run_id>/done")
@requires("workflow:run")
def say_done(run_id: int) -> ResponseReturnValue:
    """What to fill in to say that the failed step was done."""
    return _done_page(run_id, FormState())


@bp.post("/runs/<int:run_id>/done")
@requires("workflow:run")
def done(run_id: int) -> ResponseReturnValue:
    """Let the run go on after the failed step, with what was typed."""
    try:
        given = parse(DoneIn, {"reason": request.form.get("reason", "")})
        with transaction() as session:
            recovery.done(
                session,
                current_actor(),
                locked(session, run_id),
                reason=given.reason,
                captured=_typed("captured."),
                token=request.form.get("token") or None,
            )
    except Conflict as conflict:
        return _done_page(run_id, FormState.sent(), conflict.message), 409
    except Invalid as refused:
        return _done_page(run_id, FormState.sent(refused.errors or [FieldError("", refused.message)])), 422
    flash(f"Run {run_id} goes on after the step that was done.", "ok")
    return see_other(url_for("runs.show", run_id=run_id))


def _done_page(run_id: int, form: FormState, refused: str = "") -> str:
    session = db.session()
    detail = find(session, run_id)
    run = detail.run
    found = run.captured.get(run.cursor or "", {})
    return render_template(
        "runs/done.html",
        run=run,
        step=detail.step_name(run.cursor),
        plan=plan(session, run, Action.DONE),
        fields=lacking(wanted_of(detail.version.step(run.cursor)), found),
        found=found,
        form=form,
        refused=refused,
    )


@bp.get("/runs/<int:run_id>/values")
@requires("workflow:run")
def give_values(run_id: int) -> ResponseReturnValue:
    """What to type so that the failed step can go on."""
    return _values_page(run_id, FormState())


@bp.post("/runs/<int:run_id>/values")
@requires("workflow:run")
def retry_with_values(run_id: int) -> ResponseReturnValue:
    """Keep what was typed with the account, or the grant, and retry."""
    account, kept = (
        {name: value for name, value in _typed(under).items() if value.strip()}
        for under in ("account.", "kept.")
    )
    try:
        given = parse(DoneIn, {"reason": request.form.get("reason", "")})
        if not (account or kept):
            raise Invalid("Type a value, or use Retry.")
        with transaction() as session:
            recovery.retry(
                session,
                current_actor(),
                load(session, Run, run_id),
                confirm_unknown=bool(request.form.get("confirm_unknown")),
                token=request.form.get("token") or None,
                reason=given.reason,
                account=account,
                kept=kept,
            )
    except Conflict as conflict:
        return _values_page(run_id, FormState.sent(), conflict.message), 409
    except Invalid as refused:
        return _values_page(run_id, FormState.sent(refused.errors or [FieldError("", refused.message)])), 422
    flash(f"Run {run_id} continues at the failed step, with what you typed.", "ok")
    return see_other(url_for("runs.show", run_id=run_id))


def _values_page(run_id: int, form: FormState, refused: str = "") -> str:
    session = db.session()
    detail = find(session, run_id)
    run, step = detail.run, detail.version.step(detail.run.cursor)
    return render_template(
        "runs/values.html",
        run=run,
        step=detail.step_name(run.cursor),
        plan=plan(session, run, Action.RETRY),
        fields=asked_of(step, run, *known_to(session, run)),
        form=form,
        refused=refused,
    )


def _typed(prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(prefix): value for name, value in request.form.items() if name.startswith(prefix)
    }
