"""Credentials: entered, sealed, replaced, removed; never read back."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.connectors.messages import ConfigurationError
from app.connectors.types.table import TYPES
from app.crypto import KeyLost, KeyRing, bound_to
from app.database import changed
from app.errors import Invalid
from app.models import Connection, Credential, RunOverride
from app.permissions import Actor
from app.schemas.connections import CredentialIn
from app.services import audit, parking
from app.services.connections import addresses
from app.services.record_changes import lock


def set_credential(
    session: Session,
    actor: Actor,
    connection: Connection,
    data: CredentialIn,
    keyring: KeyRing,
    *,
    now: datetime,
    meant_for: str | None = None,
) -> None:
    """Seal a connection's credential for that connection alone, in place of an earlier one.

    `meant_for` is where whoever enters it has seen that it goes (`connections.addresses`).  Raises Invalid when
    it goes elsewhere by now, or the connection could not use the value; the message never holds it.
    """
    lock(session, Connection, connection.id)  # two who enter one at the same time must not both add a row
    session.refresh(connection)
    if meant_for is not None and meant_for != addresses(connection):
        raise Invalid.field(
            "value", "The address was changed while you were typing. Look at the one below first."
        )
    value = _usable(connection, data.value)
    sealed = keyring.seal(value, bound_to(connection.id))
    action = "credential.set" if connection.credential is None else "credential.replace"
    credential = connection.credential or Credential()
    credential.sealed, credential.key_id = sealed.token, sealed.key_id
    credential.set_at, credential.set_by, credential.set_by_id = now, actor.name, actor.user_id
    credential.last_used_at = credential.last_ok = None
    connection.credential = credential
    audit.record(session, actor, action, connection, now=now)
    parking.credential_mended(session, connection.id, now=now)


def remove_credential(session: Session, actor: Actor, connection: Connection, *, now: datetime) -> None:
    """Forget a connection's credential; without one, nothing changes."""
    lock(session, Connection, connection.id)
    session.refresh(connection, ["credential"])
    if connection.credential is None:
        return
    connection.credential = None
    audit.record(session, actor, "credential.remove", connection, now=now)


def note_use(
    session: Session, connection_id: int, set_at: datetime | None, ok: bool, *, now: datetime
) -> None:
    """Note whether the credential entered at `set_at` was accepted; one replaced since is let alone."""
    if set_at is None:
        return
    changed(
        session,
        update(Credential)
        .where(Credential.connection_id == connection_id, Credential.set_at == set_at)
        .values(last_used_at=now, last_ok=ok),
    )


def rotate_batch(session: Session, keyring: KeyRing, *, after: int, limit: int) -> tuple[int, int, int]:
    """Seal up to `limit` credentials anew that an older key sealed, in the order of their ids.

    Returns how many were sealed, how many no key opens, and the last id looked at; 0 when none is left.
    """
    rows = session.scalars(
        select(Credential)
        .where(Credential.id > after, Credential.key_id != keyring.newest_key_id)
        .order_by(Credential.id)
        .limit(limit)
        .with_for_update(key_share=True)
    ).all()
    sealed = lost = 0
    for row in rows:
        try:
            fresh = keyring.rotate(row.sealed)
        except KeyLost:
            lost += 1
            continue
        row.sealed, row.key_id = fresh.token, fresh.key_id
        sealed += 1
    return sealed, lost, rows[-1].id if rows else 0


def rotate_overrides(session: Session, keyring: KeyRing) -> tuple[int, int]:
    """Seal anew the one-off values that wait for a retry: they live for moments, so there are few.

    Returns how many were sealed, and how many no key opens.
    """
    sealed = lost = 0
    waiting = select(RunOverride).where(RunOverride.sealed.is_not(None)).with_for_update(key_share=True)
    for row in session.scalars(waiting).all():
        try:
            row.sealed = keyring.rotate(row.sealed or "").token
        except KeyLost:
            lost += 1
            continue
        sealed += 1
    return sealed, lost


def _usable(connection: Connection, value: str) -> str:
    """The value as the connection will send it; raises Invalid."""
    try:
        return TYPES[connection.type].keep(connection.config, value)
    except ConfigurationError as problem:
        raise Invalid.field("value", problem.message) from None
