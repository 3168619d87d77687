"""What a failure means and what mends it: the one source of these words for timeline, tests and API.

The rule that the rest follows: credentials and addresses are read anew at each try, so mending them calls for
Retry; steps are pinned to the run's version, so mending those calls for Replay with latest.
"""

from __future__ import annotations

from app.domain.remedies.failure import HELD_BACK, LEFT_ALONE, Action, Failure, Remedy
from app.domain.runs.retry import TRANSIENT
from app.domain.states import FailureClass, Trigger
from app.domain.steps.base import StepType

A = Action


def remedy(facts: Failure) -> Remedy:
    """What to say and offer about a failure."""
    if facts.outcome_unknown:
        return _unknown(facts)
    if facts.failure is FailureClass.HTTP_4XX:
        return refused(facts)
    if facts.failure is FailureClass.TIMEOUT and facts.detail == HELD_BACK:
        return _held_back(facts)
    if facts.failure is FailureClass.TIMEOUT and facts.detail == LEFT_ALONE:
        return _left_alone(facts)
    if facts.failure in TRANSIENT:
        return _transient(facts)
    return _OTHERS[facts.failure](facts)


def _transient(facts: Failure) -> Remedy:
    title = _transient_title(facts)
    if facts.probe and facts.status == 429:
        return _refused_probe(facts)
    if facts.probe:
        address = "base URL" if facts.step_type is StepType.HTTP else "webhook URL"
        return Remedy(
            title, "This may pass by itself.", f"Check the {address}, then test again.", A.TEST_CONNECTION
        )
    if facts.costs_no_try:
        why = "The connection was parked for failures like this one. It cost the run no try."
        return Remedy(title, why, "Nothing to do: the run goes on by itself once the connection is back.")
    if facts.attempts_left > 0:
        return Remedy(title, "It is tried again by itself.", "Nothing to do.")
    back = f"When {facts.system} is back, retry: the run continues at this step."
    # Only what can be asked without doing anything is tested.
    test = A.TEST_CONNECTION if facts.step_type is StepType.HTTP else A.NONE
    tested = _tested(facts)
    if not facts.retry_on:
        return Remedy(
            title,
            f"Retry on failure is off for this step.{tested}",
            f"{back} Turn on Retry on failure so that it need not be done by hand next time.",
            A.RETRY,
            test,
            others=(A.EDIT_RETRY,),
        )
    return Remedy(title, f"Every try is used up. The steps before it are kept.{tested}", back, A.RETRY, test)


def _tested(facts: Failure) -> str:
    """What Test connection says now."""
    if facts.reached_since is None:
        return ""
    if facts.reached_since:
        return f" Test connection has reached {facts.system} since."
    return " Test connection has failed since as well."


def _transient_title(facts: Failure) -> str:
    times = f" {facts.attempts_made} times" if facts.attempts_made > 1 and facts.attempts_left == 0 else ""
    match facts.failure:
        case FailureClass.HTTP_5XX:
            return f"{facts.system} failed{times} (HTTP {facts.status})."
        case FailureClass.WAIT if facts.status == 429:
            return f"{facts.system} asks for fewer requests (HTTP 429)."
        case FailureClass.WAIT:
            return f"{facts.system} said{times} that it is not ready (HTTP {facts.status})."
        case FailureClass.TIMEOUT if facts.status is not None:
            return f"{facts.system} was not ready in time (HTTP {facts.status})."
        case FailureClass.TIMEOUT:
            return f"{facts.system} did not answer in time{times}."
        case FailureClass.OUTCOME_UNKNOWN:
            return "The worker stopped before the answer was stored."
    return f"{facts.system} could not be reached{times}."


def _held_back(facts: Failure) -> Remedy:
    return Remedy(
        f"More calls wait for {facts.system} than its requests per second let out.",
        "Nothing was sent.",
        "Calls go out in turn. If that takes too long, raise the requests per second of the connection.",
        A.EDIT_CONNECTION,
    )


def _left_alone(facts: Failure) -> Remedy:
    return Remedy(
        f"{facts.system} asked for fewer requests.",
        "Nothing was sent.",
        "Calls go out again when the time that it asked for is over. If that happens often, limit the requests per "
        "second of the connection.",
        A.EDIT_CONNECTION,
    )


