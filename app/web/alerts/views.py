"""The reader's own alerts: the list behind the bell, and marking what was read."""

from __future__ import annotations

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.extensions import db
from app.guard import current_actor, signed_in
from app.queries import alert_pages
from app.schemas.kinds import record_id
from app.services.alerts import reading
from app.services.transaction import transaction
from app.web.alerts.looks import notice_chip
from app.web.filters import plural
from app.web.htmx import see_other
from app.web.loading import neighbour
from app.web.paging import links, page_of, read_cursor

bp = Blueprint("alerts", __name__, url_prefix="/alerts")

PAGE = 25


@bp.get("")
@signed_in
def index() -> ResponseReturnValue:
    """What concerns the reader, newest first: what is unread or, with `show=all`, everything that is kept."""
    shows_all = request.args.get("show", "") == "all"
    cursor = read_cursor(request.args)
    session = db.session()
    reader = current_actor().user_id or 0
    rows = alert_pages.notices(
        session,
        reader,
        size=PAGE,
        unread_only=not shows_all,
        before=neighbour(cursor.before),
        after=neighbour(cursor.after),
    )
    page = page_of(rows, cursor, size=PAGE, key=lambda one: one.id)
    filters = [("show", "all")] if shows_all else []
    return render_template(
        "alerts/index.html",
        rows=[(one, notice_chip(one)) for one in page.rows],
        shows_all=shows_all,
        newest=max((one.id for one in page.rows if one.read_at is None), default=0),
        tabs=[
            {"label": "Unread", "href": url_for("alerts.index"), "current": not shows_all},
            {"label": "All", "href": url_for("alerts.index", show="all"), "current": shows_all},
        ],
        links=links(request.path, filters, page),
    )


@bp.post("/<int:message_id>/read")
@signed_in
def read(message_id: int) -> ResponseReturnValue:
    """Mark one as read, and go back to the list."""
    with transaction() as session:
        reading.mark_read(session, current_actor(), message_id, now=now())
    return see_other(_list())


@bp.post("/read")
@signed_in
def read_all() -> ResponseReturnValue:
    """Mark all as read up to the newest that the reader saw."""
    up_to = record_id(request.form.get("up_to", "")) or 0
    with transaction() as session:
        count = reading.mark_all_read(session, current_actor(), up_to=up_to, now=now())
    flash(f"{plural(count, 'alert')} marked as read." if count else "Nothing was unread.", "ok")
    return see_other(_list())


def _list() -> str:
    return url_for("alerts.index", show="all" if request.form.get("show") == "all" else None)
