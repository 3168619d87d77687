"""The bell: what concerns the reader, how alerts look, and marking what was read."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.domain.alerts.rules import AlertKind, Channel
from app.extensions import db
from app.guard import current_actor, signed_in
from app.models import AlertDelivery, AlertMessage
from app.queries import alert_pages
from app.queries.alert_pages import BellMessage, Tally
from app.schemas.kinds import record_id
from app.services.alerts import lifecycle
from app.services.transaction import transaction
from app.web.htmx import see_other
from app.web.paging import links, read_page
from app.web.template_filters import plural

K = AlertKind
_TONES = {
    K.FAILURES: "bad",
    K.REVOKE_FAILED: "bad",
    K.CONNECTION_PARKED: "bad",
    K.WORKER_LOST: "bad",
    K.STANDSTILL: "bad",
    K.TASK_OVERDUE: "bad",
    K.TASK_ASSIGNED: "wait",
    K.TASKS_WAITING: "wait",
    K.TASK_DUE_SOON: "wait",
}


def chip_of(message: AlertMessage) -> tuple[str, str]:
    """Tone and words of a message's chip."""
    kind = AlertKind(message.kind)
    if message.transition == "resolved":
        return "ok", "Resolved"
    return _TONES.get(kind, "idle"), kind.label


def notice_chip(notice: BellMessage) -> tuple[str, str]:
    """The same at somebody's bell, where a matter that has ended is no alarm any more."""
    tone, label = chip_of(notice.message)
    return ("muted" if notice.over_at is not None and tone != "ok" else tone), label


def tally_look(tally: Tally | None, channel: Channel) -> tuple[str, str, str]:
    """Tone, words and the reason of what became of a message on a channel."""
    if tally is None:
        return "muted", "Not sent", ""
    doubt = "One may have arrived twice." if tally.uncertain else ""
    if tally.failed:
        return "bad", _of(tally.failed, tally, "not delivered", channel), tally.problem
    if tally.pending:
        why = tally.problem or doubt
        return "wait" if why else "idle", _of(tally.pending, tally, "on the way", channel), why
    return "ok", _of(tally.delivered, tally, "delivered", channel), doubt


def delivery_look(row: AlertDelivery) -> tuple[str, str]:
    """Tone and words of one delivery's chip."""
    if row.status == "delivered":
        return "ok", "Delivered"
    if row.status == "failed":
        return "bad", "Not delivered"
    return ("wait", "Tried, tries again") if row.tries else ("idle", "To be sent")


def delivery_reason(row: AlertDelivery) -> str:
    """Why it is where it is, "" when there is nothing to say."""
    doubt = "It may have arrived twice: no answer came to an earlier try, or its sender stopped."
    if row.status == "delivered":
        return doubt if row.uncertain else ""
    return row.problem or ""


def _of(count: int, tally: Tally, words: str, channel: Channel) -> str:
    if channel is Channel.WEBHOOK:
        return words.capitalize()
    return f"{count} of {plural(tally.total, 'mail')} {words}"


bp = Blueprint("alerts", __name__, url_prefix="/alerts")

PAGE = 25


@bp.get("")
@signed_in
def index() -> ResponseReturnValue:
    """What concerns the reader, newest first: what is unread or, with `show=all`, everything that is kept."""
    shows_all = request.args.get("show", "") == "all"
    reader = current_actor().user_id or 0
    read_from = partial(alert_pages.notices, db.session(), reader, unread_only=not shows_all)
    page = read_page(read_from, size=PAGE, key=lambda one: one.id)
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
        lifecycle.mark_read(session, current_actor(), message_id, now=now())
    return see_other(_list())


@bp.post("/read")
@signed_in
def read_all() -> ResponseReturnValue:
    """Mark all as read up to the newest that the reader saw."""
    up_to = record_id(request.form.get("up_to", "")) or 0
    with transaction() as session:
        count = lifecycle.mark_all_read(session, current_actor(), up_to=up_to, now=now())
    flash(f"{plural(count, 'alert')} marked as read." if count else "Nothing was unread.", "ok")
    return see_other(_list())


def _list() -> str:
    return url_for("alerts.index", show="all" if request.form.get("show") == "all" else None)
