"""Does a run still carry the newest intent? Every combination."""

from __future__ import annotations

import pytest

from app.domain.grants.trigger import ALLOWED_POLICIES, DEFAULT_POLICY, Policy, stale_reason
from app.domain.states import Trigger

GRANTED, REVOKED = Trigger.ACCESS_GRANTED, Trigger.ACCESS_REVOKED
GONE, NONE_LEFT, AGAIN = (
    "Its grant has been revoked.",
    "No active grant is left.",
    "The person holds an active grant again.",
)

# trigger, policy, is the run's own grant active, how many are active in all, and why the run is stale
TABLE = [
    (GRANTED, Policy.EACH_GRANT, True, 1, None),
    (GRANTED, Policy.EACH_GRANT, True, 2, None),
    (GRANTED, Policy.EACH_GRANT, False, 0, GONE),
    (GRANTED, Policy.EACH_GRANT, False, 1, GONE),
    (GRANTED, Policy.EACH_GRANT, False, 2, GONE),
    (GRANTED, Policy.FIRST_ACTIVE_GRANT, True, 1, None),
    (GRANTED, Policy.FIRST_ACTIVE_GRANT, True, 2, None),
    (GRANTED, Policy.FIRST_ACTIVE_GRANT, False, 0, NONE_LEFT),
    (GRANTED, Policy.FIRST_ACTIVE_GRANT, False, 1, None),
    (GRANTED, Policy.FIRST_ACTIVE_GRANT, False, 2, None),
    (REVOKED, Policy.LAST_ACTIVE_GRANT, False, 0, None),
    (REVOKED, Policy.LAST_ACTIVE_GRANT, False, 1, AGAIN),
    (REVOKED, Policy.LAST_ACTIVE_GRANT, False, 2, AGAIN),
    (REVOKED, Policy.EACH_GRANT, False, 0, None),
    (REVOKED, Policy.EACH_GRANT, False, 1, None),
    (REVOKED, Policy.EACH_GRANT, False, 2, None),
]


@pytest.mark.parametrize(("trigger", "policy", "own", "active", "reason"), TABLE)
def test_a_run_is_stale_exactly_when_its_grant_event_no_longer_holds(trigger, policy, own, active, reason):
    found = stale_reason(trigger=trigger, policy=policy, grant_is_active=own, active_grants=active)
    assert found == reason


def test_the_table_has_a_row_for_every_policy_of_every_trigger():
    assert {(row[0], row[1]) for row in TABLE} == {
        (trigger, policy) for trigger, policies in ALLOWED_POLICIES.items() for policy in policies
    }


def test_granting_acts_on_every_grant_and_revoking_on_the_last_unless_told_otherwise():
    assert DEFAULT_POLICY == {GRANTED: Policy.EACH_GRANT, REVOKED: Policy.LAST_ACTIVE_GRANT}
    assert all(DEFAULT_POLICY[trigger] is ALLOWED_POLICIES[trigger][0] for trigger in Trigger)


def test_each_policy_has_words_of_its_own():
    assert len({policy.label for policy in Policy}) == len(Policy)
