"""The page that everybody lands on: what needs them now, refreshed by one poller."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app.domain.grants.state import GrantState
from app.extensions import db
from app.guard import current_actor, signed_in
from app.models import Grant
from app.queries.applications import has_any_application
from app.queries.grants import GrantFilters, grant_list
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
    if not has_any_application(db.session()):
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
    """What the part that refreshes itself shows, and a `version` that changes with it."""
    home, troubled = home_of(db.session(), current_actor()), _troubled()
    seen = [(grant.id, grant.newest_run_id) for grant, _ in troubled or ()]
    drawn = repr((home.drawn, seen))
    version = hashlib.sha256(drawn.encode()).hexdigest()[:16]
    return {"home": home, "troubled": troubled, "version": version}


def _troubled() -> list[tuple[Grant, object]] | None:
    """Grants that need attention, for those who may not see the runs that failed."""
    if viewer_may("workflow:read") or not viewer_may("grant:read"):
        return None
    found = grant_list(db.session(), GrantFilters(state=GrantState.NEEDS_ATTENTION), limit=_NEWEST)
    return [(grant, chip_view(grant)) for grant in found]
