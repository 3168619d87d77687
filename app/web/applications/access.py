"""Who has access to an application, and the one poller that keeps the chips of that page true."""

from __future__ import annotations

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.domain.grants.state import GrantState
from app.extensions import db
from app.guard import requires
from app.models import Application
from app.queries.grants import GrantFilters, chips_of, grant_list
from app.web.applications.blueprint import bp
from app.web.applications.header import application_header
from app.web.applications.polling import Watch, read_watch, watch_of
from app.web.forms import FormState
from app.web.grant_chip import SHOWN, chip_view
from app.web.htmx import announce, no_change
from app.web.lookup import load, neighbour
from app.web.paging import links, page_of, read_cursor
from app.web.request_values import one_of, query

PAGE = 25
STATES = ("", *(state.value for state in GrantState))


@bp.get("/<int:application_id>")
@requires("grant:read")
def show(application_id: int) -> ResponseReturnValue:
    """The Access tab: grants, newest first, the filter in the address."""
    application = load(Application, application_id)
    text, shown, state = query("q"), one_of("show", tuple(SHOWN)), one_of("state", STATES)
    cursor = read_cursor(request.args)
    rows = grant_list(
        db.session(),
        GrantFilters(
            application_id=application_id,
            is_active=SHOWN[shown],
            state=GrantState(state) if state else None,
            text=text,
        ),
        limit=PAGE + 1,
        before=neighbour(cursor.before),
        after=neighbour(cursor.after),
    )
    page = page_of(rows, cursor, size=PAGE, key=lambda grant: grant.id)
    filters = [("q", text), ("show", "" if shown == "active" else shown), ("state", state)]
    return render_template(
        "applications/show.html",
        rows=[(grant, chip_view(grant)) for grant in page.rows],
        links=links(request.path, filters, page),
        form=FormState.of({"q": text, "show": shown, "state": state}),
        filtered=bool(text or state or shown != "active"),
        states=list(GrantState),
        poll=_poll_address(
            application_id,
            watch_of(chips_of(db.session(), _moving(page.rows), application_id=application_id)),
        ),
        **application_header(application, "access"),
    )


@bp.get("/<int:application_id>/chips")
@requires("grant:read")
def chips(application_id: int) -> ResponseReturnValue:
    """The chips that changed since `v`, out of band: 204 when none did."""
    shown = read_watch(request.args.get("v", ""))
    found = chips_of(db.session(), shown.states, application_id=application_id)
    now_shown = watch_of(found)
    changed = [grant for grant, _ in found if grant.state != shown.states.get(grant.id)]
    if not changed and now_shown == shown:
        return no_change()
    response = make_response(
        render_template(
            "applications/_chips.html",
            poll=_poll_address(application_id, now_shown),
            chips=[(grant.id, chip_view(grant)) for grant in changed],
        )
    )
    if changed:
        words = (f"{grant.user.name}: {chip_view(grant).label}." for grant in changed)
        announce(response, " ".join(words))
    return response


def _moving(rows: object) -> list[int]:
    return [grant.id for grant in rows if Watch.follows(grant.state)]  # type: ignore[attr-defined]


def _poll_address(application_id: int, watch: Watch) -> tuple[str, float] | None:
    """Where to ask and every how many seconds; None when nothing can change by itself."""
    if not watch.states:
        return None
    return url_for("applications.chips", application_id=application_id, v=str(watch)), watch.interval
