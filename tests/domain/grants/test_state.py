"""The grant's chip: every run status under either trigger."""

from __future__ import annotations

import pytest

from app.domain.grants.state import GrantState, grant_state
from app.domain.states import RunStatus, Trigger

# status, the chip after granting, the chip after revoking
TABLE = [
    (None, "No automation", "No automation"),
    (RunStatus.QUEUED, "Provisioning…", "Deprovisioning…"),
    (RunStatus.RUNNING, "Provisioning…", "Deprovisioning…"),
    (RunStatus.WAITING_MANUAL, "Waiting for a person", "Waiting for a person"),
    (RunStatus.SUCCEEDED, "Provisioned", "Deprovisioned"),
    (RunStatus.FAILED, "Needs attention", "Needs attention"),
    (RunStatus.COMPENSATED, "Needs attention", "Needs attention"),
    (RunStatus.SUPERSEDED, "Superseded", "Superseded"),
    (RunStatus.CANCELLED, "No automation", "No automation"),
]


@pytest.mark.parametrize(("status", "granted", "revoked"), TABLE)
def test_the_chip_says_what_the_newest_run_came_to(status, granted, revoked):
    assert grant_state(Trigger.ACCESS_GRANTED, status).label == granted
    assert grant_state(Trigger.ACCESS_REVOKED, status).label == revoked


def test_the_table_has_every_status_and_shows_every_chip():
    assert {row[0] for row in TABLE} == {None, *RunStatus}
    assert {label for row in TABLE for label in row[1:]} == {state.label for state in GrantState}


def test_only_what_needs_attention_looks_bad():
    assert [state for state in GrantState if state.tone == "bad"] == [GrantState.NEEDS_ATTENTION]
    assert [state.label for state in GrantState if state.tone == "ok"] == ["Provisioned", "Deprovisioned"]


@pytest.mark.parametrize("status", RunStatus)
def test_a_status_is_shown_by_a_word_and_a_tone(status):
    words = {RunStatus.WAITING_MANUAL: "Waiting (manual)", RunStatus.CANCELLED: "Cancelled"}
    assert status.label == words.get(status, status.value.capitalize())
    assert status.tone in {"idle", "run", "wait", "ok", "bad", "undo"}
