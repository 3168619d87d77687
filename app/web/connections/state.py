"""Connections as the pages show them: the last test with its remedy, and the credential's state in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.connectors.types.table import KEY_LOST, TYPES, needs_credential
from app.domain.remedies.failure import Action, Failure, Remedy
from app.domain.remedies.links import Where, places
from app.domain.remedies.remedy import remedy
from app.domain.states import FailureClass
from app.extensions import keyring
from app.models import Connection
from app.services.connection_test import REACHABLE
from app.services.connections import CredentialState, credential_state


@dataclass(frozen=True, slots=True)
class Tested:
    """What the last Test connection found. `remedy` is None when the system was reached."""

    at: datetime
    is_reachable: bool
    status: int | None
    path: str
    duration_ms: int | None
    remedy: Remedy | None
    fix_url: str = ""

    @property
    def short(self) -> str:
        """For a table: `Reachable 200` or `Failed 401`."""
        word = "Reachable" if self.is_reachable else "Failed"
        return f"{word} {self.status}" if self.status else word


def state_of(connection: Connection) -> CredentialState:
    """What may be shown of the credential, and whether this console can still open it."""
    return credential_state(connection, keyring().key_ids)


def last_test(connection: Connection, *, advice: Remedy | None = None) -> Tested | None:
    """The last test, None when there was none. `advice` is what a test has just said."""
    if connection.tested_at is None:
        return None
    is_reachable = connection.test_outcome == REACHABLE
    # Of a place that was reached something may be odd all the same.
    found = None if is_reachable and connection.test_class is None else advice or _remedy(connection)
    return Tested(
        at=connection.tested_at,
        is_reachable=is_reachable,
        status=connection.test_status,
        path=connection.test_path or "/",
        duration_ms=connection.test_duration_ms,
        remedy=found,
        fix_url=_fix_url(connection, found),
    )


def _remedy(connection: Connection) -> Remedy:
    return remedy(
        Failure(
            failure=FailureClass(connection.test_class or FailureClass.NETWORK),
            status=connection.test_status,
            system=connection.name,
            step_type=TYPES[connection.type].step_type,
            probe=True,
            detail=_why_unusable(connection),
            needs_credential=needs_credential(connection),
            credential_set=connection.credential is not None,
        )
    )


def _why_unusable(connection: Connection) -> str:
    """What is wrong with the configuration now: of a failure only its class is kept, not its words."""
    if connection.test_class != FailureClass.CONFIGURATION:
        return ""
    if state_of(connection).readable is False:
        return KEY_LOST
    return TYPES[connection.type].why_unusable(connection.config, connection.test_status)


def _fix_url(connection: Connection, found: Remedy | None) -> str:
    """Where the test's remedy is taken: not on this page, where the test itself is."""
    if found is None or found.action is Action.TEST_CONNECTION:
        return ""
    return next((one.href for one in places(found, Where(connection_id=connection.id))), "")
