"""The list of bulk retries, and one of them: its page, its live fragment, and Stop."""

from __future__ import annotations

from functools import partial

from flask import Response, flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import Conflict
from app.extensions import db
from app.guard import current_actor, requires
from app.models import BulkRetry
from app.queries.bulk_retries import bulk_list
from app.queries.lookup import load
from app.services import bulk_retries
from app.services.transaction import transaction
from app.web.bulk_retries.blueprint import bp
from app.web.bulk_retries.job_page import job_poll, live_of, note_words, read_view
from app.web.htmx import is_fragment, no_change, retarget, see_other, toast
from app.web.paging import links, read_page
from app.web.polling import watched

PAGE_SIZE = 25


@bp.get("/bulk-retries")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    """Every bulk retry, the newest first."""
    page = read_page(partial(bulk_list, db.session()), size=PAGE_SIZE, key=lambda row: row.bulk.id)
    return render_template(
        "bulk_retries/index.html",
        nav="runs",
        rows=page.rows,
        links=links(url_for("bulk_retries.index"), (), page),
    )


@bp.get("/bulk-retries/<int:bulk_retry_id>")
@requires("workflow:read")
def show(bulk_retry_id: int) -> ResponseReturnValue:
    """What has become of each run; it refreshes itself while the job is live."""
    return _page(bulk_retry_id)


@bp.get("/bulk-retries/<int:bulk_retry_id>/progress")
@requires("workflow:read")
def live(bulk_retry_id: int) -> ResponseReturnValue:
    """The progress as it is now; 204 while `v` is still its version."""
    poll = job_poll(watched(db.session(), BulkRetry, bulk_retry_id), now())
    return no_change() if poll.is_shown else _fragment(bulk_retry_id)


@bp.post("/bulk-retries/<int:bulk_retry_id>/stop")
@requires("workflow:run")
def stop(bulk_retry_id: int) -> ResponseReturnValue:
    """Retry none of the runs that still wait. Of several at once one is taken; the others are told who it was."""
    try:
        with transaction() as session:
            load(session, BulkRetry, bulk_retry_id)
            bulk_retries.stop(session, current_actor(), bulk_retry_id)
    except Conflict as conflict:
        return _answer(bulk_retry_id, f"{conflict.message} The page shows how it stands now.", "wait", 409)
    return _answer(
        bulk_retry_id, f"Bulk retry {bulk_retry_id} is stopped: no further run is retried.", "ok", 200
    )


def _answer(bulk_id: int, text: str, tone: str, status: int) -> Response:
    if is_fragment():
        return retarget(toast(_fragment(bulk_id, status), text, tone=tone), "#progress")
    flash(text, tone)
    if status == 200:
        return see_other(url_for("bulk_retries.show", bulk_retry_id=bulk_id))
    return _page(bulk_id, status)


def _page(bulk_id: int, status: int = 200) -> Response:
    shown = live_of(db.session(), bulk_id, current_actor(), read_view(request))
    html = render_template("bulk_retries/show.html", nav="runs", live=shown, note=note_words, oob=False)
    return make_response(html, status)


def _fragment(bulk_id: int, status: int = 200) -> Response:
    shown = live_of(db.session(), bulk_id, current_actor(), read_view(request))
    return make_response(
        render_template("bulk_retries/_live.html", live=shown, note=note_words, oob=True), status
    )
