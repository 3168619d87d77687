"""The page that everybody lands on: what needs them now, refreshed by one poller."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app.engine.chips import GrantState
from app.extensions import db
from app.guard import current_actor, signed_in
from app.queries import access, directory
from app.web.grantchips import chip_view
from app.web.home.shown import home_of
from app.web.htmx import no_change
from app.web.signedin import viewer_may

bp = Blueprint("home", __name__)

_NEWEST = 10
_SEEN = ("grant:read", "workflow:read", "workflow:task")


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """Home. Who may see nothing of it is told what they may do instead."""
    if not any(viewer_may(one) for one in _SEEN):
        return render_template("home/no_rights.html")
    if not directory.has_any_application(db.session()):
        return render_template("home/first_day.html", may_add=viewer_may("application:write"))
    return render_template("home/index.html", **_live())


@bp.get("/home/live")
@signed_in
def live() -> ResponseReturnValue:
    """What the page polls: 204 while it would show the same."""
    told = _live()
    if request.args.get("v") == told["version"]:
        return no_change()
    return render_template("home/_live.html", **told)


def _live() -> dict[str, Any]:
    """The part that refreshes itself, drawn, and a `version` that changes with it."""
    session = db.session()
    html = render_template(
        "home/_parts.html",
        home=home_of(session, current_actor()),
        troubled=_troubled(),
        reads_grants=viewer_may("grant:read"),
    )
    return {"parts": html, "version": hashlib.sha256(html.encode()).hexdigest()[:16]}


def _troubled() -> list[tuple[object, object]] | None:
    """Grants that need attention, for those who may not see the runs that failed."""
    if viewer_may("workflow:read") or not viewer_may("grant:read"):
        return None
    found = access.grants_page(db.session(), size=_NEWEST, state=GrantState.NEEDS_ATTENTION)
    return [(grant, chip_view(grant)) for grant in found[:_NEWEST]]
