"""The ways back from a failed run that ask for more than a click: one-off values, and Replay with latest."""

from __future__ import annotations

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.domain.json_reader import Scalar, unstorable
from app.errors import Conflict, FieldError, Invalid
from app.extensions import db, keyring
from app.guard import current_actor, requires
from app.models import Run
from app.permissions import may
from app.queries.lookup import load
from app.queries.recovery_plan import Action, overridable_fields, plan
from app.queries.replay import asks_to_regrant, replay_refusals
from app.services import recovery
from app.services.transaction import transaction
from app.web.forms import FormState
from app.web.htmx import see_other
from app.web.request_values import small_number
from app.web.runs.blueprint import bp
from app.web.runs.run_page import find

ROWS = 1
MAX_ROWS = 100
KINDS = [("text", "Text"), ("number", "Number"), ("boolean", "Yes or no"), ("nothing", "Nothing (null)")]
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


@bp.get("/runs/<int:run_id>/replay")
@requires("workflow:run")
def confirm_replay(run_id: int) -> ResponseReturnValue:
    """What a fresh run would do, or why there can be none and what to do instead."""
    return _replay_page(run_id)


@bp.post("/runs/<int:run_id>/replay")
@requires("workflow:run")
def replay(run_id: int) -> ResponseReturnValue:
    """Start the fresh run; when things have changed since the plan was shown, the new plan is shown instead."""
    try:
        with transaction() as session:
            run = load(session, Run, run_id)
            new = recovery.replay(session, current_actor(), run, token=request.form.get("token") or None)
            number = new.id
    except Conflict as conflict:
        return _replay_page(run_id, conflict.message), 409
    except Invalid as refused:
        return _replay_page(run_id, refused.message), 422
    flash(f"Run {number} replaces run {run_id}.", "ok")
    return see_other(url_for("runs.show", run_id=number))


def _replay_page(run_id: int, refused: str = "") -> str:
    session, actor = db.session(), current_actor()
    detail = find(session, run_id)
    refusal = replay_refusals(session, [detail.run], {run_id: detail.stale})[run_id]
    return render_template(
        "runs/replay.html",
        run=detail.run,
        detail=detail,
        plan=plan(session, detail.run, Action.REPLAY),
        refused=refused,
        regrant=asks_to_regrant(refusal) and may(actor, "grant:write"),
        sees_records=may(actor, "grant:read"),
    )


@bp.get("/runs/<int:run_id>/overrides")
@requires("workflow:run")
def give_overrides(run_id: int) -> ResponseReturnValue:
    """The form for one-off values."""
    return _overrides_page(run_id, FormState(), ROWS)


@bp.post("/runs/<int:run_id>/overrides")
@requires("workflow:run")
def retry_with_overrides(run_id: int) -> ResponseReturnValue:
    """Retry with the values typed, or add a row to the form."""
    rows = _rows()
    if request.form.get("do") == "more":
        return _overrides_page(run_id, FormState.sent(), min(rows + 1, MAX_ROWS))
    places: dict[str, int] = {}
    try:
        values = _read(rows, places)
        with transaction() as session:
            recovery.retry(
                session,
                current_actor(),
                load(session, Run, run_id),
                confirm_unknown=bool(request.form.get("confirm_unknown")),
                overrides=values,
                keyring=keyring(),
                token=request.form.get("token") or None,
            )
    except Conflict as conflict:
        return _overrides_page(run_id, FormState.sent(), rows, conflict.message), 409
    except Invalid as refused:
        errors = [_at_its_row(one, places) for one in refused.errors]
        said = "" if errors else refused.message
        return _overrides_page(run_id, FormState.sent(errors), rows, said), 422
    flash(f"Run {run_id} continues at the failed step, with one-off values for {', '.join(values)}.", "ok")
    return see_other(url_for("runs.show", run_id=run_id))


def _overrides_page(run_id: int, form: FormState, rows: int, refused: str = "") -> str:
    session = db.session()
    detail = find(session, run_id)
    return render_template(
        "runs/overrides.html",
        run=detail.run,
        step=detail.step_name(detail.run.cursor),
        plan=plan(session, detail.run, Action.RETRY),
        fields=[
            ("", "Choose a field"),
            *((name, name) for name in overridable_fields(session, detail.run)),
        ],
        kinds=KINDS,
        rows=rows,
        max_rows=MAX_ROWS,
        form=form,
        refused=refused,
    )


def _rows() -> int:
    text = request.form.get("rows", "")
    number = small_number(text)
    return min(max(number, 1), MAX_ROWS) if number is not None else ROWS


def _read(rows: int, places: dict[str, int]) -> dict[str, Scalar]:
    """The values by field; `places` is told which row each field stands in."""
    values: dict[str, Scalar] = {}
    errors: list[FieldError] = []
    for at in range(rows):
        name = request.form.get(f"field-{at}", "")
        text = request.form.get(f"value-{at}", "")
        if not name:
            if text:
                errors.append(FieldError(f"field-{at}", "Choose the field that this value is for."))
            continue
        if name in values:
            errors.append(FieldError(f"field-{at}", "This field is given twice."))
            continue
        places[name] = at
        try:
            values[name] = _typed(request.form.get(f"kind-{at}", "text"), text)
        except ValueError as problem:
            errors.append(FieldError(f"value-{at}", str(problem)))
    if not values and not errors:
        errors.append(FieldError("field-0", "Choose a field and type its value, or use Retry."))
    if errors:
        raise Invalid("Some one-off values cannot be used.", errors)
    return values


def _typed(kind: str, text: str) -> Scalar:
    if problem := unstorable(text):
        raise ValueError(problem)
    match kind:
        case "nothing":
            if text:
                raise ValueError("Leave this empty: nothing is sent as null.")
            return None
        case "boolean":
            if text.strip().lower() not in _BOOLEANS:
                raise ValueError("Type yes or no.")
            return _BOOLEANS[text.strip().lower()]
        case "number":
            return _number(text.strip())
        case _:
            return text


def _number(text: str) -> int | float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("Type a number.") from None
    if not abs(number) <= 2**53:
        raise ValueError("Type a number that is not that large.")
    return int(number) if number.is_integer() else number


def _at_its_row(error: FieldError, places: dict[str, int]) -> FieldError:
    at = places.get(error.field.removeprefix("overrides."))
    if error.field.startswith("overrides.") and at is not None:
        return FieldError(f"value-{at}", error.message)
    return error
