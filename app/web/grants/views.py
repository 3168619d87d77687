"""One grant: what is known of it, why it started what it did, and changing, revoking or running it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.clock import now
from app.domain.grants.trigger import no_run_reason
from app.domain.states import RunStatus, Trigger
from app.errors import Conflict, Invalid
from app.extensions import db
from app.guard import current_actor, requires
from app.models import Grant, TriggerDecision, User
from app.queries.grants import GrantDetail, foreign_workflow, grant_detail, other_active_grant
from app.queries.lookup import load, missing
from app.queries.situation import situation_of
from app.services import grants, runs
from app.services.transaction import transaction
from app.web.forms import FormState, form_page, shows_again
from app.web.grant_chip import chip_view
from app.web.grants.blueprint import bp
from app.web.grants.consequences import CheckLine, consequence_of, lines_now, stored_words, trigger_of
from app.web.grants.forms import expiry_value, read_change, read_revocation
from app.web.htmx import see_other
from app.web.login_session import viewer_may
from app.web.request_values import ticked
from app.web.template_filters import absolute


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision with what was checked then, what holds now, and whether its run can be started now."""

    decision: TriggerDecision
    trigger: Trigger
    reason: str
    then: list[CheckLine]
    now: list[CheckLine]
    offers_run: bool
    obstacle: str


@bp.get("/grants/<int:grant_id>")
@requires("grant:read")
def show(grant_id: int) -> ResponseReturnValue:
    """The grant with its decisions and runs."""
    detail = _detail(grant_id)
    grant = detail.grant
    return render_template(
        "grants/show.html",
        grant=grant,
        chip=chip_view(grant),
        decisions=[_explained(grant, one) for one in reversed(detail.decisions)],
        runs=[(run, RunStatus(run.status), Trigger(run.trigger)) for run in reversed(detail.runs[-20:])],
        consequence=_revoke_consequence(grant, record_only=False) if grant.is_active else None,
        form=FormState(),
        may_write=viewer_may("grant:write"),
        may_see_runs=viewer_may("workflow:read"),
    )


@bp.get("/grants/<int:grant_id>/edit")
@requires("grant:write")
def edit(grant_id: int) -> ResponseReturnValue:
    """Notes and expiry: all of a grant that may change."""
    grant = _detail(grant_id).grant
    return _edit(FormState.of({"notes": grant.notes, "expires_at": expiry_value(grant)}), grant_id)


def _edit(form: FormState, grant_id: int) -> ResponseReturnValue:
    return form_page("grants/edit", form, grant=_detail(grant_id).grant)


@bp.post("/grants/<int:grant_id>/edit")
@requires("grant:write")
@shows_again(_edit)
def update(grant_id: int) -> ResponseReturnValue:
    """Save notes and expiry."""
    patch = read_change()
    with transaction() as session:
        grants.change_grant(
            session,
            current_actor(),
            load(session, Grant, grant_id),
            now=now(),
            notes=patch.notes,
            expires_at=patch.expires_at,
            set_expiry="expires_at" in patch.given(),
        )
    flash("Saved.", "ok")
    return see_other(url_for("grants.show", grant_id=grant_id))


@bp.get("/grants/<int:grant_id>/revoke")
@requires("grant:write")
def confirm_revoke(grant_id: int) -> ResponseReturnValue:
    """What revoking will start, or why nothing, before it is done."""
    _refuse_second(_detail(grant_id).grant)
    return _revoke(FormState(), grant_id)


def _revoke(form: FormState, grant_id: int) -> ResponseReturnValue:
    grant = _detail(grant_id).grant
    found = _revoke_consequence(grant, record_only=ticked("record_only"))
    return form_page("grants/revoke", form, grant=grant, consequence=found)


@bp.get("/grants/<int:grant_id>/revoke/consequence")
@requires("grant:write")
def revoke_consequence(grant_id: int) -> ResponseReturnValue:
    """The same for the present state of the switch: a piece of the form."""
    found = _revoke_consequence(_detail(grant_id).grant, record_only=request.args.get("record_only") == "1")
    ask = url_for("grants.revoke_consequence", grant_id=grant_id)
    return render_template("grants/_consequence.html", consequence=found, verb="revoking", ask=ask)


@bp.post("/grants/<int:grant_id>/revoke")
@requires("grant:write")
@shows_again(_revoke)
def revoke(grant_id: int) -> ResponseReturnValue:
    """Revoke; the second of two is told who was first (409)."""
    data = read_revocation()
    with transaction() as session:
        grant = load(session, Grant, grant_id)
        _refuse_second(grant)
        grants.revoke(
            session,
            current_actor(),
            grant,
            now=now(),
            notes=data.notes or None,
            record_only=data.record_only,
        )
    name = load(db.session(), User, grant.user_id).name
    if grant.newest_run_id is not None and grant.state_reason is None:
        flash(f"Access revoked from {name}. Deprovisioning started: run {grant.newest_run_id}.", "ok")
    else:
        flash(f"Access revoked from {name}. No automation ran: {stored_words(grant.state_reason)}.", "ok")
    return see_other(url_for("applications.show", application_id=grant.application_id))


@bp.post("/grants/<int:grant_id>/run-now")
@requires("workflow:run")
def run_now(grant_id: int) -> ResponseReturnValue:
    """Start the run that an event did not get; a second click is told its number (409)."""
    trigger = trigger_of(request.form.get("trigger", ""))
    if trigger is None:
        raise Invalid.field("trigger", "Choose which event is to run.")
    with transaction() as session:
        run = runs.run_now(session, current_actor(), load(session, Grant, grant_id), trigger)
    flash(f"Run {run.id} started.", "ok")
    return see_other(url_for("grants.show", grant_id=grant_id))


def _detail(grant_id: int) -> GrantDetail:
    found = grant_detail(db.session(), grant_id)
    if found is None:
        raise missing(Grant, grant_id)
    return found


def _refuse_second(grant: Grant) -> None:
    if grant.revoked_at is not None:
        raise Conflict(f"{grant.revoked_by} revoked this grant on {absolute(grant.revoked_at)}.")


def _revoke_consequence(grant: Grant, *, record_only: bool) -> object:
    holds = situation_of(db.session(), grant, Trigger.ACCESS_REVOKED, record_only=record_only)
    return consequence_of(holds, grant.application_id)


def _explained(grant: Grant, decision: TriggerDecision) -> Explained:
    trigger = Trigger(decision.trigger)
    holds = situation_of(db.session(), grant, trigger)
    reason = no_run_reason(holds.facts)
    is_stale = trigger is Trigger.ACCESS_GRANTED and not grant.is_active
    obstacle = ""
    if decision.run_id is None:
        if is_stale:
            obstacle = "This grant has been revoked since: a run that opens access would be out of date."
        elif reason is not None:
            obstacle = f"It would still start no run: {reason.label}."
        elif not viewer_may("workflow:run"):
            obstacle = "Needs workflow:run. Ask an administrator."
    session = db.session()
    keeper = other_active_grant(session, grant) if holds.facts.other_active_grants else None
    foreign = None if holds.facts.has_workflow else foreign_workflow(session, grant, trigger)
    return Explained(
        decision,
        trigger,
        stored_words(decision.reason),
        [CheckLine(bool(one["ok"]), str(one["detail"]), None) for one in decision.checks],
        lines_now(holds, grant.application_id, grant_id=grant.id, keeper_id=keeper, foreign=foreign),
        decision.run_id is None,
        obstacle,
    )
