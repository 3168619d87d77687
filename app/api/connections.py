"""Connections: how an application's system is reached. Their credentials go in and never come out."""

from __future__ import annotations

from flask import current_app

from app import clock
from app.api.blueprint import bp
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, asks_outside, reads, writes
from app.api.remedies import remedy_out
from app.domain.remedies.links import Where
from app.extensions import db, keyring
from app.guard import current_actor, requires
from app.models import Application, Connection
from app.queries.connections import Parking, connections_by_age, parkings_of
from app.queries.lookup import load
from app.schemas.answers import (
    ConnectionOut,
    ConnectionTestOut,
    CredentialStateOut,
    LastTestOut,
    Page,
    ParkedOut,
)
from app.schemas.connections import ConnectionIn, ConnectionPatch, CredentialIn, ParkIn
from app.services import connection_test, connections, credentials, parking
from app.services.connection_test import TestPlan, TestResult
from app.services.connections import credential_state
from app.services.transaction import before_asking_outside, transaction

TAG = "Connections"


@bp.get("/applications/<int:application_id>/connections")
@requires("workflow:read")
@reads(TAG, Page[ConnectionOut], query=ListQuery)
def list_connections(act: Act, query: ListQuery, application_id: int) -> Page[ConnectionOut]:
    """An application's connections, by age."""
    application = load(act.session, Application, application_id)
    rows = connections_by_age(act.session, application.id, limit=query.limit + 1, before=query.key)
    parked = parkings_of(act.session, [one.id for one in rows])

    def present(connection: Connection) -> ConnectionOut:
        return connection_out(connection, parked.get(connection.id))

    return page_of(rows, query, present, key=lambda connection: connection.id)


@bp.post("/applications/<int:application_id>/connections")
@requires("workflow:manage")
@writes(TAG, ConnectionOut, body=ConnectionIn, status=201, repeatable=True)
def create_connection(act: Act, application_id: int, body: ConnectionIn) -> ConnectionOut:
    """Add a connection. Its credential is set by a call of its own."""
    application = load(act.session, Application, application_id)
    return connection_out(
        connections.create_connection(act.session, act.actor, application, body, now=act.now)
    )


@bp.get("/connections/<int:connection_id>")
@requires("workflow:read")
@reads(TAG, ConnectionOut)
def show_connection(act: Act, connection_id: int) -> ConnectionOut:
    """One connection."""
    return _shown(act, load(act.session, Connection, connection_id))


@bp.patch("/connections/<int:connection_id>")
@requires("workflow:manage")
@writes(TAG, ConnectionOut, body=ConnectionPatch)
def change_connection(act: Act, connection_id: int, body: ConnectionPatch) -> ConnectionOut:
    """Change a connection.

    Within `config`, fields that are not sent stay and null removes one. Where a credential is set, another
    address needs `workflow:secrets` as well.
    """
    connection = load(act.session, Connection, connection_id)
    return _shown(act, connections.change_connection(act.session, act.actor, connection, body, now=act.now))


@bp.post("/connections/<int:connection_id>/park")
@requires("workflow:run")
@writes(TAG, ConnectionOut, body=ParkIn, repeatable=True)
def park_connection(act: Act, connection_id: int, body: ParkIn) -> ConnectionOut:
    """Send nothing on a connection until a time, for a reason; runs that reach it wait. Again: changes both."""
    connection = load(act.session, Connection, connection_id)
    parking.park(act.session, act.actor, connection, body, now=act.now)
    return _shown(act, connection)


@bp.post("/connections/<int:connection_id>/unpark")
@requires("workflow:run")
@writes(TAG, ConnectionOut, repeatable=True)
def unpark_connection(act: Act, connection_id: int) -> ConnectionOut:
    """Let one waiting run through now, and the others after it when it succeeds. 409 when it is not parked."""
    connection = load(act.session, Connection, connection_id)
    parking.unpark(act.session, act.actor, connection, now=act.now)
    return _shown(act, connection)


def _shown(act: Act, connection: Connection) -> ConnectionOut:
    return connection_out(connection, parkings_of(act.session, [connection.id]).get(connection.id))


