"""What the audit trail says."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import AuditEvent


def audited(session: Session) -> list[str]:
    """The actions of the audit trail, in order."""
    return list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))
