"""One try of a step, from order to outcome: fill in, sign in, send, read, capture. No database, no session."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from app import clock
from app.connectors.auth import ConfigurationError
from app.connectors.capture import CaptureError, capture
from app.connectors.http import CallFailed, HttpClient, Reply, Request
from app.connectors.oauth import TokenFailed
from app.connectors.signedin import SignedReply, send_signed_in
from app.connectors.signing import BadSigningSecret, signatures
from app.crypto import KeyLost, KeyRing, Secret
from app.domain.headers import author_header_problem
from app.domain.json_reader import Scalar
from app.domain.mapping.overrides import override_body, override_query
from app.domain.mapping.paths import render_path
from app.domain.mapping.render import query_string, render_headers, render_query, render_value, to_body
from app.domain.mapping.templates import MappingError
from app.domain.runs.calls import ConnectionData, Order, Outcome
from app.domain.runs.retry import classify_status
from app.domain.states import FailureClass
from app.domain.workflows.steps import HttpStep, WebhookStep

DEFAULT_TIMEOUT_SECONDS = 30
USER_AGENT = "AccessAutomation/1"
# The statuses by which a system says that it does not take a credential (RFC 9110 §15.5.2, §15.5.4).
REFUSALS = (401, 403)
KEY_LOST = "The stored credential cannot be read with the keys of this console. Replace it."
CONNECTION_GONE = "The connection of this step no longer exists."


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request complete but for its credential: what a dry-run shows and what a try sends."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)
    empty_tokens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Performed:
    """What a try came to, and how long it took in milliseconds.

    `accepted` says whether the other side took the credential; None when there is none, or no answer told.
    """

    outcome: Outcome
    duration_ms: int = 0
    accepted: bool | None = None


def bound_to(connection_id: int) -> str:
    """What a connection's credential is sealed to: in another connection's row it does not open."""
    return f"connection:{connection_id}"


def prepare(order: Order, overrides: Mapping[str, Scalar] | None = None) -> Prepared:
    """Fill the step's templates, and put one-off values over them.

    Raises MappingError when a value cannot be put where it belongs, ConfigurationError when there is nothing to
    send to.
    """
    connection = order.connection
    if connection is None:
        raise ConfigurationError(CONNECTION_GONE)
    values = overrides or {}
    if isinstance(order.step, WebhookStep):
        return _prepare_webhook(order, order.step, connection, values)
    return _prepare_http(order, order.step, connection, values)


def _prepare_http(
    order: Order, step: HttpStep, connection: ConnectionData, overrides: Mapping[str, Scalar]
) -> Prepared:
    empty: list[str] = []
    path = render_path(step.path, order.context, empty=empty)
    query = query_string(override_query(render_query(step.query, order.context, empty=empty), overrides))
    headers = opening_headers(connection.config)
    body: bytes | None = None
    if step.body is not None:
        body, content_type = to_body(
            override_body(render_value(step.body, order.context, empty=empty), overrides), step.body_format
        )
        _merge(headers, {"Content-Type": content_type})
    _merge(headers, render_headers(step.headers, order.context, empty=empty))
    headers["Idempotency-Key"] = order.idempotency_key
    url = str(connection.config["base_url"]).rstrip("/") + path
    return Prepared(
        step.method, url + (f"?{query}" if query else ""), headers, body, tuple(dict.fromkeys(empty))
    )


def _prepare_webhook(
    order: Order, step: WebhookStep, connection: ConnectionData, overrides: Mapping[str, Scalar]
) -> Prepared:
    empty: list[str] = []
    body, content_type = to_body(
        override_body(render_value(step.body, order.context, empty=empty), overrides), "json"
    )
    headers = {
        "User-Agent": USER_AGENT,
        "Content-Type": content_type,
        "Idempotency-Key": order.idempotency_key,
        # The same for all tries of the step, so that a receiver can tell a repeat (Standard Webhooks 1.0.0).
        "webhook-id": order.idempotency_key,
    }
    return Prepared("POST", str(connection.config["url"]), headers, body, tuple(dict.fromkeys(empty)))


def opening_headers(config: Mapping[str, object]) -> dict[str, str]:
    """The headers that every call of an HTTP connection begins with: the product's, and the connection's own.

    One that may not be sent was refused when it was saved, and is left out.
    """
    headers = {"Accept": "application/json, */*;q=0.5", "User-Agent": USER_AGENT}
    given = config.get("headers")
    if isinstance(given, Mapping):
        _merge(headers, {n: text for n, text in given.items() if author_header_problem(n, text) is None})
    return headers


def _merge(headers: dict[str, str], added: Mapping[str, str]) -> None:
    """Later headers replace earlier ones of the same name, however they are spelt."""
    for name, value in added.items():
        for known in [one for one in headers if one.lower() == name.lower()]:
            del headers[known]
        headers[name] = value


def perform(order: Order, client: HttpClient, keyring: KeyRing) -> Performed:
    """Make the try.  Never raises for what the other side, the author or the credential did wrong."""
    try:
        prepared = prepare(order, _open_overrides(order, keyring))
        assert order.connection is not None
        answer = _send(prepared, order.connection, client, keyring)
    except MappingError as error:
        return Performed(Outcome.failed(FailureClass.MAPPING, detail=f"{error.field}: {error.message}"))
    except ConfigurationError as error:
        return Performed(Outcome.failed(FailureClass.CONFIGURATION, detail=error.message))
    except TokenFailed as failed:
        refused = failed.credential_refused
        outcome = Outcome.failed(
            failed.kind, http_status=failed.status, detail=failed.detail, refused=refused
        )
        return Performed(outcome, failed.duration_ms, False if refused else None)
    except CallFailed as failed:
        outcome = Outcome.failed(failed.kind, lost=failed.lost, detail=failed.detail)
        return Performed(outcome, failed.duration_ms)
    reply = answer.reply
    accepted = reply.status not in REFUSALS if order.connection.sealed else None
    return Performed(_judge(order.step, answer), reply.duration_ms, accepted)


def bound_to_run(run_id: int) -> str:
    """What a run's one-off values are sealed to."""
    return f"run:{run_id}"


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


