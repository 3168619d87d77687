"""Connections and credentials: where a secret may go, and that it never comes back."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config.checks import new_fernet_key
from app.crypto import KeyLost, KeyRing, bound_to
from app.errors import Conflict, Invalid, NotAllowed
from app.models import AuditEvent, Connection, Credential
from app.permissions import Actor
from app.schemas.base import parse
from app.schemas.connections import ConnectionIn, ConnectionPatch, CredentialIn
from app.services import connections, credentials
from tests.support.audit import audited
from tests.support.factories import (
    NOW,
    add_version,
    http_step,
    make_application,
    make_connection,
    make_workflow,
)

SECRET = "s3cr3t-t0k3n"


def patch(name: str | None = None, **config: object) -> ConnectionPatch:
    return parse(ConnectionPatch, {"config": config} | ({"name": name} if name else {}))


def bearer(session: Session, **overrides: Any) -> Connection:
    config = {"base_url": "https://target.example", "auth": "bearer", "timeout_seconds": 5}
    return make_connection(session, make_application(session), config=config, **overrides)


def enter(
    session: Session, actor: Actor, connection: Connection, keyring: KeyRing, value: str = SECRET
) -> None:
    credentials.set_credential(session, actor, connection, CredentialIn(value=value), keyring, now=NOW)


def test_a_connection_is_added_to_its_application(session: Session, builder: Actor) -> None:
    application = make_application(session)
    data = parse(ConnectionIn, {"type": "webhook", "name": "Hook", "config": {"url": "https://h.example/x"}})
    made = connections.create_connection(session, builder, application, data, now=NOW)
    assert (made.type, made.config) == ("webhook", {"url": "https://h.example/x"})
    with pytest.raises(Invalid):
        connections.create_connection(session, builder, application, data, now=NOW)


def test_a_credential_is_sealed_for_its_connection_alone(
    session: Session, admin: Actor, keyring: KeyRing
) -> None:
    connection, other = bearer(session), bearer(session)
    enter(session, admin, connection, keyring)
    session.flush()
    row = session.scalars(select(Credential)).one()
    assert SECRET not in row.sealed
    assert keyring.open(row.sealed, bound_to(connection.id)).reveal() == SECRET
    with pytest.raises(KeyLost):
        keyring.open(row.sealed, bound_to(other.id))


def test_no_audit_entry_holds_a_secret(session: Session, admin: Actor, keyring: KeyRing) -> None:
    connection = bearer(session)
    enter(session, admin, connection, keyring)
    enter(session, admin, connection, keyring, "another-token")
    credentials.remove_credential(session, admin, connection, now=NOW)
    credentials.remove_credential(session, admin, connection, now=NOW)
    session.flush()
    assert audited(session) == ["credential.set", "credential.replace", "credential.remove"]
    assert [one.changes for one in session.scalars(select(AuditEvent))] == [{}, {}, {}]
    assert session.scalars(select(Credential)).all() == []


def test_the_state_tells_that_and_when_but_never_what(
    session: Session, admin: Actor, keyring: KeyRing
) -> None:
    connection = bearer(session)
    assert connections.credential_state(connection).configured is False
    enter(session, admin, connection, keyring)
    state = connections.credential_state(connection, keyring.key_ids)
    assert (state.configured, state.set_at, state.set_by, state.readable) == (True, NOW, "Alice Admin", True)
    assert connections.credential_state(connection, KeyRing([new_fernet_key()]).key_ids).readable is False


@pytest.mark.parametrize("value", ["with space inside\n", "naïve", "tab\there"])
def test_a_token_that_no_header_carries_is_refused_without_being_quoted(
    session: Session, admin: Actor, keyring: KeyRing, value: str
) -> None:
    connection = bearer(session)
    if value.startswith("with"):
        enter(session, admin, connection, keyring, value)
        return
    with pytest.raises(Invalid) as caught:
        enter(session, admin, connection, keyring, value)
    assert [error.field for error in caught.value.errors] == ["value"]
    assert value not in caught.value.message


def test_what_copying_brought_along_is_cut_off_a_token(
    session: Session, admin: Actor, keyring: KeyRing
) -> None:
    connection = bearer(session)
    enter(session, admin, connection, keyring, f"  {SECRET} ")
    assert connection.credential is not None
    assert keyring.open(connection.credential.sealed, bound_to(connection.id)).reveal() == SECRET


def test_a_webhook_takes_one_secret_or_two_while_rotating(
    session: Session, admin: Actor, keyring: KeyRing
) -> None:
    application = make_application(session)
    hook = make_connection(session, application, type="webhook", config={"url": "https://h.example"})
    first, second = "whsec_" + "QUJD" * 8, "whsec_" + "REVG" * 8
    enter(session, admin, hook, keyring, f"{first}\n{second}")
    assert hook.credential is not None
    assert keyring.open(hook.credential.sealed, bound_to(hook.id)).reveal() == f"{first} {second}"
    for bad in ("hunter2", "whsec_QUJD", f"{first} {first} {first}"):
        with pytest.raises(Invalid):
            enter(session, admin, hook, keyring, bad)


def test_a_stored_credential_goes_nowhere_else_without_the_right_to_enter_one(
    session: Session, admin: Actor, builder: Actor, keyring: KeyRing
) -> None:
    connection = bearer(session)
    enter(session, admin, connection, keyring)
    with pytest.raises(NotAllowed) as caught:
        connections.change_connection(
            session, builder, connection, patch(base_url="https://evil.example"), now=NOW
        )
    assert caught.value.permission == "workflow:secrets"
    assert connection.config["base_url"] == "https://target.example"
    connections.change_connection(session, admin, connection, patch(base_url="https://new.example"), now=NOW)
    assert connection.config["base_url"] == "https://new.example"


def test_without_a_credential_a_builder_may_change_the_address(session: Session, builder: Actor) -> None:
    connection = bearer(session)
    connections.change_connection(
        session, builder, connection, patch(base_url="https://new.example"), now=NOW
    )
    assert connection.config["base_url"] == "https://new.example"


def test_another_way_of_signing_in_keeps_the_credential(
    session: Session, admin: Actor, builder: Actor, keyring: KeyRing
) -> None:
    connection = bearer(session)
    enter(session, admin, connection, keyring)
    connections.change_connection(session, builder, connection, patch(auth="api_key"), now=NOW)
    assert connection.config["api_key_header"] == "X-API-Key"
    assert connections.credential_state(connection).configured


def test_a_change_forgets_the_last_test_and_says_what_changed(session: Session, builder: Actor) -> None:
    connection = bearer(session, tested_at=NOW, test_outcome="reachable", test_status=200)
    connections.change_connection(session, builder, connection, patch("Renamed", timeout_seconds=9), now=NOW)
    assert (connection.name, connection.tested_at, connection.test_outcome) == ("Renamed", None, None)
    changes = session.scalars(select(AuditEvent)).one().changes
    assert changes["timeout_seconds"] == [5, 9]
    assert set(changes) == {"name", "timeout_seconds"}


def test_a_connection_in_use_names_who_uses_it(session: Session, builder: Actor) -> None:
    application = make_application(session)
    connection = make_connection(session, application)
    workflow = make_workflow(session, application, http_step("create", connection.id), name="Provision")
    with pytest.raises(Conflict, match="“Provision” uses this connection"):
        connections.delete_connection(session, builder, connection, now=NOW)
    add_version(session, workflow, http_step("create", make_connection(session, application).id))
    connections.delete_connection(session, builder, connection, now=NOW)
    session.flush()
    assert session.get(Connection, connection.id) is None


def test_a_deleted_workflow_holds_no_connection(
    session: Session, admin: Actor, builder: Actor, keyring: KeyRing
) -> None:
    application = make_application(session)
    connection = make_connection(session, application)
    make_workflow(session, application, http_step("create", connection.id), deleted_at=NOW)
    enter(session, admin, connection, keyring)
    connections.delete_connection(session, builder, connection, now=NOW)
    session.flush()
    assert session.scalars(select(Credential)).all() == []


def test_rotation_goes_on_where_it_stopped_and_counts_what_is_lost(
    session: Session, admin: Actor, keyring: KeyRing
) -> None:
    old, new = new_fernet_key(), new_fernet_key()
    former, ring = KeyRing([old]), KeyRing([new, old])
    made = [bearer(session) for _ in range(3)]
    for connection in made:
        enter(session, admin, connection, former)
    enter(session, admin, bearer(session), keyring)
    session.flush()
    sealed, lost, last = credentials.rotate_batch(session, ring, after=0, limit=2)
    assert (sealed, lost) == (2, 0)
    sealed, lost, last = credentials.rotate_batch(session, ring, after=last, limit=2)
    assert (sealed, lost) == (1, 1)
    session.flush()
    assert credentials.rotate_batch(session, ring, after=last, limit=2) == (0, 0, 0)
    for connection in made:
        assert connection.credential is not None
        opened = KeyRing([new]).open(connection.credential.sealed, bound_to(connection.id))
        assert opened.reveal() == SECRET
