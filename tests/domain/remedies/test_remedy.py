"""What is said and offered about a failure."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from app.domain.remedies.failure import HELD_BACK, LEFT_ALONE, Action, Failure
from app.domain.remedies.remedy import remedy
from app.domain.states import FailureClass, Trigger
from app.domain.steps.base import StepType

F = FailureClass


def facts(failure: FailureClass = F.HTTP_4XX, status: int | None = None, **more: Any) -> Failure:
    return Failure(failure=failure, status=status, system="Jira", **more)


def test_a_rejected_credential_is_replaced_and_the_run_retried() -> None:
    advice = remedy(facts(status=401))
    assert advice.title == "Jira rejected the credential (HTTP 401)."
    assert (advice.action, advice.also) == (Action.REPLACE_CREDENTIAL, Action.TEST_CONNECTION)
    assert "retry" in advice.todo
    assert "Replay" not in advice.todo


def test_a_right_that_is_missing_is_told_from_a_wrong_credential() -> None:
    assert "does not allow this (HTTP 403)" in remedy(facts(status=403)).title
    assert "Give it the right in Jira" in remedy(facts(status=403)).todo


def test_a_missing_credential_is_added() -> None:
    for failure, status in ((F.HTTP_4XX, 401), (F.CONFIGURATION, None)):
        assert remedy(facts(failure, status, credential_set=False)).action is Action.ADD_CREDENTIAL


def test_a_connection_that_signs_in_with_nothing_is_edited() -> None:
    advice = remedy(facts(status=401, needs_credential=False, credential_set=False))
    assert advice.action is Action.EDIT_CONNECTION


def test_a_credential_replaced_since_is_tested_first() -> None:
    assert remedy(facts(status=401, credential_replaced=True)).action is Action.TEST_CONNECTION


@pytest.mark.parametrize("status", [400, 422])
def test_refused_data_leads_to_the_mapping_and_to_replay(status: int) -> None:
    advice = remedy(facts(status=status))
    assert (advice.action, advice.also) == (Action.EDIT_MAPPING, Action.DRY_RUN)
    assert "Replay with latest" in advice.todo


@pytest.mark.parametrize("failure", [F.MAPPING, F.UNEXPECTED_STATUS])
def test_what_was_carried_out_and_may_be_done_twice_is_advised_no_dead_end(failure: FailureClass) -> None:
    granted = remedy(facts(failure, 201, stands=True, trigger=Trigger.ACCESS_GRANTED))
    revoked = remedy(facts(failure, 201, stands=True, trigger=Trigger.ACCESS_REVOKED))
    for advice in (granted, revoked):
        assert "It was carried out." in advice.why
        assert "Replay" not in advice.todo
        assert (advice.action, advice.also) != (Action.REPLAY, Action.REPLAY)
        assert advice.action is Action.DONE
    assert "Replay" in remedy(facts(failure, 201)).todo


def test_a_call_that_was_held_back_is_not_said_to_be_the_other_system_s_fault() -> None:
    advice = remedy(facts(F.TIMEOUT, detail=HELD_BACK))
    assert "did not answer" not in advice.title
    assert (advice.why, advice.action) == ("Nothing was sent.", Action.EDIT_CONNECTION)


def test_a_call_that_was_not_made_since_the_system_asked_for_fewer_is_said_to_be_so() -> None:
    advice = remedy(facts(F.TIMEOUT, detail=LEFT_ALONE))
    assert (advice.title, advice.why) == ("Jira asked for fewer requests.", "Nothing was sent.")
    assert advice.action is Action.EDIT_CONNECTION


def test_a_404_leads_to_the_path() -> None:
    assert remedy(facts(status=404, trigger=Trigger.ACCESS_GRANTED)).action is Action.EDIT_PATH


def test_a_404_on_a_revoke_asks_whether_there_ever_was_an_account() -> None:
    never = remedy(facts(status=404, trigger=Trigger.ACCESS_REVOKED))
    assert never.action is Action.EDIT_SUCCESS
    assert "No account was ever captured" in never.why
    once = remedy(facts(status=404, trigger=Trigger.ACCESS_REVOKED, captured_any=True))
    assert once.action is Action.EDIT_PATH
    assert "add 404 to its success statuses" in once.todo


def test_a_409_may_be_a_success() -> None:
    assert remedy(facts(status=409)).action is Action.EDIT_SUCCESS


@pytest.mark.parametrize("failure", [F.HTTP_5XX, F.TIMEOUT, F.NETWORK, F.WAIT])
def test_a_failure_that_may_pass_asks_for_nothing_while_it_is_tried_again(failure: FailureClass) -> None:
    advice = remedy(facts(failure, 503, retry_on=True, attempts_left=1))
    assert (advice.todo, advice.action, advice.label) == ("Nothing to do.", Action.NONE, "")


def test_when_every_try_is_used_up_retry_is_offered_and_the_tries_are_counted() -> None:
    advice = remedy(facts(F.HTTP_5XX, 503, retry_on=True, attempts_made=3))
    assert advice.title == "Jira failed 3 times (HTTP 503)."
    assert advice.action is Action.RETRY


def test_where_retry_is_off_the_switch_is_offered_as_well() -> None:
    advice = remedy(facts(F.TIMEOUT))
    assert (advice.action, advice.also, advice.others) == (
        Action.RETRY,
        Action.TEST_CONNECTION,
        (Action.EDIT_RETRY,),
    )
    assert "Retry on failure is off" in advice.why


def test_what_a_test_of_the_connection_has_found_since_is_told() -> None:
    assert "Test connection has reached Jira since." in remedy(facts(F.HTTP_5XX, 503, reached_since=True)).why
    again = remedy(facts(F.HTTP_5XX, 503, retry_on=True, attempts_made=3, reached_since=False))
    assert "Test connection has failed since as well." in again.why
    assert "Test connection" not in remedy(facts(F.HTTP_5XX, 503)).why


def test_an_unknown_outcome_comes_before_everything_else() -> None:
    advice = remedy(facts(F.TIMEOUT, outcome_unknown=True, retry_on=True, attempts_left=2))
    assert advice.title == "Outcome unknown: check Jira before retrying."


def test_a_redirect_names_where_it_points_and_is_not_followed() -> None:
    advice = remedy(facts(F.REDIRECT, 302, detail="It points to login.example."))
    assert "It points to login.example." in advice.title
    assert advice.action is Action.EDIT_CONNECTION


def test_a_value_to_capture_is_told_from_one_to_fill_in() -> None:
    assert remedy(facts(F.MAPPING, 200)).action is Action.EDIT_STEP
    assert remedy(facts(F.MAPPING)).action is Action.EDIT_MAPPING


def test_a_lost_key_means_replacing_the_credential() -> None:
    detail = "The stored credential cannot be read with the keys of this console. Replace it."
    assert remedy(facts(F.CONFIGURATION, detail=detail)).action is Action.REPLACE_CREDENTIAL


def test_every_failure_has_words_and_a_probe_never_speaks_of_runs() -> None:
    statuses = (None, 200, 302, 400, 401, 403, 404, 405, 409, 410, 418, 422, 429, 500, 503)
    switches = [
        dict(zip(("probe", "credential_set"), pair, strict=True))
        for pair in itertools.product((True, False), repeat=2)
    ]
    never_probed = {F.WORKER_LOST, F.OUTCOME_UNKNOWN, F.UNEXPECTED_ANSWER, F.WRONG_ACCOUNT}
    for failure, status, more in itertools.product(FailureClass, statuses, switches):
        advice = remedy(facts(failure, status, **more))
        said = f"{advice.title} {advice.why} {advice.todo}"
        assert all((advice.title, advice.why, advice.todo)), (failure, status, more)
        assert not re.search(r"please|!", said, re.IGNORECASE)
        assert advice.action.label == advice.label
        if more["probe"] and failure not in never_probed:
            assert not re.search(r"Replay|this run|the run|of the step|of this step", said), said


def test_after_a_call_that_was_carried_out_no_way_is_named_that_is_refused() -> None:
    classes = (F.MAPPING, F.UNEXPECTED_STATUS, F.UNEXPECTED_ANSWER, F.WRONG_ACCOUNT, F.TIMEOUT)
    for failure, trigger, status in itertools.product(classes, Trigger, (200, 201, 202)):
        advice = remedy(facts(failure, status, stands=True, trigger=trigger, retry_on=True))
        offered = (advice.action, advice.also, *advice.others)
        assert Action.DONE in offered, failure
        assert Action.REPLAY not in offered
        assert "Replay" not in advice.todo


@pytest.mark.parametrize("token", ["account.id", "grant.kept.member"])
def test_a_value_that_nobody_knows_is_typed_or_the_step_done_by_hand_or_looked_up(token: str) -> None:
    for place in ("path", "body.user.id", "query.q"):
        advice = remedy(facts(F.MAPPING, detail=f"{place}: {token} is empty, so"))
        assert (advice.action, advice.also, advice.others) == (
            Action.TYPE_VALUES,
            Action.DONE,
            (Action.EDIT_STEP,),
        )
    assert remedy(facts(F.MAPPING, detail="path: steps.find.id is empty, so")).action is Action.EDIT_PATH
    lacks = remedy(facts(F.MAPPING, detail="query.q: grantee.employee_id is empty, so"))
    assert (lacks.action, "employee id" in lacks.todo) == (Action.EDIT_PERSON, True)


def test_another_account_is_corrected_where_what_is_known_may_be_wrong() -> None:
    known = "id is not what is known of this person's account: nothing more was done with either."
    assert remedy(facts(F.WRONG_ACCOUNT, 200, detail=known)).action is Action.TYPE_VALUES
    other = "id is not what “Find” found: nothing more was done with either."
    assert remedy(facts(F.WRONG_ACCOUNT, 200, detail=other)).action is Action.DONE


def test_a_redirect_leads_to_what_differs() -> None:
    for where in ("the same path without the / at its end", "another path on the same host"):
        assert remedy(facts(F.REDIRECT, 308, detail=f"It points to {where}.")).action is Action.EDIT_PATH
    secure = remedy(
        facts(F.REDIRECT, 308, detail="It points to https://jira.example, which is the same host.")
    )
    assert (secure.action, secure.field) == (Action.EDIT_CONNECTION, "base_url")


def test_a_page_with_404_is_not_advised_to_count_as_gone() -> None:
    page = "It answered with a web page, where this step asks for JSON."
    told = remedy(facts(status=404, detail=page, trigger=Trigger.ACCESS_REVOKED))
    assert "web page" in told.why
    assert told.action is Action.EDIT_PATH
    assert "success statuses" not in told.todo


@pytest.mark.parametrize("status", [404, 409, 418])
def test_what_the_system_said_stands_with_every_refusal(status: int) -> None:
    assert remedy(facts(status=status, detail="It said: “full”")).why == "It said: “full”"


def test_the_reason_that_the_other_system_gave_is_said_and_otherwise_asked_for() -> None:
    told = remedy(facts(status=422, detail="It said: “alias is taken”"))
    assert "alias is taken" in told.why
    assert "failure reason" not in told.todo
    assert "failure reason" in remedy(facts(status=422)).todo


def test_a_webhook_is_tried_by_its_own_test() -> None:
    advice = remedy(facts(status=401, step_type=StepType.WEBHOOK))
    assert advice.also is Action.SEND_TEST
    assert "Test connection" not in advice.todo


def test_a_token_of_an_earlier_step_is_not_the_connection_s_credential() -> None:
    again = remedy(facts(status=401, token_from="Sign in"))
    assert (again.action, "credential" in again.todo) == (Action.REPLAY, False)
    marked = remedy(facts(status=401, token_from="Sign in", token_doubles=True))
    assert (marked.action, "Mark “Sign in” as idempotent" in marked.todo) == (Action.EDIT_STEP, True)


def test_what_is_not_offered_is_not_waited_for() -> None:
    advice = remedy(facts(F.HTTP_5XX, 501))
    assert "is back" not in advice.todo
    assert advice.action is Action.EDIT_PATH


def test_a_step_that_was_given_up_before_explains_a_404() -> None:
    advice = remedy(facts(status=404, given_up="Create"))
    assert "“Create” failed before it" in advice.why
    assert "Check the path" not in advice.todo
