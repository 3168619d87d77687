"""The audit page and its export."""

from __future__ import annotations

from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.queries.audit import actions, audit_list, every_entry, subject_types
from app.web.audit.export import lines
from app.web.audit.listing import read_listing
from app.web.audit.words import action_words, changed, record_page, who
from app.web.csvfile import download
from app.web.loading import neighbour
from app.web.paging import links, page_of, read_cursor

bp = Blueprint("audit", __name__, url_prefix="/audit")

PAGE = 50


@bp.get("")
@requires("audit:read")
def index() -> ResponseReturnValue:
    """Who did what to which record, the newest first, narrowed by what the address says."""
    session, listing, cursor = db.session(), read_listing(request.args), read_cursor(request.args)
    rows = []
    if listing.filters is not None:
        before, after = neighbour(cursor.before), neighbour(cursor.after)
        rows = list(audit_list(session, listing.filters, limit=PAGE + 1, before=before, after=after))
    page = page_of(rows, cursor, size=PAGE, key=lambda event: event.id)
    permissions = current_actor().permissions
    words = sorted(((one, action_words(one)) for one in actions(session)), key=lambda pair: pair[1].lower())
    html = render_template(
        "audit/index.html",
        listing=listing,
        form=listing.form,
        rows=[
            (one, who(one), action_words(one.action), changed(one), record_page(one, permissions))
            for one in page.rows
        ],
        links=links(url_for("audit.index"), listing.kept, page),
        actions=[("", "Any action"), *words],
        types=[
            ("", "Any record"),
            *((one, one.replace("_", " ").capitalize()) for one in subject_types(session)),
        ],
        export=listing.address(url_for("audit.export")),
    )
    return make_response(html, 200 if listing.filters is not None else 422)


@bp.get("/export")
@requires("audit:read")
def export() -> ResponseReturnValue:
    """The same entries as a file, sent as they are read."""
    listing = read_listing(request.args)
    if listing.filters is None:
        raise Invalid("These filters cannot be used.", list(listing.form.errors))
    return download(lines(every_entry(db.session(), listing.filters)), f"audit-{now():%Y-%m-%d}.csv")
