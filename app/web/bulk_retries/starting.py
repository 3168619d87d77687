"""The question before a bulk retry, and its start."""

from __future__ import annotations

import secrets

from flask import Response, flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.errors import AppError, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.schemas.base import parse
from app.schemas.bulk_retries import BulkRetryWords
from app.services import bulk_retries
from app.services.bulk_driving import IN_FLIGHT
from app.services.bulk_retries import Wanted
from app.services.transaction import transaction
from app.web.bulk_retries.choosing import Selection, question_of, read_selection
from app.web.bulk_retries.views import bp
from app.web.formstate import FormState
from app.web.htmx import see_other
from app.web.reading import storable
from app.web.signedin import person

_MAX_TOKEN = 64


@bp.get("/bulk-retries/new")
@requires("workflow:run")
def new() -> ResponseReturnValue:
    """What a bulk retry of the runs in the address would do: ticked ones, or what the list's filters leave."""
    return _page(read_selection(request.args), None)


@bp.post("/bulk-retries")
@requires("workflow:run")
def create() -> ResponseReturnValue:
    """Start it. A form that is sent twice makes one job."""
    typed = request.form
    selection = read_selection(typed, typed.get("query", ""))
    try:
        words = parse(BulkRetryWords, {name: typed.get(name, "") for name in ("name", "reason")})
        with transaction() as session:
            choice = selection.choose(session)
            wanted = Wanted(words.name, words.reason, _token(), selection.scope, choice.left_out)
            number = bulk_retries.start(session, current_actor(), wanted, choice.rows).id
    except Invalid as refused:
        return _page(selection, refused)
    flash(f"Bulk retry {number} has started. Its first run goes as a probe.", "ok")
    return see_other(url_for("bulk_retries.show", bulk_retry_id=number))


def _page(selection: Selection, refused: Invalid | None) -> Response:
    """The question with what was typed, or why there is none to ask."""
    question, why = None, ""
    try:
        question = question_of(db.session(), selection.choose(db.session()))
    except AppError as problem:
        why = problem.message
    html = render_template(
        "bulk_retries/new.html",
        nav="runs",
        selection=selection,
        question=question,
        why=why,
        form=_form(refused, question.name if question else ""),
        token=_token(),
        in_flight=IN_FLIGHT,
    )
    return make_response(html, 422 if refused is not None or why else 200)


def _form(refused: Invalid | None, name: str) -> FormState:
    if refused is not None:
        fields = [one for one in refused.errors if one.field in ("name", "reason")]
        return FormState.typed(request.form.to_dict(flat=False), fields or refused.errors)
    reader = person()
    return FormState.of({"name": name, "reason": f"Retry from console by {reader.email if reader else ''}"})


def _token() -> str:
    """The form's own: it makes one job, however often the form is sent."""
    return storable(request.form.get("token", ""))[:_MAX_TOKEN] or secrets.token_urlsafe(24)
