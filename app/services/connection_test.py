"""Test connection: one authenticated GET that provisions nothing, or a webhook's test event (SPEC §7).

Three acts, since nobody may hold a transaction while waiting for a stranger: `prepare` reads, `probe` calls
with no database at hand, `keep` writes what was found.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.connectors.auth import ConfigurationError
from app.connectors.http import CallFailed, HttpClient, Reply, Request
from app.connectors.oauth import TokenFailed
from app.connectors.perform import DEFAULT_TIMEOUT_SECONDS, open_credential
from app.connectors.signedin import send_signed_in
from app.connectors.signing import BadSigningSecret, signatures
from app.crypto import KeyRing
from app.domain.mapping.context import rfc3339
from app.domain.remedies.failure import Failure, Remedy
from app.domain.remedies.remedy import remedy
from app.domain.runs import breaker as engine
from app.domain.runs.breaker import Seen
from app.domain.runs.calls import ConnectionData
from app.domain.runs.retry import classify_status
from app.domain.states import FailureClass
from app.domain.steps.base import StepType
from app.domain.steps.calls import SUCCESS, USER_AGENT, StatusSet
from app.domain.steps.http.headers import opening_headers
from app.errors import Invalid
from app.models import Connection
from app.net.target import parse_target
from app.permissions import Actor
from app.services import credentials, parking
from app.services.advance.breakers import locked, save

# A person waits for it, so it ends sooner than a step may.
LONGEST_SECONDS = 10.0
REACHABLE = "reachable"
FAILED = "failed"
NOTHING_TO_PROBE = "nothing_to_probe"
# What a receiver tells a test by; the body says `"test": true` as well.
TEST_EVENT = "access_automation.test"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be tried, in plain data; the credential is still sealed."""

    connection: ConnectionData
    credential_set_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TestResult:
    """What was found. `credential_ok`: whether the credential was accepted, None when that is not known."""

    __test__ = False  # not a test case, whatever its name

    outcome: str
    message: str
    status: int | None = None
    path: str | None = None
    duration_ms: int | None = None
    failure: FailureClass | None = None
    remedy: Remedy | None = None
    credential_ok: bool | None = None
    credential_set_at: datetime | None = field(default=None, repr=False)


def prepare(_session: Session, connection: Connection) -> Plan:
    """Read what the probe needs; the session may be closed afterwards."""
    credential = connection.credential
    data = ConnectionData(
        id=connection.id,
        application_id=connection.application_id,
        type=connection.type,
        name=connection.name,
        config=dict(connection.config),
        sealed=credential.sealed if credential else None,
    )
    return Plan(data, credential.set_at if credential else None)


def probe(plan: Plan, client: HttpClient, keyring: KeyRing) -> TestResult:
    """Make the call. Never raises for what the other side or the configuration did wrong."""
    connection = plan.connection
    if connection.type == "webhook":
        return TestResult(
            NOTHING_TO_PROBE,
            "There is nothing to probe without sending: a webhook only receives. Send a test event instead.",
        )
    url = probe_url(connection.config)
    path = parse_target(url).path
    request = _request(connection.config, url)

    def send() -> Reply:
        return send_signed_in(request, connection, open_credential(connection, keyring), client).reply

    return _told(plan, send, path)


def send_test_event(plan: Plan, client: HttpClient, keyring: KeyRing, *, now: datetime) -> TestResult:
    """Send a webhook one signed event that says it is a test. Only a person's click does this: it is a POST.

    Raises Invalid for a connection that is no webhook.
    """
    connection = plan.connection
    if connection.type != "webhook":
        raise Invalid("Only a webhook takes a test event. Use Test connection for this one.", [])
    url = str(connection.config["url"])
    return _told(
        plan, lambda: client.send(_test_event(connection, url, keyring, now)), parse_target(url).path
    )


def _told(plan: Plan, send: Callable[[], Reply], path: str) -> TestResult:
    """What came of `send`, in the words of the timeline."""
    try:
        reply = send()
    except ConfigurationError as problem:
        return _failed(plan, FailureClass.CONFIGURATION, path=path, detail=problem.message)
    except TokenFailed as failed:
        result = _failed(
            plan,
            failed.kind,
            status=failed.status,
            path=path,
            duration_ms=failed.duration_ms,
            detail=failed.detail,
        )
        return replace(result, credential_ok=False if failed.credential_refused else None)
    except CallFailed as failed:
        return _failed(plan, failed.kind, path=path, duration_ms=failed.duration_ms, detail=failed.detail)
    failure = classify_status(reply.status, success=SUCCESS, wait=StatusSet())
    if failure is not None:
        return _failed(plan, failure, status=reply.status, path=path, duration_ms=reply.duration_ms)
    told = "Reachable" if plan.connection.type == "http" else "The test event was taken"
    return TestResult(
        REACHABLE,
        f"{told}. HTTP {reply.status} at {path} in {reply.duration_ms:,} ms.",
        status=reply.status,
        path=path,
        duration_ms=reply.duration_ms,
        credential_ok=True if plan.connection.sealed else None,
        credential_set_at=plan.credential_set_at,
    )


