"""Grants: who has access to what, and what came of each event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from sqlalchemy.orm import Session

from app.api.blueprint import bp
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, reads, writes
from app.api.runs import run_answer
from app.domain.grants.state import GrantState
from app.domain.grants.trigger import NoRunReason, checks
from app.domain.remedies.links import no_run_fix
from app.domain.states import Trigger
from app.errors import Invalid
from app.guard import requires
from app.models import Application, Grant, TriggerDecision, User
from app.queries.grants import GrantFilters, grant_detail, grant_list, state_of
from app.queries.lookup import load, missing
from app.queries.situation import situation_of
from app.schemas.answers import (
    CheckOut,
    DecisionOut,
    GrantOut,
    OutId,
    Output,
    OutTime,
    Page,
    RunOut,
    StateOut,
)
from app.schemas.base import Input
from app.schemas.grants import GrantIn, GrantPatch, RevokeIn, RunNowIn
from app.schemas.kinds import RecordId, Switch
from app.services import grants, runs
from app.services.decisions import check_json

TAG = "Grants"

_Id = Annotated[int | None, RecordId()]


class GrantsQuery(ListQuery):
    """What the list is narrowed to; what is left out does not narrow it."""

    application_id: _Id = None
    user_id: _Id = None
    active: Annotated[bool | None, Switch()] = None
    state: GrantState | None = None


class DiagnosisQuery(Input):
    """Which event is looked at; without it, the newest."""

    trigger: Trigger | None = None


class VerdictOut(Output):
    """What an event comes to, or came to: `run` or `no_run` with the first reason that holds."""

    outcome: str
    reason: str | None
    checks: list[CheckOut]


class EventOut(Output):
    """The event looked at. `at` is None while it has not happened, `run_id` while it has no run."""

    trigger: str
    at: OutTime | None
    run_id: OutId | None


class DiagnosisOut(Output):
    """Why an event started no run: as things stand now, and as they stood when it was decided."""

    event: EventOut
    now: VerdictOut
    then: VerdictOut | None


@bp.get("/grants")
@requires("grant:read")
@reads(TAG, Page[GrantOut], query=GrantsQuery)
def list_grants(act: Act, query: GrantsQuery) -> Page[GrantOut]:
    """Grants, the newest first."""
    filters = GrantFilters(query.application_id, query.user_id, query.active, query.state)
    rows = grant_list(act.session, filters, limit=query.limit + 1, before=query.key, with_decisions=True)
    return page_of(rows, query, grant_out, key=lambda grant: grant.id)


@bp.post("/grants")
@requires("grant:write")
@writes(TAG, GrantOut, body=GrantIn, status=201, repeatable=True)
def create_grant(act: Act, body: GrantIn) -> GrantOut:
    """Record that a person has access, and start what the application's workflow says."""
    application = act.session.get(Application, body.application_id)
    if application is None:
        raise Invalid.field("application_id", "There is no such application.")
    user = act.session.get(User, body.user_id)
    if user is None:
        raise Invalid.field("user_id", "There is no such person.")
    grant = grants.grant(
        act.session,
        act.actor,
        application=application,
        user=user,
        now=act.now,
        access_level=body.access_level,
        expires_at=body.expires_at,
        notes=body.notes,
        record_only=body.record_only,
    )
    return _written(act.session, grant)


@bp.get("/grants/<int:grant_id>")
@requires("grant:read")
@reads(TAG, GrantOut)
def show_grant(act: Act, grant_id: int) -> GrantOut:
    """One grant with the decisions about its events."""
    return _grant(act.session, grant_id)


@bp.patch("/grants/<int:grant_id>")
@requires("grant:write")
@writes(TAG, GrantOut, body=GrantPatch)
def change_grant(act: Act, grant_id: int, body: GrantPatch) -> GrantOut:
    """Change notes or expiry: all of a grant that may change."""
    given = body.given()
    grant = grants.change_grant(
        act.session,
        act.actor,
        load(act.session, Grant, grant_id),
        now=act.now,
        notes=given.get("notes"),
        expires_at=given.get("expires_at"),
        set_expiry="expires_at" in given,
    )
    return _written(act.session, grant)


@bp.post("/grants/<int:grant_id>/revoke")
@requires("grant:write")
@writes(TAG, GrantOut, body=RevokeIn, repeatable=True)
def revoke_grant(act: Act, grant_id: int, body: RevokeIn) -> GrantOut:
    """End a grant, and start what the application's workflow says."""
    grant = grants.revoke(
        act.session,
        act.actor,
        load(act.session, Grant, grant_id),
        now=act.now,
        notes=body.given().get("notes"),
        record_only=body.record_only,
    )
    return _written(act.session, grant)


