"""What needs somebody: a few bounded numbers, the newest trouble, and where to begin on the first day."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app.engine.chips import GrantState
from app.extensions import db
from app.guard import signed_in
from app.queries import access, directory
from app.web.grantchips import chip_view
from app.web.signedin import viewer_may

bp = Blueprint("home", __name__)

_NEWEST = 10


@bp.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """Home. Who may not see grants is told what they may do instead."""
    if not viewer_may("grant:read"):
        return render_template("home/no_rights.html")
    session = db.session()
    troubled = access.grants_page(session, size=_NEWEST, state=GrantState.NEEDS_ATTENTION)
    return render_template(
        "home/index.html",
        rows=[(grant, chip_view(grant)) for grant in troubled[:_NEWEST]],
        attention=directory.grants_in_state(session, GrantState.NEEDS_ATTENTION),
        waiting=directory.grants_in_state(session, GrantState.WAITING),
        moving=directory.runs_in_progress(session),
        enough=directory.ENOUGH,
        is_first_day=not directory.has_any_application(session),
        may_add=viewer_may("application:write"),
        may_see_runs=viewer_may("workflow:read"),
    )
