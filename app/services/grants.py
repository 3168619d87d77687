"""Granting and revoking: the record first, and in the same transaction what it is to start."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session, make_transient_to_detached

from app.database import and_as_a_reference, changed_one
from app.domain.states import Trigger
from app.errors import Conflict, Invalid
from app.models import Application, Grant, User
from app.permissions import SYSTEM, Actor
from app.services import audit
from app.services.decisions import Event, decide_event, lock_pair

# Granting is the busiest act there is: its statements are made once and run past the session, at half the price.
# Held until the end: whoever deactivates this person or archives this application at this moment is either seen
# here, or waits and sees this grant. What only refers to the person, as a revoke's run does, waits for neither.
_still_open = and_as_a_reference(
    select(User.is_active, Application.archived_at)
    .join_from(User, Application, Application.id == bindparam("b_application"))
    .where(User.id == bindparam("b_user"))
    .with_for_update(read=True, of=User),
    Application,
)
_insert_grant = insert(Grant.__table__).returning(Grant.__table__.c.id)
_AT_FIRST = dict.fromkeys(("revoked_at", "revoked_by", "revoked_by_id", "state_reason", "newest_run_id"))


def grant(
    session: Session,
    actor: Actor,
    *,
    application: Application,
    user: User,
    now: datetime,
    access_level: str = "",
    expires_at: datetime | None = None,
    notes: str = "",
    record_only: bool = False,
    form_shown_at: datetime | None = None,
) -> Grant:
    """Record that `user` has access to `application`, and decide what that starts.

    `form_shown_at` is when the form was shown that is sent now: what it has made already is given, not made again.
    Raises Invalid when the person is deactivated, the application archived or the expiry not in the future.
    """
    session.flush()
    both = {"b_user": user.id, "b_application": application.id}
    is_active, archived_at = session.connection().execute(_still_open, both).one()
    if not is_active:
        raise Invalid.field("user_id", f"{user.name} is deactivated. Reactivate the person first.")
    if archived_at is not None:
        raise Invalid.field("application_id", f"{application.name} is archived.")
    _check_expiry(expires_at, now)
    lock_pair(session, user.id, application.id)
    words = {
        "user_id": user.id,
        "application_id": application.id,
        "access_level": access_level,
        "notes": notes,
        "granted_by_id": actor.user_id,
        "expires_at": expires_at,
    }
    if form_shown_at is not None and (made := _made_since(session, words, form_shown_at)) is not None:
        return made
    record = _add(session, **words, granted_at=now, granted_by=actor.name, state="no_automation")
    event = Event(record, Trigger.ACCESS_GRANTED, f"Granted by {actor.name}", record_only)
    decide_event(session, actor, event, now=now)
    called = audit.Subject("grant", record.id, f"{user.name} on {application.name}")
    changes = {"access_level": [None, access_level], "expires_at": [None, _text(expires_at)]}
    audit.record(session, actor, "grant.create", called, now=now, changes=changes)
    return record


def _made_since(session: Session, words: dict[str, Any], since: datetime) -> Grant | None:
    """The active grant that says the same, word for word, and was made since: by a double click.

    The pair must be locked, or two clicks at once would both find none.
    """
    return session.scalars(
        select(Grant).filter_by(**words).where(Grant.granted_at >= since, Grant.is_active).limit(1)
    ).one_or_none()


def _add(session: Session, **values: Any) -> Grant:
    """A new grant, written and known to the session."""
    number = session.connection().execute(_insert_grant, values).scalar_one()
    record = Grant(id=number, **values, **_AT_FIRST)
    make_transient_to_detached(record)
    session.add(record)
    return record


def revoke(
    session: Session,
    actor: Actor,
    record: Grant,
    *,
    now: datetime,
    notes: str | None = None,
    record_only: bool = False,
    cause: str | None = None,
) -> Grant:
    """End a grant and decide what that starts. `notes` replace the grant's own when given.

    Raises Conflict when it has been revoked before, naming when and by whom.
    """
    if not revoke_if_held(session, actor, record, now=now, notes=notes, record_only=record_only, cause=cause):
        raise Conflict(f"{record.revoked_by} revoked this grant at {_text(record.revoked_at)}.")
    return record


def revoke_if_held(
    session: Session,
    actor: Actor,
    record: Grant,
    *,
    now: datetime,
    notes: str | None = None,
    record_only: bool = False,
    cause: str | None = None,
) -> bool:
    """As `revoke`; False, with nothing done, when it has been revoked before, in this moment perhaps."""
    lock_pair(session, record.user_id, record.application_id)
    revoking = (
        update(Grant)
        .where(Grant.id == record.id, Grant.is_active)
        .values(revoked_at=now, revoked_by=actor.name, revoked_by_id=actor.user_id)
    )
    is_revoked = changed_one(session, revoking)
    session.refresh(record)
    if not is_revoked:
        return False
    if notes is not None:
        record.notes = notes
    event = Event(record, Trigger.ACCESS_REVOKED, cause or f"Revoked by {actor.name}", record_only)
    decide_event(session, actor, event, now=now)
    audit.record(session, actor, "grant.revoke", record, now=now, reason=notes)
    return True


def change_grant(
    session: Session,
    actor: Actor,
    record: Grant,
    *,
    now: datetime,
    notes: str | None = None,
    expires_at: datetime | None = None,
    set_expiry: bool = False,
) -> Grant:
    """Change notes (when not None) and expiry (when `set_expiry`): all of a grant that may change.

    Raises Conflict when the expiry of a revoked grant is to change, Invalid when it is not in the future.
    """
    changes: dict[str, list[str | None]] = {}
    if set_expiry and expires_at != record.expires_at:
        if not record.is_active:
            raise Conflict("This grant is revoked: its expiry no longer matters.")
        _check_expiry(expires_at, now)
        changes["expires_at"] = [_text(record.expires_at), _text(expires_at)]
        record.expires_at = expires_at
    if notes is not None and notes != record.notes:
        changes["notes"] = [record.notes, notes]
        record.notes = notes
    if changes:
        audit.record(session, actor, "grant.change", record, now=now, changes=changes)
    return record


def revoke_expired(session: Session, grant_id: int, *, now: datetime) -> bool:
    """Revoke the grant, as the system, when its time is over; False when it is not, or somebody was faster."""
    found = session.get_one(Grant, grant_id)
    lock_pair(session, found.user_id, found.application_id)
    session.refresh(found, with_for_update={"key_share": True})
    if not found.is_active or found.expires_at is None or found.expires_at > now:
        return False
    revoke(session, SYSTEM, found, now=now, cause="Expired")
    return True


def _check_expiry(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise Invalid.field("expires_at", "The expiry must lie in the future.")


def _text(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%d %H:%M UTC") if at else None