@bp.post("/grants/<int:grant_id>/run-now")
@requires("workflow:run")
@writes(TAG, RunOut, body=RunNowIn, status=201, repeatable=True)
def run_now(act: Act, grant_id: int, body: RunNowIn) -> RunOut:
    """Start the one run of an event that started none, its cause having been mended."""
    grant = load(act.session, Grant, grant_id)
    return run_answer(act, runs.run_now(act.session, act.actor, grant, Trigger(body.trigger)))


@bp.get("/grants/<int:grant_id>/diagnosis")
@requires("grant:read")
@reads(TAG, DiagnosisOut, query=DiagnosisQuery)
def diagnose(act: Act, grant_id: int, query: DiagnosisQuery) -> DiagnosisOut:
    """Why an event started no run: every check as it stands now, and as it stood then."""
    detail = grant_detail(act.session, grant_id)
    if detail is None:
        raise missing(Grant, grant_id)
    grant = detail.grant
    newest = Trigger.ACCESS_GRANTED if grant.is_active else Trigger.ACCESS_REVOKED
    trigger = query.trigger or newest
    then = next((one for one in detail.decisions if one.trigger == trigger), None)
    holds = situation_of(act.session, grant, trigger)
    now = [check_json(one) for one in checks(holds.facts)]
    return diagnosis_out(grant, trigger, then, now, holds.workflow.id if holds.workflow else None)


def _grant(session: Session, grant_id: int) -> GrantOut:
    detail = grant_detail(session, grant_id)
    if detail is None:
        raise missing(Grant, grant_id)
    return grant_out(detail.grant)


def _written(session: Session, grant: Grant) -> GrantOut:
    """The grant as it was just written, its decisions among it."""
    session.flush()  # what is read back must be there
    session.expire(grant)
    return _grant(session, grant.id)


def grant_out(grant: Grant) -> GrantOut:
    """The grant, whose decisions must be loaded."""
    chip = state_of(grant)
    return GrantOut(
        id=str(grant.id),
        application_id=str(grant.application_id),
        user_id=str(grant.user_id),
        access_level=grant.access_level,
        notes=grant.notes,
        granted_at=grant.granted_at,
        granted_by=grant.granted_by,
        expires_at=grant.expires_at,
        revoked_at=grant.revoked_at,
        revoked_by=grant.revoked_by,
        state=StateOut(
            code=chip.code,
            label=chip.label,
            run_id=str(chip.run_id) if chip.run_id else None,
            reason=chip.reason_code,
        ),
        decisions=[_decision_out(grant, one) for one in grant.decisions],
    )


def diagnosis_out(
    grant: Grant,
    trigger: str,
    then: TriggerDecision | None,
    checks: Sequence[Mapping[str, Any]],
    workflow_id: int | None,
) -> DiagnosisOut:
    """`checks` as they come out now, for the workflow that would answer now."""
    failing = next((str(one["check"]) for one in checks if not one["ok"]), None)
    return DiagnosisOut(
        event=EventOut(
            trigger=trigger,
            at=then.at if then else None,
            run_id=str(then.run_id) if then and then.run_id else None,
        ),
        now=VerdictOut(
            outcome="no_run" if failing else "run",
            reason=failing,
            checks=_checks_out(grant, trigger, workflow_id, checks),
        ),
        then=VerdictOut(
            outcome=then.outcome,
            reason=then.reason,
            checks=_checks_out(grant, trigger, then.workflow_id, then.checks),
        )
        if then
        else None,
    )


def _decision_out(grant: Grant, decision: TriggerDecision) -> DecisionOut:
    return DecisionOut(
        trigger=decision.trigger,
        outcome=decision.outcome,
        reason=decision.reason,
        run_id=str(decision.run_id) if decision.run_id else None,
        checks=_checks_out(grant, decision.trigger, decision.workflow_id, decision.checks),
    )


def _checks_out(
    grant: Grant, trigger: str, workflow_id: int | None, checks: Iterable[Mapping[str, Any]]
) -> list[CheckOut]:
    return [
        CheckOut(
            check=one["check"],
            ok=one["ok"],
            detail=one["detail"],
            fix_url=None if one["ok"] else _fix_url(grant, trigger, workflow_id, NoRunReason(one["check"])),
        )
        for one in checks
    ]


def _fix_url(grant: Grant, trigger: str, workflow_id: int | None, reason: NoRunReason) -> str:
    """The page where that which stands in the way is mended."""
    if reason is NoRunReason.OTHER_ACTIVE_GRANT:
        return f"/people/{grant.user_id}"
    fix = no_run_fix(
        reason,
        application_id=grant.application_id,
        trigger=Trigger(trigger),
        workflow_id=workflow_id,
        grant_id=grant.id,
    )
    return fix.href
