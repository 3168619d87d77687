"""Test connection: one authenticated GET that provisions nothing, or a webhook's test event.

Three acts, since nobody may hold a transaction while waiting for a stranger: `prepare` reads, `probe` calls
with no database at hand, `keep` writes what was found.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.connectors.auth.tokens import TokenFailed
from app.connectors.html import is_html
from app.connectors.http import HttpClient
from app.connectors.judge import asks_for_json
from app.connectors.messages import CallFailed, ConfigurationError, Request
from app.connectors.types.table import TYPES, needs_credential, send_signed
from app.crypto import KeyRing
from app.domain.remedies.failure import Failure, Remedy
from app.domain.remedies.remedy import remedy
from app.domain.runs import breaker as breaker_rules
from app.domain.runs.breaker import Seen
from app.domain.runs.calls import ConnectionData
from app.domain.runs.retry import classify_status
from app.domain.states import FailureClass
from app.domain.steps.statuses import SUCCESS, StatusSet
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


@dataclass(frozen=True, slots=True)
class TestPlan:
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


def prepare(connection: Connection) -> TestPlan:
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
    return TestPlan(data, credential.set_at if credential else None)


def probe(plan: TestPlan, client: HttpClient, keyring: KeyRing) -> TestResult:
    """Make the call. Never raises for what the other side or the configuration did wrong."""
    kind = TYPES[plan.connection.type]
    request = kind.probe(plan.connection.config)
    if request is None:
        return TestResult(NOTHING_TO_PROBE, kind.nothing_to_probe)
    return _try_out(plan, request, client, keyring)


def send_test_event(plan: TestPlan, client: HttpClient, keyring: KeyRing, *, now: datetime) -> TestResult:
    """Send a webhook one signed event that says it is a test. Only a person's click does this: it is a POST.

    Raises Invalid for a connection that is no webhook.
    """
    request = TYPES[plan.connection.type].test_event(plan.connection, now)
    if request is None:
        raise Invalid("Only a webhook takes a test event. Use Test connection for this one.", [])
    return _try_out(plan, request, client, keyring)


def _try_out(plan: TestPlan, request: Request, client: HttpClient, keyring: KeyRing) -> TestResult:
    """Send it signed, and say what came of it in the words of the timeline."""
    connection, path = plan.connection, parse_target(request.url).path
    try:
        reply = send_signed(request, connection, client, keyring, longest=LONGEST_SECONDS).reply
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
    reached, seen = (
        TYPES[connection.type].reached,
        f"HTTP {reply.status} at {path} in {reply.duration_ms:,} ms.",
    )
    if asks_for_json(request.headers) and is_html(reply.headers, reply.body):
        # Something is there, though perhaps not the API: whether the credential is taken nobody knows yet.
        page = _failed(
            plan,
            FailureClass.UNEXPECTED_ANSWER,
            status=reply.status,
            path=path,
            duration_ms=reply.duration_ms,
        )
        assert page.remedy is not None
        return replace(page, outcome=REACHABLE, message=f"{reached}, but: {page.remedy.title} {seen}")
    return TestResult(
        REACHABLE,
        f"{reached}. {seen}",
        status=reply.status,
        path=path,
        duration_ms=reply.duration_ms,
        credential_ok=True if connection.sealed else None,
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
        save(connection, known, breaker_rules.probed(known.breaker, _what_was_seen(result), now), now)


def _what_was_seen(result: TestResult) -> Seen | None:
    """What a test says about the connection, as a run's answer would; None when nothing could be sent."""
    if result.outcome == REACHABLE:
        return Seen.DONE
    if result.failure in breaker_rules.OUTAGE:
        return Seen.DOWN
    if result.status == 401 or (
        result.failure is FailureClass.CONFIGURATION and result.credential_ok is False
    ):
        return Seen.REFUSED
    return Seen.ALIVE if result.status is not None else None


def _failed(
    plan: TestPlan,
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
            step_type=TYPES[connection.type].step_type,
            probe=True,
            needs_credential=needs_credential(connection),
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
