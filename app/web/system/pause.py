"""Pausing and resuming runs, each with what it means before the click."""

from __future__ import annotations

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.errors import Conflict
from app.extensions import db
from app.guard import current_actor, requires
from app.queries.system import open_runs, paused
from app.services import run_pause
from app.services.transaction import transaction
from app.web.forms import FormState, form_page, shows_again
from app.web.htmx import see_other
from app.web.system.blueprint import bp
from app.web.system.queue_watch import the_watch


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
