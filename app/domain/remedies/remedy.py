"""What a failure means and what mends it: the one source of these words for timeline, tests and API.

The rule that the rest follows: credentials and addresses are read anew at each try, so mending them calls for
Retry; steps are pinned to the run's version, so mending those calls for Replay with latest.
"""

from __future__ import annotations

from app.domain.remedies.failure import HELD_BACK, LEFT_ALONE, Action, Failure, Remedy
from app.domain.remedies.missing import can_be_typed, contradicted, missing_token
from app.domain.remedies.refused import refused, refused_probe, test_of, wrong_for_probe
from app.domain.runs.retry import TRANSIENT
from app.domain.states import FailureClass
from app.domain.steps.base import StepType

A = Action
NOT_IMPLEMENTED = 501


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
    never_ready = facts.failure is FailureClass.TIMEOUT and facts.status is not None
    if never_ready and not facts.attempts_left and not facts.probe:
        return _never_ready(facts)
    if facts.status == NOT_IMPLEMENTED and facts.attempts_left == 0:
        return _not_offered(facts)
    if facts.failure in TRANSIENT:
        return _transient(facts)
    return _OTHERS[facts.failure](facts)


def _never_ready(facts: Failure) -> Remedy:
    return Remedy(
        f"{facts.system} was not ready in time (HTTP {facts.status}).",
        facts.detail or "It said “not yet” for as long as the step waits.",
        f"Look in {facts.system} whether it is done by now. If it is, say so and the run goes on; if not, retry. So "
        "that it waits longer next time, change how long the step asks.",
        A.RETRY,
        A.DONE,
        field="retry",
        others=(A.EDIT_STEP,),
    )


def _not_offered(facts: Failure) -> Remedy:
    title = f"{facts.system} does not offer this (HTTP {facts.status})."
    if facts.probe:
        return wrong_for_probe(facts, title)
    return Remedy(
        title,
        "It says that it cannot do what is asked, so trying again changes nothing.",
        "Check method and path of this step, save, then use Replay with latest. What was done by other means can be "
        "said to be done.",
        A.EDIT_PATH if facts.step_type is StepType.HTTP else A.EDIT_STEP,
        A.DONE,
    )


def _transient(facts: Failure) -> Remedy:
    title = _transient_title(facts)
    if facts.probe and facts.status == 429:
        return refused_probe(facts)
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
        f"Look in {facts.system} whether it was done. If it was, say so and the run goes on; if it was not, "
        "retry and confirm.",
        A.RETRY,
        A.DONE,
    )


def _redirect(facts: Failure) -> Remedy:
    title = f"{facts.system} points elsewhere (HTTP {facts.status})." + (
        f" {facts.detail}" if facts.detail else ""
    )
    why = "Redirects are not followed: a credential goes nowhere that nobody chose."
    if not facts.probe and facts.step_type is StepType.HTTP and _only_the_path(facts.detail):
        mend = "Set the path of the step to the one that it points to, save, then use Replay with latest."
        return Remedy(title, f"{why} Nothing was done.", mend, A.EDIT_PATH)
    return Remedy(
        title,
        why,
        "Set the base URL to the address that it points to, if that is the right one."
        + ("" if facts.probe else " Then retry."),
        A.EDIT_CONNECTION,
        field=_address(facts),
    )


def _only_the_path(detail: str) -> bool:
    return detail.startswith(("It points to the same path", "It points to another path"))


def _unexpected(facts: Failure) -> Remedy:
    if facts.probe:
        return wrong_for_probe(facts, f"{facts.system} answered HTTP {facts.status}, which is no success.")
    if facts.stands:
        return _stands(
            facts,
            f"{facts.system} answered HTTP {facts.status}, which does not count as success.",
            "If this answer is always good, add it to the success statuses of the step.",
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
            f"Add the credential, then use {test_of(facts)}.{then}",
            A.ADD_CREDENTIAL,
        )
    return Remedy(
        facts.detail or "The connection cannot be used as it is.",
        "Nothing was sent.",
        f"Mend the connection or replace its credential, then use {test_of(facts)}.{then}",
        A.REPLACE_CREDENTIAL if "credential" in facts.detail.lower() else A.EDIT_CONNECTION,
    )