@bp.delete("/connections/<int:connection_id>")
@requires("workflow:manage")
@writes(TAG)
def delete_connection(act: Act, connection_id: int) -> None:
    """Remove a connection that no live workflow uses, and its credential."""
    connection = load(act.session, Connection, connection_id)
    connections.delete_connection(act.session, act.actor, connection, now=act.now)


@bp.put("/connections/<int:connection_id>/credential")
@requires("workflow:secrets")
@writes(TAG, body=CredentialIn)
def set_credential(act: Act, connection_id: int, body: CredentialIn) -> None:
    """Enter or replace a connection's credential. It is never shown again."""
    connection = load(act.session, Connection, connection_id)
    credentials.set_credential(act.session, act.actor, connection, body, keyring(), now=act.now)


@bp.delete("/connections/<int:connection_id>/credential")
@requires("workflow:secrets")
@writes(TAG)
def remove_credential(act: Act, connection_id: int) -> None:
    """Remove a connection's credential."""
    connection = load(act.session, Connection, connection_id)
    credentials.remove_credential(act.session, act.actor, connection, now=act.now)


@bp.post("/connections/<int:connection_id>/test")
@requires("workflow:manage")
@asks_outside(TAG, ConnectionTestOut)
def test_connection(connection_id: int) -> ConnectionTestOut:
    """Ask the other system whether it can be reached, by one GET that changes nothing there."""
    plan = _plan(connection_id)
    client = current_app.extensions["egress"]
    return _kept(connection_id, connection_test.probe(plan, client, keyring()))


@bp.post("/connections/<int:connection_id>/test-event")
@requires("workflow:manage")
@asks_outside(TAG, ConnectionTestOut)
def send_test_event(connection_id: int) -> ConnectionTestOut:
    """Send a webhook one signed event of the type `access_automation.test`.

    Each call sends another, but for one that comes with an earlier Idempotency-Key. Other connections refuse
    it (422).
    """
    plan = _plan(connection_id)
    client = current_app.extensions["egress"]
    return _kept(connection_id, connection_test.send_test_event(plan, client, keyring(), now=clock.now()))


def _plan(connection_id: int) -> TestPlan:
    plan = connection_test.prepare(load(db.session(), Connection, connection_id))
    before_asking_outside()
    return plan


def _kept(connection_id: int, result: TestResult) -> ConnectionTestOut:
    with transaction() as session:
        connection_test.keep(session, connection_id, result, now=clock.now(), actor=current_actor())
    return connection_test_out(connection_id, result)


def connection_out(connection: Connection, parking: Parking | None = None) -> ConnectionOut:
    """The connection; of its credential only what `credential_state` tells, which is never a value.

    `parking` is given where it holds runs up.
    """
    state = credential_state(connection, keyring().key_ids)
    return ConnectionOut(
        id=str(connection.id),
        application_id=str(connection.application_id),
        type=connection.type,
        name=connection.name,
        config=connection.config,
        credential=CredentialStateOut(
            configured=state.configured,
            set_at=state.set_at,
            set_by=state.set_by,
            last_used_at=state.last_used_at,
            last_ok=state.last_ok,
            readable=state.readable,
        ),
        last_test=_last_test(connection),
        parked=_parked_out(parking) if parking is not None else None,
        created_at=connection.created_at,
        changed_at=connection.changed_at,
    )


def _parked_out(parking: Parking) -> ParkedOut:
    return ParkedOut(
        state=parking.state,
        label=parking.label,
        since=parking.since,
        why=parking.why,
        until=parking.until,
        next_probe_at=parking.probe_at,
        waiting_runs=parking.waiting,
    )


def connection_test_out(connection_id: int, result: TestResult) -> ConnectionTestOut:
    return ConnectionTestOut(
        outcome=result.outcome,  # type: ignore[arg-type]  # one of the three words, which the model checks
        status=result.status,
        path=result.path,
        duration_ms=result.duration_ms,
        failure_class=result.failure,
        message=result.message,
        remedy=remedy_out(result.remedy, Where(connection_id=connection_id)),
    )


def _last_test(connection: Connection) -> LastTestOut | None:
    if connection.tested_at is None or connection.test_outcome is None:
        return None
    return LastTestOut(
        tested_at=connection.tested_at,
        outcome=connection.test_outcome,
        failure_class=connection.test_class,
        status=connection.test_status,
        path=connection.test_path,
        duration_ms=connection.test_duration_ms,
    )
