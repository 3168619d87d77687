"""People, groups, applications and connections in the shapes of API.md."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.remedies.failure import Remedy
from app.domain.remedies.links import Where, places
from app.extensions import keyring
from app.models import Application, Connection, Group, User
from app.queries.parked import Parking
from app.schemas.answers import (
    ApplicationOut,
    ConnectionOut,
    ConnectionTestOut,
    CredentialStateOut,
    GroupOut,
    LastTestOut,
    ParkedOut,
    PlaceOut,
    RemedyOut,
    UserOut,
)
from app.services.connection_test import TestResult
from app.services.connections import credential_state


def user_out(user: User) -> UserOut:
    return UserOut(
        id=str(user.id),
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        username=user.username,
        employee_id=user.employee_id,
        role=user.role.kind,
        active=user.is_active,
        created_at=user.created_at,
    )


def group_out(group: Group, user_ids: Iterable[int]) -> GroupOut:
    return GroupOut(id=str(group.id), name=group.name, user_ids=[str(one) for one in user_ids])


def application_out(application: Application) -> ApplicationOut:
    return ApplicationOut(
        id=str(application.id),
        name=application.name,
        description=application.description,
        vendor=application.vendor,
        category=application.category,
        url=application.url,
        critical=application.is_critical,
        notes=application.notes,
        created_at=application.created_at,
        archived_at=application.archived_at,
    )


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


def remedy_out(remedy: Remedy | None, where: Where) -> RemedyOut | None:
    """`where`: what the failure is about, which the addresses of its actions are made of."""
    if remedy is None:
        return None
    return RemedyOut(
        title=remedy.title,
        why=remedy.why,
        todo=remedy.todo,
        action=remedy.action,
        label=remedy.label,
        actions=[
            PlaceOut(action=one.action, label=one.label, href=one.href, permission=one.permission)
            for one in places(remedy, where)
        ],
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
