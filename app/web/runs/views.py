"""The runs list, and one run: its page, its live fragment, Retry and Cancel."""

from __future__ import annotations

from datetime import UTC
from functools import partial

from flask import Response, flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import Conflict, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Run
from app.queries.recovery_plan import Action, plan
from app.queries.runs import run_chip_of, run_list
from app.queries.timeline import last_event
from app.schemas.base import parse
from app.schemas.grants import CancelIn
from app.services import recovery, runs
from app.services.transaction import transaction
from app.web.forms import FormState, question, shows_again
from app.web.htmx import close_dialog, is_fragment, no_change, retarget, see_other, toast
from app.web.paging import links, no_rows, read_page
from app.web.polling import watched
from app.web.runs.blueprint import bp
from app.web.runs.listing import (
    address_after,
    offer_of,
    options,
    read_listing,
    removable,
    shortcuts,
    walk_from,
)
from app.web.runs.run_page import find, live_of, locked, run_poll
from app.web.template_filters import distance

PAGE_SIZE = 50


@bp.get("/runs")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    """Runs across applications, newest first, narrowed by what the address says."""
    session, listing, at = db.session(), read_listing(request.args), now()
    read = partial(run_list, session, listing.filters) if listing.filters is not None else no_rows
    page = read_page(read, size=PAGE_SIZE, key=lambda row: row.run.id)
    html = render_template(
        "runs/index.html",
        listing=listing,
        form=listing.form,
        rows=[(row, run_chip_of(row.run, now=at, of=row.of)) for row in page.rows],
        links=links(url_for("runs.index"), listing.kept, page),
        shortcuts=shortcuts(listing.url, at.astimezone(UTC).date()),
        removable=removable(session, listing),
        options=options(session, listing),
        bulk=offer_of(session, listing, page.rows, current_actor()),
    )
    response = make_response(html, 200 if listing.filters is not None else 422)
    return address_after(response, listing) if is_fragment() else response


@bp.get("/runs/<int:run_id>")
@requires("workflow:read")
def show(run_id: int) -> ResponseReturnValue:
    """One run: its facts, what may be done, and the timeline, which refreshes itself."""
    return _page(run_id)


@bp.get("/runs/<int:run_id>/timeline")
@requires("workflow:read")
def timeline(run_id: int) -> ResponseReturnValue:
    """The timeline as it is now; 204 while `v` is still its version."""
    poll = run_poll(watched(db.session(), Run, run_id), now())
    return no_change() if poll.is_shown else _fragment(run_id)


@bp.get("/runs/<int:run_id>/retry")
@requires("workflow:run")
def confirm_retry(run_id: int) -> ResponseReturnValue:
    """The question that Retry asks, as a page."""
    return _ask_retry(FormState(), run_id)


def _ask_retry(form: FormState, run_id: int) -> ResponseReturnValue:
    run = find(db.session(), run_id).run
    return question("runs/retry", "retry-run", form, run=run, plan=plan(db.session(), run, Action.RETRY))


@bp.post("/runs/<int:run_id>/retry")
@requires("workflow:run")
def retry(run_id: int) -> ResponseReturnValue:
    """Try the failed step again. Of several at once one is taken; the others are shown who was first."""
    confirmed = bool(request.form.get("confirm_unknown"))
    token = request.form.get("token") or None
    try:
        with transaction() as session:
            run = locked(session, run_id)
            recovery.retry(session, current_actor(), run, confirm_unknown=confirmed, token=token)
    except Conflict as conflict:
        return _refused(run_id, _who_retried(run_id) or conflict.message, "retry")
    except Invalid as refused:
        if not refused.errors:
            return _refused(run_id, refused.message, "retry", status=422)
        return _ask_retry(FormState.sent(refused.errors), run_id)
    return _done(run_id, f"Run {run_id} continues at the failed step.", "retry")


@bp.get("/runs/<int:run_id>/cancel")
@requires("workflow:run")
def confirm_cancel(run_id: int) -> ResponseReturnValue:
    """The question that Cancel asks, as a page."""
    return _ask_cancel(FormState(), run_id)


def _ask_cancel(form: FormState, run_id: int) -> ResponseReturnValue:
    return question("runs/cancel", "cancel-run", form, run=find(db.session(), run_id).run)


@bp.post("/runs/<int:run_id>/cancel")
@requires("workflow:run")
@shows_again(_ask_cancel)
def cancel(run_id: int) -> ResponseReturnValue:
    """End the run, for a reason; a call under way is let finish first."""
    given = parse(CancelIn, {"reason": request.form.get("reason", "")})
    try:
        with transaction() as session:
            run = runs.cancel(session, current_actor(), locked(session, run_id), reason=given.reason)
            ends_later = run.in_flight
    except Conflict as conflict:
        return _refused(run_id, conflict.message, "cancel")
    words = "ends when its call has come back" if ends_later else "was cancelled"
    return _done(run_id, f"Run {run_id} {words}.", "cancel")


def _page(run_id: int, status: int = 200) -> Response:
    session = db.session()
    live, walk = live_of(session, run_id, current_actor()), walk_from(session, run_id)
    html = render_template("runs/show.html", live=live, run=live.run, walk=walk, form=FormState(), oob=False)
    return make_response(html, status)


def _fragment(run_id: int, status: int = 200) -> Response:
    live = live_of(db.session(), run_id, current_actor())
    return make_response(render_template("runs/_live.html", live=live, run=live.run, oob=True), status)


def _done(run_id: int, text: str, verb: str) -> ResponseReturnValue:
    if is_fragment():
        return close_dialog(toast(_fragment(run_id), text), f"#{verb}-run")
    flash(text, "ok")
    return see_other(url_for("runs.show", run_id=run_id))


def _refused(run_id: int, why: str, verb: str, *, status: int = 409) -> ResponseReturnValue:
    """Nothing was done: why, and the run as it stands now."""
    text = f"{why} The timeline shows the current state."
    if is_fragment():
        answer = retarget(toast(_fragment(run_id, status), text, tone="wait"), "#timeline")
        return close_dialog(answer, f"#{verb}-run")
    flash(text, "wait")
    return _page(run_id, status)


def _who_retried(run_id: int) -> str:
    event = last_event(db.session(), run_id, "retried")
    if event is None or not event.by:
        return ""
    return f"{event.by[0].upper()}{event.by[1:]} retried this run {distance(event.at, now())}."