def keep(
    session: Session, connection_id: int, result: TestResult, *, now: datetime, actor: Actor | None = None
) -> None:
    """Store what was found as the connection's health, and whether its credential was accepted.

    With the `actor` whose test it was, a connection that is parked for failures goes on when it was reached.
    """
    if result.outcome == NOTHING_TO_PROBE:
        return
    session.execute(
        update(Connection)
        .where(Connection.id == connection_id)
        .values(
            tested_at=now,
            test_outcome=result.outcome,
            test_class=result.failure,
            test_status=result.status,
            test_duration_ms=result.duration_ms,
            test_path=result.path,
        )
        .execution_options(synchronize_session="fetch")
    )
    if result.credential_ok is not None:
        credentials.note_use(session, connection_id, result.credential_set_at, result.credential_ok, now=now)
    if actor is not None and result.outcome == REACHABLE:
        tested = session.get(Connection, connection_id)
        if tested is not None:
            parking.found_reachable(session, actor, tested, now=now)


def note_probe(session: Session, connection_id: int, result: TestResult, *, now: datetime) -> None:
    """Write what a probe found: the connection's health, and what becomes of its parking."""
    keep(session, connection_id, result, now=now)
    connection = session.connection()
    known = locked(connection, [connection_id]).get(connection_id)
    if known is not None and known.revision is not None:
        save(connection, known, engine.probed(known.breaker, _what_was_seen(result), now), now)


def _what_was_seen(result: TestResult) -> Seen | None:
    """What a test says about the connection, as a run's answer would; None when nothing could be sent."""
    if result.outcome == REACHABLE:
        return Seen.DONE
    if result.failure in engine.OUTAGE:
        return Seen.DOWN
    if result.status == 401 or (
        result.failure is FailureClass.CONFIGURATION and result.credential_ok is False
    ):
        return Seen.REFUSED
    return Seen.ALIVE if result.status is not None else None


def probe_url(config: Mapping[str, Any]) -> str:
    """Where an HTTP connection is tested: its health check path, else its base URL."""
    base, path = str(config["base_url"]), str(config.get("health_path") or "")
    return base.rstrip("/") + path if path else base


def _request(config: Mapping[str, Any], url: str) -> Request:
    seconds = float(config.get("timeout_seconds") or DEFAULT_TIMEOUT_SECONDS)
    return Request(
        "GET",
        url,
        opening_headers(config),
        timeout_seconds=min(seconds, LONGEST_SECONDS),
        ca_bundle=config.get("ca_bundle") or None,
    )


def _test_event(connection: ConnectionData, url: str, keyring: KeyRing, now: datetime) -> Request:
    secret = open_credential(connection, keyring)
    if secret is None:
        raise ConfigurationError("The connection has no signing secret. Add one on the connection's page.")
    message_id = f"test_{secrets.token_hex(16)}"
    event = {
        "type": TEST_EVENT,
        "test": True,
        "timestamp": rfc3339(now),
        "data": {"connection": connection.name},
    }
    body = json.dumps(event).encode("ascii")
    try:
        signed = signatures(secret.reveal(), message_id=message_id, at=now, body=body)
    except BadSigningSecret as problem:
        raise ConfigurationError(str(problem)) from None
    headers = {
        "User-Agent": USER_AGENT,
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signed,
    }
    return Request("POST", url, headers, body, timeout_seconds=LONGEST_SECONDS)


def _failed(
    plan: Plan,
    failure: FailureClass,
    *,
    path: str,
    status: int | None = None,
    duration_ms: int | None = None,
    detail: str = "",
) -> TestResult:
    connection = plan.connection
    advice = remedy(
        Failure(
            failure=failure,
            status=status,
            system=connection.name,
            step_type=StepType(connection.type),
            probe=True,
            needs_credential=connection.type == "webhook" or connection.config.get("auth", "none") != "none",
            credential_set=connection.sealed is not None,
            detail=detail,
        )
    )
    return TestResult(
        FAILED,
        f"Failed. {advice.title}",
        status=status,
        path=path,
        duration_ms=duration_ms,
        failure=failure,
        remedy=advice,
        credential_ok=False if status in (401, 403) else None,
        credential_set_at=plan.credential_set_at,
    )