def _unknown(facts: Failure) -> Remedy:
    return Remedy(
        f"Outcome unknown: check {facts.system} before retrying.",
        "The request may have arrived, and no answer came back.",
        f"Look in {facts.system} whether it was done. If it was not, retry and confirm.",
        A.RETRY,
    )


def _redirect(facts: Failure) -> Remedy:
    return Remedy(
        f"{facts.system} points elsewhere (HTTP {facts.status})."
        + (f" {facts.detail}" if facts.detail else ""),
        "Redirects are not followed: a credential goes nowhere that nobody chose.",
        "Set the base URL to the address that it points to, if that is the right one."
        + ("" if facts.probe else " Then retry."),
        A.EDIT_CONNECTION,
        field=_address(facts),
    )


def _unexpected(facts: Failure) -> Remedy:
    if facts.probe:
        return _wrong_for_probe(facts, f"{facts.system} answered HTTP {facts.status}, which is no success.")
    if facts.stands:
        return _stands(
            facts,
            f"{facts.system} answered HTTP {facts.status}, which does not count as success.",
            "If this answer is good, add it to the success statuses of the step, and save.",
            A.EDIT_SUCCESS,
        )
    return Remedy(
        f"{facts.system} answered HTTP {facts.status}, which does not count as success.",
        "It is not retried: the answer would be the same.",
        "If this answer is good, add it to the success statuses of the step, save, then use Replay with "
        "latest.",
        A.EDIT_SUCCESS,
    )


def _tls(facts: Failure) -> Remedy:
    return Remedy(
        f"The certificate of {facts.system} is not trusted.",
        facts.detail or "Nothing was sent.",
        "Check the base URL. For a certificate of your own authority, add its CA bundle to the connection."
        + ("" if facts.probe else " Then retry."),
        A.EDIT_CONNECTION,
        field=_address(facts),
    )


def _blocked(facts: Failure) -> Remedy:
    return Remedy(
        "This address is not an allowed target.",
        "Nothing was sent. Internal addresses are closed unless the setting EGRESS_ALLOW lists them.",
        "Check the address. If it is meant, have an operator add it to EGRESS_ALLOW and start again."
        + ("" if facts.probe else " Then retry."),
        A.EDIT_CONNECTION,
        field=_address(facts),
    )


def _address(facts: Failure) -> str:
    """The field that holds where a connection leads."""
    return "url" if facts.step_type is StepType.WEBHOOK else "base_url"


def _configuration(facts: Failure) -> Remedy:
    then = "" if facts.probe else " Then retry."
    if facts.needs_credential and not facts.credential_set:
        return Remedy(
            "No credential is set.",
            "Nothing was sent.",
            f"Add the credential, then use {_test_of(facts)}.{then}",
            A.ADD_CREDENTIAL,
        )
    return Remedy(
        facts.detail or "The connection cannot be used as it is.",
        "Nothing was sent.",
        f"Mend the connection or replace its credential, then use {_test_of(facts)}.{then}",
        A.REPLACE_CREDENTIAL if "credential" in facts.detail.lower() else A.EDIT_CONNECTION,
    )


def _test_of(facts: Failure) -> str:
    return "Send test event" if facts.step_type is StepType.WEBHOOK else "Test connection"


def _wrong_for_probe(facts: Failure, title: str) -> Remedy:
    if facts.step_type is StepType.WEBHOOK:
        return Remedy(
            title,
            "A test is a signed POST.",
            "Check the webhook URL and its receiver.",
            A.EDIT_CONNECTION,
            field="url",
        )
    return Remedy(
        title,
        "A test sends a plain GET with the headers of the connection.",
        "Check the health check path and the default headers.",
        A.EDIT_CONNECTION,
        field="health_path",
    )


