"""Remedies for answers in the 4xx range: the other side understood, and said no."""

from __future__ import annotations

from app.domain.remedies.failure import Action, Failure, Remedy
from app.domain.states import Trigger
from app.domain.workflows.steps import StepType

A = Action


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
