"""Does a run still carry the newest intent for its person and application (SPEC §3, stale intent)?"""

from __future__ import annotations

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
