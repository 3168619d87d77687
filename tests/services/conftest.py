"""What the tests of services share."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.crypto import KeyRing, new_key
from app.models import AuditEvent
from app.permissions import Actor


@pytest.fixture
def keyring() -> KeyRing:
    return KeyRing([new_key()])


@pytest.fixture
def builder() -> Actor:
    """Bob, who builds workflows and may not touch credentials."""
    return Actor("user", "Bob Builder", frozenset({"workflow:read", "workflow:manage"}), source="test")


def audited(session: Session) -> list[str]:
    """The actions of the audit trail, in order."""
    return list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))
