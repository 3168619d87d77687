"""System health: the console's own parts, refreshed by one poller; and holding runs back as a whole."""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, make_response, render_template, request, url_for
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from app.clock import now
from app.config.settings import Settings
from app.connectors.alerts import Channels
from app.database import db_now
from app.errors import Conflict
from app.extensions import db
from app.guard import current_actor, requires, signed_in
from app.permissions import may, require
from app.queries.alert_pages import arrivals
from app.queries.checkup import is_current
from app.queries.connections import parkings
from app.queries.liveness import count_adrift
from app.queries.system import SEES_SYSTEM, failing_duties, open_runs, paused, system_facts, table_revisions
from app.services import run_pause
from app.services.transaction import transaction
from app.web.forms import FormState, form_page, shows_again
from app.web.htmx import announce, no_change, see_other
from app.web.polling import Poll, digest
from app.web.system.blueprint import bp
from app.web.system.parts import alerts_part, figures, overall, parts, sign_of
from app.web.system.queue_watch import KEY, Watch, the_watch

_STARTED_AT = now()


@bp.record_once
def _watch(state: BlueprintSetupState) -> None:
    state.app.extensions[KEY] = Watch()


@bp.get("/system")
@signed_in
def index() -> ResponseReturnValue:
    """The page. It answers also while Redis hangs: asking that takes a fraction of a second."""
    return render_template("system/index.html", **_shown())


@bp.get("/system/parts")
@signed_in
def live() -> ResponseReturnValue:
    """What the page polls: 204 while it would show the same."""
    shown = _shown()
    poll: Poll = shown["poll"]
    if poll.is_shown:
        return no_change()
    answer = make_response(render_template("system/_live.html", **shown))
    # Heard only when the whole changed: numbers that tick are for the eye.
    if request.args.get("v", "").partition("-")[0] != poll.version.partition("-")[0]:
        announce(answer, shown["summary"])
    return answer


def _shown() -> dict[str, Any]:
    """What page and fragment show, and the poll whose version changes with it."""
    actor = current_actor()
    require(actor, *SEES_SYSTEM)
    session = db.session()
    settings: Settings = current_app.extensions["settings"]
    facts = system_facts(session, now=db_now(session.connection()))
    migrated = is_current(table_revisions(session))
    found = parts(
        facts,
        the_watch().queue(),
        settings,
        started_at=_STARTED_AT,
        migrated=migrated,
        adrift=count_adrift(session, now=facts.at, settings=settings),
        failing=failing_duties(session),
    )
    channels: Channels = current_app.extensions["alerts"]
    found.append(alerts_part(channels.names, arrivals(session, now=facts.at)))
    numbers = figures(facts)
    workers = [(one, sign_of(one, facts.at)) for one in facts.workers]
    parked = parkings(session)
    summary = overall(found)
    signs = [(one.name, one.in_flight, sign) for one, sign in workers]
    return {
        "summary": summary,
        "is_well": all(one.is_well for one in found),
        "parts": found,
        "figures": numbers,
        "parked": parked,
        "may_open": may(actor, "workflow:read"),
        "workers": workers,
        "is_paused": facts.paused is not None,
        "may_mend": may(actor, "settings:manage"),
        "poll": Poll(f"{digest(summary)}-{digest(found, numbers, parked, signs)}", 10),
    }


@bp.get("/system/pause")
@requires("settings:manage")
def pause() -> ResponseReturnValue:
    """The question, with its consequences."""
    return _pause(FormState())


def _pause(form: FormState) -> ResponseReturnValue:
    return form_page("system/pause", form)


@bp.post("/system/pause")
@requires("settings:manage")
@shows_again(_pause)
def pause_runs() -> ResponseReturnValue:
    """Hold runs back."""
    try:
        with transaction() as session:
            run_pause.pause(session, current_actor(), request.form.get("reason", ""), now=now())
    except Conflict as refused:
        flash(refused.message, "bad")
    else:
        flash("Runs are paused. Grants are recorded, and their runs wait.", "ok")
    the_watch().forget()
    return see_other(url_for("system.index"))


@bp.get("/system/resume")
@requires("settings:manage")
def resume() -> ResponseReturnValue:
    """What goes on when runs are resumed, to be looked at first."""
    return render_template(
        "system/resume.html", held=paused(db.session()), runs=sum(open_runs(db.session()).values())
    )


@bp.post("/system/resume")
@requires("settings:manage")
def resume_runs() -> ResponseReturnValue:
    """Let runs go on."""
    try:
        with transaction() as session:
            run_pause.resume(session, current_actor(), now=now())
    except Conflict as refused:
        flash(refused.message, "bad")
    else:
        flash("Runs go on. What is due is begun within seconds.", "ok")
    the_watch().forget()
    return see_other(url_for("system.index"))