def _mapping(facts: Failure) -> Remedy:
    if facts.probe:
        return _wrong_for_probe(facts, facts.detail or "The request could not be made.")
    if facts.stands:
        title = f"{facts.system} answered, but a value to be captured was not there."
        mend = "Check what the step captures, or mark it optional, and save."
        return _stands(facts, title, mend, A.EDIT_STEP, field="capture")
    if facts.status is not None:
        return Remedy(
            f"{facts.system} answered, but a value to be captured was not there.",
            facts.detail or "Later steps need it.",
            "Check what the step captures, or mark it optional. Save, then use Replay with latest.",
            A.EDIT_STEP,
            field="capture",
        )
    # The words begin with the place within the step.
    place = next((one for one in _PLACES if facts.detail.startswith(one)), "body")
    name, action, field = _PLACES[place]
    return Remedy(
        "The request could not be filled in.",
        facts.detail or "Nothing was sent.",
        f"Check the {name} of this step, see it in a dry-run with this grant, save, then use Replay with "
        "latest.",
        action,
        A.DRY_RUN,
        field=field,
    )


def _stands(facts: Failure, title: str, mend: str, action: Action, *, field: str = "") -> Remedy:
    """A call that was carried out: no way back repeats it by itself, so the mend is for the next time."""
    if facts.trigger is Trigger.ACCESS_REVOKED:
        then = f"Then look in {facts.system} whether all is done there, and do by hand what is not."
    else:
        then = (
            f"Then undo in {facts.system} what this call did, revoke this grant and grant the access again: "
            "that starts a clean run."
        )
    why = "It was carried out. Sent again it could be done twice, so Retry asks first."
    said = f"{facts.detail.rstrip('.')}. " if facts.detail else ""
    return Remedy(title, said + why, f"{mend} {then}", action, field=field)


_PLACES = {
    "path": ("path", A.EDIT_PATH, ""),
    "query": ("query", A.EDIT_STEP, "query"),
    "headers": ("headers", A.EDIT_STEP, "header"),
    "body": ("data mapping", A.EDIT_MAPPING, ""),
}


def _worker_lost(facts: Failure) -> Remedy:
    return Remedy(
        "The worker stopped three times on this step.",
        "So that it does not take others down, the run was put aside.",
        f"Look at System health and in {facts.system} whether the step was done, then retry.",
        A.SYSTEM_HEALTH,
    )


def _unexpected_answer(facts: Failure) -> Remedy:
    if facts.probe:
        return Remedy(
            f"{facts.system} answered with a web page, where an API answers with JSON.",
            "It may be a sign-in page, or the pages for people beside the API.",
            "Check that the base URL and the health check path lead to the API, and that the credential is for it.",
            A.EDIT_CONNECTION,
            field="base_url",
        )
    title = f"{facts.system} answered, but not as this step expects."
    why = facts.detail or "A condition on the answer does not hold."
    mend = (
        f"If {facts.system} says no, mend what it names. If the answer is good, correct the condition and save;"
        " say that the step was done, and the run goes on."
    )
    return Remedy(title, why, mend, A.EDIT_STEP, field="expect")


def _wrong_account(facts: Failure) -> Remedy:
    return Remedy(
        "The account that was found is not the one that is known.",
        facts.detail or "Nothing more was sent.",
        f"Look in {facts.system} which account is this person's. Correct what is known, or what the step looks for.",
        A.EDIT_STEP,
        field="capture",
    )


_OTHERS = {
    FailureClass.UNEXPECTED_ANSWER: _unexpected_answer,
    FailureClass.WRONG_ACCOUNT: _wrong_account,
    FailureClass.REDIRECT: _redirect,
    FailureClass.UNEXPECTED_STATUS: _unexpected,
    FailureClass.TLS: _tls,
    FailureClass.EGRESS_BLOCKED: _blocked,
    FailureClass.CONFIGURATION: _configuration,
    FailureClass.MAPPING: _mapping,
    FailureClass.WORKER_LOST: _worker_lost,
}


