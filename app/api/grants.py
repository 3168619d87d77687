"""Grants: who has access to what, and what came of each event."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy.orm import Session

from app.api.blueprint import bp
from app.api.find import found, missing
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, reads, writes
from app.api.present_grants import DiagnosisOut, diagnosis_out, grant_out
from app.api.runs import run_answer
from app.domain.grants.state import GrantState
from app.domain.grants.trigger import checks
from app.domain.states import Trigger
from app.errors import Invalid
from app.guard import requires
from app.models import Application, Grant, User
from app.queries.grants import GrantFilters, grant_detail, grant_list
from app.queries.situation import situation_of
from app.schemas.answers import GrantOut, Page, RunOut
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
        found(act.session, Grant, grant_id),
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
        found(act.session, Grant, grant_id),
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
    grant = found(act.session, Grant, grant_id)
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
