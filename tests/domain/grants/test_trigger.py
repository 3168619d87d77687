"""Does a grant event start a run? Every combination of facts against the order in which they are told."""

from __future__ import annotations

from itertools import product

import pytest

from app.domain.grants.trigger import (
    ALLOWED_POLICIES,
    NoRunReason,
    Policy,
    TriggerFacts,
    checks,
    no_run_reason,
)
from app.domain.states import Trigger

N = NoRunReason
GRANTED, REVOKED = Trigger.ACCESS_GRANTED, Trigger.ACCESS_REVOKED

# One row for each reason: all that comes after it stands in the way as well, and is not what is reported.
ALL_IN_THE_WAY = {"policy": Policy.FIRST_ACTIVE_GRANT, "other_active_grants": 1, "record_only": True}
IN_ORDER = [
    (N.NO_WORKFLOW, {**ALL_IN_THE_WAY}),
    (N.TRIGGER_MISMATCH, {**ALL_IN_THE_WAY, "other_trigger_has_workflow": True}),
    (N.WORKFLOW_DISABLED, {**ALL_IN_THE_WAY, "has_workflow": True}),
    (N.NO_STEPS, {**ALL_IN_THE_WAY, "has_workflow": True, "enabled": True}),
    (N.OTHER_ACTIVE_GRANT, {**ALL_IN_THE_WAY, "has_workflow": True, "enabled": True, "step_count": 1}),
    (
        N.RECORDED_ONLY,
        {**ALL_IN_THE_WAY, "has_workflow": True, "enabled": True, "step_count": 1, "other_active_grants": 0},
    ),
]


@pytest.mark.parametrize(("reason", "facts"), IN_ORDER)
def test_the_first_reason_in_the_way_is_the_one_that_is_stored(reason, facts):
    assert no_run_reason(TriggerFacts(GRANTED, **facts)) is reason


def test_the_reasons_are_checked_in_the_order_of_the_specification():
    assert [one.value for one in NoRunReason] == [
        "no_workflow",
        "trigger_mismatch",
        "workflow_disabled",
        "no_steps",
        "other_active_grant",
        "recorded_only",
    ]
    assert [reason for reason, _ in IN_ORDER] == list(NoRunReason)


def every_combination() -> list[TriggerFacts]:
    policies = [(trigger, policy) for trigger, allowed in ALLOWED_POLICIES.items() for policy in allowed]
    flags = (False, True)
    return [
        TriggerFacts(
            trigger=trigger,
            policy=policy,
            has_workflow=has,
            other_trigger_has_workflow=other,
            enabled=enabled,
            step_count=steps,
            other_active_grants=held,
            record_only=record_only,
            workflow_name="Accounts",
        )
        for (trigger, policy), has, other, enabled, steps, held, record_only in product(
            policies, flags, flags, flags, (0, 1, 2), (0, 1, 2), flags
        )
    ]


def in_the_way(facts: TriggerFacts) -> list[NoRunReason]:
    """All reasons that hold, said once more in the plainest form."""
    waits_for_others = {Policy.FIRST_ACTIVE_GRANT, Policy.LAST_ACTIVE_GRANT}
    holds = {
        N.NO_WORKFLOW: not facts.has_workflow and not facts.other_trigger_has_workflow,
        N.TRIGGER_MISMATCH: not facts.has_workflow and facts.other_trigger_has_workflow,
        N.WORKFLOW_DISABLED: facts.has_workflow and not facts.enabled,
        N.NO_STEPS: facts.has_workflow and facts.step_count == 0,
        N.OTHER_ACTIVE_GRANT: facts.policy in waits_for_others and facts.other_active_grants > 0,
        N.RECORDED_ONLY: facts.record_only,
    }
    return [reason for reason in NoRunReason if holds[reason]]


def test_every_combination_of_facts_starts_a_run_or_names_the_first_reason():
    combinations = every_combination()
    assert len(combinations) == 4 * 2 * 2 * 2 * 3 * 3 * 2
    for facts in combinations:
        reasons = in_the_way(facts)
        assert no_run_reason(facts) is (reasons[0] if reasons else None), facts


def test_the_explanation_lists_each_check_with_what_it_found():
    for facts in every_combination():
        made = checks(facts)
        assert [one.reason for one in made] == list(NoRunReason)[: len(made)]
        assert all(one.detail.endswith(".") for one in made)
        first = next((one.reason for one in made if not one.ok), None)
        assert first is no_run_reason(facts)
        assert facts.has_workflow == (len(made) == len(NoRunReason))


def test_each_reason_has_words_of_its_own():
    assert len({reason.label for reason in NoRunReason}) == len(NoRunReason)


@pytest.mark.parametrize(
    ("policy", "held", "starts"),
    [
        (Policy.EACH_GRANT, 1, True),
        (Policy.LAST_ACTIVE_GRANT, 1, False),
        (Policy.LAST_ACTIVE_GRANT, 0, True),
    ],
)
def test_a_person_who_still_holds_another_grant_is_not_cut_off(policy, held, starts):
    facts = TriggerFacts(
        REVOKED, has_workflow=True, enabled=True, step_count=1, policy=policy, other_active_grants=held
    )
    assert (no_run_reason(facts) is None) == starts