def _send(
    prepared: Prepared, connection: ConnectionData, client: HttpClient, keyring: KeyRing
) -> SignedReply:
    request = Request(
        method=prepared.method,
        url=prepared.url,
        headers=prepared.headers,
        body=prepared.body,
        timeout_seconds=float(connection.config.get("timeout_seconds") or DEFAULT_TIMEOUT_SECONDS),
        ca_bundle=connection.config.get("ca_bundle") or None,
    )
    secret = open_credential(connection, keyring)
    if connection.type == "webhook":
        signed = {**prepared.headers, **signature_headers(prepared, secret)}
        return SignedReply(client.send(replace(request, headers=signed)))
    return send_signed_in(request, connection, secret, client)


def open_credential(connection: ConnectionData, keyring: KeyRing) -> Secret | None:
    """The connection's credential, or None when it has none; raises ConfigurationError when no key opens it."""
    if connection.sealed is None:
        return None
    try:
        return keyring.open(connection.sealed, bound_to(connection.id))
    except KeyLost:
        raise ConfigurationError(KEY_LOST) from None


def signature_headers(prepared: Prepared, secret: Secret | None) -> dict[str, str]:
    """The headers that sign a webhook (Standard Webhooks 1.0.0)."""
    if secret is None:
        raise ConfigurationError("The connection has no signing secret. Add one on the connection's page.")
    now = clock.now()
    try:
        signature = signatures(
            secret.reveal(), message_id=prepared.headers["webhook-id"], at=now, body=prepared.body or b""
        )
    except BadSigningSecret:
        raise ConfigurationError("The signing secret is not one of Standard Webhooks. Replace it.") from None
    return {"webhook-timestamp": str(math.floor(now.timestamp())), "webhook-signature": signature}


def _judge(step: HttpStep | WebhookStep, answer: SignedReply) -> Outcome:
    reply = answer.reply
    failure = classify_status(reply.status, success=step.success_statuses, wait=step.retry.wait_statuses)
    if failure is not None:
        return Outcome.failed(
            failure,
            http_status=reply.status,
            retry_after=_retry_after(reply.headers.get("Retry-After")),
            detail=_redirect_host(reply) if failure is FailureClass.REDIRECT else "",
        )
    if not isinstance(step, HttpStep) or not step.capture:
        return Outcome.success(reply.status)
    try:
        rules = {rule.name: (rule.source, rule.optional) for rule in step.capture}
        captured = capture(rules, reply)
        for name, value in captured.items():
            # What is captured is shown, and may be sent to other systems.
            if answer.gives_away(value):
                raise CaptureError(name, "the answer repeats the credential here, which is never kept")
        return Outcome.success(reply.status, captured)
    except CaptureError as error:
        return Outcome.failed(
            FailureClass.MAPPING, http_status=reply.status, detail=f"capture {error.name}: {error.reason}"
        )


def _redirect_host(reply: Reply) -> str:
    location = (reply.headers.get("Location") or "").strip()
    if not location:
        return "It does not say where to."
    try:
        host = urlsplit(location).hostname
    except ValueError:
        return "It points to something that is no address."
    return f"It points to {host[:200]}." if host else "It points elsewhere on the same host."


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from either form of the header (RFC 9110 §10.2.3); None when there is no usable one."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value) if len(value) < 10 else None
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - clock.now()).total_seconds())
