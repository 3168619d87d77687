"""What was told to whom and what became of it, and a test alert that says what arrived."""

from __future__ import annotations

from functools import partial

from flask import current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.connectors.alerts import Channels
from app.domain.alerts.rules import Channel
from app.errors import NotFound
from app.extensions import db
from app.guard import current_actor, requires, signed_in
from app.permissions import may, require
from app.queries import alert_pages
from app.queries.system import SEES_SYSTEM
from app.services.alerts import outbox
from app.services.alerts.lifecycle import write_test
from app.services.transaction import transaction
from app.web.alerts import chip_of, delivery_look, delivery_reason, tally_look
from app.web.htmx import see_other
from app.web.paging import links, read_page
from app.web.system.blueprint import bp

PAGE = 25


def channels() -> Channels:
    """The present application's ways out."""
    found: Channels = current_app.extensions["alerts"]
    return found


@bp.get("/system/alerts")
@signed_in
def alerts() -> ResponseReturnValue:
    """Where alerts go, and the messages so far, newest first."""
    require(current_actor(), *SEES_SYSTEM)
    page = read_page(partial(alert_pages.messages, db.session()), size=PAGE, key=lambda one: one.message.id)
    return render_template(
        "system/alerts.html",
        places=[(one.label, channels().place(one)) for one in Channel],
        rows=[
            (one, chip_of(one.message), {to: tally_look(one.channels.get(to), to) for to in Channel})
            for one in page.rows
        ],
        may_test=may(current_actor(), "settings:manage"),
        links=links(request.path, [], page),
    )


@bp.get("/system/alerts/<int:message_id>")
@signed_in
def alert(message_id: int) -> ResponseReturnValue:
    """One message, and each of its deliveries."""
    require(current_actor(), *SEES_SYSTEM)
    found = alert_pages.one_message(db.session(), message_id)
    if found is None:
        raise NotFound(f"There is no alert message {message_id}. They are kept for 90 days.")
    message, deliveries = found
    return render_template(
        "system/alert.html",
        told=message,
        message=message.message,
        look=chip_of(message.message),
        deliveries=[
            (one, Channel(one.row.channel).label, delivery_look(one.row), delivery_reason(one.row))
            for one in deliveries
        ],
        missing=[one for one in Channel if one not in channels().names],
        may_test=may(current_actor(), "settings:manage"),
    )


@bp.post("/system/test-alert")
@requires("settings:manage")
def send_test_alert() -> ResponseReturnValue:
    """Send a test alert now, to the reader and the webhook, and show what arrived or why it did not."""
    with current_app.extensions["outside"].one():
        return _sent_test_alert(channels())


def _sent_test_alert(out: Channels) -> ResponseReturnValue:
    with transaction() as session:
        message_id = write_test(session, current_actor(), channels=out.names, now=now())
    for name in sorted(out.names):
        with transaction() as session:
            outgoing = outbox.take(session, name, now=now(), only=[message_id])
        if outgoing is None:
            continue  # a mailer was quicker
        outcome = out.send(outgoing, now=now())
        with transaction() as session:
            outbox.note(session, outgoing, outcome, now=now())
    return see_other(url_for("system.alert", message_id=message_id))