def _mapping(facts: Failure) -> Remedy:
    if facts.probe:
        return wrong_for_probe(facts, facts.detail or "The request could not be made.")
    if facts.stands:
        mend = "So that it does not happen again, check what the step captures, or mark it optional."
        return _stands(facts, _lacking(facts), mend, A.EDIT_STEP, field="capture")
    if facts.status is not None:
        return Remedy(
            _lacking(facts),
            facts.detail or "Later steps need it.",
            "Check what the step captures, or mark it optional. Save, then use Replay with latest. Or type what is "
            "missing as It was done, and the run goes on.",
            A.EDIT_STEP,
            A.DONE,
            field="capture",
        )
    if token := missing_token(facts.detail):
        if can_be_typed(token):
            return _unknown_value(facts, token)
        if token.startswith("grantee."):
            return _lacks_a_field(facts, token)
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


def _lacking(facts: Failure) -> str:
    """What is wrong with what was to be captured: it is not there, or cannot be kept."""
    why = facts.detail
    if " found, and nobody can tell" in why:
        return f"{facts.system} answered with several values where one is to be captured."
    if any(one in why for one in ("longer than", "too long", "too large", "cannot be stored", "only single")):
        return f"{facts.system} answered, but a value to be captured cannot be kept."
    if "repeats the credential" in why:
        return f"{facts.system} answered with the credential where a value is to be captured."
    return f"{facts.system} answered, but a value to be captured was not there."


def _unknown_value(facts: Failure, token: str) -> Remedy:
    whose = "of this person's account" if token.startswith("account.") else "kept with this grant"
    return Remedy(
        f"{token} is not known: nothing {whose} was ever captured or typed under this name.",
        "Nothing was sent, since without it the step would mean something else.",
        f"Look the person up in {facts.system} and type the value: it is kept, and the run goes on. Or do by hand "
        "what the step does, and say that it was done. So that it is found by itself, add a step before this one "
        "that looks it up.",
        A.TYPE_VALUES,
        A.DONE,
        others=(A.EDIT_STEP,),
    )


def _lacks_a_field(facts: Failure, token: str) -> Remedy:
    return Remedy(
        "The person lacks something that this step needs.",
        facts.detail,
        f"Fill in {token.removeprefix('grantee.').replace('_', ' ')} of the person, then retry: the run continues at "
        "this step. If it may be empty, say so in the step and use Replay with latest.",
        A.EDIT_PERSON,
        A.RETRY,
        others=(A.EDIT_STEP,),
    )


def _stands(facts: Failure, title: str, mend: str, action: Action, *, field: str = "") -> Remedy:
    """A call that was carried out: no way back repeats it by itself, so the mend is for the next time."""
    then = f"Look in {facts.system} what it did and type what is missing as It was done: the run goes on after it."
    why = "It was carried out. Sent again it could be done twice, so Retry asks first."
    said = f"{facts.detail.rstrip('.')}. " if facts.detail else ""
    return Remedy(title, said + why, f"{then} {mend}", A.DONE, action, field=field)


_PLACES = {
    "path": ("path", A.EDIT_PATH, ""),
    "query": ("query", A.EDIT_STEP, "query"),
    "headers": ("headers", A.EDIT_STEP, "header"),
    "only_if": ("condition", A.EDIT_STEP, "only_if"),
    "body": ("data mapping", A.EDIT_MAPPING, ""),
}


def _worker_lost(facts: Failure) -> Remedy:
    return Remedy(
        "The worker stopped three times on this step.",
        "So that it does not take others down, the run was put aside.",
        f"Look at System health and in {facts.system} whether the step was done. If it was, say so; if not, retry.",
        A.SYSTEM_HEALTH,
        A.DONE,
        others=(A.RETRY,),
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
        f"If {facts.system} says no, mend what it names, then retry. If the answer is good, say that the step was "
        "done, and the run goes on; correct the condition for the next time."
    )
    return Remedy(title, why, mend, A.EDIT_STEP, A.DONE, field="expect", others=(A.RETRY,))


def _wrong_account(facts: Failure) -> Remedy:
    title = "The account that was found is not the one that is known."
    why = facts.detail or "Nothing more was sent."
    look = f"Look in {facts.system} which account is this person's."
    if contradicted(facts.detail):
        mend = (
            f"{look} If what is known is wrong, correct it, and the run goes on. If the step found somebody else, "
            "change what it looks for; or do it by hand and say that it was done."
        )
        return Remedy(title, why, mend, A.TYPE_VALUES, A.DONE, field="capture", others=(A.EDIT_STEP,))
    mend = f"{look} Do by hand what is right there and say that it was done; then change what the steps look for."
    return Remedy(title, why, mend, A.DONE, A.EDIT_STEP, field="capture")


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