def refused(facts: Failure) -> Remedy:
    """What to say and offer when the other side answered with a 4xx."""
    if facts.status in (401, 403):
        return _not_let_in(facts)
    if facts.probe:
        return _refused_probe(facts)
    match facts.status:
        case 400 | 422:
            return Remedy(
                f"{facts.system} did not accept the data (HTTP {facts.status}).",
                "It is not retried: the same data would be refused again.",
                "Check the data mapping of this step, see the exact request in a dry-run with this grant, "
                "save, then use Replay with latest.",
                A.EDIT_MAPPING,
                A.DRY_RUN,
            )
        case 404 | 410:
            return _not_found(facts)
        case 409:
            return Remedy(
                f"{facts.system} says that it is there already, or in the way (HTTP 409).",
                "It is not retried: nothing would be different.",
                "If what is there is what this step makes, add 409 to its success statuses and look it up in "
                "a step after it. Save, then use Replay with latest.",
                A.EDIT_SUCCESS,
            )
        case 429:
            return Remedy(
                f"{facts.system} asks for fewer requests (HTTP 429).",
                "A 4xx is not retried unless the step lists it as a status to wait for.",
                "Retry after a while. So that it waits by itself next time, add 429 to the wait statuses of "
                "the step, or limit the requests per second of the connection.",
                A.RETRY,
                A.EDIT_STEP,
                field="retry",
            )
    return Remedy(
        f"{facts.system} refused the request (HTTP {facts.status}).",
        "It is not retried: the same request would be refused again.",
        "Check method, path and data of this step, save, then use Replay with latest.",
        A.EDIT_STEP,
    )


def _refused_probe(facts: Failure) -> Remedy:
    if facts.status == 429:
        return Remedy(
            f"{facts.system} asks for fewer requests (HTTP 429).",
            "It can be reached, and is busy or counts calls.",
            "Wait a while and test again.",
            A.TEST_CONNECTION,
        )
    if facts.step_type is StepType.WEBHOOK:
        return Remedy(
            f"{facts.system} refused the test event (HTTP {facts.status}).",
            "It can be reached. Events of workflows would most likely be refused as well.",
            "Check the webhook URL, and that the receiver expects events of this console.",
            A.EDIT_CONNECTION,
            field="url",
        )
    return Remedy(
        f"{facts.system} answers, but not with success at this path (HTTP {facts.status}).",
        "Many systems have nothing to read at their base URL.",
        "Set the health check path to one that answers a plain GET.",
        A.EDIT_CONNECTION,
        field="health_path",
    )


def _not_let_in(facts: Failure) -> Remedy:
    then = "" if facts.probe else " Then retry: the run continues at this step."
    if facts.needs_credential and not facts.credential_set:
        return Remedy(
            f"{facts.system} wants a credential, and none is set (HTTP {facts.status}).",
            "It is not retried: it would be refused again.",
            f"Add the credential, then use Test connection.{then}",
            A.ADD_CREDENTIAL,
        )
    if not facts.needs_credential:
        return Remedy(
            f"{facts.system} wants to know who is calling (HTTP {facts.status}).",
            "The connection signs in with nothing.",
            f"Choose how the connection signs in, and add its credential.{then}",
            A.EDIT_CONNECTION,
            field="auth",
        )
    if facts.credential_replaced:
        return Remedy(
            f"{facts.system} refused the credential that was set then (HTTP {facts.status}).",
            "The credential has been replaced since.",
            f"Use Test connection to see whether the new one works.{then}",
            A.TEST_CONNECTION,
        )
    if facts.status == 401:
        return Remedy(
            f"{facts.system} rejected the credential (HTTP 401).",
            "It is not retried: it would be refused again.",
            f"Replace the credential, then use Test connection.{then}",
            A.REPLACE_CREDENTIAL,
            A.TEST_CONNECTION,
        )
    return Remedy(
        f"{facts.system} knows the credential but does not allow this (HTTP 403).",
        "It is not retried: it would be refused again.",
        f"Give it the right in {facts.system}, or replace the credential, then use Test connection.{then}",
        A.REPLACE_CREDENTIAL,
        A.TEST_CONNECTION,
    )


def _not_found(facts: Failure) -> Remedy:
    title = f"Nothing exists at this path (HTTP {facts.status})."
    if facts.trigger is Trigger.ACCESS_REVOKED and not facts.captured_any:
        return Remedy(
            title,
            "No account was ever captured for this person here: most likely there is nothing to remove.",
            "Add 404 to the success statuses of the step, save, then use Replay with latest.",
            A.EDIT_SUCCESS,
        )
    if facts.trigger is Trigger.ACCESS_REVOKED:
        return Remedy(
            title,
            "The account was captured when access was granted; it may be gone already.",
            "Check the path of the step. If gone is good, add 404 to its success statuses. Save, then use "
            "Replay with latest.",
            A.EDIT_PATH,
        )
    return Remedy(
        title,
        "It is not retried: it would be refused again.",
        "Check the path of the step, save, then use Replay with latest.",
        A.EDIT_PATH,
    )
