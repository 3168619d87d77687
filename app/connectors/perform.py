"""One try of a step, from order to outcome: fill in, sign in, send, read, capture. No database, no session."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.connectors.auth.tokens import TokenFailed
from app.connectors.http import HttpClient
from app.connectors.judge import judge
from app.connectors.messages import CallFailed, ConfigurationError, Request
from app.connectors.types.table import send_signed
from app.crypto import KeyLost, KeyRing, bound_to_run
from app.domain.json_reader import Scalar
from app.domain.mapping.templates import MappingError
from app.domain.runs.calls import Order, Outcome
from app.domain.states import FailureClass
from app.domain.steps.calls import Fill, Prepared

# The statuses by which a system says that it does not take a credential (RFC 9110 §15.5.2, §15.5.4).
REFUSALS = (401, 403)
CONNECTION_GONE = "The connection of this step no longer exists."


@dataclass(frozen=True, slots=True)
class Performed:
    """What a try came to, and how long it took in milliseconds.

    `accepted` says whether the other side took the credential; None when there is none, or no answer told.
    """

    outcome: Outcome
    duration_ms: int = 0
    accepted: bool | None = None


def prepare(order: Order, overrides: Mapping[str, Scalar] | None = None) -> Prepared:
    """Fill the step's templates, and put one-off values over them.

    Raises MappingError when a value cannot be put where it belongs, ConfigurationError when there is nothing to
    send to.
    """
    connection = order.connection
    if connection is None:
        raise ConfigurationError(CONNECTION_GONE)
    fill = Fill(order.context, connection.config, order.idempotency_key, overrides or {})
    return order.step.request(fill)


def perform(
    order: Order, client: HttpClient, keyring: KeyRing, *, may_go: Callable[[], bool] | None = None
) -> Performed:
    """Make the try.  Never raises for what the other side, the author or the credential did wrong.

    `may_go` is asked again when the first byte is about to leave, after a token was fetched and a connection made;
    where it says no, nothing is sent.
    """
    try:
        prepared = prepare(order, _open_overrides(order, keyring))
        assert order.connection is not None
        request = Request(
            prepared.method,
            prepared.url,
            prepared.headers,
            prepared.body,
            may_go=may_go,
            repeatable=order.step.idempotent,
        )
        answer = send_signed(request, order.connection, client, keyring)
    except MappingError as error:
        return Performed(Outcome.failed(FailureClass.MAPPING, detail=f"{error.field}: {error.message}"))
    except ConfigurationError as error:
        return Performed(Outcome.failed(FailureClass.CONFIGURATION, detail=error.message))
    except TokenFailed as failed:
        refused = failed.credential_refused
        outcome = Outcome.failed(
            failed.kind,
            http_status=failed.status,
            retry_after=failed.retry_after,
            detail=failed.detail,
            refused=refused,
        )
        return Performed(outcome, failed.duration_ms, False if refused else None)
    except CallFailed as failed:
        outcome = Outcome.failed(failed.kind, lost=failed.lost, detail=failed.detail, ours=failed.ours)
        return Performed(outcome, failed.duration_ms)
    reply = answer.reply
    accepted = reply.status not in REFUSALS if order.connection.sealed else None
    return Performed(judge(order, prepared, answer), reply.duration_ms, accepted)


def _open_overrides(order: Order, keyring: KeyRing) -> dict[str, Scalar]:
    if order.sealed_overrides is None:
        return {}
    try:
        values: dict[str, Scalar] = json.loads(
            keyring.open(order.sealed_overrides, bound_to_run(order.run_id)).reveal()
        )
    except KeyLost:
        raise ConfigurationError("The one-off values cannot be read any more. Give them again.") from None
    return values
