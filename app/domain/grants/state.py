"""The grant's chip: one function for pages, filters and API."""

from __future__ import annotations

from enum import StrEnum

from app.domain.states import RunStatus, Trigger


class GrantState(StrEnum):
    """What a grant's automation has come to."""

    PROVISIONING = "provisioning"
    PROVISIONED = "provisioned"
    DEPROVISIONING = "deprovisioning"
    DEPROVISIONED = "deprovisioned"
    WAITING = "waiting"
    NEEDS_ATTENTION = "needs_attention"
    SUPERSEDED = "superseded"
    NO_AUTOMATION = "no_automation"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def tone(self) -> str:
        return _TONES[self]


S = GrantState

_LABELS = {
    S.PROVISIONING: "Provisioning…",
    S.PROVISIONED: "Provisioned",
    S.DEPROVISIONING: "Deprovisioning…",
    S.DEPROVISIONED: "Deprovisioned",
    S.WAITING: "Waiting for a person",
    S.NEEDS_ATTENTION: "Needs attention",
    S.SUPERSEDED: "Superseded",
    S.NO_AUTOMATION: "No automation",
}

_TONES = {
    S.PROVISIONING: "run",
    S.PROVISIONED: "ok",
    S.DEPROVISIONING: "run",
    S.DEPROVISIONED: "ok",
    S.WAITING: "wait",
    S.NEEDS_ATTENTION: "bad",
    S.SUPERSEDED: "idle",
    S.NO_AUTOMATION: "muted",
}


# Why there is no automation although there was a run.
CANCELLED, SKIPPED = "cancelled", "skipped"


def grant_state(trigger: Trigger, status: RunStatus | None, *, did_nothing: bool = False) -> GrantState:
    """The chip of a grant whose newest event is `trigger` and whose newest run for it stands at `status`.

    `status` is None when the event started no run.  A cancelled run counts as no automation: a person decided
    that nothing more is to happen.  So does one that `did_nothing`, since all its steps were passed over by their
    conditions: nobody has seen anything outside.
    """
    if did_nothing and status is RunStatus.SUCCEEDED:
        return S.NO_AUTOMATION
    granting = trigger is Trigger.ACCESS_GRANTED
    match status:
        case None | RunStatus.CANCELLED:
            return S.NO_AUTOMATION
        case RunStatus.QUEUED | RunStatus.RUNNING:
            return S.PROVISIONING if granting else S.DEPROVISIONING
        case RunStatus.SUCCEEDED:
            return S.PROVISIONED if granting else S.DEPROVISIONED
        case RunStatus.WAITING_MANUAL:
            return S.WAITING
        case RunStatus.FAILED | RunStatus.COMPENSATED:
            return S.NEEDS_ATTENTION
        case RunStatus.SUPERSEDED:
            return S.SUPERSEDED
