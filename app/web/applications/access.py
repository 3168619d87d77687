"""Who has access to an application, and the one poller that keeps the chips of that page true."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue

from app.clock import now
from app.domain.grants.state import GrantState
from app.extensions import db
from app.guard import requires
from app.models import Application, Grant
from app.queries.grants import GrantFilters, chips_of, grant_list
from app.queries.lookup import load
from app.schemas.kinds import MAX_ID
from app.web.applications.blueprint import bp
from app.web.applications.header import application_header
from app.web.forms import FormState
from app.web.grant_chip import SHOWN, chip_view
from app.web.htmx import announce, no_change
from app.web.paging import links, read_page
from app.web.polling import Poll, pace
from app.web.request_values import one_of, query

PAGE = 25
# The chips that can change without anybody on the page doing anything, as the poll's version names them.
_LETTERS = {GrantState.PROVISIONING: "p", GrantState.DEPROVISIONING: "d", GrantState.WAITING: "w"}
_STATES = {letter: state for state, letter in _LETTERS.items()}
_PART = re.compile(r"([0-9]{1,19})([pdw])")
_MOST = 100
# A person takes longer than a machine.
_PERSON_SECONDS = 30

STATES = ("", *(state.value for state in GrantState))


@bp.get("/<int:application_id>")
@requires("grant:read")
def show(application_id: int) -> ResponseReturnValue:
    """The Access tab: grants, newest first, the filter in the address."""
    application = load(db.session(), Application, application_id)
    text, shown, state = query("q"), one_of("show", tuple(SHOWN)), one_of("state", STATES)
    read = partial(
        grant_list,
        db.session(),
        GrantFilters(
            application_id=application_id,
            is_active=SHOWN[shown],
            state=GrantState(state) if state else None,
            text=text,
        ),
    )
    page = read_page(read, size=PAGE, key=lambda grant: grant.id)
    moving = [grant.id for grant in page.rows if grant.state in _LETTERS]
    filters = [("q", text), ("show", "" if shown == "active" else shown), ("state", state)]
    return render_template(
        "applications/show.html",
        rows=[(grant, chip_view(grant)) for grant in page.rows],
        links=links(request.path, filters, page),
        form=FormState.of({"q": text, "show": shown, "state": state}),
        filtered=bool(text or state or shown != "active"),
        states=list(GrantState),
        application_id=application_id,
        poll=_poll(application_id, chips_of(db.session(), moving, application_id=application_id)),
        **application_header(application, "access"),
    )


@bp.get("/<int:application_id>/chips")
@requires("grant:read")
def chips(application_id: int) -> ResponseReturnValue:
    """The chips that changed since `v`, out of band: 204 when none did."""
    shown = _shown(request.args.get("v", ""))
    found = chips_of(db.session(), shown, application_id=application_id)
    poll = _poll(application_id, found)
    if poll.is_shown:
        return no_change()
    changed = [grant for grant, _ in found if grant.state != shown.get(grant.id)]
    html = render_template(
        "applications/_chips.html",
        application_id=application_id,
        poll=poll,
        chips=[(grant.id, chip_view(grant)) for grant in changed],
    )
    response = make_response(html)
    if changed:
        words = (f"{grant.user.name}: {chip_view(grant).label}." for grant in changed)
        announce(response, " ".join(words))
    return response


def _poll(application_id: int, found: Sequence[tuple[Grant, datetime | None]]) -> Poll:
    """What can still change of these grants, given with the last change of each one's newest run.

    `2.17p-23w` reads: asked every 2 s; grant 17 shown as provisioning, 23 as waiting. The list empties as runs end,
    and with it the polling.
    """
    moving = [(grant, changed_at) for grant, changed_at in found if grant.state in _LETTERS]
    runs = [at for grant, at in moving if grant.state != GrantState.WAITING and at]
    seconds = pace(now() - max(runs)) if runs else _PERSON_SECONDS
    parts = sorted((grant.id, _LETTERS[GrantState(grant.state)]) for grant, _ in moving)
    version = f"{seconds}.{'-'.join(f'{number}{letter}' for number, letter in parts)}"
    return Poll(version, seconds if moving else 0, application_id)


def _shown(version: str) -> dict[int, str]:
    """The state in which the page shows each grant; an edited version reads as far as it makes sense."""
    parts = (_PART.fullmatch(part) for part in version.partition(".")[2].split("-")[:_MOST])
    return {int(one[1]): _STATES[one[2]].value for one in parts if one and int(one[1]) <= MAX_ID}
