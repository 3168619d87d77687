"""Connections: how an application's system is reached, and the secret that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.connectors.types.table import RECEIVERS
from app.errors import Conflict, Invalid, NotAllowed
from app.models import Application, Connection
from app.permissions import Actor, may
from app.queries.connection_uses import uses_of
from app.schemas.connections import ConnectionIn, ConnectionPatch
from app.services import audit, parking
from app.services.record_changes import assign, lock, refusing_duplicates

_TAKEN = "This application has a connection with this name."


@dataclass(frozen=True, slots=True)
class CredentialState:
    """All that may be known of a credential. `readable` is False when no key of the console opens it."""

    configured: bool
    set_at: datetime | None = None
    set_by: str | None = None
    last_used_at: datetime | None = None
    last_ok: bool | None = None
    readable: bool | None = None


def create_connection(
    session: Session, actor: Actor, application: Application, data: ConnectionIn, *, now: datetime
) -> Connection:
    """Add a connection to an application; raises Invalid when the application has one of this name."""
    connection = Connection(
        application_id=application.id,
        type=data.type,
        name=data.name,
        config=data.config,
        created_at=now,
        changed_at=now,
    )
    with refusing_duplicates(session, Invalid.field("name", _TAKEN)):
        session.add(connection)
    changes = {"config": [None, data.config]}
    audit.record(session, actor, "connection.create", connection, now=now, changes=changes)
    return connection


def change_connection(
    session: Session, actor: Actor, connection: Connection, patch: ConnectionPatch, *, now: datetime
) -> Connection:
    """Change name and configuration. A change of `auth` keeps the credential.

    Raises Invalid for what cannot be saved; NotAllowed when the credential would go to another address than
    its holder chose and the actor may not enter one.
    """
    lock(session, Connection, connection.id)
    session.refresh(connection)
    given = patch.given()
    if "config" in given:
        given["config"] = patch.config_on(connection.type, connection.config)
        if connection.credential is not None:
            _require_same_addresses(actor, connection.config, given["config"])
    with refusing_duplicates(session, Invalid.field("name", _TAKEN)):
        changes = assign(connection, given)
    if changes:
        connection.changed_at = now
        if "config" in changes:
            _forget_test(connection)
            old, new = changes.pop("config")
            changes |= _config_changes(old, new)
        audit.record(session, actor, "connection.change", connection, now=now, changes=changes)
        session.flush()
        parking.settings_changed(session, connection.id, now=now)
    return connection


def _require_same_addresses(actor: Actor, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if may(actor, "workflow:secrets") or all(old.get(name) == new.get(name) for name in RECEIVERS):
        return
    raise NotAllowed(
        "This would send the stored credential to another address, which needs the permission "
        "workflow:secrets. Ask an administrator, or have the credential removed first.",
        "workflow:secrets",
    )


def addresses(connection: Connection) -> str:
    """Where its credential goes, as one text: what somebody who enters one has seen."""
    return " ".join(str(connection.config[name]) for name in RECEIVERS if connection.config.get(name))


def _config_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[Any]]:
    names = dict.fromkeys([*old, *new])
    return {name: [old.get(name), new.get(name)] for name in names if old.get(name) != new.get(name)}


def _forget_test(connection: Connection) -> None:
    """What was tested is not what stands here now."""
    connection.tested_at = connection.test_outcome = connection.test_class = None
    connection.test_status = connection.test_duration_ms = connection.test_path = None


def delete_connection(session: Session, actor: Actor, connection: Connection, *, now: datetime) -> None:
    """Remove a connection and its credential.

    Raises Conflict, naming them and what hangs on them, while live workflows use it in their newest version.
    """
    lock(session, Application, connection.application_id)  # as saving a version does: no step may appear now
    uses = uses_of(session, connection, now=now)
    if uses.workflows:
        names = ", ".join(f"“{one.name}”" for one in uses.workflows)
        verb = "uses" if len(uses.workflows) == 1 else "use"
        raise Conflict(f"{names} {verb} this connection. Change the steps first.", uses.as_json())
    audit.record(session, actor, "connection.delete", connection, now=now)
    session.delete(connection)


def credential_state(connection: Connection, key_ids: list[str] | None = None) -> CredentialState:
    """What the page shows. With the key ring's `key_ids` it also says whether the credential can be read."""
    credential = connection.credential
    if credential is None:
        return CredentialState(configured=False)
    return CredentialState(
        configured=True,
        set_at=credential.set_at,
        set_by=credential.set_by,
        last_used_at=credential.last_used_at,
        last_ok=credential.last_ok,
        readable=None if key_ids is None else credential.key_id in key_ids,
    )
