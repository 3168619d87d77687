"""Does a grant event start a run, if not, why not, and does a run still carry the newest intent?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.states import Trigger


class Policy(StrEnum):
    """Which grant events of a person on one application start a run."""

    EACH_GRANT = "each_grant"
    FIRST_ACTIVE_GRANT = "first_active_grant"
    LAST_ACTIVE_GRANT = "last_active_grant"

    @property
    def label(self) -> str:
        return {
            Policy.EACH_GRANT: "Every grant",
            Policy.FIRST_ACTIVE_GRANT: "Only a person’s first active grant",
            Policy.LAST_ACTIVE_GRANT: "Only a person’s last active grant",
        }[self]


DEFAULT_POLICY = {
    Trigger.ACCESS_GRANTED: Policy.EACH_GRANT,
    Trigger.ACCESS_REVOKED: Policy.LAST_ACTIVE_GRANT,
}


ALLOWED_POLICIES = {
    Trigger.ACCESS_GRANTED: (Policy.EACH_GRANT, Policy.FIRST_ACTIVE_GRANT),
    Trigger.ACCESS_REVOKED: (Policy.LAST_ACTIVE_GRANT, Policy.EACH_GRANT),
}


class NoRunReason(StrEnum):
    """Why an event started no run, in the order in which they are checked."""

    NO_WORKFLOW = "no_workflow"
    TRIGGER_MISMATCH = "trigger_mismatch"
    WORKFLOW_DISABLED = "workflow_disabled"
    NO_STEPS = "no_steps"
    OTHER_ACTIVE_GRANT = "other_active_grant"
    RECORDED_ONLY = "recorded_only"

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = {
    NoRunReason.NO_WORKFLOW: "the application has no workflow",
    NoRunReason.TRIGGER_MISMATCH: "the only workflow answers the other trigger",
    NoRunReason.WORKFLOW_DISABLED: "the workflow is disabled",
    NoRunReason.NO_STEPS: "the workflow has no steps",
    NoRunReason.OTHER_ACTIVE_GRANT: "the person holds another active grant",
    NoRunReason.RECORDED_ONLY: "recorded only, by choice",
}


@dataclass(frozen=True, slots=True)
class TriggerFacts:
    """What is true when the event is decided. `other_active_grants` leaves the event's own grant out."""

    trigger: Trigger
    has_workflow: bool = False
    other_trigger_has_workflow: bool = False
    enabled: bool = False
    step_count: int = 0
    policy: Policy = Policy.EACH_GRANT
    other_active_grants: int = 0
    record_only: bool = False
    workflow_name: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the explanation: which reason was checked, and whether it stands in the way."""

    reason: NoRunReason
    ok: bool
    detail: str


def checks(facts: TriggerFacts) -> list[Check]:
    """Every check in the order in which they are told, up to and including those that can still be made."""
    event = facts.trigger.label
    name = f"“{facts.workflow_name}”"
    none_at_all = not facts.has_workflow and not facts.other_trigger_has_workflow
    found = [
        Check(
            NoRunReason.NO_WORKFLOW,
            not none_at_all,
            "This application has no workflow." if none_at_all else "This application has a workflow.",
        )
    ]
    if none_at_all:
        return found
    found.append(
        Check(
            NoRunReason.TRIGGER_MISMATCH,
            facts.has_workflow,
            f"{name} answers {event}."
            if facts.has_workflow
            else f"No workflow of this application answers {event}; only the other trigger has one.",
        )
    )
    if not facts.has_workflow:
        return found
    held_back = facts.policy is not Policy.EACH_GRANT and facts.other_active_grants > 0
    found += [
        Check(
            NoRunReason.WORKFLOW_DISABLED,
            facts.enabled,
            f"{name} is enabled." if facts.enabled else f"{name} is disabled.",
        ),
        Check(
            NoRunReason.NO_STEPS,
            facts.step_count > 0,
            f"{name} has {facts.step_count} step{'' if facts.step_count == 1 else 's'}."
            if facts.step_count
            else f"{name} has no steps.",
        ),
        Check(
            NoRunReason.OTHER_ACTIVE_GRANT,
            not held_back,
            "The person holds another active grant on this application, "
            "and the workflow’s policy waits for it."
            if held_back
            else "No other active grant stands in the way.",
        ),
        Check(
            NoRunReason.RECORDED_ONLY,
            not facts.record_only,
            "Record only, no automation, was chosen."
            if facts.record_only
            else "Automation was not switched off.",
        ),
    ]
    return found


def no_run_reason(facts: TriggerFacts) -> NoRunReason | None:
    """The first reason that holds, or None when the event starts a run."""
    return next((check.reason for check in checks(facts) if not check.ok), None)


def stale_reason(
    *, trigger: Trigger, policy: Policy, grant_is_active: bool, active_grants: int
) -> str | None:
    """Why the run's intent no longer holds, or None while it does: why the run is stale.

    `active_grants` counts the person's active grants on the application now, the run's own grant included.
    """
    if trigger is Trigger.ACCESS_GRANTED:
        if policy is Policy.FIRST_ACTIVE_GRANT:
            return "No active grant is left." if active_grants == 0 else None
        return None if grant_is_active else "Its grant has been revoked."
    if policy is Policy.LAST_ACTIVE_GRANT and active_grants > 0:
        return "The person holds an active grant again."
    return None
