"""The audit trail: searched, read in pieces, and its words found by one look for each."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from app.permissions import Actor
from app.queries.audit import AuditFilters, actions, audit_list, every_entry, subject_types
from app.services import audit
from tests.support.factories import NOW


def test_the_trail_is_searched_and_its_words_are_found(session: Session, admin: Actor) -> None:
    for number, action in enumerate(("user.create", "grant.create", "grant.create")):
        kind = action.split(".", maxsplit=1)[0]
        audit.record(
            session,
            admin,
            action,
            audit.Subject(kind, number, f"100%_{number}"),
            now=NOW + timedelta(days=number),
        )
    session.commit()
    assert actions(session) == ["grant.create", "user.create"]
    assert subject_types(session) == ["grant", "user"]
    assert len(audit_list(session, AuditFilters(about="0%_1"), limit=9)) == 1
    assert len(audit_list(session, AuditFilters(about="1002"), limit=9)) == 0
    since = AuditFilters(since=NOW + timedelta(days=1), until=NOW + timedelta(days=2))
    assert [one.subject for one in audit_list(session, since, limit=9)] == ["100%_1"]
    assert list(every_entry(session, AuditFilters(), lambda one: one.subject_id)) == ["2", "1", "0"]
    lines = every_entry(session, AuditFilters(), lambda one: one.subject_id)
    assert next(lines) == "2"
    assert not session.in_transaction()  # whoever takes them may be slow
    assert len(list(lines)) == 2


def test_an_empty_trail_has_no_words(session: Session) -> None:
    assert actions(session) == []
    assert list(every_entry(session, AuditFilters(), lambda one: one.subject)) == []
