"""What to say and offer when the other side answered with a 4xx."""

from __future__ import annotations

from app.domain.remedies.failure import Action, Failure, Remedy
from app.domain.states import Trigger
from app.domain.steps.base import StepType

A = Action


def test_of(facts: Failure) -> str:
    return "Send test event" if facts.step_type is StepType.WEBHOOK else "Test connection"


def wrong_for_probe(facts: Failure, title: str) -> Remedy:
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


def refused(facts: Failure) -> Remedy:
    """What to say and offer when the other side answered with a 4xx."""
    if facts.status in (401, 403):
        return _not_let_in(facts)
    if facts.probe:
        return refused_probe(facts)
    match facts.status:
        case 400 | 422:
            return Remedy(
                f"{facts.system} did not accept the data (HTTP {facts.status}).",
                _said(facts) or "It is not retried: the same data would be refused again.",
                "Check the data mapping of this step, see the exact request in a dry-run with this grant (it names "
                "what is empty), save, then use Replay with latest." + _ask_for_reason(facts),
                A.EDIT_MAPPING,
                A.DRY_RUN,
            )
        case 404 | 410:
            return _not_found(facts)
        case 409:
            return Remedy(
                f"{facts.system} says that it is there already, or in the way (HTTP 409).",
                _said(facts) or "It is not retried: nothing would be different.",
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
        _said(facts) or "It is not retried: the same request would be refused again.",
        "Check method, path and data of this step, save, then use Replay with latest.",
        A.EDIT_STEP,
    )


def _said(facts: Failure) -> str:
    """What the other system said of it, where the step's author asked for that."""
    return facts.detail if "It said: “" in facts.detail else ""


def _ask_for_reason(facts: Failure) -> str:
    if _said(facts) or facts.step_type is not StepType.HTTP:
        return ""
    return " So that its reason stands here, name where its answers give one: the step's failure reason."


def refused_probe(facts: Failure) -> Remedy:
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
    if facts.token_from and not facts.probe:
        return Remedy(
            f"{facts.system} refused the token that an earlier step captured (HTTP {facts.status}).",
            f"It was captured by “{facts.token_from}” when the run began, and Retry would send the same one again.",
            f"Mark “{facts.token_from}” as idempotent, since signing in twice does no harm, and save. Then use "
            "Replay with latest: a fresh run signs in anew."
            if facts.token_doubles
            else "Use Replay with latest: a fresh run signs in anew.",
            A.EDIT_STEP if facts.token_doubles else A.REPLAY,
            A.DONE,
        )
    test = A.SEND_TEST if facts.step_type is StepType.WEBHOOK else A.TEST_CONNECTION
    then = "" if facts.probe else " Then retry: the run continues at this step."
    if facts.needs_credential and not facts.credential_set:
        return Remedy(
            f"{facts.system} wants a credential, and none is set (HTTP {facts.status}).",
            "It is not retried: it would be refused again.",
            f"Add the credential, then use {test_of(facts)}.{then}",
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
            f"Use {test_of(facts)} to see whether the new one works.{then}",
            test,
        )
    if facts.status == 401:
        return Remedy(
            f"{facts.system} rejected the credential (HTTP 401).",
            "It is not retried: it would be refused again.",
            f"Replace the credential, then use {test_of(facts)}.{then}",
            A.REPLACE_CREDENTIAL,
            test,
        )
    return Remedy(
        f"{facts.system} does not allow this (HTTP 403).",
        _said(facts)
        or "Mostly the credential lacks a right; some systems also answer so to one that is wrong or has ended.",
        f"Give it the right in {facts.system}, or replace the credential, then use {test_of(facts)}.{then}",
        A.REPLACE_CREDENTIAL,
        test,
    )


def _not_found(facts: Failure) -> Remedy:
    title = f"Nothing exists at this path (HTTP {facts.status})."
    if facts.given_up:
        return Remedy(
            title,
            f"“{facts.given_up}” failed before it in this run and was passed over: what it makes may be missing.",
            f"Nothing may be wrong with the path. Replay with latest does “{facts.given_up}” again. Or do both by "
            "hand and say that it was done.",
            A.REPLAY,
            A.DONE,
        )
    if "web page" in facts.detail:
        return Remedy(
            title,
            "It answered with a web page: that is the web server's word about the address, and not the system's "
            "about the account, so it is no success, even where the step lists the status as one.",
            "Check the base URL of the connection and the path of the step, save, then use Replay with latest.",
            A.EDIT_PATH,
            A.EDIT_CONNECTION,
            field="base_url",
        )
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
        _said(facts) or "It is not retried: it would be refused again.",
        "Check the path of the step, save, then use Replay with latest.",
        A.EDIT_PATH,
    )
