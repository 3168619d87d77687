"""Grants, what was decided about their events, and what would be decided now, in the shapes of API.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.domain.grants.trigger import NoRunReason
from app.domain.remedies.links import no_run_fix
from app.domain.states import Trigger
from app.models import Grant, TriggerDecision
from app.queries.grants import state_of
from app.schemas.answers import CheckOut, DecisionOut, GrantOut, OutId, Output, OutTime, StateOut


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
