"""The audit trail: every act that changes something writes one entry, in the act's own transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.models import AuditEvent
from app.permissions import Actor


def record(
    session: Session,
    actor: Actor,
    action: str,
    subject_type: str,
    subject_id: int | str,
    subject: str,
    *,
    now: datetime,
    reason: str | None = None,
    changes: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Note that `actor` did `action` to a record.

    `changes` is {field: [old, new]} in plain JSON values and never holds a secret's value.
    """
    session.execute(
        insert(AuditEvent).values(
            at=now,
            action=action,
            actor_kind=actor.kind,
            actor_id=actor.user_id,
            actor=actor.name[:200],
            subject_type=subject_type,
            subject_id=str(subject_id),
            subject=subject[:200],
            source=actor.source[:64],
            reason=reason,
            changes={name: list(pair) for name, pair in (changes or {}).items()},
        )
    )
