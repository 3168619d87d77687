"""The audit trail: who did what to which record."""

from __future__ import annotations

from typing import Annotated, Any

from app.api.blueprint import bp
from app.api.lists import ListQuery, page_of
from app.api.operation import Act, reads
from app.guard import requires
from app.models import AuditEvent
from app.queries.audit import AuditFilters, audit_list
from app.schemas.answers import OutId, Output, OutTime, Page
from app.schemas.kinds import RecordId, ShortText

TAG = "Audit"


class AuditQuery(ListQuery):
    """What the list is narrowed to: an action such as `grant.create`, a record, or a person."""

    action: ShortText = ""
    subject_type: ShortText = ""
    subject_id: ShortText = ""
    actor_id: Annotated[int | None, RecordId()] = None


class AuditOut(Output):
    """One act. `changes` is `{field: [old, new]}` and never holds a secret."""

    id: OutId
    at: OutTime
    action: str
    actor: str
    actor_kind: str
    actor_id: OutId | None
    subject_type: str
    subject_id: str
    subject: str
    source: str
    reason: str | None
    changes: dict[str, Any]


@bp.get("/audit")
@requires("audit:read")
@reads(TAG, Page[AuditOut], query=AuditQuery)
def list_audit(act: Act, query: AuditQuery) -> Page[AuditOut]:
    """Acts of people, tokens and the system, the newest first."""
    filters = AuditFilters(query.action, query.subject_type, query.subject_id, query.actor_id)
    rows = audit_list(act.session, filters, limit=query.limit + 1, before=query.key)
    return page_of(rows, query, _audit_out, key=lambda event: event.id)


def _audit_out(event: AuditEvent) -> AuditOut:
    return AuditOut(
        id=str(event.id),
        at=event.at,
        action=event.action,
        actor=event.actor,
        actor_kind=event.actor_kind,
        actor_id=str(event.actor_id) if event.actor_id else None,
        subject_type=event.subject_type,
        subject_id=event.subject_id,
        subject=event.subject,
        source=event.source,
        reason=event.reason,
        changes=event.changes,
    )
